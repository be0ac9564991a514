"""Priorities as files."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from al_agent import ActiveLearningAgent, PlatformLocal, SamplerConfig, Scores

MakeScores = Callable[[Iterable[str]], Scores]


def agent_with_round(folder: Path, images: list[str], rising_scores: MakeScores, n_samples: int = 2) -> ActiveLearningAgent:
    agent = ActiveLearningAgent(PlatformLocal.create(folder, images=images))
    agent.query(SamplerConfig(n_samples, method="UNCERTAINTY", name="Monday"), rising_scores(agent.query_set))
    return agent


def read_csv(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_csv_gives_the_first_pick_the_highest_value(tmp_path: Path, rising_scores: MakeScores) -> None:
    agent = agent_with_round(tmp_path / "p", ["a.png", "b.png", "c.png", "d.png"], rising_scores)
    assert agent.export(tmp_path / "picks.csv") == 2
    assert (tmp_path / "picks.csv").read_bytes() == b"name,entropy_value\r\nd.png,2\r\nc.png,1\r\n"


def test_the_whole_pool_adds_the_other_unlabeled_items_with_zero(tmp_path: Path, rising_scores: MakeScores) -> None:
    agent = agent_with_round(tmp_path / "p", ["a.png", "b.png", "c.png", "d.png"], rising_scores)
    platform = agent.platform
    assert isinstance(platform, PlatformLocal)
    platform.annotate({"b.png": "cat"})
    agent.refresh()
    assert agent.export(tmp_path / "all.csv", whole_pool=True) == 3
    assert read_csv(tmp_path / "all.csv")[1:] == [["d.png", "2"], ["c.png", "1"], ["a.png", "0"]]


def test_names_that_need_quotes_come_back_from_csv(tmp_path: Path, rising_scores: MakeScores) -> None:
    names = ["comma,.png", 'quote".png', "line\nbreak.png", "ünï🦊.png"]
    agent = agent_with_round(tmp_path / "p", names, rising_scores, 4)
    agent.export(tmp_path / "picks.csv")
    assert [name for name, _ in read_csv(tmp_path / "picks.csv")[1:]] == names[::-1]


def test_names_that_a_spreadsheet_would_run_are_neutralised_and_counted(tmp_path: Path, rising_scores: MakeScores) -> None:
    names = ["=1+1.png", "@x.png", "+y.png", "-z.png", "\tt.png", "fine.png"]
    agent = agent_with_round(tmp_path / "p", names, rising_scores, 6)
    with pytest.warns(UserWarning, match=r"5 names begin with a character that makes a spreadsheet run the cell"):
        agent.export(tmp_path / "picks.csv")
    assert [name for name, _ in read_csv(tmp_path / "picks.csv")[1:]] == ["fine.png", *(f"'{n}" for n in names[4::-1])]
    agent.export(tmp_path / "picks.json")
    content = json.loads((tmp_path / "picks.json").read_text(encoding="utf-8"))
    assert [item["item_id"] for item in content["items"]] == names[::-1]


def test_json_has_ranks_gains_reasons_and_the_configuration(tmp_path: Path, rising_scores: MakeScores) -> None:
    agent = agent_with_round(tmp_path / "p", ["a.png", "b.png", "c.png"], rising_scores)
    agent.export(tmp_path / "picks.json", whole_pool=True)
    content = json.loads((tmp_path / "picks.json").read_text(encoding="utf-8"))
    assert (content["round"], content["name"], content["config"]["method"]) == (1, "Monday", "UNCERTAINTY")
    assert [item.pop("name") for item in content["items"]] == ["c.png", "b.png", "a.png"]
    assert content["items"] == [
        {"item_id": "c.png", "rank": 0, "priority": 2, "gain": 2.0, "reason": "uncertainty 2, 66th percentile"},
        {"item_id": "b.png", "rank": 1, "priority": 1, "gain": 1.0, "reason": "uncertainty 1, 33rd percentile"},
        {"item_id": "a.png", "rank": None, "priority": 0, "gain": None, "reason": None},
    ]


def test_text_is_one_name_a_line_best_first(tmp_path: Path, rising_scores: MakeScores) -> None:
    agent = agent_with_round(tmp_path / "p", ["a.png", "ü b.png"], rising_scores)
    agent.export(tmp_path / "picks.txt")
    assert (tmp_path / "picks.txt").read_text(encoding="utf-8") == "ü b.png\na.png\n"


def test_a_name_with_a_line_break_is_refused_by_text_and_the_old_file_stays(
    tmp_path: Path, rising_scores: MakeScores
) -> None:
    agent = agent_with_round(tmp_path / "p", ["a.png", "b\n.png"], rising_scores)
    (tmp_path / "picks.txt").write_text("old", encoding="utf-8")
    with pytest.raises(ValueError, match=r"'b\\n.png' has a line break"):
        agent.export(tmp_path / "picks.txt")
    assert (tmp_path / "picks.txt").read_text(encoding="utf-8") == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p", "picks.txt"]


def test_other_endings_are_refused(tmp_path: Path, rising_scores: MakeScores) -> None:
    agent = agent_with_round(tmp_path / "p", ["a.png", "b.png"], rising_scores)
    with pytest.raises(ValueError, match=r"ends in .xlsx; expected one of .csv, .json, .txt"):
        agent.export(tmp_path / "picks.xlsx")
