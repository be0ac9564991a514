"""COCO results in files of any length, with boxes and with masks; what pycocotools makes of them is the oracle."""

from __future__ import annotations

import copy
import json
import math
import tracemalloc
import zipfile
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorers.formats import coco
from scorers.formats.coco.files import result_pieces
from scorers.formats.coco.masks import mask_boxes

SETTINGS = settings(derandomize=True, database=None, deadline=None, max_examples=50)
IMAGES: list[dict[str, Any]] = [
    {"id": 7, "file_name": "a.jpg", "width": 4, "height": 3},
    {"id": 9, "file_name": "b.jpg", "width": 100, "height": 50},
]
CATEGORIES = [{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}]
BOX: dict[str, Any] = {"image_id": 9, "category_id": 1, "bbox": [10, 10, 20, 20], "score": 0.5}


def masked(segmentation: Any, **changes: Any) -> dict[str, Any]:
    return {"image_id": 7, "category_id": 1, "segmentation": segmentation, "score": 0.5, **changes}


# --- files in pieces -------------------------------------------------------------------------------------------------

TRICKY: list[Any] = [
    {"image_id": 1, "name": 'a "},{" b', "bbox": [1, 2.5, -3e-7, 4]},
    {"parts": [{"x": 1}, {"x": 2}, {"x": [{"y": {}}, {"y": 3}]}], "segmentation": {"size": [1, 2], "counts": "a\\b"}},
    {"name": "grün 図 \u2028 \\", "empty": {}, "nothing": None},
    {},
    {"score": 1},
] * 3


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("is_ascii", [True, False])
@pytest.mark.parametrize("mark", ["", "\ufeff", "\n \t"])
def test_a_file_reads_alike_in_pieces_of_any_size(tmp_path: Path, indent: int | None, is_ascii: bool, mark: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(mark + json.dumps(TRICKY, indent=indent, ensure_ascii=is_ascii) + "\n", encoding="utf-8")
    n_pieces = set()
    for piece_bytes in [*range(16, 120, 7), 500, 10_000]:
        pieces = list(result_pieces(path, piece_bytes=piece_bytes))
        assert list(chain.from_iterable(pieces)) == TRICKY
        n_pieces.add(len(pieces))
    assert min(n_pieces) == 1
    assert max(n_pieces) > 3


def test_rows_without_a_space_between_them_are_cut_too(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps([BOX] * 50, separators=(",", ":")))
    pieces = list(result_pieces(path, piece_bytes=1000))
    assert (list(chain.from_iterable(pieces)), len(pieces)) == ([BOX] * 50, 4)


def test_memory_is_that_of_a_piece(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps([BOX] * 20_000))
    tracemalloc.start()
    n_rows = sum(len(piece) for piece in result_pieces(path, piece_bytes=1 << 16))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert n_rows == 20_000
    assert peak < path.stat().st_size


def test_a_file_that_is_cut_short_anywhere_is_refused_by_name_and_byte(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    whole = json.dumps([{**BOX, "name": "ü"}, BOX, BOX], ensure_ascii=False).encode("utf-8")
    for n_bytes in range(len(whole)):
        path.write_bytes(whole[:n_bytes])
        for piece_bytes in (16, 100, 1000):
            with pytest.raises(ValueError, match=r"the results file '.*results\.json' is not JSON: .* at byte \d+"):
                list(result_pieces(path, piece_bytes=piece_bytes))


@pytest.mark.parametrize("piece_bytes", [100, 1000, 1 << 20])
def test_the_byte_that_is_wrong_is_the_files(tmp_path: Path, piece_bytes: int) -> None:
    path = tmp_path / "results.json"
    text = json.dumps([{"name": "ü", **BOX} for _ in range(40)], ensure_ascii=False).encode("utf-8")
    wrong = text.index(b"0.5", 2000)
    path.write_bytes(text[:wrong] + b"x" + text[wrong + 1 :])
    with pytest.raises(ValueError, match=f"Expecting value at byte {wrong:,} of {len(text):,}$"):
        list(result_pieces(path, piece_bytes=piece_bytes))
    path.write_bytes(text[:wrong] + b"\xff" + text[wrong + 1 :])
    with pytest.raises(ValueError, match=f"at byte {wrong:,}; expected UTF-8"):
        list(result_pieces(path, piece_bytes=piece_bytes))


def test_the_same_file_gives_the_same_arrays_as_its_list(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [
        {**BOX, "image_id": [7, 9][number % 2], "bbox": [0.5, 0.5, *rng.random(2).tolist()], "score": float(rng.random())}
        for number in range(40_000)
    ]
    path = tmp_path / "results.json"
    path.write_text(json.dumps(rows))
    assert path.stat().st_size > 1 << 22  # more than a piece
    of_file, of_list = (coco.detections(each, images=IMAGES) for each in (path, rows))
    assert of_file.scores.tolist() == [row["score"] for number in (7, 9) for row in rows if row["image_id"] == number]
    for name in ("boxes", "scores", "labels", "offsets"):
        assert np.array_equal(getattr(of_file, name), getattr(of_list, name))


def test_errors_count_results_over_all_pieces_and_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    rows = [BOX] * 60_000
    path.write_text(json.dumps([*rows, {**BOX, "score": math.nan}]))
    with pytest.raises(
        ValueError, match=r"results\.json': result 60000 of 'b\.jpg' has the score nan; expected a number in"
    ):
        coco.detections(path, images=IMAGES)
    path.write_text(json.dumps([*rows, {**BOX, "bbox": [1, 2, 3]}, BOX]))
    with pytest.raises(
        ValueError, match=r"results\.json': result 60000 has bbox \[1, 2, 3\]; expected \[x, y, width, height"
    ):
        coco.detections(path, images=IMAGES)
    path.write_text(json.dumps([*rows, {**BOX, "image_id": 8}, BOX, {**BOX, "image_id": 6}]))
    message = (
        r"result 60000 is of image 8, which is not among the 2 images; 2 of 60,003 results are of other images, the ids"
    )
    with pytest.raises(ValueError, match=message):
        coco.detections(path, images=IMAGES)


# --- items -----------------------------------------------------------------------------------------------------------


def test_names_of_images_are_matched_to_items_and_the_result_has_their_order() -> None:
    rows = [{**BOX, "score": 0.25}, {**BOX, "image_id": 7, "bbox": [1, 1, 2, 1], "score": 0.75}, BOX]
    found = coco.detections(rows, images=IMAGES, item_ids=["x/b.png", "x/a.png"])
    assert (found.item_ids, found.offsets.tolist(), found.scores.tolist()) == (
        ("x/b.png", "x/a.png"),
        [0, 2, 3],
        [0.25, 0.5, 0.75],
    )
    assert found.boxes[2].tolist() == pytest.approx([0.25, 1 / 3, 0.75, 2 / 3])
    assert coco.detections(rows, images=IMAGES).item_ids == ("a.jpg", "b.jpg")


def test_images_of_no_item_are_left_out_where_nothing_is_in_them() -> None:
    found = coco.detections([BOX], images=IMAGES, item_ids=["b.jpg"])
    assert (found.item_ids, found.offsets.tolist(), found.scores.tolist()) == (("b.jpg",), [0, 1], [0.5])
    with pytest.raises(ValueError, match=r"images: 'b\.jpg' is none of the 1 items, the first of which is 'a\.jpg'"):
        coco.detections([BOX], images=IMAGES, item_ids=["a.jpg"])
    with pytest.raises(ValueError, match=r"images: 'a\.jpg' is none of the 1 items, .* are these predictions of other"):
        coco.detections([], images=IMAGES, item_ids=["z.jpg"])


def test_items_without_an_image_are_an_error_or_left_out() -> None:
    ids = ["c.jpg", "b.jpg", "a.jpg"]
    with pytest.raises(ValueError, match=r"the list of images has nothing of 1 items, the first is 'c\.jpg'"):
        coco.detections([BOX], images=IMAGES, item_ids=ids)
    assert coco.detections([BOX], images=IMAGES, item_ids=ids, is_complete=False).item_ids == ("b.jpg", "a.jpg")


@pytest.mark.parametrize("first", [0, 1])
def test_two_images_of_one_item_are_refused_unless_one_is_another_projects_empty_one(first: int) -> None:
    images = [{**IMAGES[1], "file_name": "day/b.jpg"}, {**IMAGES[1], "id": 7, "file_name": "night/b.jpg"}]
    images = [images[first], images[1 - first]]
    assert coco.detections([BOX], images=images, item_ids=["day/b.jpg"]).scores.tolist() == [0.5]
    with pytest.raises(ValueError, match=r"images: 'day/b\.jpg' and 'night/b\.jpg' are both of 'day/b\.jpg'; keep one"):
        coco.detections([BOX, {**BOX, "image_id": 7}], images=images, item_ids=["day/b.jpg"])


# --- the wrong files -------------------------------------------------------------------------------------------------


def test_files_that_are_swapped_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps([BOX]))
    (tmp_path / "annotations.json").write_text(json.dumps({"images": IMAGES, "annotations": [], "categories": CATEGORIES}))
    with pytest.raises(ValueError, match=r"image 0 has no 'id'; .*: are these results, and the two swapped\?"):
        coco.detections(tmp_path / "annotations.json", images=tmp_path / "results.json")
    with pytest.raises(ValueError, match=r"annotations\.json': COCO results are a list, .*: is this the annotation file"):
        coco.detections(tmp_path / "annotations.json", images=tmp_path / "annotations.json")
    poses = [{"image_id": 9, "category_id": 1, "keypoints": [1, 2, 0.5], "score": 0.5}]
    with pytest.raises(ValueError, match=r"result 0 has no 'bbox'; .*: these are keypoint results, which formats"):
        coco.detections(poses, images=IMAGES)
    with pytest.raises(ValueError, match=r"COCO results are a list, .* got a dictionary"):
        coco.detections({"images": IMAGES}, images=IMAGES)  # type: ignore[dict-item]  # on purpose
    (tmp_path / "results.json").write_text("17")
    with pytest.raises(ValueError, match=r"COCO results are a list, .* got int"):
        coco.detections(tmp_path / "results.json", images=IMAGES)


@pytest.mark.parametrize(
    ("written", "known", "message"),
    [
        ("17", 17, r"they write ids like '17', the images like 17; give `images` as a list .* like those of the results"),
        (17, "17", r"they write ids like 17, the images like '17'; give `images` as a list"),
        ("000017", 17, r"they write ids like '000017', the images like 17; give `images`"),
        ("day_1", 17, r"they name images by file, the images have ids like 17; .* ids like 'day_1'"),
        ("day_1.png", 17, r"they name images by file"),
        (18, 17, r"the ids of ours are like 17: are these results of another data set"),
        ("x", 17, r"the ids of ours are like 17: are these results of another data set"),
    ],
)
def test_ids_that_differ_in_kind_are_explained(written: Any, known: Any, message: str) -> None:
    images = [{"id": known, "file_name": "day_1.jpg", "width": 100, "height": 100}]
    with pytest.raises(
        ValueError, match=f"result 0 is of image {written!r}, .* 1 of 1 results are of other images.*{message}"
    ):
        coco.detections([{**BOX, "image_id": written}], images=images)
    images[0]["id"] = written
    assert coco.detections([{**BOX, "image_id": written}], images=images).n_boxes == 1


def test_unknown_categories_are_counted() -> None:
    rows = [BOX, {**BOX, "category_id": 2}, {**BOX, "category_id": 3}]
    message = r"result 1 has category 2, which is not among the 2 categories \(18, 1\); 2 of 3 results are like this"
    with pytest.raises(ValueError, match=message):
        coco.detections(rows, images={"images": IMAGES, "categories": CATEGORIES})


def test_a_box_may_be_one_of_numpys_or_an_odd_one_among_good_ones() -> None:
    rows = [BOX, {**BOX, "bbox": np.array([10, 10, 20, 20])}, {**BOX, "bbox": (10.0, 10, 20, 20), "score": np.float32(0.5)}]
    assert coco.detections(rows, images=IMAGES).boxes.tolist() == [[0.1, 0.2, 0.3, 0.6]] * 3
    for bbox in ([1, 2, 3, 10**400], [True, 2, "3", 4], [[1, 2], [3, 4]], {"x": 1}, 5, []):
        with pytest.raises(ValueError, match=r"result 1 has bbox .*; expected \[x, y, width, height\] in pixels"):
            coco.detections([BOX, {**BOX, "bbox": bbox}], images=IMAGES)


# --- masks -----------------------------------------------------------------------------------------------------------


def runs_of(mask: Any) -> list[int]:
    """Lengths of the runs of 0 and 1 in turns, down the columns, from a run of 0 on."""
    runs, last = [0], 0
    for value in mask.T.reshape(-1).tolist():
        if value != last:
            runs.append(0)
            last = value
        runs[-1] += 1
    return runs


def box_of(mask: Any) -> list[float]:
    ys, xs = np.nonzero(mask)
    return [xs.min(), ys.min(), int(np.ptp(xs)) + 1, int(np.ptp(ys)) + 1] if len(xs) else [math.nan] * 4


@st.composite
def masks(draw: st.DrawFn) -> Any:
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    share = draw(st.sampled_from([0.0, 0.05, 0.5, 0.95, 1.0]))
    return (np.random.default_rng(draw(st.integers(0, 1000))).random((height, width)) < share).astype(np.uint8)


@SETTINGS
@given(st.lists(masks(), min_size=1, max_size=8))
def test_boxes_of_run_lengths_are_those_of_the_pixels(drawn: list[Any]) -> None:
    codes = [{"size": list(mask.shape), "counts": runs_of(mask)} for mask in drawn]
    sizes = np.array([mask.shape[::-1] for mask in drawn], dtype=float)
    expected = np.array([box_of(mask) for mask in drawn])
    assert np.array_equal(mask_boxes(codes, sizes, str), expected, equal_nan=True)
    pycoco = pytest.importorskip("pycocotools.mask")
    texts = [pycoco.encode(np.asfortranarray(mask)) for mask in drawn]
    mixed = [*texts, *codes, *({**code, "counts": code["counts"].decode()} for code in texts)]
    assert np.array_equal(mask_boxes(mixed, np.tile(sizes, (3, 1)), str), np.tile(expected, (3, 1)), equal_nan=True)


def test_boxes_of_many_and_of_large_masks_equal_pycocotools() -> None:
    pycoco = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(0)
    fields = rng.random((600, 8, 8)).repeat(4, axis=1).repeat(5, axis=2) < rng.random((600, 1, 1)) + 0.01
    codes = [pycoco.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in fields]
    large = np.zeros((4000, 6000), dtype=np.uint8)
    large[3999, 17:5999] = large[0, 5999] = 1
    codes.append(pycoco.encode(np.asfortranarray(large)))
    sizes = np.array([code["size"][::-1] for code in codes], dtype=float)
    is_some = np.append(fields.any(axis=(1, 2)), True)
    assert np.array_equal(mask_boxes(codes, sizes, str)[is_some], pycoco.toBbox(codes)[is_some])
    assert mask_boxes(codes, sizes, str)[-1].tolist() == [17, 0, 5983, 4000]


def test_results_without_boxes_have_those_of_their_masks() -> None:
    rows = [
        masked({"size": [3, 4], "counts": [4, 2, 1, 2, 3]}),
        {**masked([[10, 10, 60, 20, 30, 40], [5, 20, 6, 20, 6, 25]]), "image_id": 9},
        {**masked("not looked at"), "bbox": [1, 0, 1, 3]},
        {**masked({"size": [3, 4], "counts": [0, 12]}), "bbox": []},
        {**BOX, "segmentation": None},
    ]
    found = coco.detections(rows, images=IMAGES)
    assert found.offsets.tolist() == [0, 3, 5]
    expected = [[0.25, 1 / 3, 0.75, 1], [0.25, 0, 0.5, 1], [0, 0, 1, 1], [0.05, 0.2, 0.6, 0.8], [0.1, 0.2, 0.3, 0.6]]
    assert found.boxes == pytest.approx(np.array(expected), abs=1e-15)


def test_masks_of_unknown_images_are_told_as_such() -> None:
    mask = {"size": [3, 4], "counts": [4, 2, 6]}
    with pytest.raises(ValueError, match="result 1 is of image 8, which is not among the 2 images; 1 of 2 results"):
        coco.detections([masked(mask), masked(mask, image_id=8)], images=IMAGES)
    with pytest.raises(ValueError, match="result 1 has no 'score'; expected image_id, category_id, bbox, score"):
        coco.detections([masked(mask), masked(mask, score=None)], images=IMAGES)
    with pytest.raises(ValueError, match="result 1 has no 'bbox'; expected image_id, category_id, bbox, score"):
        coco.detections([masked(mask), masked(None)], images=IMAGES)


@pytest.mark.parametrize("empty", [{"size": [3, 4], "counts": [12]}, {"size": [3, 4], "counts": [12, 0]}, []], ids=str)
def test_empty_masks_are_left_out_with_a_warning(empty: Any) -> None:
    rows = [masked(empty), BOX, masked({"size": [3, 4], "counts": [0, 12]}, score=0.25), masked(empty)]
    with pytest.warns(UserWarning, match="2 of 4 results have an empty mask, the first is result 0 of 'a.jpg'"):
        found = coco.detections(rows, images=IMAGES)
    assert (found.offsets.tolist(), found.scores.tolist()) == ([0, 1, 2], [0.25, 0.5])
    assert found.boxes[0].tolist() == [0, 0, 1, 1]


BAD_MASKS: dict[str, tuple[Any, str]] = {
    "another size": ({"size": [6, 8], "counts": [48]}, r"has size \[6, 8\]; expected that of its image, \[3, 4\]$"),
    "width first": ({"size": [4, 3], "counts": [12]}, r"has size \[4, 3\]; .* \[3, 4\]: size is \[height, width\]"),
    "no size": ({"counts": [12]}, "has size None"),
    "no counts": ({"size": [3, 4]}, "has counts 'None'; expected text, or a list of numbers"),
    "counts of nothing": ({"size": [3, 4], "counts": []}, "expected text, or a list of numbers"),
    "counts of words": ({"size": [3, 4], "counts": ["a"]}, "expected text, or a list of numbers"),
    "too few pixels": ({"size": [3, 4], "counts": [4, 2]}, "is broken: its runs cover 6 pixels of 4 x 3"),
    "negative": ({"size": [3, 4], "counts": [14, -2]}, "is broken: its runs cover 12 pixels"),
    "beyond 64 bits": ({"size": [3, 4], "counts": [2**62, 2**62, 2**62, 2**62 + 12]}, "is broken: its runs cover"),
    "no text": ({"size": [3, 4], "counts": ""}, "which are no run-length code"),
    "cut text": ({"size": [3, 4], "counts": "P"}, "has counts 'P', which are no run-length code"),
    "other letters": ({"size": [3, 4], "counts": "4 2"}, "which are no run-length code"),
    "umlauts": ({"size": [3, 4], "counts": "ü"}, "which are no run-length code"),
    "numbers too long": ({"size": [3, 4], "counts": "PPPPPPPPPPPPPP0"}, "which are no run-length code"),
    "flat polygon": ([0, 0, 1, 1, 2, 2], "no list of polygons"),
    "polygon of two": ([[0, 0, 1, 1]], "no list of polygons"),
    "odd polygon": ([[0, 0, 1, 1, 2, 2, 3]], "no list of polygons"),
    "polygon NaN": ([[0, 0, 1, math.nan, 2, 2]], "no list of polygons"),
    "polygon of words": ([["a", "b", "c", "d", "e", "f"]], "no list of polygons"),
    "a number": (7, "no list of polygons"),
}


@pytest.mark.parametrize(("segmentation", "message"), BAD_MASKS.values(), ids=BAD_MASKS.keys())
def test_a_bad_mask_is_named(segmentation: Any, message: str) -> None:
    good = masked({"size": [3, 4], "counts": [4, 2, 6]})
    with pytest.raises(ValueError, match=f"the mask of result 2 .*{message}"):
        coco.detections([good, BOX, masked(segmentation), good], images=IMAGES)


# --- real files ------------------------------------------------------------------------------------------------------

RUNS = {
    "coco_fake100": "data/preds_coco_val2014_fake100.zip",
    "cartucho85": "data/det_cartucho_map85.zip",
}


@pytest.fixture
def extracted(shared_file: Callable[[str], Path], tmp_path: Path) -> Callable[[str, str], Path]:
    def extract(pack: str, name: str) -> Path:
        with zipfile.ZipFile(shared_file(pack)) as archive:
            return Path(archive.extract(name, tmp_path))

    return extract


Rewrite = Callable[[list[float], float, float], list[float]]
REWRITTEN: dict[str, tuple[Rewrite, str]] = {
    "xyxy": (lambda b, w, h: [b[0], b[1], b[0] + b[2], b[1] + b[3]], "every box fits if they are xyxy"),
    "cxcywh": (lambda b, w, h: [b[0] + b[2] / 2, b[1] + b[3] / 2, b[2], b[3]], "every box fits if they are cxcywh"),
    "fractions": (lambda b, w, h: [b[0] / w, b[1] / h, b[2] / w, b[3] / h], "all boxes lie within one pixel"),
}


@pytest.mark.parametrize("run_name", RUNS)
def test_real_results_score_as_before_when_written_back(
    run_name: str, golden: Callable[[str], Any], extracted: Callable[[str, str], Path]
) -> None:
    pycoco, evaluation = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")
    run = {each["name"]: each for each in golden("coco_map")["runs"]}[run_name]
    truth_file, results_file = (extracted(RUNS[run_name], run[key]["file"]) for key in ("ground_truth", "detections"))
    truth = json.loads(truth_file.read_text())
    found = coco.detections(results_file, images=truth_file)
    images = {image["file_name"]: image for image in truth["images"]}
    category_ids = [category["id"] for category in truth["categories"]]
    rows = []
    for row, item_id in enumerate(found.item_ids):
        image = images[item_id]
        for number in range(found.offsets[row], found.offsets[row + 1]):
            x0, y0, x1, y1 = (found.boxes[number] * np.tile([image["width"], image["height"]], 2)).tolist()
            box = [round(value, 9) for value in (x0, y0, x1 - x0, y1 - y0)]  # as written, without the rounding of fractions
            score, category_id = float(found.scores[number]), category_ids[found.labels[number]]
            rows.append({"image_id": image["id"], "category_id": category_id, "bbox": box, "score": score})
    whole = pycoco.COCO(str(truth_file))
    scored = evaluation.COCOeval(whole, whole.loadRes(rows), "bbox")
    scored.evaluate()
    scored.accumulate()
    scored.summarize()
    assert scored.stats == pytest.approx(np.array(list(run["overall"].values())), abs=1e-9)


@pytest.mark.parametrize("run_name", RUNS)
@pytest.mark.parametrize("convention", REWRITTEN)
def test_real_boxes_written_in_another_convention_are_refused(
    run_name: str, convention: str, golden: Callable[[str], Any], extracted: Callable[[str, str], Path]
) -> None:
    run = {each["name"]: each for each in golden("coco_map")["runs"]}[run_name]
    truth_file, results_file = (extracted(RUNS[run_name], run[key]["file"]) for key in ("ground_truth", "detections"))
    images = {image["id"]: image for image in json.loads(truth_file.read_text())["images"]}
    rewrite, message = REWRITTEN[convention]
    rows = json.loads(results_file.read_text())
    for row in rows:
        image = images[row["image_id"]]
        row["bbox"] = rewrite(row["bbox"], image["width"], image["height"])
    with pytest.raises(ValueError, match=f"result .* expected xywh in pixels.*|{message}") as refusal:
        coco.detections(rows, images=truth_file)
    assert message in str(refusal.value)


def test_real_masks_have_the_boxes_that_pycocotools_gives_them(extracted: Callable[[str, str], Path]) -> None:
    pycoco = pytest.importorskip("pycocotools.mask")
    pack = RUNS["coco_fake100"]
    results_file = extracted(pack, "instances_val2014_fakesegm100_results.json")
    truth_file = extracted(pack, "instances_val2014_100.json")
    found = coco.detections(results_file, images=truth_file)
    rows = json.loads(results_file.read_text())
    with_boxes = copy.deepcopy(rows)
    for row, box in zip(with_boxes, pycoco.toBbox([row["segmentation"] for row in rows]).tolist()):
        row["bbox"] = box
    expected = coco.detections(with_boxes, images=truth_file)
    assert found.n_boxes == len(rows)
    assert np.array_equal(found.boxes, expected.boxes)
    assert np.array_equal(found.scores, expected.scores)


def test_detections_of_people_are_read_with_zero_padded_names(extracted: Callable[[str, str], Path]) -> None:
    pack = RUNS["coco_fake100"]
    results_file = extracted(pack, "mmpose_coco4/test_coco_det_AP_H_56.json")
    found = coco.detections(results_file, images=extracted(pack, "mmpose_coco4/test_coco.json"))
    rows = json.loads(results_file.read_text())
    assert "000000000785.jpg" in found.item_ids
    row = found.item_ids.index("000000000785.jpg")
    scores = found.scores[found.offsets[row] : found.offsets[row + 1]].tolist()
    assert scores == [each["score"] for each in rows if each["image_id"] == 785]
    assert found.n_boxes == 118
