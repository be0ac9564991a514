"""`al-agent simulate`: which method would have paid on images that are labeled already."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from ..embedding import Embeddings
from ..label_files import read_labels
from ..report.learning_curves import draw_learning_curves
from ..simulation.study import Study, StudyResult
from ..simulation.study.folder import StudyFolder
from ..simulation.study.labeled_vectors import LogisticTrainer, Scale, hide_labels
from ..simulation.study.scoring import OF_COMMITTEES
from ..simulation.study.split import can_be_stratified
from ..simulation.study.study import DEFAULT_METHODS
from .labeled_images import vectors_for
from .options import AsJson
from .output import WIDTH, on_one_line, progress, show
from .study_in_words import cost_command, figures, not_shown

_AGAINST = "RANDOM"
_PLOT, _PAGE = "learning_curves.png", "study.html"
_OPTION_OF = {"n_start": "--start", "n_per_round": "--per-round", "n_rounds": "--rounds", "test_share": "--test-share"}


def simulate(
    labels: Annotated[
        Path,
        typer.Argument(
            metavar="LABELS",
            help="CSV file with the columns item,label; or a folder whose subfolders are the classes.",
            show_default=False,
        ),
    ],
    embeddings: Annotated[
        Path | None,
        typer.Option(
            help="Vectors of these items, as al-agent embed writes them.", show_default="those in the folder, or made now"
        ),
    ] = None,
    test_share: Annotated[float, typer.Option(help="Share of the items held out to measure on.")] = 0.2,
    stratified: Annotated[
        bool | None,
        typer.Option(
            "--stratified/--not-stratified",
            help="Hold out of each class its share, at least one item, or draw from all.",
            show_default="where each class has two items",
        ),
    ] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option(
            help="A sampling method, or ORACLE; repeatable. RANDOM is always compared with.",
            show_default=", ".join(DEFAULT_METHODS),
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Independent runs of each method.")] = 5,
    start: Annotated[int, typer.Option(help="Labels to begin with, drawn at random.")] = 20,
    per_round: Annotated[int, typer.Option(help="Labels that each round asks for.")] = 20,
    rounds: Annotated[int, typer.Option(help="Rounds of each run.")] = 10,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="Folder for results; a study in it goes on, and takes more methods or seeds too."
        ),
    ] = Path("al-agent-study"),
    workers: Annotated[int, typer.Option(help="Processes that share the runs; no figure depends on it.")] = 1,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Run those again that failed when the study was run before.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """See which method pays, on images that you have labels for.

    The labels are hidden and revealed as each method asks for them; a logistic regression on the vectors learns from
    them, and is measured on items held out.

    Examples:

    al-agent simulate photos

    al-agent simulate labels.csv --embeddings vectors.parquet --methods auto --methods badge --seeds 10 --workers 2
    """
    names = list(dict.fromkeys(name.upper() for name in methods or DEFAULT_METHODS))
    if _AGAINST not in names:
        names.insert(0, _AGAINST)
    for name, value in (("--seeds", seeds), ("--start", start), ("--per-round", per_round), ("--rounds", rounds)):
        if value < 1:
            raise typer.BadParameter(f"{name} is {value}; expected 1 or more")
    if workers < 1:
        raise typer.BadParameter(f"--workers is {workers}; expected 1 or more")
    if not 0 < test_share < 1:
        raise typer.BadParameter(f"--test-share is {test_share}; expected a share above 0 and below 1")
    home = StudyFolder(output)
    home.check_path()
    label_of = _without_results(read_labels(labels), labels, output)
    if stratified is None:
        stratified = can_be_stratified(list(label_of.values()), test_share)

    def planned(vectors: Embeddings) -> Study:
        try:
            data = hide_labels(label_of, vectors, test_share=test_share, stratified=stratified)
        except ValueError as error:
            raise ValueError(_in_options(str(error))) from error
        try:
            _check_one_model(names)
            trainer = LogisticTrainer(Scale.of(data.features))
            return Study(data, trainer, names, start, per_round, rounds, range(seeds))
        except ValueError as error:
            raise typer.BadParameter(_in_options(str(error))) from error

    if embeddings is None:  # what is wrong is said before images are embedded
        planned(Embeddings(list(label_of), np.zeros((len(label_of), 1))))
    vectors, of_vectors = vectors_for(labels, label_of, embeddings, output)
    study = planned(vectors)
    data = study.data
    with progress(len(study.methods) * seeds, "studying", "runs") as bar:
        try:
            result = study.run(output, n_workers=workers, retry_failed=retry_failed, on_run=bar.update)
        except ValueError as error:
            raise ValueError(_in_options(str(error))) from error
    sentence = result.sentence()
    plot, why_no_plot = _draw(output / _PLOT, result)
    words: dict[str, Sequence[object]] = {
        "--embeddings": [] if embeddings is None else [embeddings],
        "--test-share": [test_share],
        "--stratified" if stratified else "--not-stratified": [""],
        "--methods": names,
        "--seeds": [seeds],
        "--start": [start],
        "--per-round": [per_round],
        "--rounds": [rounds],
        "--output": [output],
    }
    page, why_no_page = _write_page(output / _PAGE, result, study.arguments, _command(labels, words))
    n_left_out, n_classes = len(vectors) - len(label_of), len(set(label_of.values()))
    lines = [
        textwrap.fill(on_one_line(sentence), WIDTH, break_on_hyphens=False),
        "",
        result.summary(),
        "",
        textwrap.fill(
            f"{len(data.item_ids):,} items in the pool, {len(data.test_labels):,} held out, "
            f"{'of each class its share' if stratified else 'drawn from all'}; {n_classes:,} classes",
            WIDTH,
        ),
        *([of_vectors] if of_vectors else []),
        *([f"{n_left_out:,} vectors have no label and were left out"] if n_left_out else []),
        *not_shown(home.arguments()["methods"], study.methods),
        *(["Runs that failed are run again with --retry-failed"] if result.failures else []),
        f"All measurements: {output / 'study.csv'}",
        f"The curves as a picture: {plot}" if plot else f"No picture of the curves: {why_no_plot}",
        f"All of it as a page: {page}" if page else f"No page of it: {why_no_page}",
        *cost_command(result, _AGAINST, len(data.item_ids)),
    ]
    show(
        {
            "sentence": sentence,
            "n_pool": len(data.item_ids),
            "n_test": len(data.test_labels),
            "stratified": stratified,
            "n_classes": n_classes,
            "n_seeds": seeds,
            "methods": {name: figures(result, name, _AGAINST) for name in study.methods},
            "failures": [{"method": method, "seed": seed, "why": why} for (method, seed), why in result.failures.items()],
            "table": str(output / "study.csv"),
            "learning_curves": None if plot is None else str(plot),
            "page": None if page is None else str(page),
        },
        "\n".join(lines),
        as_json=as_json,
    )


def _without_results(label_of: dict[str, str], labels: Path, output: Path) -> dict[str, str]:
    """Without the pictures of an earlier start, where the results lie among the images."""
    home, results = labels.resolve(), output.resolve()
    if home not in results.parents:
        return label_of
    inside = f"{results.relative_to(home).as_posix()}/"
    return {item_id: label for item_id, label in label_of.items() if not item_id.startswith(inside)}


def _check_one_model(names: Sequence[str]) -> None:
    for name in names:
        if name in OF_COMMITTEES:
            raise ValueError(f"{name} compares the members of a committee, and the logistic regression is one; leave it out")


def _draw(path: Path, result: StudyResult) -> tuple[Path | None, str]:
    try:
        draw_learning_curves(path, "What each method made of its labels", *result.curves.means_and_errors())
    except ImportError as problem:
        return None, str(problem)
    return path, ""


def _write_page(path: Path, result: StudyResult, arguments: Mapping[str, Any], command: str) -> tuple[Path | None, str]:
    try:
        result.report(path, against=_AGAINST, arguments=arguments, command=command)
    except ImportError as problem:
        return None, str(problem)
    return path, ""


def _command(labels: Path, words: Mapping[str, Sequence[object]]) -> str:
    """The command that was given, with all that its result depends on."""
    typed = ["al-agent simulate", shlex.quote(str(labels))]
    for option, values in words.items():
        typed += [f"{option} {shlex.quote(str(value))}" if value != "" else option for value in values]
    return " ".join(typed)


def _in_options(message: str) -> str:
    for name, option in _OPTION_OF.items():
        message = message.replace(name, option)
    return message
