"""`al-agent score`: turn a model's predictions into scores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from scorers import ClassificationPredictions, DetectionPredictions, ScorerClassification, ScorerObjectDetection
from scorers.files import load_arrays

from .options import SCORES_FILE, AsJson, PlatformName, Project, ProjectId, Settings, Url, open_agent
from .output import show, table
from .project import Asked


def score(
    project: Project = Path(),
    probabilities: Annotated[
        Path | None,
        typer.Option(help="Classification: .npz with item_ids (n) and probabilities (n, c).", show_default=False),
    ] = None,
    logits: Annotated[
        Path | None, typer.Option(help="Classification: .npz with item_ids (n) and logits (n, c).", show_default=False)
    ] = None,
    coco_results: Annotated[
        Path | None, typer.Option(help="Detection: COCO results, a JSON list of boxes.", show_default=False)
    ] = None,
    coco_images: Annotated[
        Path | None,
        typer.Option(help="Detection: COCO annotation file that names the images and their sizes.", show_default=False),
    ] = None,
    aggregation: Annotated[
        list[str] | None,
        typer.Option(help="Detection: also aggregate box scores by sum, mean, max or top3_mean.", show_default=False),
    ] = None,
    without_boxes: Annotated[
        float | None, typer.Option(help="Detection: score of images without boxes.", show_default="0, with a warning")
    ] = None,
    score_threshold: Annotated[float, typer.Option(help="Detection: leave out boxes with a lower score.")] = 0.0,
    nms_iou: Annotated[
        float | None, typer.Option(help="Detection: drop boxes that overlap a stronger one more.", show_default="off")
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

    al-agent score my_project --probabilities predictions.npz

    al-agent score my_project --coco-results detections.json --coco-images annotations.json
    """
    given = [path for path in (probabilities, logits, coco_results) if path is not None]
    if len(given) != 1:
        raise typer.BadParameter("give one of --probabilities, --logits and --coco-results")
    if (coco_results is None) != (coco_images is None):
        raise typer.BadParameter("--coco-results and --coco-images go together")
    agent = open_agent(Asked(project, platform, project_id, url, settings), None)
    if coco_results is not None and coco_images is not None:
        scores = ScorerObjectDetection(
            DetectionPredictions.from_coco_results(coco_results, images=coco_images),
            aggregations=tuple(aggregation or ()),
            without_boxes=without_boxes,
            score_threshold=score_threshold,
            nms_iou=nms_iou,
        ).scores()
    else:
        scores = ScorerClassification(_read_classification(probabilities, logits)).scores()
    agent.check_covered(scores)
    target = output or project / SCORES_FILE
    scores.save(target)
    summary = {name: _summary(values) for name, values in scores.columns.items()}
    rows = [(name, *(f"{value:.3g}" for value in row.values())) for name, row in summary.items()]
    show(
        {
            "project": str(project),
            "scores": str(target),
            "n_items": len(scores),
            "default": scores.default,
            "columns": summary,
        },
        f"{table(('score', 'lowest', 'median', 'highest'), rows, right=(1, 2, 3))}\n\n"
        f"{len(scores):,} items scored, in {target}; query uses {scores.default} unless told otherwise",
        as_json=as_json,
    )


def _read_classification(probabilities: Path | None, logits: Path | None) -> ClassificationPredictions:
    if probabilities is not None:
        arrays = load_arrays(probabilities, ("item_ids", "probabilities"))
        return ClassificationPredictions(tuple(arrays["item_ids"].tolist()), arrays["probabilities"])
    assert logits is not None
    arrays = load_arrays(logits, ("item_ids", "logits"))
    return ClassificationPredictions.from_logits(arrays["item_ids"].tolist(), arrays["logits"])


def _summary(values: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, float]:
    return {"lowest": float(values.min()), "median": float(np.median(values)), "highest": float(values.max())}
