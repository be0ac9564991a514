"""Embeddings in files of every kind, written by us and by others, whole and damaged."""

from __future__ import annotations

import csv
import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from al_agent import Embeddings
from samplers.centers.engine import is_on_disk

ENDINGS = (".npz", ".npy", ".parquet", ".csv")
FOX = "\U0001f98a"
PLAIN = ["a b/c.png", "画像,=.png", f'{FOX}"quoted".png', "=1+1", "x" * 70_000, "\ufeffmarked.png"]
HALF = "half \ud83e.png"


def needs_pyarrow(ending: str) -> None:
    if ending == ".parquet":
        pytest.importorskip("pyarrow")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_what_is_saved_comes_back(tmp_path: Path, ending: str, dtype: str) -> None:
    needs_pyarrow(ending)
    vectors = np.random.default_rng(0).normal(size=(len(PLAIN), 11)).astype(dtype)
    vectors[0, :4] = [np.finfo(dtype).max if dtype != "float64" else 1e30, np.finfo(dtype).tiny, -0.0, 1 / 3]
    saved = Embeddings(PLAIN, vectors)
    saved.save(tmp_path / f"e{ending}")
    loaded = Embeddings.load(str(tmp_path / f"e{ending}"))
    assert loaded.item_ids == tuple(PLAIN)
    if ending == ".csv":  # as Lightly reads it
        assert loaded.vectors.dtype == np.float32
        assert loaded.vectors.tobytes() == vectors.astype(np.float32).tobytes()
    else:
        assert loaded.vectors.dtype == dtype
        assert loaded.vectors.tobytes() == vectors.tobytes()
        assert loaded.digest == saved.digest
    assert not loaded.vectors.flags.writeable


TEXTS = st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=6)


@pytest.mark.parametrize("ending", ENDINGS)
def test_any_ids_and_numbers_come_back_or_are_refused(tmp_path_factory: pytest.TempPathFactory, ending: str) -> None:
    needs_pyarrow(ending)
    folder = tmp_path_factory.mktemp("any")

    @settings(derandomize=True, database=None, deadline=None, max_examples=50)
    @given(
        ids=st.lists(TEXTS, min_size=1, max_size=5, unique=True),
        row=arrays(np.float32, 3, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)),
    )
    def check(ids: list[str], row: npt.NDArray[np.float32]) -> None:
        given_ones = Embeddings(ids, np.tile(row, (len(ids), 1)))
        try:
            given_ones.save(folder / f"e{ending}")
        except ValueError as error:
            assert ending == ".npy"
            assert "does not fit on a line" in str(error)
            assert any(item_id.splitlines() != [item_id] for item_id in ids)
            return
        loaded = Embeddings.load(folder / f"e{ending}")
        assert loaded.item_ids == tuple(ids)
        assert loaded.vectors.tobytes() == given_ones.vectors.tobytes()

    check()


@pytest.mark.parametrize("bad", ["a\n", "a\r", "\r", "\n", "", "a\r\nb", "a\u2028b"])
def test_ids_that_do_not_fit_on_a_line_are_refused_before_a_file_is_touched(tmp_path: Path, bad: str) -> None:
    Embeddings(["old"], [[1.0]]).save(tmp_path / "v.npy")
    with pytest.raises(ValueError, match=r"does not fit on a line; save to a \.npz"):
        Embeddings(["a", bad], [[1.0], [2.0]]).save(tmp_path / "v.npy")
    assert Embeddings.load(tmp_path / "v.npy").item_ids == ("old",)
    Embeddings(["a", bad], [[1.0], [2.0]]).save(tmp_path / "v.npz")
    assert Embeddings.load(tmp_path / "v.npz").item_ids == ("a", bad)


@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_half_characters_are_refused_where_the_file_is_strictly_utf8(tmp_path: Path, ending: str) -> None:
    needs_pyarrow(ending)
    with pytest.raises(ValueError, match=r"half \\ud83e.png' holds half a character"):
        Embeddings(["a", HALF], [[1.0], [2.0]]).save(tmp_path / f"e{ending}")
    assert list(tmp_path.iterdir()) == []
    for other in (".npz", ".npy"):
        Embeddings(["a", HALF], [[1.0], [2.0]]).save(tmp_path / f"e{other}")
        assert Embeddings.load(tmp_path / f"e{other}").item_ids == ("a", HALF)


