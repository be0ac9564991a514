from __future__ import annotations

import itertools
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorers import SegmentationPredictions

Array = npt.NDArray[Any]


def random_map(seed: int, *shape: int, dtype: str = "f8") -> Array:
    """`(..., c)` distributions."""
    values = np.random.default_rng(seed).dirichlet(np.full(shape[-1], 0.5), size=shape[:-1])
    return values.astype(dtype)


def ids_of(n_items: int) -> list[str]:
    return [f"{row}.png" for row in range(n_items)]


# --- what comes in comes out -----------------------------------------------------------------------------------------


def test_maps_of_different_sizes_come_back_as_they_were() -> None:
    maps = [random_map(0, 3, 5, 4), random_map(1, 1, 1, 4), random_map(2, 200, 300, 4)]
    predictions = SegmentationPredictions(ids_of(3), maps, class_names=["sky", "road", "car", "void"])
    assert (len(predictions), predictions.n_classes, predictions.has_passes) == (3, 4, False)
    assert predictions.class_names == ("sky", "road", "car", "void")
    for row, expected in enumerate(maps):
        assert np.array_equal(predictions.probabilities(row), expected)


@pytest.mark.parametrize(("dtype", "expected"), [("f2", "f4"), ("f4", "f4"), ("f8", "f8"), (">f4", "f4"), (">f8", "f8")])
def test_every_float_comes_out_as_float32_or_float64(dtype: str, expected: str) -> None:
    given_map = random_map(0, 4, 3, 5).astype(dtype)
    values = SegmentationPredictions(["a"], [given_map]).probabilities(0)
    assert values.dtype == np.dtype(expected)
    assert np.array_equal(values, given_map.astype(expected))


def test_one_array_of_all_maps_is_as_good_as_a_list_and_is_not_copied() -> None:
    stack = random_map(0, 3, 4, 5, 2)
    predictions = SegmentationPredictions(ids_of(3), stack)
    assert np.array_equal(predictions.probabilities(2), stack[2])
    assert np.shares_memory(predictions.pixel_map(1).values, stack)


def test_the_classes_may_come_first_as_in_torch() -> None:
    last = random_map(0, 3, 4, 5)
    predictions = SegmentationPredictions(["a"], [np.moveaxis(last, -1, 0)], class_axis=0)
    assert predictions.n_classes == 5
    assert np.array_equal(predictions.probabilities(0), last)

    passes = random_map(1, 2, 3, 4, 5)
    predictions = SegmentationPredictions(["a"], [np.moveaxis(passes, -1, 1)], class_axis=0)
    assert predictions.has_passes
    assert np.array_equal(predictions.probabilities(0), passes)


def test_one_column_is_the_positive_class_of_two() -> None:
    positive = np.array([[[0.25], [1.0]]])
    for dtype in ("f4", "f8"):
        predictions = SegmentationPredictions(["a"], [positive.astype(dtype)], class_names=["no", "yes"])
        assert predictions.n_classes == 2
        assert predictions.probabilities(0).tolist() == [[[0.25, 0.75], [1.0, 0.0]]]


def test_torch_tensors_are_read_and_those_with_gradients_are_explained() -> None:
    torch = pytest.importorskip("torch")
    values = torch.softmax(torch.arange(24.0).reshape(1, 4, 3, 2), dim=1)
    predictions = SegmentationPredictions(["a"], values, class_axis=0)
    assert np.array_equal(predictions.probabilities(0), np.moveaxis(values[0].numpy(), 0, -1))
    with pytest.raises(ValueError, match=r"probabilities of 'a' cannot be read .* tensor.detach\(\)"):
        SegmentationPredictions(["a"], [values[0].requires_grad_()], class_axis=0)


def test_a_slice_keeps_maps_masks_and_names() -> None:
    maps = [random_map(row, 2, 3, 2) for row in range(4)]
    masks = [np.arange(6).reshape(2, 3) > row for row in range(4)]
    predictions = SegmentationPredictions(ids_of(4), maps, class_names=["a", "b"], masks=masks)
    part = predictions[1:3]
    assert (part.item_ids, part.class_names) == (("1.png", "2.png"), ("a", "b"))
    assert np.array_equal(part.probabilities(1), predictions.probabilities(2), equal_nan=True)
    assert np.isnan(part.probabilities(1)[0, :3]).all() and not np.isnan(part.probabilities(1)[1]).any()
    with pytest.raises(ValueError, match="expected a slice"):
        predictions[4:]


def test_predictions_survive_pickling() -> None:
    predictions = SegmentationPredictions(["a"], [random_map(0, 2, 2, 3)])
    assert np.array_equal(pickle.loads(pickle.dumps(predictions)).probabilities(0), predictions.probabilities(0))


# --- reading late ----------------------------------------------------------------------------------------------------


