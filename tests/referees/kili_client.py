"""What Kili's official client makes of a server: reads one JSON command from stdin, prints one JSON object.

Runs under the interpreter of an environment that holds the package `kili`, in full mode, so that the client checks the
server's schema. A command has `url`, `api_key`, `project_id`, `action` and what the action needs:

    list               [status_in] [step_status_in] -> items
    count                                           -> n
    set_exact          asset_ids, priorities        -> items
    set_priority       asset_ids, priority          -> report
    read_priorities    asset_ids                    -> priorities, by id
    create_predictions asset_ids, json_responses, model_name, [overwrite] -> result
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

FIELDS = ("id", "externalId", "priority", "content", "createdAt", "updatedAt", "skipped", "isHoneypot", "labels.labelType")
STATE_FIELDS = {"V1": ("status",), "V2": ("currentStep.name", "currentStep.status")}


def perform(command: Mapping[str, Any]) -> dict[str, Any]:
    """Run one action with a fresh client."""
    kili = importlib.import_module("kili.client").Kili(api_key=command["api_key"], api_endpoint=command["url"])
    project_id, action, ids = command["project_id"], command["action"], command.get("asset_ids")
    if action == "list":
        (project,) = kili.projects(project_id=project_id, fields=["workflowVersion"], disable_tqdm=True)
        fields = [*FIELDS, *STATE_FIELDS.get(project["workflowVersion"], STATE_FIELDS["V2"])]
        filters = {name: command[name] for name in ("status_in", "step_status_in") if name in command}
        return {"items": kili.assets(project_id=project_id, fields=fields, disable_tqdm=True, **filters)}
    if action == "count":
        return {"n": kili.count_assets(project_id=project_id)}
    if action == "set_exact":
        return {"items": kili.update_properties_in_assets(asset_ids=ids, priorities=command["priorities"])}
    if action == "set_priority":
        return {"report": kili.set_assets_priority(priority=command["priority"], asset_ids=ids)}
    if action == "read_priorities":
        assets = kili.assets(project_id=project_id, asset_id_in=ids, fields=["id", "priority"], disable_tqdm=True)
        return {"priorities": {asset["id"]: asset["priority"] for asset in assets}}
    if action == "create_predictions":
        result = kili.create_predictions(
            project_id=project_id,
            asset_id_array=ids,
            json_response_array=command["json_responses"],
            model_name=command["model_name"],
            overwrite=command.get("overwrite", True),
            disable_tqdm=True,
        )
        return {"result": result}
    raise SystemExit(f"unknown action {action!r}")


def main() -> None:
    """Keep the client away from the user's files, and its chatter away from our answer."""
    command = json.load(sys.stdin)
    for name in [name for name in os.environ if name.startswith("KILI_") or name.upper().endswith("_PROXY")]:
        del os.environ[name]
    with tempfile.TemporaryDirectory() as home, contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.environ["HOME"] = os.environ["USERPROFILE"] = home
        os.chdir(home)
        try:
            answer = perform(command)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        os.chdir(Path(home).anchor)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
