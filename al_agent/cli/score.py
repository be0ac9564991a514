"""`al-agent score`: turn a model's predictions into scores."""

from __future__ import annotations

import contextlib
import shlex
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from scorers import Scores

from ..agent import ActiveLearningAgent
from .histogram import histogram_lines
from .options import SCORES_FILE, AsJson, PlatformName, Project, ProjectId, Settings, Url, open_agent
from .output import progress, show, table
from .predictions import Files, Maps, check_words, make_scorer, read_predictions
from .project import Asked

_COUNTS = {"detection": ("object_count", "boxes"), "keypoints": ("instance_count", "keypoints")}


def score(
    project: Project = Path(),
    probabilities: Annotated[
        list[Path] | None,
        typer.Option(
            help="Classification: .npz with item_ids (n) and probabilities (n, c), or .csv with a column for each class. "
            "Repeated: one file for each member of a committee.",
            metavar="<path>",
            show_default=False,
        ),
    ] = None,
    logits: Annotated[
        list[Path] | None,
        typer.Option(help="Classification: the same with values before the softmax.", metavar="<path>", show_default=False),
    ] = None,
    coco_results: Annotated[
        Path | None, typer.Option(help="Detection: COCO results, a JSON list of boxes or masks.", show_default=False)
    ] = None,
    coco_keypoints: Annotated[
        Path | None, typer.Option(help="Keypoints: COCO results, a JSON list of keypoints.", show_default=False)
    ] = None,
    coco_images: Annotated[
        Path | None,
        typer.Option(help="For COCO: annotation file that names all images, with their sizes.", show_default=False),
    ] = None,
    yolo: Annotated[
        Path | None,
        typer.Option(help="Detection: folder of YOLO .txt files with confidences.", show_default=False),
    ] = None,
    label_studio: Annotated[
        Path | None,
        typer.Option(help="Detection: JSON list of Label Studio's tasks with predictions.", show_default=False),
    ] = None,
    maps: Annotated[
        Path | None,
        typer.Option(help="Segmentation: folder of .npy maps of class probabilities, (h, w, c).", show_default=False),
    ] = None,
    map_logits: Annotated[
        Path | None, typer.Option(help="Segmentation: the same with values before the softmax.", show_default=False)
    ] = None,
    class_axis: Annotated[
        int | None,
        typer.Option(help="Segmentation: axis of the classes in a map; 0 for (c, h, w).", show_default="-1, the last"),
    ] = None,
    aggregation: Annotated[
        list[str] | None,
        typer.Option(
            help="Also aggregate by sum, mean, max or top3_mean (boxes, people), or by max, top10_percent_mean or "
            "region32_max (pixels); repeatable.",
            metavar="<name>",
            show_default=False,
        ),
    ] = None,
    without_objects: Annotated[
        float | None,
        typer.Option(
            "--without-objects",
            "--without-boxes",
            help="Detection, keypoints: score of images in which nothing was found.",
            show_default="0, with a warning",
        ),
    ] = None,
    score_threshold: Annotated[
        float | None,
        typer.Option(help="Detection, keypoints: leave out what has a lower score.", show_default="0"),
    ] = None,
    nms_iou: Annotated[
        float | None, typer.Option(help="Detection: drop boxes that overlap a stronger one more.", show_default="off")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            metavar="NAME=VALUE",
            help="How to read the file, repeatable: delimiter (.csv), lines=polygons (YOLO), clip_confidences=true (COCO "
            "keypoints), image_field, model_version (Label Studio).",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The scores' file.", show_default="PROJECT/scores.npz")
    ] = None,
    platform: PlatformName = None,
    project_id: ProjectId = None,
    url: Url = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Turn a model's predictions into scores.

    Examples:

    al-agent score my_project --probabilities predictions.csv

    al-agent score my_project --coco-results detections.json --coco-images annotations.json

    al-agent score my_project --maps probability_maps --aggregation region32_max
    """
    files = check_words(
        {
            "probabilities": probabilities,
            "logits": logits,
            "coco_results": coco_results,
            "coco_keypoints": coco_keypoints,
            "yolo": yolo,
            "label_studio": label_studio,
            "maps": maps,
            "map_logits": map_logits,
        },
        {
            "coco_images": coco_images,
            "aggregation": aggregation or None,
            "without_objects": without_objects,
            "score_threshold": score_threshold,
            "nms_iou": nms_iou,
            "class_axis": class_axis,
        },
        option or (),
    )
    agent = open_agent(Asked(project, platform, project_id, url, settings), None)
    scores = _scores(files, agent)
    _warn_of_empty(files, scores, agent.unlabeled_set)
    target = output or project / SCORES_FILE
    scores.save(target)
    summary = {name: _summary(values) for name, values in scores.columns.items()}
    rows = [(*(f"{value:.3g}" for value in row.values()), name) for name, row in summary.items()]
    picture = [] if as_json else histogram_lines(scores, scores.name_or_default(None), agent.unlabeled_set)
    where = shlex.quote(str(project)) + ("" if output is None else f" --scores {shlex.quote(str(output))}")
    show(
        {
            "project": str(project),
            "task": files.task,
            "scores": str(target),
            "n_items": len(scores),
            "default": scores.default,
            "columns": summary,
        },
        "\n".join(
            [
                table(("lowest", "median", "highest", "score"), rows, right=(0, 1, 2)),
                *picture,
                "",
                f"{len(scores):,} items scored, in {target}",
                f"next: al-agent query {where} --method uncertainty --score {scores.default}",
            ]
        ),
        as_json=as_json,
    )


def _scores(files: Files, agent: ActiveLearningAgent) -> Scores:
    """Scores by the project's ids. What they cover is checked before the work."""
    predictions = read_predictions(files, agent.query_set)
    with files.named():
        agent.check_covered(Scores(predictions.item_ids, {"score": np.zeros(len(predictions))}))
        is_long = isinstance(predictions, Maps)
        with progress(len(predictions), "scoring", "maps") if is_long else contextlib.nullcontext() as bar:
            return make_scorer(files, predictions, on_map=bar.update if bar is not None else None).scores()


def _warn_of_empty(files: Files, scores: Scores, unlabeled: Sequence[str]) -> None:
    """Warn of images to be labeled in which nothing was found."""
    if files.task not in _COUNTS or "without_objects" in files.options:
        return
    column, what = _COUNTS[files.task]
    empty = {item_id for item_id, count in zip(scores.item_ids, scores.column(column)) if count == 0}
    n_empty = len(empty.intersection(unlabeled))
    if n_empty:
        warnings.warn(
            f"{n_empty:,} of {len(unlabeled):,} unlabeled items have no {what} and get uncertainty 0, so they come last; "
            "--without-objects 1 puts them first",
            stacklevel=2,
        )


def _summary(values: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, float]:
    return {"lowest": float(values.min()), "median": float(np.median(values)), "highest": float(values.max())}
