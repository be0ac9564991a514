"""Which project is meant: by the folder, its `al_agent.toml`, the environment, and the options, the later ones stronger."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import typer

from scorers.files import written_whole

from ..errors import NotFound
from ..platforms.base import Platform
from ..platforms.local.wire import FILE_NAME as LOCAL_FILE
from ..platforms.registry import open_platform

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE_NAME = "al_agent.toml"
_CONNECTION = "connection"
_FLAGS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_ENVIRONMENT = {"platform": "AL_AGENT_PLATFORM", "project_id": "AL_AGENT_PROJECT_ID", "url": "AL_AGENT_URL"}


class Asked(NamedTuple):
    """What the command line says of the project."""

    folder: Path
    platform: str | None = None
    project_id: str | None = None
    url: str | None = None
    settings: Sequence[str] | None = None

    def __str__(self) -> str:
        return str(self.folder)


def open_project(asked: Asked) -> Platform:
    """The platform's project.

    Raises:
        ValueError: Unknown platform or setting, or a file that cannot be read.
        PlatformError: The project cannot be opened.
    """
    name, settings, connection = resolve(asked)
    if name == "local" and not (Path(settings["folder"]) / LOCAL_FILE).exists():
        raise NotFound(
            f"no project is in '{settings['folder']}', neither {LOCAL_FILE} nor {FILE_NAME}: al-agent init makes one"
        )
    return open_platform(name, settings, connection)


def resolve(asked: Asked) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Name of the platform, its settings, and those of the connection."""
    found: dict[str, Any] = read(asked.folder / FILE_NAME)
    connection = found.pop(_CONNECTION, {})
    given = {"platform": asked.platform, "project_id": asked.project_id, "url": asked.url}
    given = {setting: value for setting, value in given.items() if value is not None} | dict(
        map(_pair, asked.settings or ())
    )
    around = {setting: os.environ[variable] for setting, variable in _ENVIRONMENT.items() if os.environ.get(variable)}
    if found and "platform" not in found | around | given:
        raise ValueError(f"'{asked.folder / FILE_NAME}' names no platform; add a line such as platform = \"label-studio\"")
    name = str((found | around | given).get("platform", "local"))
    if name == "local":
        around = {}  # they speak of a project on a platform
        found.setdefault("folder", str(asked.folder))
    settings = found | around | given
    settings.pop("platform", None)
    return name, settings, connection


def write(path: Path, name: str, settings: Mapping[str, Any], connection: Mapping[str, Any]) -> None:
    """Write the file that names a remote project; it holds no key.

    Raises:
        ValueError: A setting is nothing that the file can hold.
    """
    lines = [f"platform = {json.dumps(name)}", *(f"{key} = {_text(key, value)}" for key, value in settings.items())]
    if connection:
        lines += ["", f"[{_CONNECTION}]", *(f"{key} = {_text(key, value)}" for key, value in connection.items())]
    with written_whole(path) as file:
        file.write(("\n".join(lines) + "\n").encode())


def read(path: Path) -> dict[str, Any]:
    """What stands in the file; nothing where there is none. Raises ValueError if it is no such file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"'{path}' is no TOML file: {error}; text stands in quotes there") from error


def _pair(text: str) -> tuple[str, Any]:
    """`NAME=VALUE`, where a value may be a number, true or false, or a list, written as in JSON; else it is text."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"--set {text} is no NAME=VALUE")
    setting = name.strip().replace("-", "_")
    if value.strip().lower() in _FLAGS:
        return setting, _FLAGS[value.strip().lower()]
    try:
        return setting, json.loads(value)
    except ValueError:
        return setting, value


def _text(key: str, value: Any) -> str:
    if isinstance(value, str | bool | int | float | list):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # which TOML reads too
    raise ValueError(f"the setting {key} is {value!r}; expected text, a number, true or false, or a list")
