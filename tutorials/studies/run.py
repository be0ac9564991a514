"""Which method learns most from its labels, where the learner is a network: studies of three tasks by one command.

From the root of the repository:

    pip install "al-agent[torch,plot]" pycocotools
    python tutorials/studies/run.py cifar --data cifar10.zip
    python tutorials/studies/run.py bccd --data bccd.zip --budget cold
    python tutorials/studies/run.py camvid --data camvid.zip --methods RANDOM CORESET --workers 2

The README beside this file says what each study is and takes. A study that was stopped goes on by the same command, and
takes more seeds or methods too.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bccd_study import CellTrainer, load_bccd
from camvid_study import StreetTrainer, load_camvid
from cifar_study import PhotoTrainer, load_cifar
from tqdm import tqdm
from vectors import VectorsOf, patch_vectors

from al_agent import Embeddings, SamplerConfig
from al_agent.report.learning_curves import draw_learning_curves
from al_agent.simulation.hidden import HiddenLabels
from al_agent.simulation.study import ORACLE, Study, StudyResult


class Budget(NamedTuple):
    """Labels to begin with, labels of each round, rounds."""

    start: int
    per_round: int
    rounds: int


class Kind(NamedTuple):
    """A study: its data, its network, the name of its figure, and the budgets that its learning curve rises over."""

    load: Callable[[Path, VectorsOf, int | None, int | None], HiddenLabels]
    trainer: Any
    figure: str
    budgets: Mapping[str, Budget]


KINDS = {
    "cifar": Kind(load_cifar, PhotoTrainer(), "accuracy", {"cold": Budget(20, 20, 6), "warm": Budget(500, 250, 6)}),
    "bccd": Kind(load_bccd, CellTrainer(), "mAP at IoU .5", {"cold": Budget(5, 5, 6), "warm": Budget(20, 10, 6)}),
    "camvid": Kind(load_camvid, StreetTrainer(), "mean IoU", {"cold": Budget(5, 5, 6), "warm": Budget(20, 15, 6)}),
}
_AGAINST = "RANDOM"  # is always compared with
DEFAULT_METHODS = (_AGAINST, "AUTO", "UNCERTAINTY", "CORESET", "CORAL", "TYPICLUST")


def main(words: Sequence[str] | None = None) -> StudyResult:
    """Run a study as the command line says, print its summary, and draw its curves.

    Args:
        words: The command line; None takes the program's own.
    """
    parser = _parser()
    given = parser.parse_args(words)
    kind = KINDS[given.study]
    for path in filter(None, (given.data, given.embeddings)):
        if not path.is_file():
            parser.error(f"'{path}' is not there")
    start, per_round, rounds = (
        asked or usual for asked, usual in zip((given.start, given.per_round, given.rounds), kind.budgets[given.budget])
    )
    folder = given.folder or Path(f"study-{given.study}-{given.budget}")
    trainer = kind.trainer
    if given.passes is not None:
        if not isinstance(trainer, PhotoTrainer):
            parser.error(f"--passes are of the classifier, in the study cifar; {given.study} has none")
        trainer = dataclasses.replace(trainer, n_passes=given.passes)
    try:
        data = kind.load(given.data, _vectors_of(given.embeddings, folder), given.n_pool, given.n_test)
        study = Study(
            data,
            trainer,
            {name: _config(name) for name in dict.fromkeys((_AGAINST, *map(_name, given.methods)))},
            n_start=start,
            n_per_round=per_round,
            n_rounds=rounds,
            seeds=range(given.seeds),
        )
        print(f"{len(data.item_ids):,} items to label, {len(data.test_labels):,} to test on; the figure is {kind.figure}")
        with tqdm(total=len(study.methods) * given.seeds, desc=given.study, unit=" runs", disable=None) as bar:
            result = study.run(folder, n_workers=given.workers, on_run=bar.update)
    except ValueError as error:
        parser.error(str(error))
    print(result.sentence(), result.summary(), f"All measurements: {folder / 'study.csv'}", sep="\n\n")
    picture = folder / "learning_curves.png"
    try:
        curves = result.curves.means_and_errors()
        draw_learning_curves(picture, f"{given.study}: what each method made of its labels", *curves, figure=kind.figure)
        print(f"The curves as a picture: {picture}")
    except ImportError as problem:
        print(f"No picture of the curves: {problem}")
    return result


def _vectors_of(file: Path | None, folder: Path) -> VectorsOf:
    if file is not None:
        brought = Embeddings.load(file)
        return lambda item_ids, _: brought.subset(item_ids).vectors
    return lambda item_ids, photos: patch_vectors(folder / "embeddings.npz", item_ids, photos)


def _name(word: str) -> str:
    """METHOD, or METHOD:score, as the study names it."""
    method, colon, score = word.partition(":")
    return f"{method.upper()}{colon}{score}"


def _config(name: str) -> SamplerConfig:
    method, _, score = name.partition(":")
    return SamplerConfig(method="UNCERTAINTY" if method == ORACLE else method, score=score or None)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("study", choices=tuple(KINDS), help="photos with classes, cells with boxes, or streets with masks")
    add("--data", type=Path, required=True, metavar="ZIP", help="the photos and answers")
    add(
        "--methods",
        nargs="+",
        default=DEFAULT_METHODS,
        metavar="METHOD",
        help=f"sampling methods, or {ORACLE}; with a score as METHOD:score (%(default)s)",
    )
    add("--budget", choices=("cold", "warm"), default="warm", help="few labels to begin with, or more (%(default)s)")
    add("--seeds", type=_count, default=5, metavar="N", help="independent runs of each method (%(default)s)")
    add("--start", type=_count, metavar="N", help="labels to begin with, instead of the budget's")
    add("--per-round", type=_count, metavar="N", help="labels of each round")
    add("--rounds", type=_count, metavar="N", help="rounds of each run")
    add("--workers", type=_count, default=1, metavar="N", help="processes that share the runs (%(default)s)")
    add("--folder", type=Path, metavar="DIR", help="where results are kept (study-STUDY-BUDGET)")
    add("--embeddings", type=Path, metavar="FILE", help="vectors to compare items by, instead of those of their patches")
    add("--passes", type=_count, metavar="N", help="cifar: predictions of so many passes with dropout, for BALD")
    add("--n-pool", type=_count, metavar="N", help="items to choose from")
    add("--n-test", type=_count, metavar="N", help="items to test on")
    return parser


def _count(word: str) -> int:
    if not word.isascii() or not word.isdigit() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of 1 or more, got {word!r}")
    return int(word)


if __name__ == "__main__":
    main()
