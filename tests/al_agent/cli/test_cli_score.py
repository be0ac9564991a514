"""`al-agent score`: from every kind of file to the same scores by the project's ids, and what it says of wrong ones."""

from __future__ import annotations

import json
import os
import shlex
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from al_agent import PlatformLocal, Scores
from al_agent.cli import main
from al_agent.cli.words import in_words_of_options

IDS = ["day/a.jpg", "day/b.jpg", "night/c.jpg"]
PROBABILITIES = np.array([[0.9, 0.1], [0.5, 0.5], [0.75, 0.25]])
LOGITS = np.log(PROBABILITIES)
MARGINS = [0.2, 1.0, 0.5]  # 1 - (p1 - p2)

IMAGES = {
    "images": [{"id": row, "file_name": name, "width": 100, "height": 50} for row, name in enumerate(IDS)],
    "categories": [{"id": 1, "name": "car"}],
}
# boxes of scores 0.9 and 0.5 in a.jpg, of 0.75 in c.jpg, none in b.jpg
COCO = [
    {"image_id": 2, "category_id": 1, "bbox": [10, 10, 20, 20], "score": 0.75},
    {"image_id": 0, "category_id": 1, "bbox": [10, 10, 20, 20], "score": 0.9},
    {"image_id": 0, "category_id": 1, "bbox": [10, 10, 20, 19], "score": 0.5},
]
BOX_MARGINS = [1.0, 0.0, 0.5]  # max over boxes of 1 - |2s - 1|
POSES = [
    {"image_id": 0, "category_id": 1, "keypoints": [10, 10, 0.8, 20, 20, 0.4], "score": 0.5},
    {"image_id": 1, "category_id": 1, "keypoints": [10, 10, 1.0, 20, 20, 0.5], "score": 0.75},
    {"image_id": 1, "category_id": 1, "keypoints": [10, 10, 0.25, 0, 0, 0], "score": 0.25},
]
POSE_DOUBTS = [0.4, 0.5, 0.0]  # mean over people of the mean of 1 - c


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Three images in two folders."""
    PlatformLocal.create(tmp_path / "project", images=IDS)
    return tmp_path / "project"


Words = Sequence[str | Path | float]


def run(capsys: pytest.CaptureFixture[str], *words: str | Path | float) -> tuple[int, str, str]:
    """Exit status, standard output and standard error, in which boxes drawn around messages are taken away."""
    status = main([str(word) for word in words])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def scores_of(capsys: pytest.CaptureFixture[str], project: Path, *words: str | Path | float) -> Scores:
    status, out, err = run(capsys, "score", project, *words, "--json")
    assert status == 0, err
    assert json.loads(out)["scores"] == str(project / "scores.npz")
    return Scores.load(project / "scores.npz")


def column(scores: Scores, name: str | None = None) -> list[float]:
    """Values in the order of `IDS`, those of items without a score left out."""
    found = dict(zip(scores.item_ids, scores.column(name).tolist()))
    return [found[item_id] for item_id in IDS if item_id in found]


def write_json(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def write_csv(path: Path, rows: Mapping[str, Sequence[float]], header: str = "image,cat,dog") -> Path:
    lines = [header, *(",".join([name, *map(repr, map(float, values))]) for name, values in rows.items())]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def npz(folder: Path) -> Words:
    np.savez(folder / "p.npz", item_ids=IDS[::-1], probabilities=PROBABILITIES[::-1])
    return ["--probabilities", folder / "p.npz"]


def npz_of_file_names(folder: Path) -> Words:
    np.savez(folder / "p.npz", item_ids=["a.jpg", "b.jpg", "c.jpg"], logits=LOGITS + 7)
    return ["--logits", folder / "p.npz"]


def table(folder: Path) -> Words:
    return [
        "--probabilities",
        write_csv(folder / "P.CSV", dict(zip(["c.jpg", "night\\b.jpg", "a"], PROBABILITIES[[2, 1, 0]]))),
    ]


def table_of_logits(folder: Path) -> Words:
    path = write_csv(folder / "l.csv", dict(zip(IDS, LOGITS)))
    path.write_text(path.read_text(encoding="utf-8").replace(",", ";"), encoding="utf-8")
    return ["--logits", path, "--option", "delimiter=;"]


def coco_boxes(folder: Path) -> Words:
    images = write_json(folder / "images.json", IMAGES)
    return ["--coco-results", write_json(folder / "boxes.json", COCO), "--coco-images", images, "--without-objects", 0]


def yolo(folder: Path) -> Words:
    (folder / "labels" / "night").mkdir(parents=True)
    (folder / "labels" / "a.txt").write_text("0 0.5 0.5 0.2 0.2 0.9\n0 0.5 0.5 0.2 0.2 0.5\n", encoding="utf-8")
    (folder / "labels" / "night" / "c.txt").write_text("0 0.5 0.5 0.2 0.2 0.75", encoding="utf-8")
    return ["--yolo", folder / "labels", "--without-objects", 0]


def yolo_polygons(folder: Path) -> Words:
    (folder / "labels").mkdir()
    (folder / "labels" / "a.txt").write_text("0 0.1 0.1 0.2 0.1 0.2 0.2 0.5\n", encoding="utf-8")
    (folder / "labels" / "c.txt").write_text("0 0.1 0.1 0.2 0.1 0.2 0.2 0.75\n", encoding="utf-8")
    return ["--yolo", folder / "labels", "--option", "lines=polygons", "--without-objects", 0]


def label_studio(folder: Path) -> Words:
    value = {"x": 10, "y": 20, "width": 50, "height": 60, "rectanglelabels": ["car"]}
    found = {"a": [0.9, 0.5], "b": [], "c": [0.75]}

    def task(name: str, version: str, scores: Sequence[float]) -> dict[str, Any]:
        regions = [{"type": "rectanglelabels", "score": score, "value": value} for score in scores]
        return {"model_version": version, "result": regions}

    tasks = [
        {
            "data": {"image": f"/data/upload/1/0a1b2c3d-{name}.jpg", "title": "x"},
            "predictions": [task(name, "2.0", scores), task(name, "1.0", [0.5])],
        }
        for name, scores in found.items()
    ]
    words = ["--option", "model_version=2.0", "--option", "image_field=image", "--without-objects", "0"]
    return ["--label-studio", write_json(folder / "tasks.json", tasks), *words]


def poses(folder: Path) -> Words:
    images = write_json(folder / "images.json", IMAGES)
    return ["--coco-keypoints", write_json(folder / "k.json", POSES), "--coco-images", images, "--without-objects", 0]


def maps(folder: Path) -> Words:
    (folder / "maps").mkdir()
    for item_id, values in zip(IDS, PROBABILITIES):
        np.save(folder / "maps" / f"{Path(item_id).stem}.npy", np.tile(values, (4, 6, 1)).astype(np.float32))
    return ["--maps", folder / "maps"]


def map_logits(folder: Path) -> Words:
    for item_id, values in zip(IDS, LOGITS):
        path = folder / "maps" / Path(item_id).with_suffix(".npy")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.tile(values[:, None, None], (1, 4, 6)))
    return ["--map-logits", folder / "maps", "--class-axis", 0]


SOURCES: list[tuple[Callable[[Path], Words], str, list[float]]] = [
    (npz, "uncertainty_margin", MARGINS),
    (npz_of_file_names, "uncertainty_margin", MARGINS),
    (table, "uncertainty_margin", MARGINS),
    (table_of_logits, "uncertainty_margin", MARGINS),
    (coco_boxes, "uncertainty_margin", BOX_MARGINS),
    (yolo, "uncertainty_margin", BOX_MARGINS),
    (yolo_polygons, "uncertainty_margin", BOX_MARGINS),
    (label_studio, "uncertainty_margin", BOX_MARGINS),
    (poses, "mean_uncertainty", POSE_DOUBTS),
    (maps, "uncertainty_margin", MARGINS),
    (map_logits, "uncertainty_margin", MARGINS),
]


@pytest.mark.parametrize(("source", "name", "expected"), SOURCES, ids=[source.__name__ for source, *_ in SOURCES])
def test_every_kind_of_file_is_scored_by_the_projects_ids(
    source: Callable[[Path], Words],
    name: str,
    expected: list[float],
    project: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scores = scores_of(capsys, project, *source(tmp_path))
    assert scores.default == name
    assert set(scores.item_ids) == set(IDS)
    assert column(scores) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("source", [npz, table, coco_boxes, yolo, label_studio, poses, maps], ids=lambda s: s.__name__)
def test_labeled_items_need_no_prediction_and_unlabeled_ones_do(
    source: Callable[[Path], Words], project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = source(tmp_path)
    everything = column(scores_of(capsys, project, *words))
    (project / "scores.npz").unlink()
    leave_out_first(tmp_path)
    status, _, err = run(capsys, "score", project, *words)
    if source is yolo:  # a file that is missing says that nothing was found
        assert status == 0
    else:
        assert status == 1
        assert "1 items have no score, the first is 'day/a.jpg'" in err
        assert f"'{words[1]}'" in err
        assert not (project / "scores.npz").exists()
    PlatformLocal(project).annotate({"day/a.jpg": "car"})
    assert column(scores_of(capsys, project, *words))[-2:] == everything[-2:]


def leave_out_first(folder: Path) -> None:
    """Take 'a.jpg' out of whatever files are there."""
    for path in [*folder.glob("maps/a.npy"), *folder.glob("labels/a.txt")]:
        path.unlink()
    for path in folder.glob("*.npz"):
        np.savez(path, item_ids=IDS[1:], probabilities=PROBABILITIES[1:])
    for path in folder.glob("P.CSV"):
        lines = path.read_text(encoding="utf-8").splitlines()
        path.write_text("\n".join(line for line in lines if not line.startswith("a,")), encoding="utf-8")
    for path in folder.glob("*.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        if path.name == "images.json":
            content["images"] = content["images"][1:]
        else:
            content = [row for row in content if row.get("image_id") != 0 and "a.jpg" not in json.dumps(row.get("data"))]
        write_json(path, content)


def test_members_of_a_committee_are_joined_by_id(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    PlatformLocal(project).annotate({"night/c.jpg": "cat"})
    one = write_csv(tmp_path / "one.csv", {"a.jpg": [1, 0], "b.jpg": [0.5, 0.5], "c.jpg": [1, 0]})
    np.savez(tmp_path / "two.npz", item_ids=["b.jpg", "day/a.jpg"], probabilities=[[0.5, 0.5], [0.0, 1.0]])
    scores = scores_of(capsys, project, "--probabilities", one, "--probabilities", tmp_path / "two.npz")
    assert (scores.default, scores.item_ids) == ("bald", ("day/a.jpg", "day/b.jpg"))
    assert scores.column("bald").tolist() == [1.0, 0.0]  # torn, and agreed to be unsure
    assert scores.column("uncertainty_entropy").tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        (
            "image,dog,cat",
            {"a.jpg": [1, 0], "b.jpg": [1, 0], "c.jpg": [1, 0]},
            "TWO has the classes dog, cat",
        ),
        (
            "image,cat,dog,cow",
            {"a.jpg": [1, 0, 0], "b.jpg": [1, 0, 0], "c.jpg": [1, 0, 0]},
            "TWO has the classes cat, ",
        ),
        ("image,cat,dog", {"a.jpg": [1, 0], "c.jpg": [1, 0]}, "ONE, TWO: 1 items have no score, the first is 'day/b.jpg'"),
    ],
)
def test_members_that_do_not_fit_are_refused_with_their_files(
    header: str,
    rows: dict[str, list[float]],
    message: str,
    project: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    one = write_csv(tmp_path / "one.csv", dict(zip(IDS, PROBABILITIES)))
    two = write_csv(tmp_path / "two.csv", rows, header)
    status, _, err = run(capsys, "score", project, "--probabilities", one, "--probabilities", two)
    assert status == 1
    assert err.startswith("error: " + message.replace("ONE", f"'{one}'").replace("TWO", f"'{two}'"))


def test_members_without_class_names_are_named_by_their_files(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, values in (("one.npz", PROBABILITIES), ("two.npz", np.full((3, 4), 0.25))):
        np.savez(tmp_path / name, item_ids=IDS, probabilities=values)
    one, two = tmp_path / "one.npz", tmp_path / "two.npz"
    status, _, err = run(capsys, "score", project, "--probabilities", one, "--probabilities", two)
    assert (status, err) == (1, f"error: '{two}' has 4 classes, '{one}' has 2\n")


def test_a_file_is_no_committee_with_itself(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = write_csv(tmp_path / "one.csv", dict(zip(IDS, PROBABILITIES)))
    (tmp_path / "x").mkdir()
    status, _, err = run(capsys, "score", project, "--logits", one, "--logits", tmp_path / "x" / ".." / "one.csv")
    assert status == 2
    assert "one.csv' is given twice; expected one file for each member" in " ".join(err.split())


def test_files_with_a_part_of_the_items_each_are_no_committee(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = write_csv(tmp_path / "one.csv", {"a.jpg": [1, 0]})
    two = write_csv(tmp_path / "two.csv", {"b.jpg": [1, 0], "c.jpg": [1, 0]})
    status, _, err = run(capsys, "score", project, "--probabilities", one, "--probabilities", two)
    assert status == 1
    assert "no item is in all files; each file holds the predictions of one member of a committee" in err


def test_images_without_boxes_are_counted_among_the_unlabeled(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    *words, _, _ = coco_boxes(tmp_path)
    status, _, err = run(capsys, "score", project, *words)
    assert status == 0
    assert err == (
        "warning: 1 of 3 unlabeled items have no boxes and get uncertainty 0, so they come last; --without-objects 1 puts "
        "them first\n"
    )
    assert column(Scores.load(project / "scores.npz")) == pytest.approx([1.0, 0.0, 0.5])
    *_, err = run(capsys, "score", project, *words, "--score-threshold", 0.8)
    assert "2 of 3 unlabeled items have no boxes" in err
    status, _, err = run(capsys, "score", project, *words, "--without-boxes", 0.75)
    assert (status, err) == (0, "")
    assert column(Scores.load(project / "scores.npz")) == pytest.approx([1.0, 0.75, 0.5])
    PlatformLocal(project).annotate({"day/b.jpg": "car"})
    assert run(capsys, "score", project, *words)[2] == ""
    *words, _, _ = poses(tmp_path)
    assert "1 of 2 unlabeled items have no keypoints" in run(capsys, "score", project, *words)[2]


def test_options_of_scorers_arrive(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    boxes = coco_boxes(tmp_path)
    assert column(scores_of(capsys, project, *boxes, "--nms-iou", 0.5), "object_count") == [1.0, 0.0, 1.0]
    assert column(scores_of(capsys, project, *boxes, "--score-threshold", 0.6)) == pytest.approx([0.2, 0.0, 0.5])
    summed = scores_of(capsys, project, *boxes, "--aggregation", "sum", "--aggregation", "top2_mean")
    assert column(summed, "uncertainty_margin_sum") == pytest.approx([1.2, 0.0, 0.5])
    assert column(summed, "uncertainty_margin_top2_mean") == pytest.approx([0.6, 0.0, 0.5])
    people = poses(tmp_path)
    assert column(scores_of(capsys, project, *people, "--score-threshold", 0.5)) == pytest.approx([0.4, 0.25, 0.0])
    most = scores_of(capsys, project, *people, "--aggregation", "max")
    assert column(most, "keypoint_uncertainty_max") == pytest.approx([0.4, 0.75, 0.0])
    write_json(tmp_path / "k.json", [{**POSES[0], "keypoints": [10, 10, 1.01, 20, 20, 0.4]}])
    assert "--option clip_confidences=true cuts off" in run(capsys, "score", project, *people)[2]
    assert column(scores_of(capsys, project, *people, "--option", "clip_confidences=true")) == pytest.approx([0.3, 0, 0])


def test_the_worst_region_of_a_map(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = maps(tmp_path)
    values = np.tile([1.0, 0.0], (4, 6, 1))
    values[:2, :2] = 0.5
    np.save(tmp_path / "maps" / "a.npy", values)
    scores = scores_of(capsys, project, *words, "--aggregation", "region2_max")
    assert column(scores) == pytest.approx([4 / 24, 1.0, 0.5])
    assert column(scores, "uncertainty_margin_region2_max") == pytest.approx([1.0, 1.0, 0.5])


def test_an_annotation_file_may_name_images_of_other_projects_as_long_as_nothing_is_in_them(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = coco_boxes(tmp_path)
    other = {"id": 9, "file_name": "other.jpg", "width": 100, "height": 50}
    write_json(tmp_path / "images.json", {**IMAGES, "images": [other, *IMAGES["images"]]})
    assert column(scores_of(capsys, project, *words)) == pytest.approx(BOX_MARGINS)
    PlatformLocal.create(tmp_path / "elsewhere", images=["z.jpg"])
    write_json(tmp_path / "boxes.json", [])
    said = run(capsys, "score", tmp_path / "elsewhere", *words)[2]
    assert "'other.jpg' is none of the 1 items, the first of which is 'z.jpg'; are these predictions of other" in said
    write_json(tmp_path / "boxes.json", [*COCO, {**COCO[0], "image_id": 9}])
    status, _, err = run(capsys, "score", project, *words)
    assert status == 1
    assert "'other.jpg' is none of the 3 items, the first of which is 'day/a.jpg'" in err
    assert f"'{tmp_path / 'boxes.json'}'" in err


def test_file_names_that_may_mean_two_items_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    PlatformLocal.create(tmp_path / "project", images=["day/a.jpg", "night/a.jpg"])
    np.savez(tmp_path / "p.npz", item_ids=["a.jpg", "night/a.jpg"], probabilities=PROBABILITIES[:2])
    status, _, err = run(capsys, "score", tmp_path / "project", "--probabilities", tmp_path / "p.npz")
    assert status == 1
    assert "1 of 2 items with a score are not in the project, the first is 'a.jpg'; its ids look like 'day/a.jpg'" in err
    np.savez(tmp_path / "p.npz", item_ids=["photos/day/a.jpg", "night/a.jpg"], probabilities=PROBABILITIES[:2])
    assert run(capsys, "score", tmp_path / "project", "--probabilities", tmp_path / "p.npz")[0] == 0


def test_what_is_wrong_with_the_folder_of_maps_is_said_before_the_first_is_scored(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = maps(tmp_path)
    np.save(tmp_path / "maps" / "a.npy", np.full((4, 6, 2), 5.0))  # no probabilities, which only scoring finds
    good = (tmp_path / "maps" / "c.npy").read_bytes()
    np.save(tmp_path / "maps" / "c.npy", np.full((4, 6, 2), 1, dtype=np.int64))
    assert "probabilities of 'night/c.jpg' holds values of type int64" in run(capsys, "score", project, *words)[2]
    (tmp_path / "maps" / "c.npy").unlink()
    assert "1 items have no score, the first is 'night/c.jpg'" in run(capsys, "score", project, *words)[2]
    (tmp_path / "maps" / "c.npy").write_bytes(good)
    status, _, err = run(capsys, "score", project, *words)
    assert status == 1
    assert err.startswith(f"error: '{tmp_path / 'maps'}': probabilities of 'day/a.jpg' at row 0, column 0")
    assert not (project / "scores.npz").exists()


def test_maps_of_different_classes_are_named_before_the_first_is_scored(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = maps(tmp_path)
    np.save(tmp_path / "maps" / "a.npy", np.full((4, 6, 2), 5.0))  # which only scoring finds
    np.save(tmp_path / "maps" / "c.npy", np.full((4, 6, 4), 0.25))
    status, _, err = run(capsys, "score", project, *words)
    assert status == 1
    assert "the map of 'night/c.jpg' has 4 classes, that of 'day/a.jpg' 2; expected as many in each: see --class-axis" in err


def test_results_of_the_other_kind_name_their_option(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, boxes, *others = coco_boxes(tmp_path)
    _, people, *_ = poses(tmp_path)
    said = run(capsys, "score", project, "--coco-results", people, *others)[2]
    assert "these are keypoint results, which --coco-keypoints reads" in said
    said = run(capsys, "score", project, "--coco-keypoints", boxes, *others)[2]
    assert "these are results of boxes or masks, which --coco-results reads" in said


@pytest.mark.parametrize(
    ("message", "task", "expected"),
    [
        ("if these are logits, use from_logits", "classification", "if these are logits, use --logits"),
        ("if these are logits, use from_logits", "segmentation", "if these are logits, use --map-logits"),
        ("fits with class_axis=0", "segmentation", "fits with --class-axis 0"),
        ("score the whole unlabeled_set", "detection", "predict every unlabeled image"),
        ("use without_boxes=... to", "detection", "use --without-objects to"),
        ("use without_instances=... to", "keypoints", "use --without-objects to"),
        ('segments, lines="polygons" reads', "detection", "segments, --option lines=polygons reads"),
        ("{'a': 1} in from_logits.csv", "classification", "{'a': 1} in from_logits.csv"),
    ],
)
def test_messages_name_options_and_not_arguments(message: str, task: str, expected: str) -> None:
    assert in_words_of_options(message, task) == expected


def test_values_that_are_no_probabilities_point_to_the_option_for_logits(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_csv(tmp_path / "l.csv", dict(zip(IDS, LOGITS)))
    assert "if these are logits, use --logits\n" in run(capsys, "score", project, "--probabilities", path)[2]
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "z.txt").write_text("0 0.5 0.5 0.2 0.2 0.9", encoding="utf-8")
    said = run(capsys, "score", project, "--yolo", tmp_path / "labels")[2]
    assert said.startswith(f"error: '{tmp_path / 'labels'}': 'z.txt' is none of the 3 items")


FILE = "FILE"
WRONG_WORDS: list[tuple[list[str], str]] = [
    ([], "give one of --probabilities, --logits, --coco-results, --coco-keypoints, --yolo, --label-studio, --maps"),
    (["--yolo", "a", "--maps", "b"], "--map-logits, not --yolo and --maps"),
    (["--probabilities", "a", "--logits", "b"], "not --probabilities and --logits"),
    (["--coco-results", FILE], "--coco-results and --coco-images go together"),
    (["--coco-keypoints", FILE], "--coco-keypoints and --coco-images go together"),
    (["--yolo", FILE, "--coco-images", FILE], "--coco-images is not for --yolo, but for --coco-results, --coco-keypoints"),
    (["--probabilities", FILE, "--aggregation", "max"], "--aggregation is not for --probabilities, but for --coco-results"),
    (
        ["--logits", FILE, "--logits", FILE, "--nms-iou", "1"],
        "--nms-iou is not for --logits, but for --coco-results, --yolo",
    ),
    (["--maps", FILE, "--without-objects", "1"], "--without-objects is not for --maps, but for --coco-results"),
    (["--maps", FILE, "--score-threshold", "1"], "--score-threshold is not for --maps"),
    (["--yolo", FILE, "--class-axis", "0"], "--class-axis is not for --yolo, but for --maps, --map-logits"),
    (["--maps", FILE, "--class-axis", "1"], "class_axis is 1; expected -1"),
    (["--maps", FILE, "--aggregation", "mean"], "unknown aggregation 'mean'; expected 'max', 'top10_percent_mean'"),
    (["--yolo", FILE, "--aggregation", "median"], "unknown aggregation 'median'"),
    (["--yolo", FILE, "--score-threshold", "2"], "score_threshold is 2.0; expected a number in [0, 1]"),
    (["--yolo", FILE, "--nms-iou", "nan"], "nms_iou is nan"),
    (["--yolo", FILE, "--option", "lines"], "--option 'lines' is not NAME=VALUE"),
    (["--yolo", FILE, "--option", "delimiter=;"], "--yolo has no option 'delimiter'; it has lines"),
    (["--maps", FILE, "--option", "delimiter=;"], "--maps has no option 'delimiter'; it has none"),
    (["--coco-keypoints", FILE, "--coco-images", FILE, "--option", "clip_confidences=1"], "is neither true nor false"),
]


@pytest.mark.parametrize(("words", "message"), WRONG_WORDS, ids=[" ".join(words) for words, _ in WRONG_WORDS])
def test_words_that_do_not_fit_are_refused_by_name(
    words: list[str], message: str, project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, "score", project, *words)
    assert (status, out) == (2, "")
    assert message in " ".join(err.split())
    assert "al-agent score --help" in err


WRONG_FILES: list[tuple[str, str, str]] = [
    ("--probabilities", "p.npz", "is not a .npz file of plain arrays"),
    ("--probabilities", "half.json", "is not a .npz file of plain arrays; expected .npz or .csv"),
    ("--probabilities", "p.csv", "begins with '[]'; expected a header"),
    ("--yolo", "empty", "has no .txt files"),
    ("--yolo", "p.npz", "expected one with a .txt file for each image"),
    ("--maps", "empty", "there is no .npy file below"),
    ("--label-studio", "half.json", "is not JSON"),
    ("--label-studio", "p.npz", "has nothing of 3 items"),
    ("--logits", "nowhere.npz", "No such file"),
]


@pytest.mark.parametrize(("option", "name", "message"), WRONG_FILES, ids=[" ".join(row[:2]) for row in WRONG_FILES])
def test_wrong_files_are_named(
    option: str, name: str, message: str, project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in ("p.npz", "p.csv", "half.json"):
        (tmp_path / file).write_text("[]"[: 1 if file == "half.json" else 2], encoding="utf-8")
    (tmp_path / "empty").mkdir()
    status, out, err = run(capsys, "score", project, option, tmp_path / name)
    assert (status, out) == (1, "")
    assert message in err
    assert err.count(str(tmp_path / name)) == 1
    assert not (project / "scores.npz").exists()


def test_a_missing_file_is_missed_before_the_project_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "score", tmp_path / "no project", "--probabilities", tmp_path / "nowhere.csv")
    assert status == 1
    assert "No such file" in err


def test_a_delimiter_is_for_text(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "score", project, *npz(tmp_path), "--option", "delimiter=;")
    assert status == 1
    assert f"'{tmp_path / 'p.npz'}' is no .csv file, so --option delimiter says nothing about it" in err


def test_of_coco_files_the_wrong_one_is_named(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = coco_boxes(tmp_path)
    (tmp_path / "images.json").write_text("{", encoding="utf-8")
    assert f"the images file '{tmp_path / 'images.json'}' is not JSON" in run(capsys, "score", project, *words)[2]
    (tmp_path / "images.json").unlink()
    assert f"No such file or directory: '{tmp_path / 'images.json'}'" in run(capsys, "score", project, *words)[2]
    write_json(tmp_path / "images.json", IMAGES)
    write_json(tmp_path / "boxes.json", [{**COCO[0], "score": 5}])
    assert (
        f"'{tmp_path / 'boxes.json'}': result 0 of 'night/c.jpg' has the score 5" in run(capsys, "score", project, *words)[2]
    )


def test_probabilities_of_another_shape_name_file_and_item(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for ids, values, message in (
        (IDS, PROBABILITIES * 2, "probabilities of 'day/a.jpg'"),
        (IDS[:2], PROBABILITIES, "3 "),
        (["a.jpg", "day/a.jpg", "b.jpg"], PROBABILITIES, "'day/a.jpg'"),
        ([1, 2, 3], PROBABILITIES, "p.npz"),
        ([], np.empty((0, 2)), "p.npz"),
    ):
        np.savez(tmp_path / "p.npz", item_ids=ids, probabilities=values)
        status, _, err = run(capsys, "score", project, "--probabilities", tmp_path / "p.npz")
        assert (status, err.count("\n")) == (1, 1)
        assert f"'{tmp_path / 'p.npz'}'" in err
        assert message in err


def test_the_text_shows_whole_names_and_the_next_command_works(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "uncertainty_least_confidence_top10_percent_mean"
    words = [*maps(tmp_path), "--aggregation", "top10_percent_mean", "-o", tmp_path / "my scores.npz"]
    status, out, err = run(capsys, "score", project, *words)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == ["lowest", "median", "highest", "score"]
    assert ["0.2", "0.5", "1", name] in [line.split() for line in lines]
    assert all(len(line) <= 80 for line in lines if str(tmp_path) not in line)
    command = lines[-1].removeprefix("next: al-agent ")
    saved = tmp_path / "my scores.npz"
    assert command == f"query {project} --scores '{saved}' --method uncertainty --score uncertainty_margin"
    _, out, _ = run(capsys, *shlex.split(command), "-n", 2, "--json")
    assert [pick["item_id"] for pick in json.loads(out)["picks"]] == ["day/b.jpg", "night/c.jpg"]


def test_the_json_says_all(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = json.loads(run(capsys, "score", project, *npz(tmp_path), "--json")[1])
    middle = {"lowest": pytest.approx(0.2), "median": pytest.approx(0.5), "highest": 1.0}
    assert result.pop("columns")["uncertainty_margin"] == middle
    assert result == {
        "project": str(project),
        "task": "classification",
        "scores": str(project / "scores.npz"),
        "n_items": 3,
        "default": "uncertainty_margin",
    }


def test_the_help_fits_eighty_columns_and_names_every_source(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "score", "--help")
    assert max(map(len, out.splitlines())) <= 80
    for option in (
        "probabilities",
        "logits",
        "coco-results",
        "coco-keypoints",
        "yolo",
        "label-studio",
        "maps",
        "map-logits",
    ):
        assert f"--{option} " in out


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_scoring_maps_shows_a_bar_in_a_terminal(project: Path, tmp_path: Path) -> None:
    import fcntl  # noqa: PLC0415  # not on Windows
    import pty  # noqa: PLC0415
    import termios  # noqa: PLC0415

    words = [str(word) for word in maps(tmp_path)]
    root = {"PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = [sys.executable, "-m", "al_agent.cli", "score", str(project), *words, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env={**os.environ, **root}) as process:
        out = process.communicate()[0]
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    os.close(theirs)
    assert process.returncode == 0, shown
    assert json.loads(out)["n_items"] == 3
    assert "scoring: 100%" in shown
    assert "3/3" in shown
