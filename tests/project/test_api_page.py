"""The API page has every public name, and every public name says what it does."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DIRECTIVE = re.compile(
    r"^\.\. (auto\w+):: ([\w.]+)\n((?:   :[^\n]*\n)*)", re.MULTILINE
)  # what Sphinx takes from docstrings, and its options


def public_modules() -> Iterator[str]:
    """Modules that say what of them is public, as text: importing is for the tests."""
    for top in ("al_agent", "samplers", "scorers"):
        for path in sorted((ROOT / top).rglob("*.py")):
            body = ast.parse(path.read_text(encoding="utf-8")).body
            targets = [target for node in body if isinstance(node, ast.Assign) for target in node.targets]
            if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
                place = path.parent if path.name == "__init__.py" else path.with_suffix("")
                yield ".".join(place.relative_to(ROOT).parts)


def found(dotted: str) -> Any:
    """The object of a dotted name: a module, or something in one."""
    try:
        return importlib.import_module(dotted)
    except ModuleNotFoundError:
        module, _, name = dotted.rpartition(".")
        return getattr(importlib.import_module(module), name)


@functools.cache
def documented() -> tuple[Any, ...]:
    """What the API page takes from docstrings."""
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    objects: list[Any] = []
    for kind, dotted, options in DIRECTIVE.findall(page):
        one = found(dotted)
        members = re.search(r":members:(.*)", options)
        if kind == "automodule" and members is not None:
            names = members[1].replace(",", " ").split() or one.__all__
            objects += [getattr(one, name) for name in names]
        elif kind != "automodule":
            objects.append(one)
    return tuple(objects)


def is_told(one: Any) -> bool:
    """Whether a module, function or class has a docstring of somebody's making, and so have a class's public methods."""
    members = {name: member for name, member in vars(one).items() if name[0] != "_"} if inspect.isclass(one) else {}
    functions = [
        getattr(member, "fget", getattr(member, "__func__", member))  # of a property or a class method
        for name, member in members.items()
        if not name.startswith("test_")  # of a suite: its name is the sentence
    ]
    is_own = bool(one.__doc__) and not one.__doc__.startswith(f"{one.__name__}(")  # as dataclasses make it
    return is_own and all(inspect.getdoc(function) for function in functions if inspect.isfunction(function))


@pytest.mark.parametrize("name", list(public_modules()))
def test_every_public_name_is_on_the_api_page_and_has_a_docstring(name: str) -> None:
    module = importlib.import_module(name)
    on_page = {id(one) for one in documented()}
    missing, silent = [], []
    for public in module.__all__:
        one = getattr(module, public)
        if isinstance(one, ModuleType):  # of readers, one for each format
            assert is_told(one)
            continue
        if not (inspect.isclass(one) or inspect.isfunction(one)):  # a constant or an alias: told where it is used
            continue
        missing += [public] * (id(one) not in on_page)
        silent += [public] * (not is_told(one))
    assert (missing, silent) == ([], [])


def test_every_reader_is_on_the_api_page() -> None:
    formats = importlib.import_module("scorers.formats")
    on_page = {id(one) for one in documented()}
    readers = {
        f"{name}.{kind}"
        for name in formats.__all__
        for kind in ("classifications", "detections", "instances", "keypoints", "segmentations")
        if hasattr(getattr(formats, name), kind) and id(getattr(getattr(formats, name), kind)) not in on_page
    }
    assert readers == set()


def test_every_page_of_the_site_is_in_its_table_of_contents() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    named = [
        line.strip() for block in re.findall(r"```{toctree}\n(.*?)```", index, re.DOTALL) for line in block.splitlines()
    ]
    pages = sorted(path.stem for path in (ROOT / "docs").glob("*.md") if path.stem != "index")
    assert sorted(line for line in named if line and not line.startswith(":")) == pages
