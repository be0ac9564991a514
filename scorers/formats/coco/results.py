"""What every COCO result has: an image, a category and a score, as columns."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .files import CocoImages, Results, check_row

_UNKNOWN = -1


class ResultColumns(NamedTuple):
    """The columns of m results that are of known images and categories."""

    image: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]


class ResultRows:
    """Takes in results piece by piece.

    Args:
        images: The images and categories that results may be of.
        fields: What each result has beside its image, category and score, for messages.
    """

    def __init__(self, images: CocoImages, *fields: str) -> None:
        self._images = images
        self._listed = ", ".join(("image_id", "category_id", *fields, "score"))
        self._parts: list[ResultColumns] = []
        self._unknown: dict[str, tuple[int, Any]] = {}
        self.n_rows = 0

    def take(self, piece: list[Any]) -> npt.NDArray[np.int64]:
        """Read image, category and score of the next results.

        Returns:
            The row of each result's image, -1 where it is unknown.

        Raises:
            ValueError: A field is missing, or cannot be read. The message names the result by its number.
        """
        image_ids, category_ids, scores = self.column(piece, "image_id"), self.column(piece, "category_id"), None
        try:
            image = np.array([self._images.row_of_id.get(image_id, _UNKNOWN) for image_id in image_ids], dtype=np.int64)
            if self._images.label_of_id:
                labels = np.array([self._images.label_of_id.get(each, _UNKNOWN) for each in category_ids], dtype=np.int64)
            else:
                labels = _whole_numbers(category_ids)
            scores = np.array(self.column(piece, "score"))
        except (TypeError, ValueError, OverflowError):  # a list has no hash, and text is no number
            self._explain(piece)
            raise
        if scores.dtype.kind not in "iuf" or scores.ndim != 1:
            self._explain(piece)
        for what, ids, rows in (("image", image_ids, image), ("category", category_ids, labels)):
            if what not in self._unknown and (rows < 0).any():
                number = int(np.flatnonzero(rows < 0)[0])
                self._check(piece[number], self.n_rows + number)
                self._unknown[what] = (self.n_rows + number, ids[number])
        self._parts.append(ResultColumns(image, labels, scores.astype(np.float64)))
        self.n_rows += len(piece)
        return image

    def column(self, piece: list[Any], name: str) -> list[Any]:
        """A field of each of the next results.

        Raises:
            ValueError: A result lacks it, or is no object.
        """
        try:
            return [row[name] for row in piece]
        except (KeyError, TypeError, IndexError):
            for number, row in enumerate(piece, self.n_rows):
                self._check(row, number, name)
            raise

    def columns(self) -> ResultColumns:
        """All that was taken in.

        Raises:
            ValueError: Results of unknown images or categories, with their number.
        """
        empty = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0))
        found = ResultColumns(*(np.concatenate(parts) for parts in zip(*self._parts, empty)))
        self._parts.clear()
        if "image" in self._unknown:
            number, image_id = self._unknown["image"]
            n_unknown = int((found.image < 0).sum())
            raise ValueError(
                f"result {number} is of image {image_id!r}, which is not among the {len(self._images.item_ids):,} images; "
                f"{n_unknown:,} of {len(found.image):,} results are of other images{_way_out(image_id, self._images)}"
            )
        if "category" in self._unknown:
            number, category_id = self._unknown["category"]
            if not self._images.label_of_id:
                raise ValueError(f"result {number} has category {category_id!r}; expected a whole number of 0 or more")
            ids = list(self._images.label_of_id)
            listed = ", ".join(map(repr, ids[:8])) + (", ..." if len(ids) > 8 else "")
            n_unknown = int((found.labels < 0).sum())
            raise ValueError(
                f"result {number} has category {category_id!r}, which is not among the {len(ids)} categories ({listed}); "
                f"{n_unknown:,} of {len(found.labels):,} results are like this"
            )
        return found

    def _check(self, row: Any, number: int, *names: str) -> None:
        check_row(row, ("image_id", "category_id", "score", *names), f"result {number}", self._listed)

    def _explain(self, piece: list[Any]) -> None:
        """Raise for the first result that cannot be read."""
        for number, row in enumerate(piece, self.n_rows):
            self._check(row, number)
            image_id, category_id, score = row["image_id"], row["category_id"], row["score"]
            if not _has_hash(image_id):
                raise ValueError(f"result {number} is of image {image_id!r}; expected a whole number or text")
            if not _has_hash(category_id):
                raise ValueError(f"result {number} has category {category_id!r}; expected a whole number")
            if not self._images.label_of_id and not _is_number(category_id, "iu"):
                raise ValueError(f"result {number} has category {category_id!r}; expected a whole number of 0 or more")
            if not _is_number(score, "iuf"):
                raise ValueError(f"result {number} has the score {score!r}; expected a number")


def row_names(images: CocoImages, image_of_row: npt.NDArray[np.int64], row: int) -> str:
    """What messages call a result: its number, and its image."""
    return f"result {row} of {images.item_ids[image_of_row[row]]!r}"


@contextlib.contextmanager
def in_file(results: Results) -> Iterator[None]:
    """Errors inside say which file they are about."""
    try:
        yield
    except ValueError as error:
        if isinstance(results, str | os.PathLike) and repr(os.fspath(results)) not in str(error):
            error.args = (f"{os.fspath(results)!r}: {error}",)
        raise


def _whole_numbers(values: list[Any]) -> npt.NDArray[np.int64]:
    array = np.array(values) if values else np.empty(0, dtype=np.int64)
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise TypeError("no whole numbers")
    return array.astype(np.int64)


def _is_number(value: Any, kinds: str) -> bool:
    array = np.asarray(value)
    return array.ndim == 0 and array.dtype.kind in kinds


def _has_hash(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _way_out(image_id: Any, images: CocoImages) -> str:
    """Why an image may be unknown, and what to do."""
    if not images.row_of_id:
        return ""
    known = next(iter(images.row_of_id))
    other = str if isinstance(known, str) else int
    with contextlib.suppress(ValueError, TypeError):
        if type(image_id) is not other and other(image_id) in images.row_of_id:
            return (
                f": they write ids like {image_id!r}, the images like {other(image_id)!r}; give `images` as a list of "
                f"{{id, file_name, width, height}} with ids like those of the results"
            )
    if isinstance(image_id, str):
        stem = PurePosixPath(image_id).stem
        named = [name for name in images.item_ids if image_id in (name, PurePosixPath(name).stem, PurePosixPath(name).name)]
        if named or any(PurePosixPath(name).stem == stem for name in images.item_ids):
            return (
                f": they name images by file, the images have ids like {known!r}; give `images` as a list of "
                f"{{id, file_name, width, height}} with ids like {image_id!r}"
            )
    return f", the ids of ours are like {known!r}: are these results of another data set?"
