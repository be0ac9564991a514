from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorers import Scores
from scorers.files import save_arrays


def scores_of(item_ids: Any, columns: Any, default: str | None = None) -> Scores:
    return Scores(item_ids, columns, default)


def small(**changes: Any) -> Scores:
    return scores_of(**{"item_ids": ["a", "b"], "columns": {"blur": [0.2, 0.9], "size": [10.0, 30.0]}, **changes})


def content(scores: Scores) -> tuple[tuple[str, ...], dict[str, list[float]], str | None]:
    return scores.item_ids, {name: values.tolist() for name, values in scores.columns.items()}, scores.default


BAD_SCORES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "NaN": ({"columns": {"blur": [0.2, math.nan]}}, ["score 'blur' of 'b'", "nan", "finite"]),
    "infinite": ({"columns": {"blur": [-math.inf, 0.0]}}, ["score 'blur' of 'a'", "-inf", "finite"]),
    "too long": ({"columns": {"blur": [0.2, 0.9, 0.1]}}, ["score 'blur'", "3 rows for 2 item ids"]),
    "one too short of two": ({"columns": {"blur": [0.2, 0.9], "size": [1.0]}}, ["score 'size'", "1 rows for 2 item ids"]),
    "a table": ({"columns": {"blur": [[0.2], [0.9]]}}, ["score 'blur' has shape (2, 1)", "(n,)"]),
    "a number": ({"columns": {"blur": 0.2}}, ["score 'blur' has shape ()", "(n,)"]),
    "text": ({"columns": {"blur": ["0.2", "0.9"]}}, ["score 'blur'", "numbers"]),
    "none": ({"columns": {"blur": [None, 0.9]}}, ["score 'blur'", "numbers"]),
    "no columns": ({"columns": {}}, ["columns is empty", "at least one"]),
    "doubled ids": ({"item_ids": ["a", "a"]}, ["'a'", "once"]),
    "no ids": ({"item_ids": [], "columns": {"blur": []}}, ["item_ids is empty"]),
    "number ids": ({"item_ids": [1, 2]}, ["item_ids[0]", "str(...)"]),
    "unknown default": ({"default": "blurr"}, ["default is 'blurr'", "blur, size"]),
}


