from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scorers.files import load_arrays, save_arrays, written_whole


@pytest.mark.parametrize("error", [RuntimeError("disk full"), KeyboardInterrupt()])
def test_the_old_file_stays_when_the_block_raises(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "scores.npz"
    target.write_bytes(b"old")
    with pytest.raises(type(error)), written_whole(target) as file:
        file.write(b"half of the new")
        raise error
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("scores.npz", b"old")]


def test_nothing_is_left_where_there_was_no_file_and_the_block_raises(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), written_whole(tmp_path / "new") as file:
        file.write(b"half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_the_new_content_appears_only_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    with written_whole(target) as file:
        file.write(b"new")
        file.flush()
        assert target.read_bytes() == b"old"
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"new")]


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"), written_whole(tmp_path / "nowhere" / "file"):
        pass


def test_the_file_is_written_under_the_name_that_was_given(tmp_path: Path) -> None:
    save_arrays(tmp_path / "no suffix", a=np.arange(3), b=np.array(["x"]))
    assert [path.name for path in tmp_path.iterdir()] == ["no suffix"]
    arrays = load_arrays(str(tmp_path / "no suffix"), ("b", "a"))
    assert {name: array.tolist() for name, array in arrays.items()} == {"b": ["x"], "a": [0, 1, 2]}


def test_arrays_that_are_not_there_are_named_beside_those_that_are(tmp_path: Path) -> None:
    save_arrays(tmp_path / "f.npz", a=np.arange(3))
    with pytest.raises(ValueError, match=r"f\.npz' has no array 'wanted'; it has a, expected a, wanted"):
        load_arrays(tmp_path / "f.npz", ("a", "wanted"))


def test_a_missing_file_is_file_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing"):
        load_arrays(tmp_path / "missing.npz", ("a",))


def test_pickled_objects_are_refused_and_never_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"

    class Payload:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (ran,))

    np.savez(tmp_path / "evil.npz", a=np.array([Payload()], dtype=object))
    with pytest.raises(ValueError, match=r"evil\.npz' is damaged or holds Python objects"):
        load_arrays(tmp_path / "evil.npz", ("a",))
    (tmp_path / "evil.npy").write_bytes(np.array([Payload()], dtype=object).dumps())
    with pytest.raises(ValueError, match=r"evil\.npy' is not a \.npz file"):
        load_arrays(tmp_path / "evil.npy", ("a",))
    assert not ran.exists()


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x03\x04", b"id,score\n1,2\n", b"\x93NUMPY\x01\x00", b"\0" * 100])
def test_a_file_of_something_else_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"other\.npz' is not a \.npz file"):
        load_arrays(path, ("a",))


def test_a_bare_array_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "bare.npy", np.arange(3))
    with pytest.raises(ValueError, match=r"bare\.npy' holds one bare array; expected a \.npz file with a"):
        load_arrays(tmp_path / "bare.npy", ("a",))
