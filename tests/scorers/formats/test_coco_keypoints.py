"""COCO keypoint results: confidences in the third place, told from visibilities, and real files."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scorers.formats import coco

IMAGES: list[dict[str, Any]] = [
    {"id": 7, "file_name": "a.jpg", "width": 100, "height": 50},
    {"id": 9, "file_name": "b.jpg", "width": 200, "height": 400},
]
HAND: dict[str, Any] = {"id": 1, "name": "hand", "keypoints": ["wrist", "tip"]}
ROW: dict[str, Any] = {"image_id": 7, "category_id": 1, "keypoints": [10, 20, 0.5, 30, 5, 0.25], "score": 0.75}


def test_instances_are_joined_to_their_images_with_positions_relative_to_them() -> None:
    rows = [
        {**ROW, "image_id": 9, "score": 0.125},
        ROW,
        {**ROW, "keypoints": np.array([0, 0, 0, -10, 60, 1.0]), "score": 0},
    ]
    found = coco.keypoints(rows, images={"images": IMAGES, "categories": [HAND]})
    assert found.keypoints is not None
    assert found.keypoints.tolist() == [[[0.1, 0.4], [0.3, 0.1]], [[0, 0], [-0.1, 1.2]], [[0.05, 0.05], [0.15, 0.0125]]]
    assert found.confidences.tolist() == [[0.5, 0.25], [0, 1], [0.5, 0.25]]
    assert found.is_predicted.tolist() == [[True, True], [False, True], [True, True]]
    assert (found.offsets.tolist(), found.keypoint_names) == ([0, 2, 3], ("wrist", "tip"))
    assert found.instance_scores is not None
    assert found.instance_scores.tolist() == [0.75, 0, 0.125]


def test_files_and_lists_read_alike_also_without_instances(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    for rows in ([ROW] * 5, []):
        path.write_text(json.dumps(rows))
        of_file, of_list = (coco.keypoints(results, images=IMAGES) for results in (path, rows))
        assert np.array_equal(of_file.confidences, of_list.confidences)
        assert (of_file.n_instances, of_list.offsets.tolist()) == (len(rows), [0, len(rows), len(rows)])


def test_categories_may_differ_in_the_number_of_keypoints() -> None:
    categories = [HAND, {"id": 2, "name": "dog", "keypoints": ["nose"]}, {"id": 3, "name": "box"}]
    rows = [ROW, {**ROW, "category_id": 2, "keypoints": [1, 2, 0.5]}]
    found = coco.keypoints(rows, images={"images": IMAGES, "categories": categories})
    assert found.confidences.tolist() == [[0.5, 0.25], [0.5, 0]]
    assert found.is_predicted.tolist() == [[True, True], [True, False]]
    assert found.keypoint_names is None
    message = "result 1 of 'a.jpg' has 1 keypoints, and result 0 of 'a.jpg' of the same category 2"
    with pytest.raises(ValueError, match=message):
        coco.keypoints([ROW, {**ROW, "keypoints": [1, 2, 0.5]}], images=IMAGES)


@pytest.mark.parametrize("thirds", [[2, 1], [0, 2], [1, 1], [1.0, 2.0]], ids=str)
def test_visibilities_are_no_confidences(thirds: list[float]) -> None:
    row = {**ROW, "keypoints": [10, 20, thirds[0], 30, 5, thirds[1]]}
    with pytest.raises(ValueError, match="every third number of the keypoints is 0, 1 or 2: these are visibilities"):
        coco.keypoints([row, row], images=IMAGES)
    assert coco.keypoints([row, ROW], images=IMAGES, clip_confidences=True).confidences[1].tolist() == [0.5, 0.25]


def test_peaks_above_1_are_cut_off_only_if_asked_to() -> None:
    rows = [ROW, {**ROW, "keypoints": [10, 20, 0.5, 30, 5, 1.0625]}, {**ROW, "keypoints": [10, 20, 7, 30, 5, 0]}]
    message = "result 1 of 'a.jpg' has confidence 1.0625 in its keypoint 1, 2 lie outside .*clip_confidences=True"
    with pytest.raises(ValueError, match=message):
        coco.keypoints(rows, images=IMAGES)
    found = coco.keypoints(rows, images=IMAGES, clip_confidences=True)
    assert found.confidences.tolist() == [[0.5, 0.25], [0.5, 1], [1, 0]]
    with pytest.raises(ValueError, match=r"result 0 of 'a\.jpg' has confidence -0\.5 in its keypoint 0"):
        coco.keypoints([{**ROW, "keypoints": [10, 20, -0.5, 0, 0, 0]}], images=IMAGES, clip_confidences=True)


def test_scores_of_instances_above_1_are_left_out_with_a_warning() -> None:
    with pytest.warns(UserWarning, match=r"1 of 2 instances have scores outside \[0, 1\], result 1 of 'a\.jpg' has 1\.5"):
        found = coco.keypoints([ROW, {**ROW, "score": 1.5}], images=IMAGES)
    assert found.instance_scores is None
    assert found.confidences.tolist() == [[0.5, 0.25]] * 2
    with pytest.raises(ValueError, match=r"result 1 of 'a\.jpg' has the score nan"):
        coco.keypoints([ROW, {**ROW, "score": math.nan}], images=IMAGES)


BAD_ROWS: dict[str, tuple[dict[str, Any], str]] = {
    "missing": (
        {"keypoint": [1, 2, 0.5], "score": None},
        "result 1 has no 'score'; expected image_id",
    ),
    "of boxes": ({"keypoints": None, "score": 0.5, "bbox": [1, 2, 3, 4]}, "result 1 has keypoints None"),
    "none": ({"keypoints": None}, "result 1 has keypoints None; expected a flat list of x, y and confidence"),
    "empty": ({"keypoints": []}, "result 1 has keypoints .*; expected a flat list of x, y and confidence"),
    "four": ({"keypoints": [1, 2, 0.5, 4]}, "result 1 has keypoints .*; expected a flat list"),
    "in lists": ({"keypoints": [[1, 2, 0.5], [1, 2, 0.5]]}, "result 1 has keypoints .*; expected a flat list"),
    "words": ({"keypoints": ["1", 2, 0.5, 1, 2, 0.5]}, "result 1 has keypoints .*; expected a flat list"),
    "NaN": ({"keypoints": [1, math.nan, 0.5, 1, 2, 0.5]}, "result 1 has keypoints .*; .* all finite"),
    "far": (
        {"keypoints": [1, 2, 0.5, 201, 2, 0.5]},
        "result 1 of 'a.jpg' has its keypoint 1 at 201, 2 in an image of",
    ),
    "unknown image": ({"image_id": 1}, "result 1 is of image 1, which is not among the 2 images; 1 of 2 results"),
    "no score": ({"score": None}, "result 1 has no 'score'"),
}


@pytest.mark.parametrize(("changes", "message"), BAD_ROWS.values(), ids=BAD_ROWS.keys())
def test_a_bad_result_is_refused_by_its_number(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        coco.keypoints([ROW, {**ROW, **changes}], images=IMAGES)


def test_fractions_and_results_of_boxes_are_refused() -> None:
    with pytest.raises(ValueError, match="all keypoints lie within one pixel; expected pixels"):
        coco.keypoints([{**ROW, "keypoints": [0.1, 0.9, 0.5, 0, 0, 0]}], images=IMAGES)
    with pytest.raises(ValueError, match=r"result 0 has no 'keypoints'; .*boxes or masks, which formats\.coco\.detections"):
        coco.keypoints([{"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1}], images=IMAGES)


def test_names_of_images_are_matched_to_items() -> None:
    rows = [{**ROW, "image_id": 9, "score": 0.25}, ROW]
    found = coco.keypoints(rows, images=IMAGES, item_ids=["day/b.png", "day/a.png"])
    assert (found.item_ids, found.offsets.tolist()) == (("day/b.png", "day/a.png"), [0, 1, 2])
    assert found.keypoints is not None
    assert found.keypoints[:, 0].tolist() == [[0.05, 0.05], [0.1, 0.4]]
    assert found.instance_scores is not None
    assert found.instance_scores.tolist() == [0.25, 0.75]
    with pytest.raises(ValueError, match=r"images: 'b\.jpg' is none of the 1 items, the first of which is 'day/a\.png'"):
        coco.keypoints(rows, images=IMAGES, item_ids=["day/a.png"])


# --- real files ------------------------------------------------------------------------------------------------------


@pytest.fixture
def extracted(shared_file: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    def extract(name: str) -> Path:
        with zipfile.ZipFile(shared_file("data/preds_coco_val2014_fake100.zip")) as archive:
            return Path(archive.extract(name, tmp_path))

    return extract


def test_real_keypoints_come_back_as_they_were_written(extracted: Callable[[str], Path]) -> None:
    results = extracted("extra/keypoints_dataset_dt_dataset.json")
    found = coco.keypoints(results, images=extracted("extra/keypoints_dataset_gt_dataset.json"))
    written = np.array([row["keypoints"] for row in json.loads(results.read_text())]).reshape(128, 17, 3)
    assert found.keypoints is not None
    assert found.keypoints * [640, 453] == pytest.approx(written[..., :2], abs=1e-9)
    assert np.array_equal(found.confidences, written[..., 2])
    assert found.is_predicted.all()
    assert found.keypoint_names is not None
    assert found.keypoint_names[:2] == ("nose", "left_eye")


def test_real_scores_of_crowds_pass_1_and_are_left_out(extracted: Callable[[str], Path]) -> None:
    results = extracted("extra/dataset_example_crowdpose_preds.json")
    images = extracted("extra/dataset_example_crowdpose_val.json")
    with pytest.warns(UserWarning, match="8 of 15 instances have scores outside"):
        found = coco.keypoints(results, images=images)
    assert (found.n_instances, found.n_keypoints, len(found)) == (15, 14, 4)
    rows = json.loads(results.read_text())
    first = found.item_ids.index("114203.jpg")
    assert found.confidences[found.offsets[first]].tolist() == rows[0]["keypoints"][2::3]


def test_the_official_example_holds_visibilities(extracted: Callable[[str], Path]) -> None:
    results = extracted("person_keypoints_val2014_fakekeypoints100_results.json")
    with pytest.raises(ValueError, match=r"fakekeypoints100_results\.json': every third number .* are visibilities"):
        coco.keypoints(results, images=extracted("instances_val2014_100.json"))
