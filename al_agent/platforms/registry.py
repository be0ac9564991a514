"""Platforms by name: ours and those of other packages, found through the entry points `al_agent.platforms`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from .base import Platform
from .connection import Connection

GROUP = "al_agent.platforms"

_WORDS = (("project_id", "project"), ("url", "base_url"))  # what one vendor calls so and another so
_SECRETS = ("api_key", "token", "password")


def names() -> list[str]:
    """Names of the installed platforms, sorted."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def open_platform(name: str, settings: Mapping[str, Any], connection: Mapping[str, Any] | None = None) -> Platform:
    """A platform by its name, made from settings that came as text or from a file.

    Args:
        name: As in `names()`.
        settings: Keyword arguments of the platform; `project_id` and `url` also stand for its `project` and `base_url`.
        connection: Fields of `Connection`; None for the defaults.

    Raises:
        ValueError: No platform of this name, a setting that it does not have, a key among the settings.
        PlatformError: The platform cannot be opened.
    """
    make = _factory(name)
    parameters = inspect.signature(make).parameters
    arguments: dict[str, Any] = {}
    for setting, value in settings.items():
        if setting in _SECRETS:
            raise ValueError(
                f"{setting} stands among the settings; keys come from the environment, where others do not read them"
            )
        words = next((words for words in _WORDS if setting in words), (setting,))
        known = next((word for word in words if word in parameters), setting)
        if known not in parameters or known == "connection":
            possible = [one for one in parameters if one not in (*_SECRETS, "connection", "client")]
            raise ValueError(f"{name} has no setting {setting!r}; it has {', '.join(possible) or 'none'}")
        # in a `project`, a number means the id and a text the name
        is_number = setting == "project_id" and known == "project" and str(value).isdecimal()
        arguments[known] = int(value) if is_number else value
    if connection:
        if "connection" not in parameters:
            raise ValueError(f"{name} takes no settings of a connection")
        arguments["connection"] = _connection(connection)
    missing = [
        one.name for one in parameters.values() if one.default is one.empty and one.name not in arguments and _is_named(one)
    ]
    if missing:
        raise ValueError(f"{name} needs the setting {missing[0]!r}")
    return make(**arguments)


def _factory(name: str) -> Callable[..., Platform]:
    found: list[EntryPoint] = [entry for entry in entry_points(group=GROUP) if entry.name == name]
    if not found:
        raise ValueError(f"there is no platform {name!r}; installed are {', '.join(names()) or 'none'}")
    return cast("Callable[..., Platform]", found[0].load())


def _connection(fields: object) -> Connection:
    known = inspect.signature(Connection).parameters
    if not isinstance(fields, Mapping):
        raise ValueError(f"the connection is {fields!r}; expected settings such as n_parallel = 4")
    unknown = [name for name in fields if name not in known]
    if unknown:
        raise ValueError(f"the connection has no setting {unknown[0]!r}; it has {', '.join(known)}")
    return Connection(**fields)


def _is_named(parameter: inspect.Parameter) -> bool:
    return parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