@pytest.mark.parametrize(("changes", "parts"), BAD_SCORES.values(), ids=BAD_SCORES.keys())
def test_bad_scores_are_refused_by_column_and_item(changes: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(ValueError) as refusal:
        small(**changes)
    assert [part for part in parts if part not in str(refusal.value)] == []


def test_columns_of_any_number_type_are_held_as_float64_and_cannot_be_written() -> None:
    columns = {
        "i": [1, 2],
        "b": [True, False],
        "h": np.array([0.5, 0.25], dtype="f2"),
        "l": np.array([1, 2], dtype=np.longdouble),
    }
    scores = small(columns=columns)
    assert {values.dtype for values in scores.columns.values()} == {np.dtype(np.float64)}
    assert content(scores)[1] == {"i": [1, 2], "b": [1, 0], "h": [0.5, 0.25], "l": [1, 2]}
    with pytest.raises(ValueError, match="read-only"):
        scores.column("i")[0] = 7


def test_a_single_column_is_the_default_and_of_several_none_is() -> None:
    assert small(columns={"blur": [0.2, 0.9]}).column().tolist() == [0.2, 0.9]
    assert small(default="size").column().tolist() == [10, 30]
    with pytest.raises(ValueError, match="which score\\? name one of blur, size"):
        small().column()


def test_an_unknown_score_is_answered_with_the_names_that_exist() -> None:
    with pytest.raises(ValueError, match="there is no score 'sharpness'; these exist: blur, size"):
        small().column("sharpness")


# --- blend -----------------------------------------------------------------------------------------------------------


def test_a_blend_is_the_weighted_sum_and_the_new_default() -> None:
    mixed = small().blend({"blur": 2.0, "size": -0.1}, name="mix")
    assert mixed.default == "mix"
    assert mixed.names == ("blur", "size", "mix")
    assert mixed.column() == pytest.approx([0.4 - 1.0, 1.8 - 3.0])
    assert mixed.column("blur").tolist() == [0.2, 0.9]


def test_the_blend_of_an_item_does_not_depend_on_the_other_items() -> None:
    rows = np.random.default_rng(0).random((2, 50))
    ids = [str(row) for row in range(50)]
    whole = scores_of(ids, {"x": rows[0], "y": rows[1]}).blend({"x": 0.3, "y": 0.7}).column()
    alone = [scores_of(["i"], {"x": [x], "y": [y]}).blend({"x": 0.3, "y": 0.7}).column().item() for x, y in rows.T]
    assert whole.tolist() == alone


@pytest.mark.parametrize(
    ("weights", "name", "parts"),
    [
        ({}, "blend", ["weights is empty", "blur, size"]),
        ({"blur": 1.0, "sharp": 1.0}, "blend", ["no score 'sharp'", "blur, size"]),
        ({"blur": math.nan}, "blend", ["weight of 'blur' is nan", "finite"]),
        ({"blur": 1.0, "size": -math.inf}, "blend", ["weight of 'size' is -inf", "finite"]),
        ({"blur": 1.0}, "size", ["a score 'size' already", "another name"]),
    ],
)
def test_a_bad_blend_is_refused(weights: dict[str, float], name: str, parts: list[str]) -> None:
    with pytest.raises(ValueError) as refusal:
        small().blend(weights, name=name)
    assert [part for part in parts if part not in str(refusal.value)] == []


# --- merge -----------------------------------------------------------------------------------------------------------


def test_merged_columns_are_joined_by_id_not_by_position() -> None:
    mine = scores_of(["a", "b", "c"], {"x": [1, 2, 3], "y": [4, 5, 6]}, "y")
    other = scores_of(["c", "a", "b"], {"z": [30, 10, 20]}, "z")
    assert content(mine.merge(other)) == (("a", "b", "c"), {"x": [1, 2, 3], "y": [4, 5, 6], "z": [10, 20, 30]}, "y")
    assert content(other.merge(mine)) == (("c", "a", "b"), {"z": [30, 10, 20], "x": [3, 1, 2], "y": [6, 4, 5]}, "z")


@pytest.mark.parametrize(
    ("item_ids", "columns", "parts"),
    [
        (["a", "c"], {"z": [1, 2]}, ["different items", "'b'"]),
        (["a"], {"z": [1]}, ["different items", "'b'"]),
        (["a", "b", "new"], {"z": [1, 2, 3]}, ["different items", "'new'"]),
        (["b", "a"], {"z": [1, 2], "size": [1, 2]}, ["score 'size' stands in both"]),
    ],
)
def test_scores_of_other_items_or_of_the_same_name_are_not_merged(item_ids: Any, columns: Any, parts: list[str]) -> None:
    with pytest.raises(ValueError) as refusal:
        small().merge(scores_of(item_ids, columns))
    assert [part for part in parts if part not in str(refusal.value)] == []


# --- files -----------------------------------------------------------------------------------------------------------

ODD_IDS = [
    "a\nb.png", "a\r\nb", '"quoted"', "it's", "x,y;z\tw", "=1+1", "+1", "-1", "@cmd", " spaces ",
    "Käse/日本/🙂.jpg", "e\u0301", "é", "\udcff.jpg", "1", "1.0", "nan", "None", "../up", "C:\\x", "a" * 300,
    "%s", "{}", "\\n",
]  # fmt: skip


def test_scores_survive_a_file_with_every_odd_id_and_every_bit(tmp_path: Path) -> None:
    values = [0.1, 1 / 3, -0.0, 5e-324, 1.7976931348623157e308, *np.random.default_rng(0).normal(size=len(ODD_IDS) - 5)]
    scores = scores_of(ODD_IDS, {"größe, \n": values, "=x": list(range(len(ODD_IDS)))}, "=x")
    scores.save(tmp_path / "scores.npz")
    again = Scores.load(str(tmp_path / "scores.npz"))
    assert content(again) == content(scores)
    assert again.column("größe, \n").tobytes() == scores.column("größe, \n").tobytes()
    assert again.digest == scores.digest
    assert [path.name for path in tmp_path.iterdir()] == ["scores.npz"]


@settings(max_examples=50, deadline=None)
@given(
    item_ids=st.lists(st.text(st.characters(exclude_characters="\0"), min_size=1), min_size=1, max_size=6, unique=True),
    names=st.lists(
        st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1), min_size=1, max_size=3, unique=True
    ),
    data=st.data(),
)
def test_a_file_gives_back_what_was_saved(
    tmp_path_factory: pytest.TempPathFactory, item_ids: list[str], names: list[str], data: st.DataObject
) -> None:
    numbers = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=len(item_ids), max_size=len(item_ids))
    scores = scores_of(item_ids, {name: data.draw(numbers) for name in names}, data.draw(st.sampled_from([None, *names])))
    path = tmp_path_factory.mktemp("scores") / "scores.npz"
    scores.save(path)
    again = Scores.load(path)
    assert content(again) == content(scores)
    assert again.digest == scores.digest


