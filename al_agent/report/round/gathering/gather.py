"""From a round, the items and what is known of them to the facts that its page shows; what is not known is said."""

from __future__ import annotations

import platform as machine
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from samplers import Pool
from samplers.quality import Quality

from ....embedding import Embeddings
from ....join import gathered
from ....journal import Round
from ....metadata import Metadata
from ....platforms.base import Item, ItemState
from ....words import are
from ..facts import Progress, RoundFacts, Vector
from .classes import classes_in
from .joined import Joined, Known
from .nearness import nearness_of, quality_in
from .seen import Seen

_MOST_CLASSES_COMPARED = 1_000


def gather(
    current: Round,
    items: Sequence[Item],
    known: Known,
    *,
    project: str,
    history: Sequence[Round] = (),
    links: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    command: str = "",
) -> RoundFacts:
    """The facts of a round's page.

    Picks count as unlabeled, as they were. What only concerns other projects, or items that are gone, is left out. Of pools
    above 100,000 items a part is on the map and measured.

    Args:
        current: The round.
        items: The project's items; `media` is the path of an image on this machine, or None.
        known: What is known of them.
        project: Which project, in words.
        history: Rounds of the project, oldest first; later ones are left out.
        links: Item id to the address of its page on the platform.
        progress: The learning curve.
        command: What gives the same batch again.

    Raises:
        ValueError: Scores, predictions, embeddings or labels of none of the project's items, or another way of mapping.
    """
    picks = current.selection.item_ids
    there = {item.id for item in items}
    gone = tuple(item_id for item_id in picks if item_id not in there)
    item_ids = (*(item.id for item in items), *gone)
    row_of = {item_id: row for row, item_id in enumerate(item_ids)}
    pick_rows = np.array([row_of[item_id] for item_id in picks], dtype=np.int64)
    states = np.array([*(str(item.state) for item in items), *(ItemState.UNLABELED.value for _ in gone)])
    states[pick_rows] = ItemState.UNLABELED.value
    media = [*(item.media for item in items), *(None for _ in gone)]
    missing: list[str] = []
    if gone:
        missing.append(f"{are(len(gone), 'pick')} gone from the project, the first is {gone[0]!r}.")
    _check_states(states, current, missing)
    _check_media(media, pick_rows, missing)

    joined = Joined(item_ids, row_of, missing)
    scores, score_name = joined.scores(known.scores, current)
    seen = known.seen
    codes = None
    if seen is not None:
        rows = joined.rows(seen.item_ids, "prediction")
        codes = np.where(rows < 0, -1, seen.codes[rows])
    label_of = joined.labels(known.labels)
    classes = classes_in(item_ids, states == ItemState.LABELED.value, picks, seen, codes, label_of)
    missing += classes.missing
    vectors_of = joined.rows(known.embeddings.item_ids, "embedding") if known.embeddings is not None else None
    _check_embeddings(known.embeddings, current, missing)
    metric = current.config.sampler().metric_used or current.config.metric
    pool, members = _pool(states, item_ids, vectors_of, known, scores, score_name, codes)
    distances = _distances(pool, members, len(item_ids), metric, picks, missing)
    history = tuple(one for one in history if one.number <= current.number)
    places = joined.places(known, picks)
    if progress is None:
        missing.append("No learning curve: curve= or --curve takes what the model reached with how many labels.")
    return RoundFacts(
        project=project,
        round=current,
        item_ids=item_ids,
        states=states,
        media=media,
        links=[None if links is None else links.get(item_id) for item_id in item_ids],
        positions=None if places is None else places[0],
        position_method="" if places is None else places[1],
        scores=scores,
        score_name=score_name,
        classes=classes.names,
        class_kind=classes.kind,
        labeled_distances=distances,
        distance_unit=metric,
        round_of=_round_of(history, row_of),
        quality=_quality(pool, current, metric, missing),
        balance=classes.balance,
        balance_unit=classes.unit,
        marks={} if seen is None else _marks(seen, missing),
        history=history,
        progress=progress,
        command=command,
        versions={"al-agent": _version("al-agent"), "numpy": np.__version__, "Python": machine.python_version()},
        missing=tuple(missing),
    )


def _pool(
    states: npt.NDArray[np.str_],
    item_ids: tuple[str, ...],
    vectors_of: npt.NDArray[np.int64] | None,
    known: Known,
    scores: Vector | None,
    score_name: str,
    codes: npt.NDArray[np.int64] | None,
) -> tuple[Pool, npt.NDArray[np.int64]]:
    """The items as the batch was picked from them, as far as they are covered, and their rows."""
    is_labeled = states == ItemState.LABELED.value
    takes_part = is_labeled | (states == ItemState.UNLABELED.value)
    if vectors_of is not None:
        takes_part &= vectors_of >= 0
    members = np.flatnonzero(takes_part)
    vectors = None
    if vectors_of is not None and known.embeddings is not None:
        vectors = gathered(known.embeddings, vectors_of[members])
    has_scores = scores is not None and bool(np.isfinite(scores[members][~is_labeled[members]]).all())
    names = item_ids if len(members) == len(item_ids) else tuple(item_ids[row] for row in members.tolist())
    seen_codes = None if known.seen is None or codes is None or not _is_few(known.seen) else codes[members]
    return (
        Pool(
            names,
            is_labeled[members],
            scores=scores[members] if has_scores and scores is not None else None,
            vectors=vectors,
            score_name=score_name,
            columns=_columns(names, ~is_labeled[members], known.metadata, seen_codes),
        ),
        members,
    )


