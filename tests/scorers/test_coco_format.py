from __future__ import annotations

import json
import math
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scorers import DetectionPredictions
from scorers.boxes import iou

IMAGES: list[dict[str, Any]] = [
    {"id": 7, "file_name": "a.jpg", "width": 100, "height": 50},
    {"id": 3, "file_name": "b/ü.jpg", "width": 640, "height": 480},
    {"id": 9, "file_name": "c.jpg", "width": 10, "height": 10},
]
CATEGORIES = [{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}]
BOX: dict[str, Any] = {"image_id": 7, "category_id": 1, "bbox": [10, 10, 20, 20], "score": 0.5}


def read(results: Any, images: Any = None) -> DetectionPredictions:
    return DetectionPredictions.from_coco_results(
        results, images={"images": IMAGES, "categories": CATEGORIES} if images is None else images
    )


# --- what is read ----------------------------------------------------------------------------------------------------


def test_boxes_are_joined_to_their_images_by_id_not_by_position() -> None:
    results = [
        {"image_id": 9, "category_id": 18, "bbox": [5, 0, 5, 10], "score": 0.1},
        {"image_id": 7, "category_id": 1, "bbox": [10, 10, 20, 20], "score": 0.25},
        {"image_id": 9, "category_id": 1, "bbox": [0, 0, 10, 10], "score": 0.75},
        {"image_id": 7, "category_id": 18, "bbox": [0, 0, 100, 25], "score": 1},
    ]
    predictions = read(results)
    assert predictions.item_ids == ("a.jpg", "b/ü.jpg", "c.jpg")
    assert predictions.offsets.tolist() == [0, 2, 2, 4]
    assert predictions.boxes == pytest.approx(
        np.array([[0.1, 0.2, 0.3, 0.6], [0, 0, 1, 0.5], [0.5, 0, 1, 1], [0, 0, 1, 1]]), abs=1e-15
    )
    assert predictions.scores.tolist() == [0.25, 1, 0.1, 0.75]
    assert predictions.labels.tolist() == [1, 0, 0, 1]
    assert predictions.class_names == ("dog", "person")
    assert predictions.class_probabilities is None


@pytest.mark.parametrize(
    ("bbox", "expected"),
    [
        ([-10, -5, 20, 10], [0, 0, 0.1, 0.1]),
        ([90, 40, 20, 20], [0.9, 0.8, 1, 1]),
        ([-1, -1, 200, 200], [0, 0, 1, 1]),
        ([99.999999999, 0, 1e-9, 50.0000001], [pytest.approx(1), 0, pytest.approx(1), 1]),
        ([100, 50, 0, 0], [1, 1, 1, 1]),
        ((25, 25, 0, 0), [0.25, 0.5, 0.25, 0.5]),
    ],
)
def test_boxes_are_clipped_to_their_image(bbox: Any, expected: list[float]) -> None:
    assert read([{**BOX, "bbox": bbox}]).boxes.tolist() == [expected]


def test_without_categories_the_labels_are_the_category_ids() -> None:
    for images in (IMAGES, {"images": IMAGES}, {"images": IMAGES, "categories": []}, iter(IMAGES)):
        predictions = read([BOX, {**BOX, "category_id": 90}], images)
        assert (predictions.labels.tolist(), predictions.class_names) == ([1, 90], None)


