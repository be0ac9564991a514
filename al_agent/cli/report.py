"""`al-agent report`: write the page of a round."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from samplers.showing import N_THUMBNAILS
from scorers import Scores

from ..agent import ActiveLearningAgent
from ..embedding import Embeddings
from ..errors import NoRoundYet
from ..journal import Round
from ..label_files import ITEM_COLUMNS, read_label_table
from ..report.round.gathering.again import as_command
from ..report.round.gathering.marks import Predictions
from ..report.round.gathering.seen import Seen, seen_in, seen_on_maps
from ..words import counted
from .options import (
    EMBEDDINGS_FILES,
    METADATA_FILE,
    SCORES_FILE,
    AsJson,
    JournalFile,
    PlatformName,
    Project,
    ProjectId,
    Settings,
    Url,
    open_agent,
)
from .output import listed, show
from .predictions import Files, Maps, check_words, read_predictions
from .project import Asked

CURVE_FILE = "curve.csv"


def report(
    project: Project = Path(),
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The page, ends in .html.", show_default="PROJECT/round-N.html"),
    ] = None,
    round_number: Annotated[int | None, typer.Option("--round", help="Which round.", show_default="the last")] = None,
    scores: Annotated[
        Path | None, typer.Option(help="File that al-agent score wrote.", show_default="PROJECT/scores.npz")
    ] = None,
    embeddings: Annotated[
        Path | None, typer.Option(help="As for query.", show_default="PROJECT/embeddings.npy, .npz or .parquet")
    ] = None,
    metadata: Annotated[
        list[Path] | None, typer.Option(help="CSV of columns, repeatable.", show_default="PROJECT/metadata.csv")
    ] = None,
    probabilities: Annotated[
        list[Path] | None,
        typer.Option(help="What the model sees, as for score: classes.", metavar="<path>", show_default=False),
    ] = None,
    logits: Annotated[
        list[Path] | None, typer.Option(help="The same before the softmax.", metavar="<path>", show_default=False)
    ] = None,
    coco_results: Annotated[Path | None, typer.Option(help="Boxes, as for score.", show_default=False)] = None,
    coco_keypoints: Annotated[Path | None, typer.Option(help="Keypoints, as for score.", show_default=False)] = None,
    coco_images: Annotated[Path | None, typer.Option(help="For COCO: annotation file.", show_default=False)] = None,
    yolo: Annotated[Path | None, typer.Option(help="Boxes, as for score.", show_default=False)] = None,
    label_studio: Annotated[Path | None, typer.Option(help="Boxes, as for score.", show_default=False)] = None,
    maps: Annotated[Path | None, typer.Option(help="Pixels, as for score.", show_default=False)] = None,
    map_logits: Annotated[Path | None, typer.Option(help="The same before the softmax.", show_default=False)] = None,
    class_axis: Annotated[
        int | None, typer.Option(help="Axis of the classes in a map of pixels.", show_default="-1, the last")
    ] = None,
    score_threshold: Annotated[
        float | None, typer.Option(help="Leave out boxes with a lower score.", show_default="0")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="How to read predictions, as for score.", show_default=False),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of the images, if the platform has them elsewhere.", show_default=False)
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="CSV file with the columns item,label.", show_default="the local project's")
    ] = None,
    curve: Annotated[
        Path | None,
        typer.Option(
            help="CSV file: labels, and what the model reached with them; its header names both.",
            show_default="PROJECT/curve.csv",
        ),
    ] = None,
    value_per_point: Annotated[
        float | None, typer.Option(help="Money that a point more is worth, for advice.", show_default=False)
    ] = None,
    cost_per_label: Annotated[float | None, typer.Option(help="Money for a label.", show_default=False)] = None,
    map_file: Annotated[
        Path | None, typer.Option("--map", help="File of two-dimensional embeddings.", show_default="made, and kept")
    ] = None,
    map_method: Annotated[
        str | None,
        typer.Option(help="pca, tsne or umap.", show_default="the kept map's, or tsne, of a part above 1,500"),
    ] = None,
    n_thumbnails: Annotated[int, typer.Option("--thumbnails", min=0, help="Most pictures on the map.")] = N_THUMBNAILS,
    platform: PlatformName = None,
    project_id: ProjectId = None,
    url: Url = None,
    settings: Settings = None,
    journal: JournalFile = None,
    as_json: AsJson = False,
) -> None:
    """Write the page of a round: the map of the pool, the picks, and what is known of them.

    One HTML file that opens without a network. It holds small pictures of the images: think of who may see them.

    Examples:

    al-agent report my_project

    al-agent report my_project --coco-results detections.json --coco-images annotations.json --output round.html
    """
    sources = {
        "probabilities": probabilities,
        "logits": logits,
        "coco_results": coco_results,
        "coco_keypoints": coco_keypoints,
        "yolo": yolo,
        "label_studio": label_studio,
        "maps": maps,
        "map_logits": map_logits,
    }
    about = {"coco_images": coco_images, "class_axis": class_axis, "score_threshold": score_threshold}
    files = None
    if any(sources.values()) or option or any(value is not None for value in about.values()):
        files = check_words(sources, about, option or ())
    score_file = _default(scores, project / SCORES_FILE)
    vector_file = _default(embeddings, *(project / file for file in EMBEDDINGS_FILES))
    curve_file = _default(curve, project / CURVE_FILE)
    places = _default(map_file)
    points, figure_name = (None, "accuracy") if curve_file is None else _read_curve(curve_file)
    fact_files = metadata or [path for path in [project / METADATA_FILE] if path.exists()]
    agent = open_agent(Asked(project, platform, project_id, url, settings), journal, vector_file, fact_files)
    current = _round(agent, round_number)
    target = output or project / f"round-{current.number}.html"
    words = _words_of_files(current, scores, embeddings, metadata or ())
    words += _words_of_project(platform, project_id, url, settings)
    made = agent.report(
        target,
        None if score_file is None else Scores.load(score_file),
        round_number=current.number,
        predictions=None if files is None else _seen(files, agent, current),
        images=images,
        positions=None if places is None else Embeddings.load(places),
        labels=None if labels is None else read_label_table(labels, ("name", *ITEM_COLUMNS)),
        curve=points,
        figure_name=figure_name,
        value_per_point=value_per_point,
        cost_per_label=cost_per_label,
        map_method=map_method,
        n_thumbnails=n_thumbnails,
        command=as_command(current.config, str(project), words),
    )
    lines = [f"{current.name}: {counted(len(current.selection), 'pick')} in {target}, {made.n_bytes / 1e6:.1f} MB"]
    lines += [listed(" -", [sentence]) for sentence in made.missing]
    show(
        {
            "project": str(project),
            "round": current.number,
            "name": current.name,
            "output": str(target),
            "n_bytes": made.n_bytes,
            "missing": list(made.missing),
        },
        "\n".join(lines),
        as_json=as_json,
    )


def _default(given: Path | None, *defaults: Path) -> Path | None:
    """The file that was given, or the first default that is there."""
    if given is not None and not given.exists():
        raise FileNotFoundError(f"there is no file '{given}'")
    return given or next((path for path in defaults if path.exists()), None)


def _round(agent: ActiveLearningAgent, number: int | None) -> Round:
    rounds = agent.history
    if not rounds:
        raise NoRoundYet("there was no round in this project yet: al-agent query picks the first")
    found = rounds[-1] if number is None else next((one for one in rounds if one.number == number), None)
    if found is None:
        raise ValueError(f"there is no round {number}; the project has {len(rounds):,}: al-agent status lists them")
    return found


def _seen(files: Files, agent: ActiveLearningAgent, current: Round) -> Seen:
    """What the predictions in the files say of the project's items."""
    predictions = read_predictions(files, agent.query_set)
    picks = current.selection.item_ids
    with files.named():
        if isinstance(predictions, Maps):
            return seen_on_maps(predictions.stream(None), picks)
        assert isinstance(predictions, Predictions)
        return seen_in(predictions, picks, agent.labeled_set, score_threshold=files.options.get("score_threshold", 0.0))


