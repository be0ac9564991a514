"""Stands between a client and a real Label Studio, so that the faults of a double can happen in front of it."""

from __future__ import annotations

import json
from typing import Any

import requests
from http_double import Answer, HttpDouble, Request

TIMEOUT_S = 60.0
_PASSED_ON = ("authorization", "content-type", "accept")


class LabelStudioProxy(HttpDouble):
    """Forwards what no fault takes. Operations are `GET tasks`, `POST import/predictions`, `PATCH projects`, ...

    Settable: `page_cap`, the most tasks that a page gives whatever is asked for; `dropped`, tasks whose predictions an
    import leaves out without a word.

    Args:
        server_url: Address of the server behind.
    """

    def __init__(self, server_url: str) -> None:
        super().__init__()
        self.server_url = server_url
        self.page_cap: int | None = None
        self.dropped: set[int] = set()

    def operation_of(self, method: str, path: str, body: Any) -> str:
        """The verb, and the last parts of the path that are no numbers."""
        parts = [part for part in path.split("/") if part and not part.isdigit()]
        return f"{method} {'/'.join(parts[-2:]) if parts[-2:-1] != ['api'] else parts[-1]}".replace(
            "projects/import", "import"
        )

    def answer(self, request: Request) -> Answer:
        """What the server says."""
        query, text = dict(request.query), request.text
        if self.page_cap is not None and "page_size" in query:
            query["page_size"] = str(min(self.page_cap, int(query["page_size"])))
        if self.dropped and request.path.endswith("/import/predictions"):
            text = json.dumps([row for row in request.body if row["task"] not in self.dropped])
        answer = requests.request(
            request.method,
            self.server_url + request.path,
            params=query,
            data=text.encode(),
            headers={name: request.headers[name] for name in _PASSED_ON if name in request.headers},
            allow_redirects=False,
            timeout=TIMEOUT_S,
        )
        try:
            return Answer(answer.status_code, answer.json())
        except ValueError:
            return Answer(answer.status_code, answer.content)