@pytest.mark.parametrize("item_id", ["a\0", "a\0b", "\0"])
def test_an_id_with_a_nul_is_refused_or_kept_but_never_shortened(tmp_path: Path, item_id: str) -> None:
    try:
        scores = scores_of([item_id], {"x": [1.0]})
    except ValueError:
        return
    scores.save(tmp_path / "f.npz")
    assert Scores.load(tmp_path / "f.npz").item_ids == (item_id,)


def test_a_damaged_file_is_refused_by_name_or_still_gives_the_same_scores(tmp_path: Path) -> None:
    scores = scores_of(["a.png", "b.png", "c.png"], {"x": [1, 2, 3], "y": [4, 5, 6]}, "y")
    scores.save(tmp_path / "whole.npz")
    whole = (tmp_path / "whole.npz").read_bytes()
    path = tmp_path / "damaged.npz"
    damaged = {f"cut at {size}": whole[:size] for size in range(0, len(whole), 13)}
    for place in range(len(whole)):
        damaged[f"byte {place}"] = whole[:place] + bytes([whole[place] ^ 0x03]) + whole[place + 1 :]
    wrong = {}
    for damage, data in damaged.items():
        path.write_bytes(data)
        try:
            found = content(Scores.load(path))
        except ValueError as error:
            if "damaged.npz" not in str(error):
                wrong[damage] = f"does not name the file: {error}"
        except Exception as error:
            wrong[damage] = repr(error)
        else:
            if found != content(scores):
                wrong[damage] = f"silently read as {found}"
    assert wrong == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"names": np.array(["x", "y", "z"])},  # three names for two rows of values
        {"names": np.array(["x"])},
        {"names": np.array("xy")},
        {"values": np.zeros((2, 4))},
        {"values": np.zeros(3)},
        {"values": np.full((2, 3), np.nan)},
        {"item_ids": np.arange(3)},
        {"item_ids": np.array("abc")},
        {"default": np.array("other")},
    ],
    ids=str,
)
def test_a_file_whose_arrays_do_not_fit_together_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    arrays = {"item_ids": np.array(list("abc")), "names": np.array(["x", "y"]), "values": np.zeros((2, 3))}
    save_arrays(tmp_path / "f.npz", **{**arrays, "default": np.array("x"), **changes})
    with pytest.raises(ValueError):
        Scores.load(tmp_path / "f.npz")


def test_a_file_that_is_missing_or_no_scores_file_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.npz"):
        Scores.load(tmp_path / "nothing.npz")
    (tmp_path / "scores.csv").write_text("id,score\na,1\n")
    with pytest.raises(ValueError, match=r"scores\.csv' is not a \.npz file"):
        Scores.load(tmp_path / "scores.csv")
    save_arrays(tmp_path / "other.npz", vectors=np.zeros(3))
    with pytest.raises(ValueError, match=r"other\.npz' has no array 'item_ids'; it has vectors"):
        Scores.load(tmp_path / "other.npz")