def test_files_and_values_read_alike(tmp_path: Path) -> None:
    content = {"images": IMAGES, "categories": CATEGORIES, "annotations": []}
    (tmp_path / "images.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    (tmp_path / "results.json").write_text(json.dumps([BOX, BOX]), encoding="utf-8")
    for results in (tmp_path / "results.json", str(tmp_path / "results.json"), [BOX, BOX], (BOX, BOX)):
        for images in (tmp_path / "images.json", str(tmp_path / "images.json"), content):
            predictions = read(iter(results) if isinstance(results, tuple) else results, images)
            assert predictions.item_ids == ("a.jpg", "b/ü.jpg", "c.jpg")
            assert (predictions.labels.tolist(), predictions.offsets.tolist()) == ([1, 1], [0, 2, 2, 2])


def test_no_results_are_images_without_boxes() -> None:
    predictions = read([])
    assert (predictions.item_ids, predictions.n_boxes) == (("a.jpg", "b/ü.jpg", "c.jpg"), 0)
    assert predictions.offsets.tolist() == [0, 0, 0, 0]


# --- what is refused -------------------------------------------------------------------------------------------------

BAD_RESULTS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "unknown image": ({"image_id": 8}, ["result 1", "image 8", "3 images"]),
    "image id as text": ({"image_id": "7"}, ["result 1", "image '7'"]),
    "image id as list": ({"image_id": [7]}, ["result 1", "[7]"]),
    "unknown category": ({"category_id": 2}, ["result 1", "category 2", "2 categories"]),
    "category as list": ({"category_id": [1]}, ["result 1", "[1]"]),
    "no image": ({"image_id": None}, ["result 1 has no 'image_id'", "expected image_id, category_id, bbox, score"]),
    "no category": ({"category_id": None}, ["result 1 has no 'category_id'"]),
    "no box": ({"bbox": None}, ["result 1 has no 'bbox'"]),
    "no score": ({"score": None}, ["result 1 has no 'score'"]),
    "score above 1": ({"score": 1.5}, ["result 1 of 'a.jpg' has the score 1.5", "[0, 1]"]),
    "score NaN": ({"score": math.nan}, ["result 1 of 'a.jpg' has the score nan", "[0, 1]"]),
    "score in words": ({"score": "high"}, ["result 1", "score"]),
    "score as list": ({"score": [0.5]}, ["result 1", "score"]),
    "box of three": ({"bbox": [1, 2, 3]}, ["result 1", "[1, 2, 3]", "[x, y, width, height]"]),
    "box of five": ({"bbox": [1, 2, 3, 4, 5]}, ["result 1", "[x, y, width, height]"]),
    "box as text": ({"bbox": "1234"}, ["result 1", "'1234'", "[x, y, width, height]"]),
    "box of words": ({"bbox": ["a", 2, 3, 4]}, ["result 1", "[x, y, width, height]"]),
    "box of nothing": ({"bbox": [None, 2, 3, 4]}, ["result 1", "[x, y, width, height]"]),
    "box of boxes": ({"bbox": [[1], 2, 3, 4]}, ["result 1", "[x, y, width, height]"]),
    "box NaN": ({"bbox": [1, math.nan, 3, 4]}, ["result 1", "nan", "[x, y, width, height]"]),
    "box without end": ({"bbox": [1, 2, math.inf, 4]}, ["result 1", "inf", "[x, y, width, height]"]),
    "box from nowhere": ({"bbox": [-math.inf, 2, 30, 4]}, ["result 1", "inf", "[x, y, width, height]"]),
    "negative width": ({"bbox": [50, 20, -10, 4]}, ["result 1 of 'a.jpg'", "xywh in pixels", "negative size"]),
    "negative height": ({"bbox": [50, 20, 10, -4]}, ["result 1 of 'a.jpg'", "xywh in pixels", "negative size"]),
    "right of the image": ({"bbox": [101, 20, 10, 4]}, ["result 1 of 'a.jpg'", "of 100 x 50 pixels", "touches the image"]),
    "below the image": ({"bbox": [10, 51, 10, 4]}, ["result 1 of 'a.jpg'", "of 100 x 50 pixels", "touches the image"]),
    "left of the image": ({"bbox": [-20, 20, 10, 4]}, ["result 1", "touches the image"]),
    "above the image": ({"bbox": [10, -20, 10, 4]}, ["result 1", "touches the image"]),
}