def test_one_huge_id_among_many_is_refused_where_all_would_get_its_room(tmp_path: Path) -> None:
    ids = [*map(str, range(4000)), "h" * 100_000]
    embeddings = Embeddings(ids, np.zeros((4001, 1)))
    with pytest.raises(ValueError, match=r"4,001 ids room for the 100,000 characters of 'hhh.*1.6 GB in vain; save to"):
        embeddings.save(tmp_path / "e.npz")
    embeddings.save(tmp_path / "e.npy")
    assert Embeddings.load(tmp_path / "e.npy").item_ids == tuple(ids)
    with pytest.raises(ValueError, match="more than 131,072 characters"):
        Embeddings(["h" * 131_073], [[1.0]]).save(tmp_path / "e.csv")


def test_an_unknown_ending_is_refused_both_ways(tmp_path: Path) -> None:
    for name, shown in {"e.pkl": "'.pkl'", "e": "'nothing'"}.items():
        expected = rf"{name}' ends in {shown}; embeddings are kept in .npz, .npy, .parquet or .csv files"
        with pytest.raises(ValueError, match=expected):
            Embeddings.load(tmp_path / name)
        with pytest.raises(ValueError, match=expected):
            Embeddings(["a"], [[1.0]]).save(tmp_path / name)
    Embeddings(["a"], [[1.0]]).save(tmp_path / "E.NPZ")
    assert Embeddings.load(tmp_path / "E.NPZ").item_ids == ("a",)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_missing_file_is_missing(tmp_path: Path, ending: str) -> None:
    needs_pyarrow(ending)
    with pytest.raises(FileNotFoundError, match="gone"):
        Embeddings.load(tmp_path / f"gone{ending}")


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_cut_anywhere_is_no_embeddings(tmp_path: Path, ending: str) -> None:
    needs_pyarrow(ending)
    path = tmp_path / f"e{ending}"
    Embeddings([f"img_{number}" for number in range(20)], np.arange(60.0).reshape(20, 3) / 7).save(path)
    whole = path.read_bytes()
    for n_bytes in range(60 if ending == ".csv" else 0, len(whole) - 4, max(1, len(whole) // 40)):
        if ending == ".csv" and whole[:n_bytes].split(b"\r\n")[-1].count(b",") in (0, 4):
            continue  # after a whole vector a CSV file does not say that it is not whole
        path.write_bytes(whole[:n_bytes])
        with pytest.raises(ValueError, match=r"e\."):
            Embeddings.load(path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_nonsense_is_no_embeddings(tmp_path: Path, ending: str) -> None:
    needs_pyarrow(ending)
    (tmp_path / "e.ids.txt").write_text("a\n", encoding="utf-8")
    for content in (b"\x00\xff" * 500, b"PK\x03\x04 garbage", b"PAR1 garbage PAR1", b"\x93NUMPY\x01\x00"):
        (tmp_path / f"e{ending}").write_bytes(content)
        with pytest.raises(ValueError, match=r"e\."):
            Embeddings.load(tmp_path / f"e{ending}")


def test_a_description_stays_where_there_is_room_for_it(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    embeddings = Embeddings(["a"], [[1.0]], description="DINOv2 ViT-S/14, 224 px, é")
    found = {}
    for ending in ENDINGS:
        embeddings.save(tmp_path / f"e{ending}")
        found[ending] = Embeddings.load(tmp_path / f"e{ending}").description
    assert found == {".npz": embeddings.description, ".npy": None, ".parquet": embeddings.description, ".csv": None}
    assert embeddings.digest == Embeddings(["a"], [[1.0]]).digest
    assert "DINOv2" in repr(embeddings)


def test_npz_files_of_others_are_named_with_the_place_of_the_fault(tmp_path: Path) -> None:
    ids, vectors = np.array(["a", "b", "c"]), np.ones((3, 2))
    bad = vectors.copy()
    bad[1, 1] = np.nan
    cases: dict[str, tuple[dict[str, Any], str]] = {
        "nan": ({"item_ids": ids, "vectors": bad}, r"nan.npz', vectors\[1, 1\]: the embedding of 'b' is \[1, nan\]"),
        "doubled": (
            {"item_ids": np.array(["a", "b", "a"]), "vectors": vectors},
            r"item_ids\[0\] and item_ids\[2\]: 1 item ids",
        ),
        "numbers": ({"item_ids": np.arange(3), "vectors": vectors}, r"item_ids\[0\]: item_ids\[0\] is 0 of type int"),
        "shape": ({"item_ids": ids[:, None], "vectors": vectors}, r"shape.npz', item_ids has shape \(3, 1\)"),
        "short": ({"item_ids": ids[:2], "vectors": vectors}, r"short.npz': vectors has 3 rows for 2 item ids"),
        "none": ({"item_ids": ids[:0], "vectors": vectors[:0]}, r"none.npz': item_ids is empty"),
        "said": (
            {"item_ids": ids, "vectors": vectors, "description": np.ones(2)},
            r"said.npz', description has shape \(2,\)",
        ),
        "lines": (
            {"item_ids": ids, "vectors": vectors, "description": np.array("a\nb")},
            r"lines.npz': description is 'a\\nb'",
        ),
        "half": ({"item_ids": ids, "vectors": np.zeros((3, 2), "V2")}, r"half.npz': .*bfloat16 it seems.*float32"),
    }
    for name, (content, message) in cases.items():
        np.savez(tmp_path / f"{name}.npz", **content)
        with pytest.raises(ValueError, match=message):
            Embeddings.load(tmp_path / f"{name}.npz")


# .npy: mapped, checked when first used


def mapped(folder: Path, vectors: npt.NDArray[Any], ids: Iterable[str]) -> Path:
    np.save(folder / "v.npy", vectors)
    (folder / "v.ids.txt").write_text("\n".join(ids), encoding="utf-8")
    return folder / "v.npy"


def test_a_file_of_40_gb_opens_without_being_read(tmp_path: Path) -> None:
    n, d = 160_000, 65_536
    path = tmp_path / "v.npy"
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (n, d)})
        try:
            file.truncate(file.tell() + n * d * 4)
        except OSError:
            pytest.skip("the disk has no sparse files of 40 GB")
    if os.stat(path).st_blocks * 512 > 1e9:
        pytest.skip("the disk has no sparse files")
    (tmp_path / "v.ids.txt").write_text("".join(f"img_{row}.jpg\n" for row in range(n)), encoding="utf-8")
    program = """
import resource, sys, time
from al_agent import Embeddings
resource.setrlimit(resource.RLIMIT_DATA, (2 << 30, 2 << 30))
before = time.process_time()
opened = Embeddings.load(sys.argv[1])
print(len(opened), opened.n_dimensions, opened)
opened.item_ids[159_999]
assert time.process_time() - before < 2, time.process_time() - before
"""
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=False)
    assert done.stdout == "160000 65536 Embeddings(160,000 items, 65,536 dimensions, float32)\n", done.stderr


def test_mapped_vectors_are_checked_before_anything_uses_them(tmp_path: Path) -> None:
    vectors = np.ones((5000, 3), dtype=np.float16)
    vectors[4321, 2] = np.inf
    path = mapped(tmp_path, vectors, map(str, range(5000)))
    uses: dict[str, Callable[[Embeddings], object]] = {
        "vectors": lambda e: e.vectors,
        "digest": lambda e: e.digest,
        "subset": lambda e: e.subset(["0"]),
        "save": lambda e: e.save(tmp_path / "copy.npz"),
        "concat": lambda e: Embeddings.concat([e]),
        "side_by_side": lambda e: Embeddings.side_by_side([e, e]),
        "normalise": lambda e: e.normalise(),
        "reduce": lambda e: e.reduce(1),
        "pickle": pickle.dumps,
    }
    for name, use in uses.items():
        opened = Embeddings.load(path)
        assert len(opened) == 5000, name
        for _ in range(2):  # a second try is no way around
            with pytest.raises(ValueError, match=r"v.npy', vectors\[4321, 2\]: the embedding of '4321' is \[1, 1, inf\]"):
                use(opened)
    assert not (tmp_path / "copy.npz").exists()


def test_ids_beside_the_vectors_are_counted_at_once_and_checked_before_vectors_are_used(tmp_path: Path) -> None:
    for ids in (["a", "b"], ["a", "b", "c", "d"]):
        with pytest.raises(ValueError, match=rf"v.npy': vectors has 3 rows for {len(ids)} item ids"):
            Embeddings.load(mapped(tmp_path, np.ones((3, 1)), ids))
    doubled = Embeddings.load(mapped(tmp_path, np.ones((3, 1)), ["a", "b", "a"]))
    with pytest.raises(ValueError, match=r"'v.ids.txt', line 1 and 'v.ids.txt', line 3: 1 item ids stand more than once"):
        _ = doubled.vectors
    path = mapped(tmp_path, np.ones((3, 1)), ["a", "b", "c"])
    (tmp_path / "v.ids.txt").write_bytes(b"a\n\xff\nc\n")
    with pytest.raises(ValueError, match=r"v.ids.txt', line 2 is no text in UTF-8"):
        _ = Embeddings.load(path).vectors
    (tmp_path / "v.ids.txt").write_bytes(b"")
    with pytest.raises(ValueError, match=r"v.ids.txt' is empty"):
        Embeddings.load(path)


@pytest.mark.parametrize("text", ["a\nb\nc", "a\nb\nc\n", "a\r\nb\r\nc\r\n", "\ufeffa\nb\nc\n\n"])
def test_ids_written_by_any_editor_are_read(tmp_path: Path, text: str) -> None:
    path = mapped(tmp_path, np.arange(3.0)[:, None], "")
    (tmp_path / "v.ids.txt").write_bytes(text.encode())
    assert Embeddings.load(path).item_ids == ("a", "b", "c")


def test_files_replaced_while_they_are_open_do_not_mix(tmp_path: Path) -> None:
    Embeddings(["a", "b"], [[1.0], [2.0]]).save(tmp_path / "v.npy")
    opened = Embeddings.load(tmp_path / "v.npy")
    Embeddings(["b", "a"], [[20.0], [10.0]]).save(tmp_path / "v.npy")
    assert (opened.item_ids, opened.vectors.tolist()) == (("a", "b"), [[1.0], [2.0]])
    again = Embeddings.load(tmp_path / "v.npy")
    assert (again.item_ids, again.vectors.tolist()) == (("b", "a"), [[20.0], [10.0]])
    again.save(tmp_path / "v.npy")  # over the file that it is mapped from
    assert Embeddings.load(tmp_path / "v.npy").digest == again.digest
    assert sorted(file.name for file in tmp_path.iterdir()) == ["v.ids.txt", "v.npy"]


def test_new_vectors_never_lie_beside_old_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Embeddings(["a", "b"], [[1.0], [2.0]]).save(tmp_path / "v.npy")
    replace = Path.replace

    def fail(self: Path, target: Path) -> Path:
        if target.name == "v.ids.txt":
            raise OSError("the power is gone")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="power"):
        Embeddings(["b", "a"], [[20.0], [10.0]]).save(tmp_path / "v.npy")
    with pytest.raises(FileNotFoundError, match=r"no '.*v.ids.txt' beside the vectors"):
        Embeddings.load(tmp_path / "v.npy")


