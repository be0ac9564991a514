"""Errors survive what happens to them on the way to the user."""

from __future__ import annotations

import pickle

import pytest

from al_agent import errors

ALL = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.AgentError)]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_an_error_survives_pickling_with_its_hint(kind: type[errors.AgentError]) -> None:
    error = kind("no answer")
    error.add_hint("push() resumes it")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == "no answer; push() resumes it"


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    assert errors.__doc__ is not None
    drawn = {line.split("── ")[-1].split()[0] for line in errors.__doc__.splitlines() if "── " in line}
    assert drawn | {"AgentError"} == {kind.__name__ for kind in ALL}