class Dataset:
    """As those of h5py: a shape, a type, and numbers that are read when indexed."""

    def __init__(self, values: Array) -> None:
        self.values, self.shape, self.dtype = values, values.shape, values.dtype
        self.n_read = 0

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, key: Any) -> Array:
        self.n_read += 1
        return np.array(self.values[key])


def test_data_sets_are_read_when_asked_and_one_item_at_a_time() -> None:
    stack = Dataset(random_map(0, 3, 4, 5, 2))
    predictions = SegmentationPredictions(ids_of(3), stack)
    assert stack.n_read == 0
    assert np.array_equal(predictions.probabilities(1), stack.values[1])
    assert stack.n_read == 1

    single = Dataset(random_map(1, 4, 5, 2))
    assert np.array_equal(SegmentationPredictions(["a"], [single]).probabilities(0), single.values)
    single.values = single.values[:2]
    with pytest.raises(ValueError, match=r"the map of 'a' was read as \(2, 5, 2\) .* announced as \(4, 5, 2\)"):
        SegmentationPredictions(["a"], [single]).probabilities(0)


def test_h5py_data_sets_are_read_late(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    stack = random_map(0, 3, 4, 5, 2)
    with h5py.File(tmp_path / "maps.h5", "w") as file:
        predictions = SegmentationPredictions(ids_of(3), file.create_dataset("maps", data=stack))
        assert np.array_equal(predictions.probabilities(2), stack[2])


def test_memory_maps_are_read_late(tmp_path: Path) -> None:
    values = random_map(0, 4, 5, 3)
    np.save(tmp_path / "a.npy", np.full((4, 5, 3), 7.0))
    predictions = SegmentationPredictions(["a"], [np.load(tmp_path / "a.npy", mmap_mode="r")])
    np.load(tmp_path / "a.npy", mmap_mode="r+")[:] = values  # after the predictions were made
    assert np.array_equal(predictions.probabilities(0), values)


# --- logits ----------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 2**32 - 1), n_classes=st.integers(2, 6), scale=st.sampled_from([0.1, 1, 30, 1e4]))
def test_logits_give_the_softmax_in_float64_and_nearly_so_in_less(seed: int, n_classes: int, scale: float) -> None:
    logits = np.random.default_rng(seed).normal(size=(3, 7, n_classes)) * scale
    for dtype, error in (("f8", 1e-14), ("f4", 1e-6), ("f2", 1e-6)):
        given_map = logits.astype(dtype)
        exact = np.exp(given_map.astype("f8") - given_map.astype("f8").max(axis=-1, keepdims=True))
        exact /= exact.sum(axis=-1, keepdims=True)
        for class_axis in (-1, 0):
            moved = np.moveaxis(given_map, -1, class_axis)
            values = SegmentationPredictions.from_logits(["a"], [moved], class_axis=class_axis).probabilities(0)
            assert np.abs(values - exact).max() <= error
    assert np.array_equal(given_map, logits.astype("f2"))  # the caller's array is left alone


def test_one_column_of_logits_becomes_its_logistic_function() -> None:
    logits = np.array([[[0.0], [800.0], [-800.0], [1.0]]])
    values = SegmentationPredictions.from_logits(["a"], [logits]).probabilities(0)
    assert values[0] == pytest.approx(
        np.array([[0.5, 0.5], [1, 0], [0, 1], [1 / (1 + np.exp(-1)), 1 / (1 + np.e)]]), abs=1e-15
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_named(bad: float) -> None:
    logits = np.zeros((300, 200, 3), dtype=np.float32)
    logits[270, 11, 1] = bad
    predictions = SegmentationPredictions.from_logits(["b.png"], [logits])
    with pytest.raises(ValueError, match=r"logits of 'b.png' at row 270, column 11 is .*; expected finite numbers"):
        predictions.probabilities(0)


# --- streams ---------------------------------------------------------------------------------------------------------


def test_a_stream_reads_each_pair_when_it_is_asked_for() -> None:
    n_read = 0

    def pairs() -> Iterator[tuple[str, Array]]:
        nonlocal n_read
        for row in range(3):
            n_read += 1
            yield f"{row}.png", random_map(row, 2, 3 + row, 4)

    stream = SegmentationPredictions.stream(pairs())
    assert n_read == 0
    for row, predictions in enumerate(stream):
        assert n_read == row + 1
        assert predictions.item_ids == (f"{row}.png",)
        assert np.array_equal(predictions.probabilities(0), random_map(row, 2, 3 + row, 4))
    assert n_read == 3


def test_a_stream_takes_logits_masks_and_the_axis_of_classes() -> None:
    logits = np.random.default_rng(0).normal(size=(3, 2, 2))
    mask = np.array([[True, False], [True, True]])
    (one,) = SegmentationPredictions.stream([("a", logits, mask)], is_logits=True, class_axis=0, class_names=["r", "g", "b"])
    whole = SegmentationPredictions.from_logits(["a"], [logits], class_axis=0, masks=[mask])
    assert one.class_names == ("r", "g", "b")
    assert np.array_equal(one.probabilities(0), whole.probabilities(0), equal_nan=True)
    (one,) = SegmentationPredictions.stream([("a", random_map(0, 1, 1, 2), None)])
    assert not np.isnan(one.probabilities(0)).any()


@pytest.mark.parametrize("bad", ["ab", ("a",), random_map(0, 2, 2, 2), ("a", 1, 2, 3)])
def test_anything_but_pairs_is_refused_by_number(bad: Any) -> None:
    stream = SegmentationPredictions.stream(itertools.chain([("0.png", random_map(0, 1, 1, 2))], [bad]))
    next(stream)
    with pytest.raises(ValueError, match=r"pair 1 of the stream is of type \w+; expected \(item_id, map\)"):
        next(stream)


def test_a_wrong_axis_is_refused_before_the_stream_is_read() -> None:
    with pytest.raises(ValueError, match="class_axis is 1; expected -1"):
        SegmentationPredictions.stream(iter([]), class_axis=1)


def test_a_stream_refuses_a_map_with_other_classes_than_the_first() -> None:
    maps = [random_map(0, 2, 2, 3), random_map(0, 4, 5, 3), random_map(0, 2, 2, 7)]
    stream = SegmentationPredictions.stream(zip(["a.jpg", "c.jpg", "b.jpg"], maps))
    assert [next(stream).n_classes, next(stream).n_classes] == [3, 3]
    with pytest.raises(ValueError, match=r"the map of 'b\.jpg' has 7 classes, that of 'a\.jpg' 3; expected as many in each"):
        next(stream)


# --- checks of shapes, at birth --------------------------------------------------------------------------------------

GOOD = random_map(0, 2, 3, 4)


@pytest.mark.parametrize(
    ("item_ids", "maps", "options", "message"),
    [
        (["a"], [GOOD[0]], {}, r"probabilities of 'a' has shape \(3, 4\); expected \(h, w, c\).*add an axis of length 1"),
        (["a"], [np.ones((2, 3), dtype=np.uint8)], {}, r"shape \(2, 3\); .*: these are class labels, not probabilities"),
        (["a"], [GOOD[0, 0]], {}, r"probabilities of 'a' has shape \(4,\)"),
        (["a"], [np.zeros((1, 1, 1, 1, 2))], {}, r"probabilities of 'a' has shape \(1, 1, 1, 1, 2\)"),
        (["a"], [np.zeros((0, 3, 4))], {}, r"'a' has shape \(0, 3, 4\); expected at least one pixel and one class"),
        (["a"], [np.zeros((2, 3, 0))], {}, "at least one pixel and one class"),
        (["a"], [np.zeros((1, 2, 3, 4))], {}, r"one pass; expected two or more, or \(h, w, c\)"),
        (["a"], [np.full((2, 2, 2), 128, dtype=np.uint8)], {}, r"of type uint8; expected floats: .* q / q.sum"),
        (["a"], [np.zeros((2, 2, 2), dtype=np.longdouble)], {}, "expected float16, float32 or float64"),
        (["a"], [np.zeros((2, 2, 2), dtype=complex)], {}, "expected float16, float32 or float64"),
        (["a"], [np.full((2, 2, 2), "x")], {}, "expected float16, float32 or float64"),
        (["a"], [[[[0.5, 0.5]], [[0.5, 0.5], [0.5, 0.5]]]], {}, "'a' cannot be read as an array"),
        (["a", "b"], [GOOD], {}, "probabilities has 1 rows for 2 item ids"),
        (
            ["a", "b"],
            [GOOD, GOOD[..., :3]],
            {},
            r"the map of 'b' has 3 classes, that of 'a' 4; expected as many in each: see class_axis",
        ),
        (["a", "b"], [GOOD, np.stack([GOOD, GOOD])], {}, "'b' has shape .*; expected passes in all or none"),
        (["a", "a"], [GOOD, GOOD], {}, "the first is 'a'"),
        ([], [], {}, "item_ids is empty"),
        (["a"], iter([GOOD]), {}, r"list_iterator; .*SegmentationPredictions.stream"),
        (["a"], {"a": GOOD}, {}, "of type dict"),
        (["a"], None, {}, "of type NoneType"),
        (["a"], [GOOD], {"class_axis": 1}, r"class_axis is 1; expected -1 for maps \(h, w, c\), or 0"),
        (["a"], [GOOD], {"class_axis": True}, "class_axis is True"),
        (["a"], [GOOD], {"class_names": ["x"]}, "class_names has 1 names for 4 classes"),
        (["a"], [GOOD], {"class_names": "abcd"}, "class_names is the single string"),
        (["a"], [GOOD], {"masks": [np.ones((3, 2), dtype=bool)]}, r"mask of 'a' has shape \(3, 2\); expected .* \(2, 3\)"),
        (["a"], [GOOD], {"masks": [np.ones((2, 3))]}, "mask of 'a' holds values of type float64; expected booleans"),
        (["a"], [GOOD], {"masks": []}, "masks has 0 rows for 1 item ids"),
    ],
)
def test_wrong_shapes_and_types_are_refused_at_birth(item_ids: Any, maps: Any, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SegmentationPredictions(item_ids, maps, **options)


# --- checks of numbers, when read ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("class_axis", [-1, 0])
@pytest.mark.parametrize(
    ("pixel", "message"),
    [
        ([np.nan, 0.5, 0.5], "expected finite numbers"),
        ([np.inf, 0.0, 0.0], "expected finite numbers"),
        ([-0.5, 1.0, 0.5], r"probabilities lie in \[0, 1\]: if these are logits, use from_logits"),
        ([0.5, 0.25, 0.0], r"sums to 0.75 .*; expected 1 within 0.004"),
        ([0.5, 0.5, 0.5], "sums to 1.5"),
    ],
)
def test_a_bad_pixel_is_named_by_item_row_and_column(dtype: str, class_axis: int, pixel: list[float], message: str) -> None:
    values = random_map(0, 300, 200, 3).astype(dtype)
    values[250, 123] = pixel
    moved = np.moveaxis(values, -1, class_axis)
    predictions = SegmentationPredictions(["a.png", "b.png"], [moved[:, :4, :3] * 0 + 1 / 3, moved], class_axis=class_axis)
    with pytest.raises(ValueError, match=f"probabilities of 'b.png' at row 250, column 123 .*{message}"):
        predictions.probabilities(1)


def test_the_first_of_several_bad_pixels_is_named() -> None:
    values = random_map(0, 300, 200, 3)
    values[250, 123] *= 2
    values[250, 7] = np.nan
    values[299, 0] = np.nan
    with pytest.raises(ValueError, match="'a' at row 250, column 7 is"):
        SegmentationPredictions(["a"], [values]).probabilities(0)


def test_a_bad_pixel_of_a_pass_is_named_by_pass() -> None:
    values = random_map(0, 3, 4, 5, 2)
    values[2, 1, 3] = [0.4, 0.4]
    with pytest.raises(ValueError, match=r"'a' at row 1, column 3 of pass 2 sums to 0\.8"):
        SegmentationPredictions(["a"], [values]).probabilities(0)


@pytest.mark.parametrize("bad", [1.25, -0.25, np.nan])
def test_a_column_of_positives_beyond_zero_and_one_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match=rf"'a' at row 0, column 1 is \[{bad}\]"):
        SegmentationPredictions(["a"], [np.array([[[0.5], [bad]]])]).probabilities(0)


def test_classes_on_the_other_axis_are_recognised() -> None:
    values = random_map(0, 6, 7, 4)
    with pytest.raises(ValueError, match="perhaps class_axis=0 is meant"):
        SegmentationPredictions(["a"], [np.moveaxis(values, -1, 0)]).probabilities(0)
    with pytest.raises(ValueError, match="perhaps class_axis=-1 is meant"):
        SegmentationPredictions(["a"], [values], class_axis=0).probabilities(0)


def test_what_the_mask_leaves_out_is_neither_checked_nor_given() -> None:
    values = random_map(0, 2, 3, 4)
    values[1, 2] = np.nan
    mask = np.ones((2, 3), dtype=bool)
    mask[1, 2] = False
    result = SegmentationPredictions(["a"], [values], masks=[mask]).probabilities(0)
    assert np.array_equal(result, values, equal_nan=True)
    values[0, 0] = np.nan
    with pytest.raises(ValueError, match="'a' at row 0, column 0"):
        SegmentationPredictions(["a"], [values], masks=[mask]).probabilities(0)


@pytest.mark.parametrize(("off", "is_good"), [(0.0039, True), (-0.0039, True), (0.0042, False), (-0.0042, False)])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_sums_may_be_off_as_in_every_other_kind_of_predictions(off: float, is_good: bool, dtype: str) -> None:
    values = np.full((3, 3, 2), 0.5, dtype=dtype)
    values[1, 1, 0] += off
    predictions = SegmentationPredictions(["a"], [values])
    if is_good:
        assert np.array_equal(predictions.probabilities(0), values)
    else:
        with pytest.raises(ValueError, match="'a' at row 1, column 1 sums to"):
            predictions.probabilities(0)