def test_other_arrays_than_floats_of_two_dimensions_in_an_npy_file(tmp_path: Path) -> None:
    whole = Embeddings.load(mapped(tmp_path, np.array([[1, 2], [3, 4]]), ["a", "b"]))
    assert whole.vectors.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert whole.vectors.dtype == np.float64
    for array, message in {
        "objects": (np.array([[{}], [1]]), r"v.npy' is not a .npy file of a plain array"),
        "row": (np.ones(2), r"v.npy': vectors has shape \(2,\); expected \(n, d\)"),
        "text": (np.array([["a"], ["b"]]), r"v.npy': vectors holds values of type <U1"),
        "nothing": (np.ones((2, 0)), r"v.npy'"),
    }.values():
        with pytest.raises(ValueError, match=message):
            Embeddings.load(mapped(tmp_path, array, ["a", "b"]))
    np.savez(tmp_path / "w.npz", x=np.ones(2))
    (tmp_path / "w.npz").rename(tmp_path / "v.npy")
    with pytest.raises(ValueError, match=r"v.npy' is not a .npy file; if it is a .npz file, rename it"):
        Embeddings.load(tmp_path / "v.npy")


def test_opened_embeddings_travel_to_another_process(tmp_path: Path) -> None:
    path = mapped(tmp_path, np.arange(6.0, dtype=np.float32).reshape(3, 2), ["a", "b", "c"])
    opened = Embeddings.load(path)
    sent = pickle.loads(pickle.dumps(opened))
    assert is_on_disk(opened.vectors)
    assert not is_on_disk(sent.vectors)
    assert sent.digest == opened.digest
    with pytest.raises(AttributeError):
        opened.vectors = sent.vectors