def test_pickled_ids_are_refused(tmp_path: Path) -> None:
    columns = {"names": np.array(["x"]), "values": np.zeros((1, 1)), "default": np.array("")}
    save_arrays(tmp_path / "f.npz", item_ids=np.array(["a"], dtype=object), **columns)
    with pytest.raises(ValueError, match=r"f\.npz' is damaged or holds Python objects"):
        Scores.load(tmp_path / "f.npz")


def test_scores_survive_a_pickle() -> None:
    scores = small(default="size")
    for again in (pickle.loads(pickle.dumps(scores)), pickle.loads(pickle.dumps(scores.blend({"blur": 1})))):
        assert content(again)[0] == ("a", "b")
        assert again.column("size").tolist() == [10, 30]
    assert pickle.loads(pickle.dumps(scores)).digest == scores.digest


# --- digest ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "same",
    [
        {"item_ids": ("a", "b")},
        {"item_ids": np.array(["a", "b"])},
        {"columns": {"size": [10, 30], "blur": [0.2, 0.9]}},  # columns have no order
        {"columns": {"blur": np.array([9.0, 0.2, 0.9])[1:], "size": np.array([10.0, 0.0, 30.0])[::2]}},
        {"columns": {"blur": np.array([0.2, 0.9], dtype=">f8"), "size": np.array([10, 30], dtype="f4")}},
    ],
)
def test_the_same_content_has_the_same_digest(same: dict[str, Any]) -> None:
    assert small(**same).digest == small().digest
    assert small().digest.startswith("sha256:")
    assert len(small().digest) == len("sha256:") + 64


@pytest.mark.parametrize(
    "other",
    [
        {"item_ids": ["a", "c"]},
        {"item_ids": ["b", "a"]},
        {"columns": {"blur": [0.2, 0.9]}},
        {"columns": {"blur": [0.2, 0.9], "width": [10.0, 30.0]}},  # a name that is sorted as the old one was
        {"columns": {"blur": [10.0, 30.0], "size": [0.2, 0.9]}},
        {"columns": {"blur": [0.2, math.nextafter(0.9, 1)], "size": [10.0, 30.0]}},
        {"columns": {"blur": [0.9, 0.2], "size": [10.0, 30.0]}},
        {"columns": {"blur": [0.2, 0.9], "size": [10.0, 30.0], "more": [0, 0]}},
    ],
)
def test_other_content_has_another_digest(other: dict[str, Any]) -> None:
    assert small(**other).digest != small().digest


def test_ids_that_run_into_one_another_have_other_digests() -> None:
    columns = {"x": [1, 2]}
    ids = [["ab", "c"], ["a", "bc"], ["a,b", "c"], ["a", "b,c"], ["a\n", "b"], ["a", "\nb"]]
    assert len({scores_of(pair, columns).digest for pair in ids}) == len(ids)


def test_what_the_caller_does_to_its_arrays_later_does_not_change_scores() -> None:
    blur, columns = np.array([0.2, 0.9]), {}
    columns["blur"] = blur
    scores = small(columns=columns)
    columns["size"] = blur
    assert scores.names == ("blur",)
    before = scores.digest
    blur[0] = 0.5
    assert (scores.column().tolist(), scores.digest) == ([0.2, 0.9], before)


def test_columns_cannot_be_replaced_behind_the_checks() -> None:
    scores = Scores(["a"], {"x": [1.0]})
    with pytest.raises(TypeError, match="item assignment"):
        scores.columns["x"] = np.array([np.nan])  # type: ignore[index]


def test_zero_is_zero_whatever_its_sign() -> None:
    assert Scores(["a"], {"x": [0.0]}).digest == Scores(["a"], {"x": [-0.0]}).digest


@pytest.mark.parametrize(
    ("columns", "message"), [([1.0], "columns is list"), ({"a\0": [1.0]}, "no name"), ({1: [1.0]}, "no name")]
)
def test_columns_that_are_no_named_scores_are_refused(columns: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Scores(["a"], columns)
