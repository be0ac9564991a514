"""Kili's assets as items, ranks as priorities, guesses as answers to the project's jobs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from al_agent.platforms.base import Guess, Item, ItemState
from al_agent.platforms.kili import mapping
from al_agent.platforms.known import MAX_RANK

UNLABELED, LABELED, PARTLY, SKIPPED, LOCKED = (
    ItemState.UNLABELED,
    ItemState.LABELED,
    ItemState.PARTLY,
    ItemState.SKIPPED,
    ItemState.LOCKED,
)
INT32 = 2**31 - 1

INTERFACE = {
    "jobs": {
        "QUALITY": {
            "mlTask": "CLASSIFICATION",
            "content": {"categories": {"BLURRED": {"name": "Blurred"}, "SHARP": {"name": "Sharp"}}, "input": "radio"},
        },
        "WEATHER": {"mlTask": "CLASSIFICATION", "content": {"categories": {"RAIN": {"name": "Rain"}}}},
        "OBJECTS": {
            "mlTask": "OBJECT_DETECTION",
            "tools": ["rectangle"],
            "content": {"categories": {"CAR": {"name": "Car"}, "DOG": {"name": "Dog"}}},
        },
        "OUTLINES": {
            "mlTask": "OBJECT_DETECTION",
            "tools": ["polygon"],
            "content": {"categories": {"TREE": {"name": "Tree"}}},
        },
        "COLOUR": {
            "mlTask": "CLASSIFICATION",
            "isChild": True,
            "content": {"categories": {"RED": {"name": "Red"}}},
        },
    }
}


def asset(**fields: Any) -> dict[str, Any]:
    return {"id": "cl1", "externalId": "a.jpg", "priority": 0, "content": "https://x/a.jpg", **fields}


def labels(*kinds: str) -> list[dict[str, str]]:
    return [{"labelType": kind} for kind in kinds]


@pytest.mark.parametrize(
    ("status", "kinds", "state"),
    [
        ("TODO", (), UNLABELED),
        ("TODO", ("PREDICTION",), UNLABELED),
        ("TODO", ("INFERENCE",), UNLABELED),
        ("TODO", ("DEFAULT",), UNLABELED),  # sent back
        ("ONGOING", (), LOCKED),
        ("ONGOING", ("PREDICTION", "AUTOSAVE"), LOCKED),
        ("ONGOING", ("DEFAULT",), PARTLY),
        ("LABELED", ("DEFAULT",), LABELED),
        ("LABELED", ("DEFAULT", "DEFAULT"), LABELED),
        ("TO_REVIEW", ("DEFAULT",), LABELED),
        ("REVIEWED", ("DEFAULT", "REVIEW"), LABELED),
        ("SOMETHING_NEW", (), LOCKED),
        ("SOMETHING_NEW", ("DEFAULT",), LABELED),
        (None, (), LOCKED),
    ],
)
def test_states_of_workflow_v1(status: str | None, kinds: tuple[str, ...], state: ItemState) -> None:
    row = asset(status=status, labels=labels(*kinds))
    assert mapping.to_item(row, None, by_remote_id=False).state is state


@pytest.mark.parametrize(
    ("step", "status", "kinds", "state"),
    [
        ("Label", "TO_DO", (), UNLABELED),
        ("Label", "TO_DO", ("PREDICTION",), UNLABELED),
        ("Label", "REWORK", ("DEFAULT",), UNLABELED),
        ("Label", "REDO", ("DEFAULT",), UNLABELED),
        ("Label", "IN_PROGRESS", (), LOCKED),
        ("Label", "DOING", (), LOCKED),
        ("Label", "IN_PROGRESS", ("PREDICTION",), LOCKED),
        ("Label", "IN_PROGRESS", ("DEFAULT",), PARTLY),
        ("Label", "PARTIALLY_DONE", ("DEFAULT",), PARTLY),
        ("Label", "DONE", ("DEFAULT",), LABELED),
        ("Label", "DONE", (), LOCKED),
        ("Label", "SKIPPED", (), SKIPPED),
        ("Review", "TO_DO", ("DEFAULT",), LABELED),
        ("Review", "IN_PROGRESS", ("DEFAULT",), LABELED),
        ("Review", "PARTIALLY_DONE", ("DEFAULT", "REVIEW"), LABELED),
        ("Review", "REWORK", ("DEFAULT", "REVIEW"), LABELED),
        ("Review", "DONE", ("REVIEW",), LABELED),
        ("Review", "TO_DO", ("PREDICTION",), LOCKED),
        ("Review", "SKIPPED", ("DEFAULT",), SKIPPED),
        ("Label", "SOMETHING_NEW", (), LOCKED),
        ("Label", "SOMETHING_NEW", ("DEFAULT",), LABELED),
    ],
)
def test_states_of_workflows_with_steps(step: str, status: str, kinds: tuple[str, ...], state: ItemState) -> None:
    row = asset(currentStep={"name": step, "status": status}, labels=labels(*kinds))
    assert mapping.to_item(row, "Label", by_remote_id=False).state is state


@pytest.mark.parametrize("first_step", [None, "Label"])
def test_a_quality_check_is_locked_and_the_mark_of_a_skip_counts_whatever_the_status(first_step: str | None) -> None:
    waiting = {"status": "TODO", "currentStep": {"name": "Label", "status": "TO_DO"}}
    done = {"status": "LABELED", "currentStep": {"name": "Label", "status": "DONE"}, "labels": labels("DEFAULT")}
    states = [
        mapping.to_item(asset(**row), first_step, by_remote_id=False).state
        for row in (
            {**waiting, "isHoneypot": True},
            {**done, "isHoneypot": True},
            {**waiting, "skipped": True},
            {**done, "skipped": True},
            {**waiting, "isHoneypot": True, "skipped": True},
        )
    ]
    assert states == [LOCKED, LOCKED, SKIPPED, SKIPPED, LOCKED]


def test_an_asset_without_a_step_is_locked_until_it_has_a_label() -> None:
    assert mapping.to_item(asset(currentStep=None), "Label", by_remote_id=False).state is LOCKED
    assert mapping.to_item(asset(currentStep=None, labels=labels("DEFAULT")), "Label", by_remote_id=False).state is LABELED


def test_an_asset_becomes_an_item() -> None:
    row = asset(externalId="straße/ä 1.jpg", priority=999_990, status="TODO", content="")
    expected = Item("straße/ä 1.jpg", "cl1", "straße/ä 1.jpg", UNLABELED, 10, None)
    assert mapping.to_item(row, None, by_remote_id=False) == expected
    assert mapping.to_item(row, None, by_remote_id=True) == expected._replace(id="cl1")
    assert mapping.to_item(asset(status="TODO"), None, by_remote_id=False).media == "https://x/a.jpg"
    assert mapping.to_item(asset(status="TODO", priority=None), None, by_remote_id=False).priority is None


def test_rank_0_has_the_highest_priority_and_all_are_positive_and_fit_32_bits() -> None:
    assert mapping.to_number(0) == 1_000_000
    assert mapping.to_number(MAX_RANK) == 1
    assert 0 < mapping.to_number(MAX_RANK) < mapping.to_number(0) <= INT32


@given(st.integers(0, MAX_RANK), st.integers(0, MAX_RANK))
def test_a_lower_rank_has_the_higher_priority_and_tiers_never_turn_an_order_round(one: int, other: int) -> None:
    first, second = sorted((one, other))
    assert (mapping.to_number(first) > mapping.to_number(second)) == (first < second)
    assert mapping.to_tier_number(first) >= mapping.to_tier_number(second) > 0
    assert mapping.to_rank(mapping.to_number(one)) == one


def test_tiers_hold_1_2_4_8_ranks_and_have_the_number_of_their_first_rank() -> None:
    tiers: dict[int, int] = {}
    for rank in range(1000):
        tiers[mapping.to_tier_number(rank)] = tiers.get(mapping.to_tier_number(rank), 0) + 1
    assert list(tiers.values()) == [1, 2, 4, 8, 16, 32, 64, 128, 256, 489]
    assert [1_000_000 - number for number in tiers] == [0, 1, 3, 7, 15, 31, 63, 127, 255, 511]
    assert list(tiers) == sorted(tiers, reverse=True)


@pytest.mark.parametrize(
    ("number", "rank"),
    [(0, None), (-5, None), (1, 999_999), (1_000_000, 0), (2_000_000, 0), (INT32, 0), (7, 999_993)],
)
def test_priorities_that_others_set_have_a_rank_too(number: int, rank: int | None) -> None:
    assert mapping.to_rank(number) == rank


def test_a_class_and_boxes_answer_the_jobs_that_have_their_categories() -> None:
    guesses = [
        Guess("Sharp", 0.876),
        Guess("RAIN", 0.5),  # by the category's key
        Guess("Dog", 0.25, (0.1, 0.2, 0.3, 0.6)),
        Guess("Car", 1.0, (0.0, 0.0, 1.0, 1.0)),
    ]
    response = mapping.Jobs(INTERFACE).to_response("a.jpg", guesses)
    assert list(response) == ["QUALITY", "WEATHER", "OBJECTS"]
    assert response["QUALITY"] == {"categories": [{"name": "SHARP", "confidence": 88}]}
    assert response["WEATHER"] == {"categories": [{"name": "RAIN", "confidence": 50}]}
    dog, car = response["OBJECTS"]["annotations"]
    assert dog["mid"] != car["mid"]
    assert {name: value for name, value in dog.items() if name != "mid"} == {
        "boundingPoly": [
            {
                "normalizedVertices": [
                    {"x": 0.1, "y": 0.6},
                    {"x": 0.3, "y": 0.6},
                    {"x": 0.3, "y": 0.2},
                    {"x": 0.1, "y": 0.2},
                ]
            }
        ],
        "categories": [{"name": "DOG", "confidence": 25}],
        "type": "rectangle",
        "children": {},
    }
    assert car["categories"] == [{"name": "CAR", "confidence": 100}]


def test_the_same_guesses_make_the_same_response_so_that_a_repeated_push_changes_nothing() -> None:
    guesses = [Guess("Dog", 0.25, (0.1, 0.2, 0.3, 0.6))]
    again = mapping.Jobs(INTERFACE).to_response("a.jpg", guesses)
    assert mapping.Jobs(INTERFACE).to_response("a.jpg", guesses) == again
    other = mapping.Jobs(INTERFACE).to_response("b.jpg", guesses)
    assert other["OBJECTS"]["annotations"][0]["mid"] != again["OBJECTS"]["annotations"][0]["mid"]


@pytest.mark.parametrize(
    ("guess", "what", "categories"),
    [
        (Guess("Cat", 0.5), "class of an image", "'Blurred', 'Sharp', 'Rain'"),
        (Guess("Car", 0.5), "class of an image", "'Blurred', 'Sharp', 'Rain'"),  # only as a box
        (Guess("Red", 0.5), "class of an image", "'Blurred', 'Sharp', 'Rain'"),  # only within a box
        (Guess("Sharp", 0.5, (0, 0, 1, 1)), "box", "'Car', 'Dog'"),
        (Guess("Tree", 0.5, (0, 0, 1, 1)), "box", "'Car', 'Dog'"),  # only as a polygon
    ],
)
def test_a_guess_that_no_job_takes_is_an_error_that_names_it_and_what_there_is(
    guess: Guess, what: str, categories: str
) -> None:
    with pytest.raises(ValueError, match=f"'{guess.label}' for 'a.jpg' is a {what} .* are {categories}$"):
        mapping.Jobs(INTERFACE).to_response("a.jpg", [guess])


def test_a_project_without_jobs_takes_no_guess() -> None:
    interfaces: list[dict[str, Any]] = [{}, {"jobs": None}, {"jobs": {}}, {"jobs": {"X": {"mlTask": "CLASSIFICATION"}}}]
    for interface in interfaces:
        with pytest.raises(ValueError, match="its categories for this are none"):
            mapping.Jobs(interface).to_response("a.jpg", [Guess("Dog", 0.5)])
