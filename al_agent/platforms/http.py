"""HTTP to a vendor's server: one kept-alive session, retried with care, paced, masked; the one importer of requests."""

from __future__ import annotations

import json
import logging
import os
import random
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import version
from typing import Any

import requests
import requests.adapters
import requests.auth
import urllib3

from ..errors import AuthenticationFailed, PlatformError, RateLimited
from .connection import Connection
from .failures import ENDLESS, MOST_TRIES, NO_JSON, WEB_PAGE, Failure, of_exception, of_status, origin_of, shortened
from .pace import shared_pace
from .parallel import is_stopped, pause
from .secrecy import Secrets

_LOG = logging.getLogger("al_agent.http")

_LONGEST_ANSWER_S = 900.0  # a server that drips bytes for ever is stopped here
_LARGEST_ANSWER = 1 << 30


class Http:
    """Requests to one server.

    What the server answers is JSON; every failure is raised as a PlatformError without a key in it. Redirects are not
    followed and cookies not kept, so credentials go to this origin only.

    Args:
        base_url: Address of the server, to which paths are appended.
        vendor: The platform's name for messages.
        headers: Gives the headers that prove who asks; called for every try.
        secrets: What to mask.
        connection: Timeouts and patience.
        calls_per_minute: The vendor's rate limit; None for none.
        renew: Called after a 401 with the headers that were refused; returns whether there are new ones.
        key_hint: What to do when the key is refused.

    Raises:
        ValueError: The address is none, or holds a user name or password.
    """

    def __init__(
        self,
        base_url: str,
        *,
        vendor: str,
        headers: Callable[[], Mapping[str, str]],
        secrets: Secrets,
        connection: Connection,
        calls_per_minute: int | None = None,
        renew: Callable[[Mapping[str, str]], bool] | None = None,
        key_hint: str = "check the key",
    ) -> None:
        self.base_url = checked_url(base_url)
        self.origin = origin_of(self.base_url)
        self.connection = connection
        self.secrets = secrets
        self._vendor = vendor
        self._headers = headers
        self._renew = renew
        self._key_hint = key_hint
        # named with every request, for only then it wins over the environment's
        self._verify = True if connection.ca_file is None else os.path.expanduser(os.fspath(connection.ca_file))
        self._pace = shared_pace(self.origin, calls_per_minute)
        self._has_answered = False
        self._session: requests.Session | None = None
        self._session_of = 0
        self._lock = threading.Lock()

    def get(self, path: str, params: Mapping[str, Any] | None = None, *, read_timeout_s: float | None = None) -> Any:
        """The JSON at a path."""
        return self.send("GET", path, params=params, read_timeout_s=read_timeout_s)

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        read_timeout_s: float | None = None,
        is_repeatable: bool = True,
        is_signed: bool = True,
    ) -> Any:
        """Send a request, again where that may help, and return the JSON of the answer; None for an empty one.

        Args:
            method: The verb.
            path: What follows the base address.
            params: The query.
            body: What JSON can hold; None sends no body.
            headers: More headers.
            read_timeout_s: Seconds to wait for the answer, where it may take longer than the connection allows.
            is_repeatable: Whether doing it twice is as good as once. If not, it is tried again only where the server
                cannot have done it.
            is_signed: Whether the headers that prove who asks are sent.

        Raises:
            PlatformError: No usable answer.
        """
        url = f"{self.base_url}{path}"
        data = None if body is None else json.dumps(body, allow_nan=False).encode()
        started, n_tries, is_renewed = time.monotonic(), 0, False
        while True:
            n_tries += 1
            signature = dict(self._headers()) if is_signed else {}
            held_s = self._pace.wait(self.connection.give_up_after_s - (time.monotonic() - started))
            if held_s:
                raise self._error(Failure(RateLimited, "it asked for a pause", asked_wait_s=held_s), 1)
            begun = time.monotonic()
            result = self._try(method, url, params, data, {**signature, **(headers or {})}, read_timeout_s)
            _LOG.debug(
                "%s %s%s: %s, %.0f ms",
                method,
                self.secrets.mask(self.base_url),
                self.secrets.mask(path),
                self.secrets.mask(result.what) if isinstance(result, Failure) else "done",
                1000 * (time.monotonic() - begun),
            )
            self._has_answered |= not isinstance(result, Failure) or result.status is not None
            if not isinstance(result, Failure):
                return result.content
            if result.status == 401 and is_signed and not is_renewed and self._renew is not None and self._renew(signature):
                is_renewed = True
                continue
            wait_s = self._wait_s(result, n_tries)
            if (
                is_stopped()
                or (n_tries >= self._most_tries(result) and not result.asked_wait_s)
                or time.monotonic() - started + wait_s > self.connection.give_up_after_s
                or (result.may_have_happened and not is_repeatable)
            ):
                raise self._error(result, n_tries)
            if result.asked_wait_s:
                self._pace.hold(wait_s)
            else:
                pause(wait_s)

    def _try(
        self,
        method: str,
        url: str,
        params: Mapping[str, Any] | None,
        data: bytes | None,
        headers: Mapping[str, str],
        read_timeout_s: float | None,
    ) -> _Answer | Failure:
        connection = self.connection
        try:
            with self._open_session().request(
                method,
                url,
                params=params,
                data=data,
                headers={**({"Content-Type": "application/json"} if data is not None else {}), **headers},
                timeout=(connection.connect_timeout_s, max(read_timeout_s or 0.0, connection.read_timeout_s)),
                allow_redirects=False,
                stream=True,
                verify=self._verify,
            ) as response:
                return _read(response)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            return of_exception(error)

    def _most_tries(self, failure: Failure) -> int:
        """A server that has answered and cannot be reached now may be starting again: that is worth all patience."""
        is_away = failure.tries > 1 and failure.status is None and not failure.may_have_happened
        return MOST_TRIES if is_away and self._has_answered else failure.tries

    def _wait_s(self, failure: Failure, n_tries: int) -> float:
        if failure.asked_wait_s:  # 0 is no answer to how long
            return failure.asked_wait_s
        bound_s = min(self.connection.longest_wait_s, self.connection.first_wait_s * 2.0 ** (n_tries - 1))
        return random.uniform(0.0, bound_s)  # full jitter, so that clients that failed together do not return together

    def _error(self, failure: Failure, n_tries: int) -> PlatformError:
        what = failure.what
        if failure.kind is AuthenticationFailed:
            what = f"{what}; {self._key_hint}"
        if failure.asked_wait_s:
            what = f"{what} (it asks to wait {failure.asked_wait_s:,.0f} s)"
        tries = f", after {n_tries} tries" if n_tries > 1 else ""
        error = failure.kind(shortened(self.secrets.mask(f"{self._vendor} at {self.origin}{tries}: {what}")))
        error.status, error.retry_after_s = failure.status, failure.asked_wait_s
        return error

    def _open_session(self) -> requests.Session:
        with self._lock:
            if self._session is None or self._session_of != os.getpid():  # a forked process must not share sockets
                self._session, self._session_of = _session(self.connection), os.getpid()
            return self._session

    def close(self) -> None:
        """Close the kept connections; the next request opens new ones."""
        with self._lock:
            if self._session is not None:
                self._session.close()
                self._session = None

    def __repr__(self) -> str:
        return f"Http({self.secrets.mask(self.base_url)!r})"


