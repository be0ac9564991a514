"""Files that are written whole or not at all, and arrays that are read without pickles."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt


@contextlib.contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path` that takes its place when the block ends well, and is removed when not."""
    target = Path(os.path.realpath(path))  # through a link, not over it
    if not target.parent.is_dir():
        raise FileNotFoundError(f"'{os.fspath(path)}' cannot be written: there is no folder '{target.parent}'")
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def save_arrays(path: str | os.PathLike[str], **arrays: npt.NDArray[Any]) -> None:
    """Write named arrays to one `.npz` file, whole or not at all."""
    with written_whole(path) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # numpy's stub takes an array for allow_pickle


def load_arrays(path: str | os.PathLike[str], names: tuple[str, ...]) -> dict[str, npt.NDArray[Any]]:
    """Read the named arrays of an `.npz` file; pickles are refused.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is no `.npz` archive, lacks one of the names, or holds Python objects.
    """
    where = repr(os.fspath(path))
    with Path(path).open("rb") as file:
        try:
            archive = np.load(file, allow_pickle=False)
        except Exception as error:  # damaged bytes can fail in any way
            raise ValueError(f"{where} is not a .npz file of plain arrays") from error
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError(f"{where} holds one bare array; expected a .npz file with {', '.join(names)}")
        with archive:
            missing = [name for name in names if name not in archive.files]
            if missing:
                raise ValueError(
                    f"{where} has no array {missing[0]!r}; it has {', '.join(archive.files) or 'none'}, "
                    f"expected {', '.join(names)}"
                )
            try:
                return {name: archive[name] for name in names}
            except Exception as error:  # damaged bytes can fail in any way
                raise ValueError(
                    f"{where} is damaged or holds Python objects; text is saved with numpy.asarray(ids, dtype=str)"
                ) from error


def mapped_array(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """The array in a `.npy` file, mapped and not read; pickles are refused.

    Raises:
        OSError: The file cannot be opened.
        ValueError: It is no `.npy` file of a plain array.
    """
    with Path(path).open("rb") as file:
        begins = file.read(6)
    if begins.startswith(b"PK"):
        raise ValueError(f"'{os.fspath(path)}' is not a .npy file; if it is a .npz file, rename it")
    try:
        if begins != b"\x93NUMPY":
            raise ValueError(f"it begins with {begins!r}")
        return np.lib.format.open_memmap(path, mode="r")  # refuses pickles
    except Exception as error:  # damaged bytes can fail in any way
        raise ValueError(f"'{os.fspath(path)}' is not a .npy file of a plain array, or is empty or cut short") from error
