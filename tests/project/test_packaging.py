"""The project's own files agree with each other."""

from __future__ import annotations

import configparser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def setup() -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def test_every_package_is_listed_and_nothing_else_ships() -> None:
    listed = setup()["options"]["packages"].split()
    there = [
        ".".join(path.parent.relative_to(ROOT).parts)
        for top in ("al_agent", "samplers", "scorers")
        for path in (ROOT / top).rglob("__init__.py")
    ]
    assert sorted(listed) == sorted(there)


def test_every_package_is_typed() -> None:
    assert [top for top in ("al_agent", "samplers", "scorers") if not (ROOT / top / "py.typed").exists()] == []


def test_the_changelog_begins_with_this_version() -> None:
    version = setup()["metadata"]["version"]
    headings = [line for line in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines() if line.startswith("## ")]
    assert headings[0].split()[1] == version


def test_every_dependency_is_justified_in_one_line() -> None:
    options = setup()
    requirements = options["options"]["install_requires"].split("\n")
    for extra in options["options.extras_require"].values():
        requirements += extra.split("\n")
    names = {line.split()[0] for line in requirements if line and not line.startswith("%(")}
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert [name for name in sorted(names) if name not in text] == []


def test_ci_runs_what_the_readme_tells_people_to_run() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "make check" in script
    assert "make test" in script
