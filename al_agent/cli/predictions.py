"""From the files that the command line names to predictions of a project's items, and to their scorer."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import typer

from scorers import (
    ClassificationPredictions,
    EnsemblePredictions,
    Scorer,
    ScorerClassification,
    ScorerEnsemble,
    ScorerKeypointDetection,
    ScorerObjectDetection,
    ScorerSemanticSegmentation,
    SegmentationPredictions,
    formats,
)
from scorers.files import load_arrays
from scorers.formats.reading.names import ItemNames
from scorers.scorer import Predictions

from .words import in_words_of_options


class _Source(NamedTuple):
    """What an option that names predictions is for, and what may be said beside it."""

    task: str
    options: tuple[str, ...] = ()
    reading: tuple[str, ...] = ()


_OBJECTS = ("aggregation", "without_objects", "score_threshold")
_SOURCES = {
    "probabilities": _Source("classification", (), ("delimiter",)),
    "logits": _Source("classification", (), ("delimiter",)),
    "coco_results": _Source("detection", ("coco_images", *_OBJECTS, "nms_iou")),
    "coco_keypoints": _Source("keypoints", ("coco_images", *_OBJECTS), ("clip_confidences",)),
    "yolo": _Source("detection", (*_OBJECTS, "nms_iou"), ("lines",)),
    "label_studio": _Source("detection", (*_OBJECTS, "nms_iou"), ("image_field", "model_version")),
    "maps": _Source("segmentation", ("aggregation", "class_axis")),
    "map_logits": _Source("segmentation", ("aggregation", "class_axis")),
}
_SCORERS: dict[str, Callable[..., Scorer[Any]]] = {
    "classification": ScorerClassification,
    "ensemble": ScorerEnsemble,
    "detection": ScorerObjectDetection,
    "keypoints": ScorerKeypointDetection,
    "segmentation": ScorerSemanticSegmentation,
}
_WITHOUT = {"detection": "without_boxes", "keypoints": "without_instances"}
_FLAGS = {"true": True, "false": False}


@dataclass(frozen=True)
class Files:
    """The one source that a command names, and what it says about it.

    Args:
        source: Name of the option that gave the files.
        paths: One file or folder; several are members of a committee.
        options: The options given, by name.
        reading: The options of the reader, by name.
    """

    source: str
    paths: tuple[Path, ...]
    options: Mapping[str, Any]
    reading: Mapping[str, Any]

    @property
    def task(self) -> str:
        """What the predictions are for: classification, ensemble, detection, segmentation or keypoints."""
        return "ensemble" if len(self.paths) > 1 else _SOURCES[self.source].task

    @contextlib.contextmanager
    def named(self) -> Iterator[None]:
        """Errors inside say which file they are about, and name the options of the command."""
        try:
            yield
        except ValueError as error:
            names = [repr(str(path)) for path in (*self.paths, self.options.get("coco_images")) if path is not None]
            said = in_words_of_options(str(error), self.task)
            if not any(name[:-1] in said for name in names):  # the file, or one in the folder
                said = f"{', '.join(names)}: {said}"
            raise ValueError(said) from error


def check_words(
    given: Mapping[str, Path | Sequence[Path] | None], options: Mapping[str, Any], reading: Sequence[str]
) -> Files:
    """The one source that is given, and its options.

    Args:
        given: Files by the name of the option, None where it is not given.
        options: Other options by name, None where one is not given.
        reading: `NAME=VALUE` of the reader.

    Raises:
        typer.BadParameter: No source or several; an option that the source does not use, or out of range.
        FileNotFoundError: There is no such file.
    """
    sources = [name for name, paths in given.items() if paths]
    if len(sources) != 1:
        what = f", not {' and '.join(map(_flag, sources))}" if sources else ""
        raise typer.BadParameter(f"give one of {', '.join(map(_flag, given))}{what}")
    (source,) = sources
    chosen = {name: value for name, value in options.items() if value is not None}
    for name in chosen:
        if name not in _SOURCES[source].options:
            users = ", ".join(_flag(other) for other, its in _SOURCES.items() if name in its.options)
            raise typer.BadParameter(f"{_flag(name)} is not for {_flag(source)}, but for {users}")
    if "coco_images" in _SOURCES[source].options and "coco_images" not in chosen:
        raise typer.BadParameter(f"{_flag(source)} and --coco-images go together: results have no names of images")
    found = given[source]
    paths = (found,) if isinstance(found, Path) else tuple(found or ())
    resolved = [path.resolve() for path in paths]
    doubled = [path for number, path in enumerate(paths) if resolved[number] in resolved[:number]]
    if doubled:
        raise typer.BadParameter(f"{_flag(source)} '{doubled[0]}' is given twice; expected one file for each member")
    files = Files(source, paths, chosen, dict(_pair(source, text) for text in reading))
    try:
        _scorer(files, ())
        SegmentationPredictions.stream((), class_axis=chosen.get("class_axis", -1))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    for path in (*paths, chosen.get("coco_images", paths[0])):
        path.stat()  # before a project on a platform is listed, which may take minutes
    return files


def read_predictions(files: Files, item_ids: Sequence[str]) -> Predictions:
    """The predictions in the files.

    Args:
        files: As `check_words` gives them.
        item_ids: The project's items, which the names in files are matched to.

    Raises:
        ValueError: What is wrong with a file.
    """
    with files.named():
        return _READERS[files.task](files, item_ids)


def make_scorer(files: Files, predictions: Predictions, *, on_map: Callable[[], object] | None = None) -> Scorer[Any]:
    """The scorer of predictions.

    Args:
        files: Where they come from.
        predictions: As `read_predictions` gives them.
        on_map: Called whenever a map is begun.
    """
    return _scorer(files, predictions.stream(on_map) if isinstance(predictions, Maps) else predictions)


def in_project(item_ids: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The project's ids of the items that files name; a name that means no item, or several, stays as it is."""
    all_known = frozenset(known)
    if all_known.issuperset(item_ids):
        return tuple(item_ids)
    names = ItemNames(known)

    def meant(name: str) -> str:
        try:
            return names.find(name)
        except ValueError:  # counted and named when coverage is checked
            return name

    return tuple(map(meant, item_ids))