@dataclass(frozen=True)
class _Answer:
    content: Any


class _NoAuth(requests.auth.AuthBase):
    """Leaves the headers as they are; without it requests would put a password from ~/.netrc over ours."""

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        return r


def _session(connection: Connection) -> requests.Session:
    session = requests.Session()
    adapter = requests.adapters.HTTPAdapter(pool_connections=4, pool_maxsize=connection.n_parallel, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.auth = _NoAuth()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.update({"User-Agent": f"al-agent/{version('al-agent')}", "Accept": "application/json"})
    return session


def checked_url(address: str) -> str:
    """An http or https address without a trailing slash.

    Raises:
        ValueError: It is none, or holds a user name, a password, a query or a fragment.
    """
    text = str(address).strip().rstrip("/")
    try:
        parts = urllib.parse.urlsplit(text)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        is_no_key = ("." in text or "://" in text) and len(text) <= 60 and not {*"@="} & {*text}
        shown = repr(text) if is_no_key or len(text) < 8 else "something else"
        raise ValueError(f"the server's address is {shown}; expected one such as https://labels.example.com")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the server's address holds a user name or password; pass the key as api_key= or by environment")
    if parts.query or parts.fragment or "/projects/" in f"{parts.path}/":
        raise ValueError(f"the server's address is that of a page; expected the server alone, such as '{origin_of(text)}'")
    return text


def _read(response: requests.Response) -> _Answer | Failure:
    content = bytearray()
    begun = time.monotonic()
    # What has come, however little, so that a server that drips is noticed; the library's own way waits for a full block.
    while block := response.raw.read1(1 << 16, decode_content=True):
        content += block
        if time.monotonic() - begun > _LONGEST_ANSWER_S or len(content) > _LARGEST_ANSWER:
            return ENDLESS
    if not 200 <= response.status_code < 300:
        return of_status(response.status_code, response.reason or "", response.headers, bytes(content))
    if not content.strip():
        return _Answer(None)
    try:
        return _Answer(json.loads(content))
    except (ValueError, RecursionError):
        return WEB_PAGE if content.lstrip().startswith(b"<") else NO_JSON
