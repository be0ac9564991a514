"""A CSV table of class probabilities is read cell by cell, and a bad cell is named by file, line and column."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scorers import formats


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "predictions.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_names_classes_and_numbers_come_from_the_table(tmp_path: Path) -> None:
    path = written(tmp_path, '\ufeffimage,cat,"dog, big"\r\n"a, b.jpg",0.25,0.75\r\n\r\nü.jpg,1e0,0\r\n')
    predictions = formats.csv.classifications(path)
    assert predictions.item_ids == ("a, b.jpg", "ü.jpg")
    assert predictions.class_names == ("cat", "dog, big")
    assert predictions.probabilities.tolist() == [[0.25, 0.75], [1.0, 0.0]]


def test_classes_may_be_called_by_numbers(tmp_path: Path) -> None:
    predictions = formats.csv.classifications(written(tmp_path, ",0,1\na,0.25,0.75\n"))
    assert (predictions.item_ids, predictions.class_names) == (("a",), ("0", "1"))


def test_one_column_is_the_positive_class_of_two(tmp_path: Path) -> None:
    predictions = formats.csv.classifications(written(tmp_path, "id,p\na,0.25\n"))
    assert (predictions.n_classes, predictions.probabilities.tolist()) == (2, [[0.25]])


def test_logits_go_through_the_softmax_only_when_they_are_said_to_be_logits(tmp_path: Path) -> None:
    path = written(tmp_path, f"id,x,y\na,0,{np.log(3.0)}\n")
    np.testing.assert_allclose(formats.csv.classifications(path, is_logits=True).probabilities, [[0.25, 0.75]])
    with pytest.raises(ValueError, match=r"predictions.csv': probabilities of 'a' .* use from_logits|sums to"):
        formats.csv.classifications(path)


def test_rows_are_matched_to_items_by_file_name(tmp_path: Path) -> None:
    path = written(tmp_path, "id,x,y\n/data/b.png,0,1\n/data/a.png,1,0\n")
    predictions = formats.csv.classifications(path, item_ids=["a.png", "b.png"])
    assert (predictions.item_ids, predictions.probabilities.tolist()) == (("a.png", "b.png"), [[1, 0], [0, 1]])
    some = formats.csv.classifications(path, item_ids=["a.png", "c.png", "b.png"], is_complete=False)
    assert some.item_ids == ("a.png", "b.png")
    with pytest.raises(ValueError, match=r"nothing of 1 items, the first is 'c.png'"):
        formats.csv.classifications(path, item_ids=["a.png", "b.png", "c.png"])
    with pytest.raises(ValueError, match=r"'/data/b.png' is none of the 1 items"):
        formats.csv.classifications(path, item_ids=["a.png"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a header"),
        ("image\n", "expected a header"),
        ("image;cat;dog\na;0,5;0,5\n", "is it separated by ';'?"),
        ("image,cat,dog\na,0.5,0.5\nb,0.5\n", "line 3 has 2 columns; the header has 3"),
        ("image,cat,dog\na,0.5,0.5\nb,0.5,half\n", "line 3 has 'half' in the column 'dog'"),
        ("image,cat,dog\na,0.5,\n", "line 2 has '' in the column 'dog'"),
        ("image,cat,dog\na,0.5,nan\n", "'a'"),
        ("image,cat,dog\na,0.9,0.9\n", "sums to 1.8"),
        ("image,cat,dog\na,0.5,0.5\na,0.5,0.5\n", "'a'"),
        ("image,cat,cat\na,0.5,0.5\n", "two columns 'cat'"),
        ("a,0.9,0.1\nb,0.5,0.5\n", "has no header: its first line is 'a,0.9,0.1'; expected a line of names before it"),
        ("a,1,0.0\nb,0.5,0.5\n", "has no header: its first line is 'a,1,0.0'"),
        ("image,cat,dog\n", "item_ids is empty"),
        ('image,cat,dog\n"a,0.5,0.5\n', "no CSV text"),
        (b"image,cat\xff,dog\n", "no CSV text in UTF-8"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ValueError) as caught:
        formats.csv.classifications(path)
    assert message in str(caught.value)
    assert "predictions.csv" in str(caught.value)


def test_another_separator_can_be_named(tmp_path: Path) -> None:
    assert len(formats.csv.classifications(written(tmp_path, "image;cat;dog\na;0.5;0.5\n"), delimiter=";")) == 1


def test_many_lines_are_read_in_blocks_and_the_line_of_an_error_is_counted_over_them(tmp_path: Path) -> None:
    lines = [f"{row},0.5,0.5" for row in range(9000)]
    assert len(formats.csv.classifications(written(tmp_path, "\n".join(["id,x,y", *lines])))) == 9000
    lines[8500] = "8500,0.5,x"
    with pytest.raises(ValueError, match="line 8502 has 'x'"):
        formats.csv.classifications(written(tmp_path, "\n".join(["id,x,y", *lines])))