class Maps:
    """Segmentation maps in a folder, read one by one; all are opened once at birth, which finds most faults early."""

    def __init__(self, make: Callable[[], Iterator[SegmentationPredictions]]) -> None:
        self._make = make
        self.item_ids = tuple(chunk.item_ids[0] for chunk in make())

    def __len__(self) -> int:
        return len(self.item_ids)

    def stream(self, on_map: Callable[[], object] | None) -> Iterator[SegmentationPredictions]:
        """The maps in order; `on_map` is called with each."""

        def told(chunk: SegmentationPredictions) -> SegmentationPredictions:
            if on_map is not None:
                on_map()
            return chunk

        return map(told, self._make())


def _scorer(files: Files, predictions: Any) -> Scorer[Any]:
    options = {name: files.options[name] for name in ("score_threshold", "nms_iou") if name in files.options}
    if "aggregation" in files.options:
        options["aggregations"] = files.options["aggregation"]
    if files.task in _WITHOUT:
        options[_WITHOUT[files.task]] = files.options.get("without_objects", 0.0)  # the command warns in its own words
    return _SCORERS[files.task](predictions, **options)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _pair(source: str, text: str) -> tuple[str, Any]:
    """`NAME=VALUE` of a reader, where a value is text, or true or false."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"--option {text!r} is not NAME=VALUE")
    if name not in _SOURCES[source].reading:
        its = ", ".join(_SOURCES[source].reading)
        raise typer.BadParameter(f"{_flag(source)} has no option {name!r}; {f'it has {its}' if its else 'it has none'}")
    if name == "clip_confidences":
        if value not in _FLAGS:
            raise typer.BadParameter(f"--option {text!r} is neither true nor false")
        return name, _FLAGS[value]
    return name, value


def _classification(files: Files, item_ids: Sequence[str]) -> Predictions:
    return _class_table(files.paths[0], files, item_ids)


def _ensemble(files: Files, item_ids: Sequence[str]) -> Predictions:
    members = [_class_table(path, files, item_ids) for path in files.paths]
    shared = set(members[0].item_ids).intersection(*(member.item_ids for member in members[1:]))
    if not shared:
        raise ValueError("no item is in all files; each file holds the predictions of one member of a committee")
    try:
        return EnsemblePredictions.from_members([name for name in members[0].item_ids if name in shared], members)
    except ValueError as error:

        def path(found: re.Match[str]) -> str:
            return repr(str(files.paths[int(found[1])]))

        raise ValueError(re.sub(r"\bmember (\d+)(?= has )", path, str(error))) from error


def _class_table(path: Path, files: Files, item_ids: Sequence[str]) -> ClassificationPredictions:
    is_logits = files.source == "logits"
    if path.suffix.lower() == ".csv":
        return formats.csv.classifications(path, item_ids=item_ids, is_complete=False, is_logits=is_logits, **files.reading)
    if files.reading:
        raise ValueError(f"'{path}' is no .csv file, so --option {next(iter(files.reading))} says nothing about it")
    try:
        arrays = load_arrays(path, ("item_ids", files.source))
    except ValueError as error:
        if path.suffix.lower() == ".npz":
            raise
        raise ValueError(f"{error}; expected .npz or .csv") from error
    make = ClassificationPredictions.from_logits if is_logits else ClassificationPredictions
    try:
        return make(in_project(arrays["item_ids"].tolist(), item_ids), arrays[files.source])
    except (TypeError, ValueError) as error:
        raise ValueError(f"'{path}': {error}") from error


def _detection(files: Files, item_ids: Sequence[str]) -> Predictions:
    (path,) = files.paths
    if files.source == "coco_results":
        images = files.options["coco_images"]
        return formats.coco.detections(path, images=images, item_ids=item_ids, is_complete=False)
    if files.source == "yolo":
        return formats.yolo.detections(path, item_ids=item_ids, **files.reading)
    return formats.label_studio.detections(path, item_ids=item_ids, is_complete=False, **files.reading)


def _keypoints(files: Files, item_ids: Sequence[str]) -> Predictions:
    images = files.options["coco_images"]
    return formats.coco.keypoints(files.paths[0], images=images, item_ids=item_ids, is_complete=False, **files.reading)


def _segmentation(files: Files, item_ids: Sequence[str]) -> Predictions:
    def make() -> Iterator[SegmentationPredictions]:
        return formats.npy.segmentations(
            files.paths[0],
            item_ids=item_ids,
            is_complete=False,
            class_axis=files.options.get("class_axis", -1),
            is_logits=files.source == "map_logits",
        )

    return Maps(make)


_READERS = {
    "classification": _classification,
    "ensemble": _ensemble,
    "detection": _detection,
    "keypoints": _keypoints,
    "segmentation": _segmentation,
}
