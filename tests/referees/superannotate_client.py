"""What SuperAnnotate's official client makes of a server: reads one JSON command from stdin, prints one JSON object.

Runs under the interpreter of an environment that holds the package `superannotate` (not Python 3.11, where uploading
scores raises). Only for doubles on loopback with an invented token `name=<team id>`: the client would send items and
workflow calls to hosts of its own, so the two methods that name those are replaced, and everything over HTTPS is sent to
a proxy that refuses. A command has `url`, `token`, `project` (a name or an id), `action` and what the action needs:

    list                   [folder], [annotation_status] -> items
    upload_priority_scores scores ({name, priority}), project may be [project id, folder id] -> uploaded, skipped
    set_status             status, names -> {}
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

REFUSING_PROXY = "http://127.0.0.1:9"


def perform(command: Mapping[str, Any]) -> dict[str, Any]:
    """Run one action with a fresh client."""
    superannotate = importlib.import_module("superannotate")
    provider = importlib.import_module("lib.infrastructure.serviceprovider").ServiceProvider
    here = staticmethod(lambda client: f"{command['url']}/api/v1/")
    provider._get_work_management_url = provider._get_item_service_url = here
    client = superannotate.SAClient()  # a token given here would make it ignore SA_URL
    project, action = command["project"], command["action"]
    project = tuple(project) if isinstance(project, list) else project
    if action == "list":
        filters = {"annotation_status": command["annotation_status"]} if "annotation_status" in command else {}
        return {"items": client.list_items(project, command.get("folder"), **filters)}
    if action == "upload_priority_scores":
        uploaded, skipped = client.upload_priority_scores(project, command["scores"])
        return {"uploaded": uploaded, "skipped": skipped}
    if action == "set_status":
        client.set_annotation_statuses(project, command["status"], command["names"])
        return {}
    raise SystemExit(f"unknown action {action!r}")


def main() -> None:
    """Keep the client away from the user's files and from the network, and its chatter away from our answer."""
    command = json.load(sys.stdin)
    for name in [name for name in os.environ if name.startswith("SA_") or name.upper().endswith("_PROXY")]:
        del os.environ[name]
    os.environ.update(
        SA_TOKEN=command["token"],
        SA_URL=command["url"],
        SA_VERSION_CHECK="False",
        SA_SKIP_METRICS="True",
        HTTPS_PROXY=REFUSING_PROXY,
        https_proxy=REFUSING_PROXY,
        NO_PROXY="127.0.0.1",
    )
    with tempfile.TemporaryDirectory() as home, contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.environ["HOME"] = os.environ["USERPROFILE"] = home
        os.chdir(home)
        try:
            answer = perform(command)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        os.chdir(Path(home).anchor)
    print(json.dumps(answer, default=str))


if __name__ == "__main__":
    main()
