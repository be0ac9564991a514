"""YOLO's text files: boxes and polygons, files matched to items, and lines that are refused by file and number."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorers import DetectionPredictions
from scorers.formats import yolo

SETTINGS = settings(derandomize=True, database=None, deadline=None, max_examples=30)
ITEMS = ("day/a.jpg", "b.png", "grün 図.jpg")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "labels").mkdir()
    return tmp_path / "labels"


def write(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.encode("utf-8"))
    return folder


def refused(folder: Path, text: str, **options: str) -> str:
    """What is said about a file of this text, after a good one."""
    write(folder, {"a.txt": "0 0.5 0.5 0.2 0.2 0.5", "b.txt": text})
    with pytest.raises(ValueError) as refusal:
        yolo.detections(folder, item_ids=ITEMS, lines=options.get("lines", "boxes"))  # type: ignore[arg-type]
    return str(refusal.value)


def test_boxes_of_each_item_are_corners_in_the_order_of_the_lines(folder: Path) -> None:
    text = "2 0.5 0.5 0.25 0.5 0.75\n0 0.25 0.75 0.5 0.5 1\n"
    write(folder, {"grün 図.txt": text, "a.txt": "1 0.5 0.25 1 0.5 0.125"})
    found = yolo.detections(folder, item_ids=ITEMS, class_names=["car", "dog", "cat"])
    assert found.item_ids == ITEMS
    assert found.boxes.tolist() == [[0, 0, 1, 0.5], [0.375, 0.25, 0.625, 0.75], [0, 0.5, 0.5, 1]]
    assert (found.scores.tolist(), found.labels.tolist()) == ([0.125, 0.75, 1], [1, 2, 0])
    assert (found.offsets.tolist(), found.class_names) == ([0, 1, 1, 3], ("car", "dog", "cat"))


@pytest.mark.parametrize(
    "text",
    [
        "1 0.5 0.5 0.2 0.2 0.5",
        "1 0.5 0.5 0.2 0.2 0.5\r\n",
        "\ufeff\n\n 1\t0.5  0.5 2e-1 .2 0.500 \r\n \n",
        "1.0 0.5 0.5 0.2 0.2 0.5",
    ],
)
def test_blank_lines_marks_and_line_ends_of_windows_are_no_matter(folder: Path, text: str) -> None:
    found = yolo.detections(write(folder, {"a.txt": text}), item_ids=ITEMS)
    assert found.boxes == pytest.approx(np.array([[0.4, 0.4, 0.6, 0.6]]), abs=1e-15)
    assert (found.scores.tolist(), found.labels.tolist(), found.offsets.tolist()) == ([0.5], [1], [0, 1, 1, 1])


def test_empty_files_and_hidden_ones_are_no_boxes(folder: Path) -> None:
    found = yolo.detections(write(folder, {"a.txt": "", "b.txt": "\n", "._a.txt": "\0"}), item_ids=ITEMS)
    assert (found.n_boxes, found.offsets.tolist()) == (0, [0, 0, 0, 0])


def test_sub_folders_and_the_folder_of_the_run_are_read(folder: Path) -> None:
    line = "0 0.5 0.5 0.2 0.2 0."
    write(folder, {"day/a.txt": line + "1", "night/a.TXT": line + "2", "c.txt": line + "3"})
    (folder / "args.yaml").write_text("conf: 0.1")
    items = ["night/a.jpg", "day/a.jpg", "c.jpg"]
    for given_folder in (folder, str(folder) + "/", folder.parent):
        assert yolo.detections(given_folder, item_ids=items).scores.tolist() == [0.2, 0.1, 0.3]


def test_class_names_may_be_the_dictionary_of_a_data_file(folder: Path) -> None:
    write(folder, {"a.txt": "1 0.5 0.5 0.2 0.2 0.5"})
    assert yolo.detections(folder, item_ids=ITEMS, class_names={0: "car", 1: "dog"}).class_names == ("car", "dog")
    with pytest.raises(ValueError, match=r"the label of box 0 of 'day/a\.jpg' is 1; expected 0 to 0, by class_names"):
        yolo.detections(folder, item_ids=ITEMS, class_names=["car"])


def test_polygons_have_the_box_around_them(folder: Path) -> None:
    write(folder, {"a.txt": "3 0.25 0.5 0.75 0.25 0.5 1 0.625\n1 0 0 1 0 1 1 0 1 0.5"})
    found = yolo.detections(folder, item_ids=ITEMS, lines="polygons")
    assert found.boxes.tolist() == [[0.25, 0.25, 0.75, 1], [0, 0, 1, 1]]
    assert (found.scores.tolist(), found.labels.tolist()) == ([0.625, 0.5], [3, 1])


def test_lines_without_points_are_left_out_with_a_warning(folder: Path) -> None:
    write(folder, {"a.txt": "3 0.25\n1 0.25 0.25 0.5 0.5 0.5", "b.txt": "\n1 0.5"})
    with pytest.warns(UserWarning, match=r"2 lines have no points, the first is line 1 of '.*a\.txt'; they are left out"):
        found = yolo.detections(folder, item_ids=ITEMS, lines="polygons")
    assert (found.boxes.tolist(), found.offsets.tolist()) == ([[0.25, 0.25, 0.5, 0.5]], [0, 1, 1, 1])


GOOD = "0 0.5 0.5 0.2 0.2 0.5\n\n"
BAD_LINES = {
    "no confidence": (
        "0 0.5 0.5 0.2 0.2",
        r"has no confidence; expected class x_center .* confidence: save",
    ),
    "segment": ("0 0.1 0.1 0.2 0.2 0.3 0.3 0.9", 'has 8 numbers; expected 6: .* lines="polygons"'),
    "track": ("0 0.5 0.5 0.2 0.2 0.5 17", "has 7 numbers; expected 6"),
    "track alone": ("0 0.5 0.5 0.2 0.2 17", r"has 17 as its confidence, the last number; expected one in \[0, 1\]: save"),
    "confidence NaN": ("0 0.5 0.5 0.2 0.2 nan", "has nan as its confidence"),
    "class alone": ("0", "has 1 numbers; expected 6"),
    "words": ("dog 0.5 0.5 0.2 0.2 0.5", "is 'dog 0.5 0.5 0.2 0.2 0.5'; expected numbers: class x_center"),
    "commas": ("0,0.5,0.5,0.2,0.2,0.5", "is '0,0.5,0.5,0.2,0.2,0.5'; expected numbers: class"),
    "fraction of a class": (
        "0.5 0.5 0.2 0.2 0.5 0",
        "has 0.5 as its class; expected a whole number, then x_center",
    ),
    "class below 0": ("-1 0.5 0.5 0.2 0.2 0.5", "has -1 as its class"),
    "class NaN": ("nan 0.5 0.5 0.2 0.2 0.5", "has nan as its class"),
    "class without end": ("inf 0.5 0.5 0.2 0.2 0.5", "has inf as its class"),
    "pixels": ("0 0.5 320 0.2 0.2 0.5", "has 320 as its y; expected fractions of the image, not pixels"),
    "NaN": ("0 nan 0.5 0.2 0.2 0.5", r"is \[nan, 0.5, 0.2, 0.2\]; expected cxcywh in fractions of the image, all finite"),
    "negative": ("0 0.5 0.5 -0.2 0.2 0.5", r"is \[.*\]; .* this box has a negative size"),
    "outside": ("0 1.5 0.5 0.2 0.2 0.5", r"is \[.*\]; expected cxcywh in fractions of the image that touches the image"),
}


@pytest.mark.parametrize(("line", "message"), BAD_LINES.values(), ids=BAD_LINES.keys())
def test_a_bad_line_is_named_by_file_and_number(folder: Path, line: str, message: str) -> None:
    with pytest.raises(ValueError, match=rf"line 3 of '.*b\.txt' {message}"):
        yolo.detections(write(folder, {"a.txt": GOOD, "b.txt": GOOD + line}), item_ids=ITEMS)


def test_polygons_without_confidence_are_told_by_their_odd_count(folder: Path) -> None:
    said = refused(folder, "0 0.1 0.1 0.2 0.2 0.3 0.3", lines="polygons")
    assert "line 1 of" in said
    assert "has 7 numbers, so no confidence" in said
    assert "save_conf=True" in said


def test_poses_are_neither_boxes_nor_silently_polygons(folder: Path) -> None:
    pose = "0 0.5 0.5 0.2 0.2 " + "0.5 0.5 0.9 " * 17
    assert "has 57 numbers; expected 6" in refused(folder, pose + "0.8")
    assert "has 57 numbers, so no confidence" in refused(folder, pose + "0.8", lines="polygons")


def test_files_of_no_item_and_two_of_one_are_named(folder: Path) -> None:
    write(folder, {"a.txt": GOOD})
    with pytest.raises(
        ValueError, match=r"labels': 'a\.txt' is none of the 2 items, the first of which is 'x\.jpg'; are these"
    ):
        yolo.detections(folder, item_ids=["x.jpg", "y.jpg"])
    write(folder, {"day/a.txt": GOOD})
    with pytest.raises(ValueError, match=r"'.*a\.txt' and '.*a\.txt' are both of 'day/a\.jpg'; keep one"):
        yolo.detections(folder, item_ids=ITEMS)


def test_folders_without_files_are_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"labels' has no \.txt files; .* save_conf=True"):
        yolo.detections(folder, item_ids=ITEMS)
    for missing in (folder / "nowhere", write(folder, {"a.txt": GOOD}) / "a.txt"):
        with pytest.raises(FileNotFoundError, match=f"there is no folder '.*{missing.name}'"):
            yolo.detections(missing, item_ids=ITEMS)
    (folder / "a.txt").write_bytes(b"\xff\xfe0\x00")
    with pytest.raises(ValueError, match=r"a\.txt' is no text"):
        yolo.detections(folder, item_ids=ITEMS)
    with pytest.raises(ValueError, match="lines is 'poses'; expected 'boxes' or 'polygons'"):
        yolo.detections(folder, item_ids=ITEMS, lines="poses")  # type: ignore[arg-type]


@SETTINGS
@given(st.integers(0, 2**32 - 1))
def test_boxes_written_as_ultralytics_writes_them_come_back(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    rng = np.random.default_rng(seed)
    folder = tmp_path_factory.mktemp("labels")
    counts = rng.integers(0, 4, 5)
    counts[0] = 1
    offsets = np.concatenate([[0], np.cumsum(counts)])
    m = int(offsets[-1])
    corners = np.sort(rng.random((m, 2, 2)), axis=1).reshape(m, 4)
    items = [f"{number}.jpg" for number in range(5)]
    expected = DetectionPredictions(items, corners, rng.random(m), rng.integers(0, 80, m), offsets)
    for row in rng.permutation(5):
        if counts[row]:
            lines = []
            for number in range(offsets[row], offsets[row + 1]):
                x0, y0, x1, y1 = corners[number]
                values = (expected.labels[number], (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0, expected.scores[number])
                lines.append(("%g " * 6).rstrip() % values)
            (folder / f"{row}.txt").write_text("\n".join(lines) + "\n")
    found = yolo.detections(folder, item_ids=items)
    assert found.boxes == pytest.approx(corners, abs=2e-6)  # six digits are written
    assert found.scores == pytest.approx(expected.scores, abs=1e-6)
    assert np.array_equal(found.labels, expected.labels)
    assert np.array_equal(found.offsets, expected.offsets)