@pytest.mark.parametrize(("changes", "parts"), BAD_RESULTS.values(), ids=BAD_RESULTS.keys())
def test_a_bad_result_is_refused_by_its_number(changes: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(ValueError) as refusal:
        read([BOX, {**BOX, **changes}])
    assert [part for part in parts if part not in str(refusal.value)] == []


@pytest.mark.parametrize("category", ["dog", 3.7, -1, [1]], ids=str)
def test_without_categories_a_category_is_a_whole_number(category: Any) -> None:
    with pytest.raises(ValueError, match=r"result 1.*category"):
        read([BOX, {**BOX, "category_id": category}], IMAGES)


def first_image(**changes: Any) -> list[dict[str, Any]]:
    return [{**IMAGES[0], **changes}, *IMAGES[1:]]


BAD_IMAGES: dict[str, tuple[Any, list[str]]] = {
    "no list of images": ({"categories": CATEGORIES}, ["'images'", "COCO annotation file"]),
    "images are nothing": ({"images": None}, ["'images'"]),
    "a number": ({"images": 3}, ["'images'"]),
    "no images": ([], ["image 7", "0 images"]),
    "names alone": (["a.jpg"], ["image 0 is str", "id, file_name, width, height"]),
    "no id": (first_image(id=None), ["image 0 has no 'id'", "id, file_name, width, height"]),
    "no name": (first_image(file_name=None), ["image 0 has no 'file_name'"]),
    "no width": (first_image(width=None), ["image 0 has no 'width'"]),
    "zero width": (first_image(width=0), ["'a.jpg' is 0 x 50 pixels", "positive"]),
    "zero height": (first_image(height=0), ["'a.jpg' is 100 x 0 pixels", "positive"]),
    "negative": (first_image(width=-100), ["'a.jpg' is -100 x 50 pixels", "positive"]),
    "NaN": (first_image(width=math.nan), ["'a.jpg' is nan x 50 pixels", "positive"]),
    "infinite": (first_image(width=math.inf), ["'a.jpg' is inf x 50 pixels"]),
    "size as text": (first_image(width="100"), ["'a.jpg'", "100"]),
    "doubled id": (first_image(id=9), ["shares an id", "9"]),
    "doubled name": (first_image(file_name="c.jpg"), ["'c.jpg'", "once"]),
    "doubled category": (
        {"images": IMAGES, "categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]},
        ["categor", "1"],
    ),
    "category without name": ({"images": IMAGES, "categories": [{"id": 1}]}, ["category 0 has no 'name'"]),
    "category without id": ({"images": IMAGES, "categories": [{"name": "dog"}]}, ["category 0 has no 'id'"]),
}


@pytest.mark.parametrize(("images", "parts"), BAD_IMAGES.values(), ids=BAD_IMAGES.keys())
def test_bad_images_are_refused_by_name(images: Any, parts: list[str]) -> None:
    with pytest.raises(ValueError) as refusal:
        read([BOX], images)
    assert [part for part in parts if part not in str(refusal.value)] == []


def test_files_that_are_no_results_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    for content in (b"", b"image_id,score\n7,0.5\n", b'[{"image_id": 7', b"\xff\xfe\x00"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"the results file '.*results\.json' is not JSON"):
            read(path)
        with pytest.raises(ValueError, match=r"the images file '.*results\.json' is not JSON"):
            read([], path)
    path.write_text(json.dumps({"images": IMAGES, "annotations": []}))
    with pytest.raises(ValueError, match=r"results\.json': COCO results are a list, .* got a dictionary: is this the"):
        read(path)
    path.write_text("[[10, 10, 20, 20]]")
    with pytest.raises(ValueError, match="result 0 is list; expected an object with image_id, category_id, bbox, score"):
        read(path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read(tmp_path / "nowhere.json")


# --- an oracle -------------------------------------------------------------------------------------------------------

Content = dict[str, Any]


def relative_truths(truth: Content) -> dict[tuple[str, str], list[Content]]:
    """Ground truth of each file name and category name, crowds last, with corners relative to the image."""
    images = {image["id"]: image for image in truth["images"]}
    names = {category["id"]: category["name"] for category in truth["categories"]}
    found: dict[tuple[str, str], list[Content]] = defaultdict(list)
    for annotation in truth["annotations"]:
        image = images[annotation["image_id"]]
        x, y, width, height = annotation["bbox"]
        corners = np.array([x, y, x + width, y + height]) / np.tile([image["width"], image["height"]], 2)
        is_crowd = bool(annotation.get("iscrowd", 0))
        found[image["file_name"], names[annotation["category_id"]]].append({"box": corners, "is_crowd": is_crowd})
    return {key: sorted(truths, key=lambda each: each["is_crowd"]) for key, truths in found.items()}


def count_matches(boxes: Any, scores: Any, truths: list[Content]) -> Counter[str]:
    """Matches of one image and category at IoU .5 as pycocotools finds them: strongest first, at most 100."""
    counts: Counter[str] = Counter(tp50=0, fp50=0, fn50=0, ignored50=0)
    free = list(range(len(truths)))
    for box in np.argsort(-scores, kind="stable")[:100]:
        best, best_overlap = None, 0.5 - 1e-9  # relative corners round a .5 of whole pixels to either side
        for number in free:
            truth = truths[number]
            if best is not None and truth["is_crowd"] and not truths[best]["is_crowd"]:
                break
            shared = iou(boxes[box][None], truth["box"][None]).item()
            if truth["is_crowd"]:  # over the box alone: from i / (a + b - i) back to i / a
                areas = [float(np.prod(corners[2:] - corners[:2])) for corners in (boxes[box], truth["box"])]
                shared = shared / (1 + shared) * sum(areas) / areas[0]
            if shared >= best_overlap:
                best, best_overlap = number, shared
        if best is None:
            counts["fp50"] += 1
        elif truths[best]["is_crowd"]:
            counts["ignored50"] += 1
        else:
            counts["tp50"] += 1
            free.remove(best)
    counts["fn50"] = sum(not truths[number]["is_crowd"] for number in free)
    return counts


@pytest.mark.parametrize("name", ["coco_fake100", "cartucho85", "embedded"])
def test_matches_of_real_results_equal_those_of_pycocotools(
    golden: Callable[[str], Any], shared_file: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    run = {each["name"]: each for each in golden("coco_map")["runs"]}[name]
    if name == "embedded":
        truth_file, results_file = tmp_path / "truth.json", tmp_path / "results.json"
        truth_file.write_text(json.dumps(run["ground_truth"]["inline"]), encoding="utf-8")
        results_file.write_text(json.dumps(run["detections"]["inline"]), encoding="utf-8")
    else:
        with zipfile.ZipFile(shared_file(f"data/{run['pack']}")) as pack:
            truth_file = Path(pack.extract(run["ground_truth"]["file"], tmp_path))
            results_file = Path(pack.extract(run["detections"]["file"], tmp_path))
    truth = json.loads(truth_file.read_text(encoding="utf-8"))
    predictions = DetectionPredictions.from_coco_results(results_file, images=truth_file)
    assert (len(predictions), predictions.n_boxes) == (run["n_images"], run["n_detections"])

    truths, class_names = relative_truths(truth), predictions.class_names
    assert class_names is not None
    file_names = {image["id"]: image["file_name"] for image in truth["images"]}
    found = {}
    for expected in run["per_image"]:
        item_id = file_names[expected["image_id"]]
        row = predictions.item_ids.index(item_id)
        mine = predictions[row : row + 1]
        counts: Counter[str] = Counter()
        for label, class_name in enumerate(class_names):
            of_class = mine.labels == label
            counts += count_matches(mine.boxes[of_class], mine.scores[of_class], truths.get((item_id, class_name), []))
        found[expected["image_id"]] = {key: counts[key] for key in ("tp50", "fp50", "fn50", "ignored50")}
    assert found == {each["image_id"]: {key: each[key] for key in found[each["image_id"]]} for each in run["per_image"]}
    assert sum(each["tp50"] for each in found.values()) > 0


def test_ids_and_boxes_as_dataframes_and_arrays_give_them_are_understood() -> None:
    plain = read([BOX])
    odd = read(
        [{**BOX, "image_id": float(BOX["image_id"]), "bbox": np.array(BOX["bbox"]), "score": np.float32(BOX["score"])}]
    )
    assert odd.boxes.tolist() == plain.boxes.tolist()
    assert odd.offsets.tolist() == plain.offsets.tolist()
