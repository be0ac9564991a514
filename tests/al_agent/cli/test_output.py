"""What the command prints fits the terminal, whatever the names are."""

from __future__ import annotations

import pytest

from al_agent.cli.output import clipped, listed, n_cells, table

CAT = "\N{CJK UNIFIED IDEOGRAPH-732B}"


@pytest.mark.parametrize(
    ("text", "n"),
    [("", 0), ("cat", 3), (CAT * 3, 6), ("e\N{COMBINING ACUTE ACCENT}", 1), ("\N{FULLWIDTH LATIN CAPITAL LETTER A}b", 3)],
)
def test_wide_characters_take_two_cells_and_combining_ones_none(text: str, n: int) -> None:
    assert n_cells(text) == n


def test_columns_stay_below_each_other_with_wide_names() -> None:
    printed = table(("item", "n", "why"), [(CAT * 2, "7", "a"), ("dog", "12", "b")], right=(1,))
    assert printed.splitlines() == ["item   n  why", f"{CAT * 2}   7  a", "dog   12  b"]


@pytest.mark.parametrize("name", [CAT * 100, "x" * 200, f"{CAT}x" * 60])
def test_no_line_of_a_table_is_wider_than_eighty_cells(name: str) -> None:
    printed = table(("a", "b", "c", "d"), [(name, name, name, f"{name} {name}")])
    lines = printed.splitlines()
    assert max(map(n_cells, lines)) in (79, 80)  # a wide character leaves a cell free where it does not fit
    assert "".join(lines[1:]).count("...") == 3  # the three first columns are cut, the last is whole
    last = "".join(line[-8:].strip() if name.startswith("x") else "" for line in lines[1:])
    assert not last or last == name * 2


def test_a_long_name_keeps_its_end_which_tells_files_apart() -> None:
    assert clipped("photos/2024/holiday/IMG_00317.jpg", 20) == "photos/20...0317.jpg"
    assert clipped(CAT * 10 + "317.jpg", 16) == f"{CAT * 3}...17.jpg"
    assert clipped("short.jpg", 9) == "short.jpg"


def test_names_are_listed_in_lines_that_break_between_names() -> None:
    names = [f"{CAT * 8}_{number}" for number in range(6)]
    lines = listed("next:", names).splitlines()
    assert max(map(n_cells, lines)) <= 80
    assert lines[1].startswith("   " + CAT)
    assert " ".join(line.strip() for line in lines) == f"next: {', '.join(names)}"
