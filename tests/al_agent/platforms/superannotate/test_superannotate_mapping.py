"""SuperAnnotate's statuses by their names, and ranks as priority scores that no rounding spoils."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from superannotate_double import CLASSIC_STATUSES, stored_value

from al_agent.platforms.base import Item, ItemState
from al_agent.platforms.known import MAX_RANK
from al_agent.platforms.superannotate import mapping

CLASSIC = {number: name for name, number in CLASSIC_STATUSES.items()}
OWN = {1: "To do", 2: "In work", 7: "Second look", 9: "Ready", 4: "Skipped"}


def states(names: dict[int, str], **named: Any) -> dict[str, str]:
    found = mapping.to_states(names, named.get("unlabeled"), named.get("labeled"))
    return {names[number]: str(state) for number, state in found.items()}


def test_the_classic_statuses_have_their_states() -> None:
    assert states(CLASSIC) == {
        "NotStarted": "unlabeled",
        "InProgress": "locked",
        "QualityCheck": "labeled",
        "Returned": "locked",
        "Completed": "labeled",
        "Skipped": "skipped",
    }


def test_statuses_go_by_the_names_that_the_user_gives() -> None:
    assert states(OWN, unlabeled=["To do"], labeled=["Ready", "Second look"]) == {
        "To do": "unlabeled",
        "In work": "locked",
        "Second look": "labeled",
        "Ready": "labeled",
        "Skipped": "skipped",
    }
    again = states(CLASSIC, unlabeled=["NotStarted", "Returned"], labeled=["Completed"])
    assert (again["Returned"], again["QualityCheck"]) == ("unlabeled", "locked")
    assert states({**OWN, 5: "Completed"}, unlabeled=["To do"])["Completed"] == "labeled"
    assert states(CLASSIC, labeled=["Completed", "Skipped"])["Skipped"] == "labeled"


@pytest.mark.parametrize(
    ("names", "unlabeled", "labeled", "message"),
    [
        (
            OWN,
            None,
            None,
            "no status 'NotStarted'; its statuses are 'To do', 'In work', 'Second look', 'Ready', 'Skipped'.*un",
        ),
        (OWN, ["To do"], None, "no status 'QualityCheck'; its statuses are .*: name the right ones with labeled="),
        (OWN, ["to do"], ["Ready"], "no status 'to do'; .* with unlabeled="),
        (OWN, ["To do", "Later"], ["Ready"], "no status 'Later'"),
        (OWN, ["To do"], ["Ready", "Sent"], "no status 'Sent'; .* with labeled="),
        (
            CLASSIC,
            ["NotStarted", "Completed"],
            None,
            "status 'Completed' is named as unlabeled and as labeled; name it once",
        ),
        ({}, None, None, "no status 'NotStarted'"),
    ],
)
def test_a_status_that_the_workflow_lacks_is_an_error_that_lists_those_it_has(
    names: dict[int, str], unlabeled: list[str] | None, labeled: list[str] | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        mapping.to_states(names, unlabeled, labeled)


def test_rank_0_has_the_highest_score_and_all_are_whole_and_in_range() -> None:
    assert [mapping.to_number(rank) for rank in (0, 1, MAX_RANK)] == [1_000_000, 999_999, 1]
    assert isinstance(mapping.to_number(0), int)


@given(st.integers(0, MAX_RANK), st.integers(0, MAX_RANK))
def test_what_the_server_stores_of_a_rank_keeps_the_order_and_gives_the_rank_back(one: int, other: int) -> None:
    stored = [stored_value(mapping.to_number(rank)) for rank in (one, other)]
    assert (stored[0] > stored[1]) == (one < other)
    assert mapping.to_rank(stored[0]) == one


@pytest.mark.parametrize(
    ("score", "rank"),
    [
        (0, None),
        (-1.0, None),
        (0.5, 999_999),
        (1e-05, 999_999),
        (0.99, 999_999),
        (1.0, 999_999),
        (2.5, 999_997),
        (1e6, 0),
        (3e6, 0),
    ],
)
def test_scores_of_other_people_have_a_rank_too(score: float, rank: int | None) -> None:
    assert mapping.to_rank(score) == rank


@pytest.mark.parametrize(
    ("folder", "by_remote_id", "item_id"),
    [(None, False, "a b.jpg"), ("night", False, "night/a b.jpg"), (None, True, "12"), ("night", True, "12")],
)
def test_an_item_has_its_folder_in_its_id_where_there_are_several(
    folder: str | None, by_remote_id: bool, item_id: str
) -> None:
    row = {"id": 12, "name": "a b.jpg", "annotation_status": 1, "entropy_value": 999_990.0, "metadata": {"path": "s3://x/a"}}
    item = mapping.to_item(row, folder, {1: ItemState.UNLABELED}, by_remote_id=by_remote_id)
    assert item == Item(item_id, "12", "a b.jpg", ItemState.UNLABELED, 10, "s3://x/a")


@pytest.mark.parametrize("metadata", [{}, {"metadata": None}, {"metadata": {"path": None}}, {"metadata": {}}])
def test_an_item_of_an_unknown_status_is_locked_and_media_and_score_may_be_missing(metadata: dict[str, Any]) -> None:
    row = {"id": 12, "name": "a.jpg", "annotation_status": 99, "entropy_value": None, **metadata}
    item = mapping.to_item(row, None, {1: ItemState.UNLABELED}, by_remote_id=False)
    assert item == Item("a.jpg", "12", "a.jpg", ItemState.LOCKED, None, None)