# .csv


def lightly_file(folder: Path, text: str) -> Path:
    path = folder / "e.csv"
    path.write_bytes(text.encode())
    return path


def test_a_file_of_lightly_is_read_and_written(tmp_path: Path) -> None:
    path = lightly_file(
        tmp_path,
        "filenames,embedding_0,embedding_1,labels\nsub/image_2.png,-0.8606736,4.9e-1,0\nimage_1.jpg,1,.5,3\n",
    )
    loaded = Embeddings.load(path)
    assert loaded.item_ids == ("sub/image_2.png", "image_1.jpg")
    assert loaded.vectors.dtype == np.float32
    assert loaded.vectors.tolist() == np.array([[-0.8606736, 0.49], [1, 0.5]], np.float32).tolist()
    loaded.save(tmp_path / "again.csv")
    with (tmp_path / "again.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["filenames", "embedding_0", "embedding_1", "labels"]
    assert [(row[0], np.float32(row[1]), np.float32(row[2]), row[3]) for row in rows] == [
        ("sub/image_2.png", np.float32(-0.8606736), np.float32(0.49), "0"),
        ("image_1.jpg", np.float32(1), np.float32(0.5), "0"),
    ]


def test_columns_of_a_csv_file_are_found_by_name(tmp_path: Path) -> None:
    names = [f"embedding_{number}" for number in (10, 2, 0, 1, 3, 4, 5, 6, 7, 8, 9)]
    header = ",".join(["selected", *names[:6], "labels", "filenames", *names[6:], "al_score", "masked"])
    row = "1,10,2,0,1,3,4,0,a.png,5,6,7,8,9,0.5,0"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = Embeddings.load(lightly_file(tmp_path, f"\ufeff{header}\r\n{row}\r\n"))
    assert loaded.vectors.tolist() == [list(range(11))]
    assert loaded.item_ids == ("a.png",)


def test_columns_of_other_tools_are_left_out_with_a_warning(tmp_path: Path) -> None:
    path = lightly_file(tmp_path, "filenames,embedding_0,labels,sharpness,site\na.png,1,0,77,north\n")
    with pytest.warns(UserWarning, match=r"e.csv' has columns that are not read: 'sharpness', 'site'") as caught:
        assert Embeddings.load(path).vectors.tolist() == [[1.0]]
    assert caught[0].filename == __file__


CSV: list[tuple[str, str, str]] = [
    ("empty", "", r"e.csv' has no header; expected filenames, embedding_0"),
    ("header alone", "filenames,embedding_0,labels\n", r"e.csv': item_ids is empty"),
    ("no ids", "name,embedding_0\na,1\n", r"no column of item ids; it has 'name', 'embedding_0'; expected item_id, or id, "),
    ("several ids", "id,filename,embedding_0\n1,a,1\n", r"has the columns id, filename; rename the one .* to 'item_id'"),
    ("no vectors", "filenames,x,labels\na,1,0\n", r"e.csv' has no column embedding_0"),
    ("gap", "filenames,embedding_0,embedding_2\na,1,2\n", r"has a column embedding_2 and no embedding_1"),
    ("from one", "filenames,embedding_1,embedding_2\na,1,2\n", r"has a column embedding_1 and no embedding_0"),
    ("doubled", "filenames,embedding_0,embedding_0\na,1,2\n", r"has the column 'embedding_0' twice"),
    ("leading zero", "filenames,embedding_0,embedding_01\na,1,2\n", r"has a column 'embedding_01'; expected"),
    ("misspelt", "filenames,embedding_0, Embedding_1\na,1,2\n", r"has a column ' Embedding_1'; expected embedding_0"),
    ("no underscore", "filenames,embedding_0,Embed-1\na,1,2\n", r"has a column 'Embed-1'; expected embedding_0"),
    ("semicolons", "filenames;embedding_0\na;1\n", r"no column of item ids; it has 'filenames;embedding_0'"),
    ("field too few", "filenames,embedding_0,labels\na,1,0\nb,1\n", r"e.csv', line 3 has 2 fields; the header has 3"),
    ("empty line", "filenames,embedding_0,labels\na,1,0\n\nb,1,0\n", r"e.csv', line 3 has 0 fields"),
    ("text", "filenames,embedding_0,embedding_1\na,1,2\n'b\n',1,x\n", r"e.csv', line 3 has 1 fields"),
    (
        "after lines",
        'filenames,embedding_0,embedding_1\n"a\n1",1,2\nb,1,x\n',
        r"line 4, column embedding_1 is 'x'; expected a n",
    ),
    ("nothing", "filenames,embedding_0,embedding_1\na,,2\n", r"line 2, column embedding_0 is ''; expected a number"),
    ("Python's number", "filenames,embedding_0\na,1_000\n", r"line 2, column embedding_0 is '1_000'; expected a number"),
    ("other digits", "filenames,embedding_0\na,\uff11\n", "line 2, column embedding_0 is '\uff11'; expected a number"),
    (
        "NaN",
        "filenames,embedding_0,embedding_1\na,1,2\nb,1,nan\n",
        r"e.csv', line 3, column embedding_1: .*'b' is \[1, nan\]",
    ),
    ("beyond", "filenames,embedding_0\na,1e39\n", r"e.csv', line 2, column embedding_0: the embedding of 'a' is \[inf\]"),
    (
        "twice",
        "filenames,embedding_0\na,1\nb,1\na,2\n",
        r"line 2, column filenames and line 4, column filenames: .*first is 'a'",
    ),
    ("quotes", 'filenames,embedding_0\n"a,1\n', r"e.csv', line 2 is no line of a CSV file"),
]


@pytest.mark.parametrize(("text", "message"), [case[1:] for case in CSV], ids=[case[0] for case in CSV])
def test_wrong_csv_files_are_refused_by_line_and_column(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Embeddings.load(lightly_file(tmp_path, text))


def test_a_csv_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_bytes("filenames,embedding_0\né.png,1\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"e.csv'.* is no text in UTF-8"):
        Embeddings.load(tmp_path / "e.csv")


# .parquet


IDS = ["a.png", "b.png", "c.png"]
ROWS = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])


def table_file(folder: Path, columns: dict[str, Any], name: str = "e.parquet") -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table(columns), folder / name, row_group_size=2)
    return folder / name


