"""`al-agent demo`: a whole round on real images, and whether it was worth it."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from samplers import Selection

from ..agent import ActiveLearningAgent
from ..config import SamplerConfig
from ..embedding import Embeddings
from ..embedding.blas_threads import one_blas_thread
from ..platforms.local import PlatformLocal
from ..report.contact_sheet import draw_contact_sheet
from ..report.learning_curves import draw_learning_curves
from ..simulation.digits import load_digits, write_images
from ..simulation.replay import Classifier, LearningCurves, replay, score, train
from .options import AsJson
from .output import listed, progress, show, table

_METHODS = ("CORAL", "UNCERTAINTY", "CORESET", "RANDOM")
_N_INITIAL, _N_FIRST_BATCH = 20, 50
_N_SEEDS, _N_ROUNDS, _N_PER_ROUND = 5, 10, 20
_MARKER, _PAGE = ".al-agent-demo", "round-1.html"


def demo(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder for the demo; an earlier demo in it is replaced.")
    ] = Path("al-agent-demo"),
    seed: Annotated[int, typer.Option(help="Of the first batch.")] = 0,
    as_json: AsJson = False,
) -> None:
    """See a round on handwritten digits, and whether it pays.

    A local project of 1,797 real images, a batch picked, pushed and labeled; then four methods over ten rounds.

    Example: al-agent demo
    """
    started = time.perf_counter()
    _make_room(folder)

    def say(text: str) -> None:
        if not as_json:
            print(text, flush=True)

    digits = load_digits()
    write_images(digits, folder)
    platform = PlatformLocal.create(folder, images=folder / "pool")
    agent = ActiveLearningAgent(platform, embeddings=Embeddings(digits.item_ids, digits.features))
    start = np.random.default_rng(seed).choice(len(digits.item_ids), _N_INITIAL, replace=False)
    digits.reveal(platform, [digits.item_ids[row] for row in start.tolist()])
    agent.refresh()
    say(
        f"1. A project in {folder}:\n   {len(agent.query_set):,} handwritten digits to choose from, "
        f"{len(agent.labeled_set)} of them labeled at random,\n   and {len(digits.test_labels)} kept apart to test on."
    )

    model = train(make_classifier, platform, digits)
    before = float(model.score(digits.test_features, digits.test_labels))
    say(f"2. A model trained on the {_N_INITIAL} labels: accuracy {before:.1%}.")

    batch = agent.query(SamplerConfig(_N_FIRST_BATCH, method="CORAL", seed=seed), score(model, agent, digits))
    say(f"3. CORAL picked {len(batch)} of {len(agent.unlabeled_set):,}, unsure and different, and pushed them:\n")
    rows = [(str(place + 1), batch.item_ids[place], batch.reasons[place]) for place in range(4)]
    say(table(("#", "item", "reason"), rows, right=(0,)))
    queue = listed("   The labeling queue now begins:", [item.id for item in platform.next_items(3)])
    sheet = folder / "contact_sheet.png"
    draw_contact_sheet(sheet, f"{agent.last_round.name}: what to label next", batch, agent.items(batch.item_ids))
    say(f"\n{queue}\n   All picks as a picture: {sheet}")

    digits.reveal(platform, batch.item_ids)
    agent.refresh()
    model = train(make_classifier, platform, digits)
    after = float(model.score(digits.test_features, digits.test_labels))
    say(f"4. The batch labeled and the model trained again: {len(agent.labeled_set)} labels, accuracy {after:.1%}.")

    say(
        f"5. Was it worth it? {_N_ROUNDS} rounds of {_N_PER_ROUND} by each method from {_N_SEEDS} random starts:\n"
        "   accuracy on the test set in percent, mean over the starts ± standard error.\n"
    )
    with progress(len(_METHODS) * _N_SEEDS * _N_ROUNDS, "   replaying", "rounds") as bar, one_blas_thread():
        curves = replay(
            digits,
            make_classifier,
            methods=_METHODS,
            n_seeds=_N_SEEDS,
            n_rounds=_N_ROUNDS,
            n_initial=_N_INITIAL,
            n_per_round=_N_PER_ROUND,
            on_round=bar.update,
        )
    say(_curve_table(curves))
    say(f"\n   {_verdict(curves)}")
    plot = _draw(folder / "learning_curves.png", curves, say)
    page = _write_page(folder / _PAGE, batch, [(_N_INITIAL, before), (len(agent.labeled_set), after)], say)
    elapsed_s = time.perf_counter() - started
    command = "al-agent" if shutil.which("al-agent") else sys.argv[0]  # in an environment that is not activated
    say(f"\nDone in {elapsed_s:.0f} s. Look around: {command} status {shlex.quote(str(folder))}")
    if as_json:
        result = {
            "project": str(folder),
            "accuracy_before": before,
            "accuracy_after": after,
            "picks": list(batch.item_ids),
            "contact_sheet": str(sheet),
            "learning_curves": None if plot is None else str(plot),
            "page": None if page is None else str(page),
            "n_labeled": curves.n_labeled.tolist(),
            "mean_accuracy": dict(zip(curves.methods, curves.mean().tolist())),
            "elapsed_s": elapsed_s,
        }
        show(result, "", as_json=True)


def make_classifier() -> Classifier:
    """The demo's small model: logistic regression."""
    from sklearn.linear_model import LogisticRegression  # loads scikit-learn, which takes a second  # noqa: PLC0415

    model: Classifier = LogisticRegression(C=10.0, max_iter=2_000)
    return model


