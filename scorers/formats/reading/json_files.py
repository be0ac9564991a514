"""JSON files that say where they are broken."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def read_json(path: str | os.PathLike[str], what: str) -> Any:
    """The content of a JSON file.

    Args:
        path: The file, in UTF-8.
        what: What it should hold, for messages.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no JSON. The message says where.
    """
    try:
        with Path(path).open(encoding="utf-8-sig") as file:
            return json.load(file)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the {what} file {os.fspath(path)!r} is not JSON: {error}") from error