def _is_few(seen: Seen) -> bool:
    return 0 < len(seen.names) <= _MOST_CLASSES_COMPARED


def _columns(
    item_ids: Sequence[str],
    is_candidate: npt.NDArray[np.bool_],
    metadata: Metadata | None,
    codes: npt.NDArray[np.int64] | None,
) -> dict[str, npt.NDArray[Any]]:
    """Columns of classes and groups that cover the candidates."""
    columns: dict[str, npt.NDArray[Any]] = {}
    if codes is not None and (codes[is_candidate] >= 0).all():
        columns["predicted class"] = codes
    if metadata is not None:
        row_of = {item_id: row for row, item_id in enumerate(metadata.item_ids)}
        rows = np.array([row_of.get(item_id, -1) for item_id in item_ids], dtype=np.int64)
        if (rows >= 0).all():
            columns |= {
                name: values[rows]
                for name, values in metadata.columns.items()
                if values.ndim == 1 and values.dtype.kind != "f"
            }
    return columns


def _distances(
    pool: Pool, members: npt.NDArray[np.int64], n_items: int, metric: str, picks: Sequence[str], missing: list[str]
) -> Vector | None:
    wanted = frozenset(picks)
    pick_rows = [row for row, item_id in enumerate(pool.item_ids) if item_id in wanted]
    try:
        found = nearness_of(pool, metric, np.array(pick_rows, dtype=np.int64))
    except ValueError as problem:
        missing.append(f"No distances to labeled items: {problem}.")
        return None
    if found is None:
        if pool.vectors is not None:
            missing.append("No distances to labeled items: nothing was labeled.")
        return None
    n_candidates = len(pool.candidates)
    if len(found.rows) < n_candidates:
        missing.append(f"Distances to labeled items are of {len(found.rows):,} of {n_candidates:,} unlabeled items.")
    distances = np.full(n_items, np.nan)
    distances[members[found.rows]] = found.distances
    return distances


def _quality(pool: Pool, current: Round, metric: str, missing: list[str]) -> Quality | None:
    if pool.vectors is None and pool.scores is None and not pool.columns:
        return None
    without = frozenset(current.selection.item_ids).difference(pool.item_ids)
    if without:
        missing.append(
            f"No figures of the batch beside random ones: {are(len(without), 'pick')} gone, or without an embedding."
        )
        return None
    try:
        return quality_in(pool, current.selection, metric)
    except ValueError as problem:  # such as a vector without a direction
        missing.append(f"No figures of the batch beside random ones: {problem}.")
        return None


def _marks(seen: Seen, missing: list[str]) -> Mapping[str, Any]:
    try:
        return seen.marks()
    except (OSError, ValueError) as problem:  # maps that are read now
        missing.append(f"What the model sees is not drawn: {problem}.")
        return {}


def _round_of(history: Sequence[Round], row_of: Mapping[str, int]) -> npt.NDArray[np.int64]:
    numbers = np.zeros(len(row_of), dtype=np.int64)
    for one in history:
        numbers[[row_of[item_id] for item_id in one.selection.item_ids if item_id in row_of]] = one.number
    return numbers


def _check_states(states: npt.NDArray[np.str_], current: Round, missing: list[str]) -> None:
    labeled = ItemState.LABELED.value
    now, then = Counter(states.tolist())[labeled], current.counts.get(labeled, 0)
    if now != then:
        missing.append(
            f"Beside the picks {are(now, 'item')} labeled today; when the batch was picked there were {then:,}. The page "
            "shows the items as they are today."
        )


def _check_media(media: Sequence[str | None], pick_rows: npt.NDArray[np.int64], missing: list[str]) -> None:
    paths = [media[row] for row in pick_rows.tolist()]
    n_none = sum(path is None for path in paths)
    lost = [path for path in paths if path is not None and not Path(path).is_file()]
    if n_none:
        missing.append(
            f"{are(n_none, 'pick')} without an image on this machine: images= or --images takes a folder of them. Nothing "
            "is downloaded."
        )
    if lost:
        missing.append(f"The images of {len(lost):,} of {len(paths):,} picks are not there, the first is '{lost[0]}'.")


def _check_embeddings(embeddings: Embeddings | None, current: Round, missing: list[str]) -> None:
    digest = current.embeddings_digest
    if embeddings is not None and digest is not None and embeddings.digest != digest:
        missing.append("The embeddings shown are not those that the batch was picked by.")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