def _make_room(folder: Path) -> None:
    """Remove an earlier demo; refuse to touch any other folder."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / _MARKER).exists():
            raise typer.BadParameter(f"'{folder}' exists and is no earlier demo; name another folder")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARKER).write_text(json.dumps({"made_by": "al-agent demo"}) + "\n", encoding="utf-8")


def _curve_table(curves: LearningCurves) -> str:
    mean, error = 100 * curves.mean(), 100 * curves.standard_error()
    rows = [
        (str(n_labeled), *(f"{mean[row, column]:.1f} ±{error[row, column]:.1f}" for row in range(len(curves.methods))))
        for column, n_labeled in enumerate(curves.n_labeled.tolist())
    ]
    return table(("   labels", *curves.methods), rows, right=range(len(curves.methods) + 1))


def _verdict(curves: LearningCurves) -> str:
    """Who is ahead on average over all rounds, and whether the difference to RANDOM exceeds its own uncertainty."""
    areas = 100 * curves.accuracy[:, :, 1:].mean(axis=2)  # (m, s): mean accuracy over the rounds
    gains = areas - areas[curves.methods.index("RANDOM")]  # the same start for each seed: differences pair by pair
    best = int(areas.mean(axis=1).argmax())
    if curves.methods[best] == "RANDOM":
        return "Averaged over all rounds RANDOM is ahead: on these images active learning did not pay."
    gain = float(gains[best].mean())
    error = float(gains[best].std(ddof=1) / np.sqrt(gains.shape[1]))
    size = "" if gain > 2 * error else ", which is within the noise"
    return f"Averaged over all rounds {curves.methods[best]} is ahead of RANDOM by {gain:.1f} ±{error:.1f} points{size}."


def _draw(path: Path, curves: LearningCurves, say: Callable[[str], None]) -> Path | None:
    mean, error = curves.mean(), curves.standard_error()
    lines = {method: (mean[row], error[row]) for row, method in enumerate(curves.methods)}
    try:
        draw_learning_curves(path, "Handwritten digits: what each method made of its labels", curves.n_labeled, lines)
    except ImportError as problem:
        say(f"   No picture of the curves: {problem}")
        return None
    say(f"   The curves as a picture: {path}")
    return path


def _write_page(
    path: Path, batch: Selection, curve: Sequence[tuple[float, float]], say: Callable[[str], None]
) -> Path | None:
    try:
        batch.report(path, curve=curve, figure_name="test accuracy")
    except ImportError as problem:
        say(f"6. No page of the round: {problem}")
        return None
    say(f"6. The batch on a map of all images, in a page to open in a browser:\n   {path}")
    return path