def _read_curve(path: Path) -> tuple[list[tuple[float, float]], str]:
    """`(labels, figure)` of each row, and the figure's name, from the header."""
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
        header, *points = [row for row in rows if row]
        name = header[1]
        if not points:
            raise ValueError("it has no row below its header")
        return [(float(row[0]), float(row[1])) for row in points], name
    except (UnicodeDecodeError, csv.Error, IndexError, ValueError) as error:
        raise ValueError(
            f"'{path}' is no curve ({error}); expected a header such as labels,accuracy and a row with two numbers for each "
            "measurement"
        ) from error


def _words_of_files(current: Round, scores: Path | None, embeddings: Path | None, metadata: Sequence[Path]) -> list[str]:
    """The files of a query that were named, as far as the method takes them."""
    sampler = current.config.sampler()
    words: list[str] = []
    if scores is not None and sampler.takes_scores:
        words += ["--scores", str(scores)]
    if embeddings is not None and sampler.takes_vectors:
        words += ["--embeddings", str(embeddings)]
    for path in metadata:
        words += ["--metadata", str(path)]
    return words


def _words_of_project(
    platform: str | None, project_id: str | None, url: str | None, settings: Sequence[str] | None
) -> list[str]:
    given = {"--platform": platform, "--project-id": project_id, "--url": url}
    words = [word for flag, value in given.items() if value is not None for word in (flag, value)]
    return words + [word for setting in settings or () for word in ("--set", setting)]
