"""Boxes in any convention, labels by name, items by file name, fields of objects, and boxes taken in image by image."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorers.formats.reading.arrays import as_array, field
from scorers.formats.reading.detections import DetectionRows
from scorers.formats.reading.labels import label_indices, names_in_order
from scorers.formats.reading.names import ItemNames
from scorers.formats.reading.pixels import Convention, relative_corners

SETTINGS = settings(derandomize=True, database=None, deadline=None, max_examples=50)

WRITTEN: dict[Convention, Callable[[Any], Any]] = {  # from corners
    "xyxy": lambda box: box,
    "xywh": lambda box: np.concatenate([box[:, :2], box[:, 2:] - box[:, :2]], axis=1),
    "cxcywh": lambda box: np.concatenate([(box[:, :2] + box[:, 2:]) / 2, box[:, 2:] - box[:, :2]], axis=1),
}
CONVENTIONS: tuple[Convention, ...] = get_args(Convention)


def name(row: int) -> str:
    return f"box {row}"


# --- boxes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("convention", "box"), [("xyxy", [10, 20, 30, 60]), ("xywh", [10, 20, 20, 40]), ("cxcywh", [20, 40, 20, 40])]
)
def test_each_convention_means_its_own_four_numbers(convention: Convention, box: list[float]) -> None:
    assert relative_corners(np.array([box]), np.array([[100, 200]]), convention, name).tolist() == [[0.1, 0.1, 0.3, 0.3]]
    fractions = np.array([box]) / [100, 200, 100, 200]
    assert relative_corners(fractions, None, convention, name) == pytest.approx(np.array([[0.1, 0.1, 0.3, 0.3]]), abs=1e-15)


@SETTINGS
@given(st.integers(0, 2**32 - 1), st.sampled_from(CONVENTIONS), st.booleans())
def test_boxes_come_back_from_every_convention(seed: int, convention: Convention, is_relative: bool) -> None:
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.random((20, 2, 2)), axis=1).reshape(20, 4)
    sizes = rng.integers(1, 4000, (20, 2))
    boxes = WRITTEN[convention](corners if is_relative else corners * np.tile(sizes, 2))
    found = relative_corners(boxes, None if is_relative else sizes, convention, name)
    assert found == pytest.approx(corners, abs=1e-12)


def test_many_boxes_are_looked_at_in_blocks_and_the_first_bad_one_is_named() -> None:
    boxes, sizes = np.tile([10.0, 10, 20, 20], (50_000, 1)), np.tile([100, 100], (50_000, 1))
    assert (relative_corners(boxes, sizes, "xyxy", name) == [0.1, 0.1, 0.2, 0.2]).all()
    boxes[[31_234, 40_000], 2] = np.nan
    with pytest.raises(ValueError, match=r"box 31234 is \[10, 10, nan, 20\] in an image of 100 x 100 pixels; .* all finite"):
        relative_corners(boxes, sizes, "xyxy", name)


def test_boxes_that_leave_their_image_are_clipped() -> None:
    boxes = np.array([[-5, -5, 50, 50], [50, 50, 105, 500], [0, 0, 1e308, 1e308]])
    expected = [[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1], [0, 0, 1, 1]]
    assert relative_corners(boxes, np.tile([100, 100], (3, 1)), "xyxy", name).tolist() == expected


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_no_boxes_are_no_corners(convention: Convention) -> None:
    assert relative_corners(np.empty((0, 4)), np.empty((0, 2)), convention, name).shape == (0, 4)
    assert relative_corners(np.empty((0, 4)), None, convention, name).shape == (0, 4)


BAD_BOXES: dict[str, tuple[list[float], bool, Convention, str]] = {
    "NaN": ([1, 2, np.nan, 4], True, "xyxy", r"box 1 is \[1, 2, nan, 4\] .*; expected xyxy in pixels, all finite"),
    "infinite": ([1, 2, 3, np.inf], False, "cxcywh", "expected cxcywh in fractions of the image, all finite"),
    "negative": ([50, 20, 40, 30], True, "xyxy", "expected xyxy in pixels, and this box has a negative size"),
    "beside the image": ([101, 20, 10, 10], True, "xywh", "in an image of 100 x 100 pixels; .* touches the image"),
    "beside, in fractions": ([-0.5, 0.5, 0.1, 0.1], False, "cxcywh", "expected cxcywh in fractions .* touches the image"),
    "pixels": ([0.5, 0.5, 3, 0.5], False, "cxcywh", "fractions of the image; divide pixels by the image's width and height"),
}


@pytest.mark.parametrize(("box", "is_pixels", "convention", "message"), BAD_BOXES.values(), ids=BAD_BOXES.keys())
def test_a_bad_box_is_named(box: list[float], is_pixels: bool, convention: Convention, message: str) -> None:
    good = WRITTEN[convention](np.array([[0.2, 0.2, 0.4, 0.4]]) * (100 if is_pixels else 1))
    sizes = np.array([[100, 100], [100, 100]]) if is_pixels else None
    with pytest.raises(ValueError, match="box 1 is .*" + message.removeprefix("box 1 is ")):
        relative_corners(np.array([good[0], box]), sizes, convention, name)


def test_fractions_are_no_pixels() -> None:
    boxes, sizes = np.array([[0.1, 0.2, 0.3, 0.4]]), np.array([[640, 480]])
    with pytest.raises(ValueError, match=r"all boxes lie within one pixel, the first, box 0, is .* multiply fractions"):
        relative_corners(boxes, sizes, "xyxy", name)
    assert relative_corners(boxes, np.array([[2, 2]]), "xyxy", name).tolist() == [[0.05, 0.1, 0.15, 0.2]]


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("truth", CONVENTIONS)
@pytest.mark.parametrize("is_relative", [False, True])
def test_boxes_of_another_convention_are_refused_with_its_name(
    convention: Convention, truth: Convention, is_relative: bool
) -> None:
    rng = np.random.default_rng(0)
    corners = np.sort(rng.random((200, 2, 2)), axis=1).reshape(200, 4)
    boxes = WRITTEN[truth](corners if is_relative else corners * 500)
    sizes = None if is_relative else np.full((200, 2), 500)
    if truth == convention:
        assert relative_corners(boxes, sizes, convention, name) == pytest.approx(corners, abs=1e-12)
    else:
        with pytest.raises(ValueError, match=f"expected {convention} .*; every box fits if they are {truth}"):
            relative_corners(boxes, sizes, convention, name)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_sizes_given_as_height_and_width_are_recognised(convention: Convention) -> None:
    rng = np.random.default_rng(0)
    corners = np.sort(rng.random((200, 2, 2)), axis=1).reshape(200, 4) * [480, 640, 480, 640]
    boxes, sizes = WRITTEN[convention](corners), np.full((200, 2), [480, 640])
    assert relative_corners(boxes, sizes, convention, name) == pytest.approx(corners / [480, 640, 480, 640], abs=1e-12)
    with pytest.raises(ValueError, match=r"; every box fits if sizes are \(height, width\): give \(width, height\)"):
        relative_corners(boxes, sizes[:, ::-1], convention, name)


def test_no_way_out_is_named_where_there_is_none() -> None:
    with pytest.raises(ValueError, match=r"touches the image$"):
        relative_corners(np.array([[105.0, 10, 108, 20]]), np.array([[100, 100]]), "xyxy", name)  # beside, but not far


def test_few_boxes_far_outside_are_a_detectors_own() -> None:
    boxes = np.tile([20.0, 20, 30, 30], (200, 1))
    sizes = np.tile([100, 100], (200, 1))
    boxes[:3] = [60, 60, 99, 99]  # far outside as width and height, inside as corners
    found = relative_corners(boxes, sizes, "xywh", name)
    assert found[0].tolist() == [0.6, 0.6, 1, 1]
    boxes[:4] = [60, 60, 99, 99]
    with pytest.raises(ValueError, match=r"box 0 is .* 4 of 200 boxes leave their image far; every box fits if they are"):
        relative_corners(boxes, sizes, "xywh", name)


# --- items -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item_id", "written"),
    [
        ("day/a.jpg", "day/a.jpg"),
        ("day/a.jpg", "a.jpg"),
        ("day/a.jpg", "a.txt"),
        ("day/a.jpg", "a"),
        ("day/a.jpg", "a.jpg.txt"),
        ("day/a.jpg", "/data/day/a.png"),
        ("day/a.jpg", "C:\\data\\day\\a.jpg"),
        ("day\\a.jpg", "a.jpg"),
        ("a", "a.jpg"),
        ("scan.v2", "labels/scan.v2.txt"),
        ("scan.v2.jpg", "scan.v2"),
        ("frame.0001", "frame.0001.txt"),
        ("frame.0001.jpg", "frame.0001"),
        ("grün 1.jpg", unicodedata.normalize("NFD", "grün 1.txt")),
        (unicodedata.normalize("NFD", "grün.jpg"), unicodedata.normalize("NFC", "grün.jpg")),
        ("図.jpg", "図.txt"),
        ("000785.jpg", "000785.txt"),
    ],
)
def test_an_item_is_found_by_its_file_name(item_id: str, written: str) -> None:
    assert ItemNames(["other.jpg", item_id, "x/y.jpg"]).find(written) == item_id


def test_a_whole_name_comes_before_a_part_of_it() -> None:
    names = ItemNames(["frame.jpg", "frame.001.jpg", "frame", "frame.png"])
    assert names.find("frame.jpg") == "frame.jpg"
    assert names.find("/data/frame.png") == "frame.png"
    assert names.find("frame.001") == "frame.001.jpg"
    assert names.find("frame") == "frame"
    with pytest.raises(ValueError, match=r"'frame\.002' is none of the 4 items"):
        names.find("frame.002")


def test_where_names_repeat_the_folders_decide() -> None:
    names = ItemNames(["a.jpg", "x/day/a.jpg", "y/day/a.jpg", "night/a.jpg"])
    assert names.find("/data/night/a.txt") == "night/a.jpg"
    assert names.find("/data/y/day/a.txt") == "y/day/a.jpg"
    with pytest.raises(ValueError, match=r"labels: 'day/a\.txt' may be 'x/day/a\.jpg' or 'y/day/a\.jpg'; name items by"):
        names.find("day/a.txt", "labels")
    with pytest.raises(ValueError, match=r"'a\.txt' may be 'a\.jpg' or 'x/day/a\.jpg'"):
        names.find("a.txt")


@pytest.mark.parametrize("written", ["b.jpg", "A.jpg", "", "/", "day", "1"])
def test_an_unknown_name_is_refused_with_where_it_stands(written: str) -> None:
    with pytest.raises(ValueError, match=r"row 3: '.*' is none of the 2 items, the first of which is 'day/a\.jpg'"):
        ItemNames(["day/a.jpg", "c.jpg"]).find(written, "row 3")


@pytest.mark.parametrize("written", [None, 7, b"a.jpg"])
def test_what_is_no_text_is_no_file_name(written: Any) -> None:
    with pytest.raises(ValueError, match="is no file name; expected text"):
        ItemNames(["a.jpg"]).find(written)


# --- labels ----------------------------------------------------------------------------------------------------------


def test_labels_are_positions_among_the_class_names() -> None:
    indices, names = label_indices(["b", "a", "b"], ["c", "b", "a"])
    assert (indices.tolist(), names) == ([1, 2, 1], ("c", "b", "a"))
    indices, names = label_indices(["b", "a", "b"], None)
    assert (indices.tolist(), names) == ([1, 0, 1], ("a", "b"))
    assert label_indices([], ["a"])[0].tolist() == []


def test_class_names_may_be_a_dictionary_by_index() -> None:
    assert names_in_order({1: "b", 0: "a"}) == ("a", "b")
    assert names_in_order(None) is None
    with pytest.raises(ValueError, match="no name for the class 0; expected keys 0 to 1, got 1, 2"):
        names_in_order({1: "a", 2: "b"})
    with pytest.raises(ValueError, match="single string 'ab'"):
        names_in_order("ab")


def test_labels_without_a_class_and_doubled_classes_are_named() -> None:
    with pytest.raises(ValueError, match="the label of box 1 is 'd'; expected one of the 2 class names 'a', 'b'"):
        label_indices(["a", "d"], ["a", "b"], "box {}".format)
    with pytest.raises(ValueError, match="class_names has 'a' twice"):
        label_indices(["a"], ["a", "b", "a"])


# --- fields and arrays -----------------------------------------------------------------------------------------------


class Tensor:
    """As much of a tensor as is asked for, on a device and with a gradient."""

    def __init__(self, values: Any, dtype: str = "torch.float32", *, is_on_device: bool = True) -> None:
        self.values, self.dtype, self.is_on_device, self.has_gradient = values, dtype, is_on_device, True

    def _like(self, **changes: Any) -> Tensor:
        copy = Tensor(self.values)
        copy.__dict__.update(self.__dict__, **changes)
        return copy

    def detach(self) -> Tensor:
        return self._like(has_gradient=False)

    def float(self) -> Tensor:
        return self._like(dtype="torch.float32")

    def cpu(self) -> Tensor:
        return self._like(is_on_device=False)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        if self.is_on_device or self.has_gradient or "bfloat16" in self.dtype:
            raise TypeError("can't convert this tensor to numpy")
        return np.array(self.values, dtype=np.float32)


def test_tensors_come_to_numpy_from_devices_gradients_and_half_floats() -> None:
    for tensor in (Tensor([1.5, 2.0]), Tensor([1.5, 2.0], "torch.bfloat16")):
        assert as_array(tensor, "scores").tolist() == [1.5, 2.0]


def test_torch_tensors_of_every_kind_are_read() -> None:
    torch = pytest.importorskip("torch")
    for dtype in (torch.bfloat16, torch.float16, torch.float32, torch.float64, torch.int64, torch.uint8, torch.bool):
        assert as_array(torch.tensor([0, 1]).to(dtype), "scores").tolist() == [0, 1]
    assert as_array(torch.tensor([1.5], requires_grad=True), "scores").tolist() == [1.5]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a", "b"], "scores of 'a.jpg' holds values of type <U1; expected numbers"),
        ([[1, 2], [3]], "scores of 'a.jpg' cannot be read as numbers"),
        ([None], "holds values of type object"),
        ({"a": 1}, "holds values of type object"),
        (1j, "holds values of type complex128"),
    ],
)
def test_what_is_no_numbers_is_refused_by_name(values: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        as_array(values, "scores of 'a.jpg'")


def test_fields_are_keys_or_attributes() -> None:
    for value in ({"boxes": 1, "scores": None}, SimpleNamespace(boxes=1, scores=None)):
        assert (field(value, "boxes", "it"), field(value, "scores", "it")) == (1, None)
        with pytest.raises(ValueError, match=r"the output is (dict|SimpleNamespace) without 'labels'; it has boxes, scores"):
            field(value, "labels", "the output")


# --- image by image --------------------------------------------------------------------------------------------------


def test_boxes_are_collected_item_by_item() -> None:
    rows = DetectionRows("xywh")
    rows.add("a.jpg", [[10, 10, 20, 40], [0, 0, 50, 50]], [0.5, 0.25], ["dog", "cat"], size=(100, 100))
    rows.add("none.jpg", [], [], [], size=(7, 7))
    rows.add("b.jpg", np.array([[0, 0, 10, 10]]), np.array([1], dtype=np.float32), np.array(["dog"]), size=(20, 40))
    found = rows.predictions()
    assert found.item_ids == ("a.jpg", "none.jpg", "b.jpg")
    assert found.boxes.tolist() == [[0.1, 0.1, 0.3, 0.5], [0, 0, 0.5, 0.5], [0, 0, 0.5, 0.25]]
    assert (found.scores.tolist(), found.labels.tolist()) == ([0.5, 0.25, 1], [1, 0, 1])
    assert (found.offsets.tolist(), found.class_names) == ([0, 2, 2, 3], ("cat", "dog"))


def test_a_model_may_write_its_next_output_over_the_last() -> None:
    rows = DetectionRows("xyxy")
    boxes, scores, labels, probabilities = np.zeros((1, 4)), np.zeros(1), np.zeros(1, dtype=int), np.zeros((1, 2))
    for number in range(3):
        boxes[:], scores[:], labels[:] = [0, 0, number / 4, 1], number / 4, number % 2
        probabilities[:] = [number / 4, 1 - number / 4]
        rows.add(f"{number}.jpg", boxes, scores, labels, size=None, class_probabilities=probabilities)
    found = rows.predictions()
    assert found.boxes[:, 2].tolist() == [0, 0.25, 0.5]
    assert (found.scores.tolist(), found.labels.tolist()) == ([0, 0.25, 0.5], [0, 1, 0])
    assert found.class_probabilities is not None
    assert found.class_probabilities[:, 0].tolist() == [0, 0.25, 0.5]


def test_items_without_boxes_need_no_size_and_no_probabilities() -> None:
    rows = DetectionRows("xyxy", class_names={0: "a", 1: "b"})
    rows.add("a.jpg", np.empty((0, 4)), [], [], size=None, class_probabilities=[])
    rows.add("b.jpg", [[1, 1, 2, 2]], [0.5], [1], size=(4, 4), class_probabilities=[[0.5, 0.5]])
    found = rows.predictions()
    assert (found.offsets.tolist(), found.class_names) == ([0, 0, 1], ("a", "b"))
    assert found.class_probabilities is not None
    assert found.class_probabilities.tolist() == [[0.5, 0.5]]


BAD_ITEMS: dict[str, tuple[dict[str, Any], str]] = {
    "scores missing": ({"scores": []}, "'b.jpg' has 1 boxes and 0 scores; expected one for each box"),
    "labels missing": ({"labels": []}, "'b.jpg' has 1 boxes and 0 labels"),
    "names too many": ({"labels": ["a", "b"]}, "'b.jpg' has 1 boxes and 2 labels"),
    "box of three": ({"boxes": [[1, 2, 3]]}, r"boxes of 'b.jpg' have shape \(1, 3\); expected \(m, 4\): xyxy"),
    "no size": ({"size": (0, 10)}, "the image of 'b.jpg' is 0 x 10 pixels"),
    "size NaN": ({"size": (np.nan, 10)}, "the image of 'b.jpg' is nan x 10 pixels"),
    "size of three": ({"size": (3, 10, 10)}, r"the image size of 'b.jpg' is \(3, 10, 10\); expected \(width, height\)"),
    "other classes": ({"class_probabilities": [[1.0]]}, r"of 'b.jpg' have shape \(1, 1\); expected \(1, 2\)"),
    "words": ({"boxes": "box"}, "boxes of 'b.jpg' holds values of type"),
}


@pytest.mark.parametrize(("changes", "message"), BAD_ITEMS.values(), ids=BAD_ITEMS.keys())
def test_an_item_that_does_not_fit_is_named_and_not_taken_in(changes: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {
        "boxes": [[1, 1, 2, 2]],
        "scores": [0.5],
        "labels": [1],
        "size": (4, 4),
        "class_probabilities": [[0.5, 0.5]],
    }
    rows = DetectionRows("xyxy")
    rows.add("a.jpg", **good)
    with pytest.raises(ValueError, match=message):
        rows.add("b.jpg", **{**good, **changes})
    assert rows.predictions().item_ids == ("a.jpg",)


def test_units_and_kinds_of_labels_are_not_mixed() -> None:
    rows = DetectionRows("xyxy")
    rows.add("a.jpg", [[1, 1, 2, 2]], [0.5], [1], size=(4, 4))
    rows.add("b.jpg", [[0, 0, 1, 1]], [0.5], [1], size=None)
    with pytest.raises(ValueError, match="some items have image sizes and others have none"):
        rows.predictions()
    rows = DetectionRows("xyxy")
    rows.add("a.jpg", [[1, 1, 2, 2]], [0.5], [1], size=(4, 4))
    rows.add("b.jpg", [[0, 0, 1, 1]], [0.5], ["a"], size=(4, 4))
    with pytest.raises(ValueError, match="some labels are names and others are numbers"):
        rows.predictions()
