"""Labels from tables and folders, by whatever name the column of items goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from al_agent import PlatformLocal
from al_agent.cli import main
from al_agent.label_files import read_label_table, read_labels


def test_the_first_of_the_columns_that_is_there_names_the_items(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("item,label,name\n1.png,cat,a.png\n2.png,dog,b.png\n", encoding="utf-8")
    assert read_labels(table) == {"1.png": "cat", "2.png": "dog"}
    assert read_label_table(table, ("name", "item")) == {"a.png": "cat", "b.png": "dog"}
    with pytest.raises(ValueError, match=r"labels.csv' has the columns item, label, name; expected key,label"):
        read_label_table(table, ("key",))


def test_classes_are_the_first_folders(tmp_path: Path) -> None:
    for name in ("cat/1.png", "dog/deep/1.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    assert read_labels(tmp_path) == {"cat/1.png": "cat", "dog/deep/1.png": "dog"}


def test_what_is_not_there_is_said_with_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no '.*none.csv'; expected a CSV file with the columns item,label"):
        read_labels(tmp_path / "none.csv")
    (tmp_path / "none.csv").write_bytes(b"item,label\n\xff,a\n")
    with pytest.raises(ValueError, match=r"none.csv' is not a CSV file in UTF-8"):
        read_labels(tmp_path / "none.csv")


def test_a_table_that_simulate_takes_is_one_that_annotate_takes(tmp_path: Path) -> None:
    PlatformLocal.create(tmp_path / "project", images=["1.png", "2.png"])
    (tmp_path / "labels.csv").write_text("item,label\n2.png,cat\n", encoding="utf-8")
    assert main(["annotate", str(tmp_path / "project"), str(tmp_path / "labels.csv")]) == 0
    assert PlatformLocal(tmp_path / "project").labels() == {"2.png": "cat"}
