"""Facts of a made-up round for its page: items in groups on a map, real images, and all that a page can show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from al_agent import SamplerConfig, Selection
from al_agent.journal import Push, Round
from al_agent.report.round.facts import Box, ClassCount, Marks, Progress, RoundFacts
from samplers.quality import Figure, Quality

CLASSES = ("cat", "dog", "horse", "bird", "ship", "truck", "plane", "frog", "deer", "car", "owl", "fox")
WHEN = datetime(2026, 11, 30, 9, 5, tzinfo=timezone.utc)


def draw_images(folder: Path, item_ids: Sequence[str]) -> list[str]:
    """One PNG for each item, of its own colour."""
    paths = []
    for row, _ in enumerate(item_ids):
        path = folder / f"{row}.png"
        image = Image.new("RGB", (96, 64), ((row * 37) % 200 + 30, (row * 91) % 200 + 30, (row * 53) % 200 + 30))
        ImageDraw.Draw(image).text((8, 20), str(row), fill="white")
        image.save(path)
        paths.append(str(path))
    return paths


def a_round(number: int, item_ids: Sequence[str], *, n_unlabeled: int, n_labeled: int, is_pushed: bool = True) -> Round:
    gains = np.linspace(0.9, 0.2, len(item_ids))
    reasons = tuple(
        f"score {gain:.3f}, 98th percentile; {gain:.2f} from the nearest labeled item" for gain in gains.tolist()
    )
    config = SamplerConfig(max(1, len(item_ids)), method="CORAL", seed=number)
    pushes = (Push(WHEN + timedelta(minutes=1), {"updated": len(item_ids), "taken_back": 3}, {}, True),) if is_pushed else ()
    return Round(
        number,
        f"round-{number}-coral",
        WHEN + timedelta(days=number),
        config,
        "uncertainty_margin",
        f"{number:064x}",
        f"{number + 7:064x}",
        {"unlabeled": n_unlabeled, "labeled": n_labeled},
        (),
        Selection(tuple(item_ids), gains, reasons, "CORAL"),
        pushes,
    )


def make_facts(
    item_ids: Sequence[str], *, n_picks: int, media: Sequence[str | None] | None = None, seed: int = 0
) -> RoundFacts:
    """Facts of a round that has everything; a fifth of the items is labeled, the first picks are the highest scores."""
    n_items = len(item_ids)
    random = np.random.default_rng(seed)
    classes = random.choice(len(CLASSES), n_items, p=np.arange(len(CLASSES), 0, -1) / 78)
    centres = random.normal(0, 4, (len(CLASSES), 2))
    positions = centres[classes] + random.normal(0, 1, (n_items, 2))
    states = np.where(np.arange(n_items) % 5 == 4, "labeled", "unlabeled")
    scores = random.beta(1.5, 6.0, n_items)
    can = np.flatnonzero(states == "unlabeled")
    rows = can[np.argsort(-scores[can], kind="stable")][:n_picks].tolist()
    picks = [item_ids[row] for row in rows]
    distances = np.where(states == "unlabeled", random.gamma(4.0, 0.5, n_items), np.nan)
    n_labeled = int((states == "labeled").sum())
    this = a_round(2, picks, n_unlabeled=len(can), n_labeled=n_labeled)
    earlier = a_round(
        1, [item_ids[row] for row in np.flatnonzero(states == "labeled")[:n_picks]], n_unlabeled=n_items, n_labeled=0
    )
    marks = {item_id: Marks(label=f"{CLASSES[classes[row]]} 0.62") for item_id, row in zip(picks, rows)}
    if picks:
        marks[picks[0]] = Marks(boxes=(Box("cat", 0.91, (0.1, 0.2, 0.6, 0.9)), Box("dog", 0.55, (0.5, 0.1, 0.95, 0.7))))
    labels = np.array([50.0, 100.0, 200.0, 400.0])
    ahead = np.linspace(400.0, 800.0, 25)
    middle = 0.95 - 2.4 * ahead**-0.5
    return RoundFacts(
        project="Animals of the north",
        round=this,
        item_ids=tuple(item_ids),
        states=states,
        media=[None] * n_items if media is None else media,
        links=[f"http://localhost:8080/tasks/{row}" for row in range(n_items)],
        positions=positions,
        position_method="t-SNE",
        scores=np.where(states == "unlabeled", scores, np.nan),
        score_name="uncertainty_margin",
        classes=[CLASSES[code] for code in classes],
        labeled_distances=distances,
        round_of=np.where(np.isin(item_ids, picks), 2, np.where(np.isin(item_ids, earlier.selection.item_ids), 1, 0)),
        quality=a_quality(max(1, n_picks)),
        balance=tuple(ClassCount(name, 40 - 3 * place, (place * 7) % 11) for place, name in enumerate(CLASSES)),
        marks=marks,
        history=(earlier, this),
        progress=Progress(
            labels,
            np.array([0.61, 0.71, 0.78, 0.83]),
            "test accuracy",
            ahead,
            np.column_stack([middle - 0.01 - (ahead - 400) / 20_000, middle, middle + 0.01 + (ahead - 400) / 20_000]),
            ("Labeling 100 more is expected to raise test accuracy by 0.9 points (0.5 to 1.4).",),
        ),
        command="al-agent query animals -n 30 --method CORAL --seed 2",
        versions={"al-agent": "0.1.0", "numpy": np.__version__},
    )


def a_quality(n_picks: int) -> Quality:
    return Quality(
        "CORAL",
        n_picks,
        20,
        (
            Figure("covering radius", "euclidean", 3.21, 4.4, 4.0, 4.9, "lower"),
            Figure("mean distance", "euclidean", 1.4, 1.41, 1.37, 1.45, "lower"),
            Figure("outlier share", "share", 0.05, 0.01, 0.0, 0.03, "lower"),
            Figure("near-duplicate share", "share", 0.02, 0.17, 0.1, 0.24, "lower", "Near is below 0.31 (euclidean)."),
            Figure("mean score", "uncertainty_margin", 0.71, 0.2, 0.17, 0.23, "higher"),
            Figure("values of class", "of 12", 11.0, 10.2, 9.0, 12.0, "higher"),
        ),
        ("Distances are those of 10,000 candidates.",),
    )


def bare_facts(item_ids: Sequence[str] = ("only.jpg",), *, picks: Sequence[str] = ("only.jpg",)) -> RoundFacts:
    """Facts of a round of which nothing is known but its picks."""
    this = replace(a_round(1, picks, n_unlabeled=len(item_ids), n_labeled=0, is_pushed=False), score=None)
    return RoundFacts(
        project="Bare",
        round=this,
        item_ids=tuple(item_ids),
        states=np.full(len(item_ids), "unlabeled"),
        media=[None] * len(item_ids),
        links=[None] * len(item_ids),
        history=(this,),
        missing=("No map: no embeddings were given; pass embeddings=.",),
    )