@pytest.mark.parametrize("ids", ["item_id", "id", "filename", "filenames", "file_name"])
@pytest.mark.parametrize("vectors", ["vector", "vectors", "embedding", "embeddings"])
def test_columns_of_a_table_are_found_by_name(tmp_path: Path, ids: str, vectors: str) -> None:
    path = table_file(tmp_path, {"label": [1, 2, 3], vectors: ROWS.tolist(), ids: IDS})
    loaded = Embeddings.load(path)
    assert loaded.item_ids == tuple(IDS)
    assert loaded.vectors.tolist() == ROWS.tolist()


def test_every_arrow_type_of_numbers_and_strings_is_read(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    flat = ROWS.ravel()
    kinds = {
        "float16": pa.list_(pa.float16()),
        "float32": pa.large_list(pa.float32()),
        "float64": pa.list_(pa.float64(), 2),
    }
    for dtype, kind in kinds.items():
        lists = [list(map(np.float16, row)) if dtype == "float16" else row for row in ROWS.tolist()]
        for ids in (pa.array(IDS, pa.large_string()), pa.array(IDS).dictionary_encode(), pa.array(IDS)):
            loaded = Embeddings.load(table_file(tmp_path, {"item_id": ids, "vector": pa.array(lists, kind)}))
            assert loaded.vectors.dtype == dtype
            assert loaded.vectors.ravel().tolist() == flat.tolist()
            assert loaded.item_ids == tuple(IDS)
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(ROWS.astype(np.float32))
    assert Embeddings.load(table_file(tmp_path, {"id": IDS, "vector": tensors})).vectors.tolist() == ROWS.tolist()
    whole = Embeddings.load(table_file(tmp_path, {"id": IDS, "vector": pa.array([[1], [2], [3]], pa.list_(pa.int8()))}))
    assert whole.vectors.dtype == np.float64
    assert whole.vectors.ravel().tolist() == [1.0, 2.0, 3.0]


def test_a_column_for_each_dimension_is_read_in_the_order_of_the_numbers(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    columns: dict[str, Any] = {f"embedding_{number}": [number + 0.5, -number, number] for number in range(11)}
    shuffled = {name: columns[name] for name in sorted(columns, reverse=True)}
    loaded = Embeddings.load(table_file(tmp_path, {**shuffled, "filename": IDS}))
    assert loaded.vectors.tolist() == [[n + 0.5 for n in range(11)], [-n for n in range(11)], list(range(11))]
    single = {
        "filename": IDS,
        "embedding_0": pa.array([1, 2, 3], pa.float32()),
        "embedding_1": pa.array([4, 5, 6], pa.float32()),
    }
    assert Embeddings.load(table_file(tmp_path, single)).vectors.dtype == np.float32


def test_a_table_of_pandas_is_read(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    pandas.DataFrame({"filename": IDS, "embedding": list(ROWS.astype(np.float32))}, index=[7, 8, 9]).to_parquet(
        tmp_path / "e.parquet"
    )
    loaded = Embeddings.load(tmp_path / "e.parquet")
    assert loaded.item_ids == tuple(IDS)
    assert loaded.vectors.tolist() == ROWS.tolist()


def test_what_we_write_others_read_as_a_plain_table(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    Embeddings(IDS, ROWS.astype(">f4"), description="made so").save(tmp_path / "e.parquet")
    table = parquet.read_table(tmp_path / "e.parquet")
    assert table.to_pydict() == {"item_id": IDS, "vector": ROWS.tolist()}
    assert str(table.schema.field("vector").type) == "fixed_size_list<element: float not null>[2]"


def test_many_batches_are_put_together_in_order(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    n = 150_000
    embeddings = Embeddings([f"{row}" for row in range(n)], np.arange(n, dtype=np.float32)[:, None])
    embeddings.save(tmp_path / "e.parquet")
    assert Embeddings.load(tmp_path / "e.parquet").digest == embeddings.digest


def test_shards_of_a_folder_are_read_by_name(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    folder = tmp_path / "spark.parquet"
    folder.mkdir()
    (folder / "_SUCCESS").touch()
    Embeddings(["c"], [[4.0, 5.0]], description="one").save(folder / "part-00002-x.snappy.parquet")
    Embeddings(["a", "b"], [[0.0, 1.0], [2.0, 3.0]], description="one").save(folder / "part-00000-x.snappy.parquet")
    loaded = Embeddings.load(folder)
    assert loaded.item_ids == ("a", "b", "c")
    assert loaded.vectors.tolist() == ROWS.tolist()
    assert loaded.description == "one"
    Embeddings(["d", "b"], [[4.0, 5.0], [6.0, 7.0]]).save(folder / "part-00003.parquet")
    place = r"'part-00000-x.snappy.parquet', row 1, column item_id and 'part-00003.parquet', row 1, column item_id"
    with pytest.raises(ValueError, match=rf"spark.parquet', {place}: 1 item ids stand more than once, the first is 'b'"):
        Embeddings.load(folder)
    table_file(folder, {"id": ["e"], "vector": [[1.0, np.nan]]}, "part-00003.parquet")
    with pytest.raises(
        ValueError, match=r"'part-00003.parquet', row 0, column vector\[1\]: the embedding of 'e' is \[1, nan\]"
    ):
        Embeddings.load(folder)
    Embeddings(["d"], [[4.0]]).save(folder / "part-00003.parquet")
    with pytest.raises(ValueError, match=r"part-00003.parquet', row 0, column vector: 1 numbers, and 2 before"):
        Embeddings.load(folder)
    Embeddings(["d"], np.ones((1, 2), np.float32)).save(folder / "part-00003.parquet")
    with pytest.raises(ValueError, match=r"part-00003.parquet', row 0, column vector: float32, and float64 before"):
        Embeddings.load(folder)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match=r"empty' is a folder without part-\*.parquet"):
        Embeddings.load(empty)


TABLES: list[tuple[str, dict[str, Any], str]] = [
    ("no ids", {"name": IDS, "vector": ROWS.tolist()}, r"e.parquet' has no column of item ids; it has 'name', 'vector'"),
    (
        "no vectors",
        {"id": IDS, "x": ROWS.tolist()},
        r"no column of vectors, or embedding_0.*it has 'id', 'x'; expected vector, or",
    ),
    ("two of ids", {"id": [1, 2, 3], "filename": IDS, "vector": ROWS.tolist()}, r"columns id, filename; rename .*'item_id'"),
    ("two of vectors", {"id": IDS, "embedding": ROWS.tolist(), "vectors": ROWS.tolist()}, r"rename the one .* to 'vector'"),
    (
        "both kinds",
        {"id": IDS, "vector": ROWS.tolist(), "embedding_0": [1.0, 2, 3]},
        r"vector and embedding_0, ...; leave only",
    ),
    ("gap", {"id": IDS, "embedding_0": [1.0, 2, 3], "embedding_2": [1.0, 2, 3]}, r"embedding_2 and no embedding_1"),
    ("ids of numbers", {"id": [1, 2, 3], "vector": ROWS.tolist()}, r"column id holds int64; item ids are strings.*str\("),
    ("text", {"id": IDS, "vector": ["x", "y", "z"]}, r"column vector holds string; expected lists of numbers"),
    ("lists of text", {"id": IDS, "vector": [["x"], ["y"], ["z"]]}, r"column vector holds list<.*string>; expected numbers"),
    ("column of text", {"id": IDS, "embedding_0": IDS}, r"column embedding_0 holds string; expected numbers"),
    ("ragged", {"id": IDS, "vector": [[1.0, 2], [1.0, 2], [1.0]]}, r"row 2, column vector: 1 numbers, and 2 before"),
    (
        "ragged in a batch",
        {"id": IDS, "vector": [[1.0, 2], [1.0], [1.0, 2]]},
        r"row 1, column vector: 1 numbers, and 2 before",
    ),
    ("empty lists", {"id": IDS, "vector": [[0.0][:0]] * 3}, r"column vector"),
    ("no list", {"id": IDS, "vector": [[1.0], None, [2.0]]}, r"e.parquet', row 1, column vector is empty; expected a value"),
    ("no id", {"id": ["a", "b", None], "vector": ROWS.tolist()}, r"e.parquet', row 2, column id is empty"),
    ("no number", {"id": IDS, "vector": [[1.0, 2], [1.0, None], [1.0, 2]]}, r"row 1, column vector\[1\] is empty"),
    ("no number in a column", {"id": IDS, "embedding_0": [1.0, 2.0, None]}, r"row 2, column embedding_0 is empty"),
    (
        "NaN",
        {"id": IDS, "vector": [[1.0, 2], [1.0, 2], [np.nan, 2]]},
        r"e.parquet', row 2, column vector\[0\]: .*of 'c.png'",
    ),
    (
        "NaN in a column",
        {"id": IDS, "embedding_0": [1.0, np.inf, 2]},
        r"e.parquet', row 1, column embedding_0: .*of 'b.png'",
    ),
    (
        "doubled",
        {"id": ["a", "b", "a"], "vector": ROWS.tolist()},
        r"row 0, column id and row 2, column id: 1 item ids stand",
    ),
    ("no rows", {"id": IDS[:0], "embedding_0": [0.0][:0]}, r"e.parquet'"),
]


def test_a_column_about_the_embedding_is_no_dimension(tmp_path: Path) -> None:
    path = table_file(tmp_path, {"id": IDS, "vector": ROWS.tolist(), "embedding_model": ["x"] * 3})
    assert Embeddings.load(path).vectors.tolist() == ROWS.tolist()


@pytest.mark.parametrize(("columns", "message"), [case[1:] for case in TABLES], ids=[case[0] for case in TABLES])
def test_wrong_tables_are_refused_by_row_and_column(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    path = table_file(tmp_path, columns)
    with pytest.raises(ValueError, match=message):
        Embeddings.load(path)


def test_a_damaged_page_of_a_table_is_refused_or_read_as_it_was(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "e.parquet"
    embeddings = Embeddings([f"img_{row}" for row in range(50)], np.ones((50, 4)))
    embeddings.save(path)
    whole = path.read_bytes()
    n_refused = 0
    for place in range(4, len(whole), 23):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            loaded = Embeddings.load(path)
        except ValueError as error:
            n_refused += "e.parquet'" in str(error)
        else:  # no more than a bit of a value or of a part that is not read
            assert len(loaded) == 50
            assert loaded.n_dimensions == 4
            assert np.isfinite(loaded.vectors).all()
    assert n_refused > 10


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'al-agent\[parquet\]'"):
        Embeddings(["a"], [[1.0]]).save(tmp_path / "e.parquet")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "e.parquet").touch()
    with pytest.raises(ImportError, match=r"pip install 'al-agent\[parquet\]'"):
        Embeddings.load(tmp_path / "e.parquet")


def test_importing_the_door_loads_no_reader_of_tables() -> None:
    program = (
        "import al_agent, sys; print([name for name in ('pyarrow', 'sklearn', 'scipy', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
