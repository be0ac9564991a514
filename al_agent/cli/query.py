"""`al-agent query`: pick the next batch and push it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from scorers import Scores

from ..config import SamplerConfig
from .options import (
    EMBEDDINGS_FILE,
    SCORES_FILE,
    AsJson,
    JournalFile,
    PlatformName,
    Project,
    ProjectId,
    Settings,
    Url,
    Verify,
    open_agent,
)
from .output import on_one_line, progress, show, table
from .project import Asked

_N_SHOWN = 10


def query(
    project: Project = Path(),
    n_samples: Annotated[
        int | None, typer.Option("--n-samples", "-n", help="Number of new items.", show_default="32")
    ] = None,
    proportion: Annotated[
        float | None, typer.Option(help="Instead: fraction of the unlabeled items.", show_default=False)
    ] = None,
    method: Annotated[
        str, typer.Option("--method", "-m", help="RANDOM, UNCERTAINTY, BATCH_UNCERTAINTY, CORESET or CORAL.")
    ] = "CORESET",
    score: Annotated[str | None, typer.Option(help="Name of the score.", show_default="the scorer's default")] = None,
    scores: Annotated[
        Path | None, typer.Option(help="File that al-agent score wrote.", show_default="PROJECT/scores.npz")
    ] = None,
    embeddings: Annotated[
        Path | None,
        typer.Option(help=".npz with item_ids (n) and vectors (n, d).", show_default="PROJECT/embeddings.npz"),
    ] = None,
    min_distance: Annotated[
        float | None, typer.Option(help="CORESET, CORAL: pick nothing nearer than this.", show_default="none")
    ] = None,
    metric: Annotated[str, typer.Option(help="CORESET, CORAL: euclidean or cosine.")] = "euclidean",
    score_strength: Annotated[float, typer.Option(help="CORAL: exponent of the score.")] = 1.0,
    distance_strength: Annotated[float, typer.Option(help="CORAL: exponent of the distance.")] = 1.0,
    batch_size: Annotated[int, typer.Option(help="BATCH_UNCERTAINTY: items in a random batch.")] = 10,
    batch_aggregate: Annotated[str, typer.Option(help="BATCH_UNCERTAINTY: sum or mean.")] = "sum",
    seed: Annotated[int, typer.Option(help="Of all randomness.")] = 0,
    name: Annotated[str | None, typer.Option(help="Name of the round.", show_default="its number and method")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Note the round, and push nothing.")] = False,
    verify: Verify = False,
    platform: PlatformName = None,
    project_id: ProjectId = None,
    url: Url = None,
    settings: Settings = None,
    journal: JournalFile = None,
    as_json: AsJson = False,
) -> None:
    """Pick the next batch, and put it at the head of the queue.

    The batch is noted as a round first, so that a failed push loses nothing: al-agent push finishes it.

    Examples:

    al-agent query my_project -n 100 --method coral

    al-agent query my_project --proportion 0.05 -m uncertainty --score uncertainty_entropy --dry-run
    """
    if n_samples is not None and proportion is not None:
        raise typer.BadParameter("give --n-samples or --proportion, not both")
    try:
        config = SamplerConfig(
            32 if n_samples is None else n_samples,
            proportion=proportion,
            method=method,
            score=score,
            min_distance=min_distance,
            metric=metric,
            score_strength=score_strength,
            distance_strength=distance_strength,
            batch_size=batch_size,
            batch_aggregate=batch_aggregate,
            seed=seed,
            name=name,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    sampler = config.sampler()
    score_file = _needed(
        scores, project / SCORES_FILE, sampler.needs_scores, f"{config.method} needs scores: al-agent score"
    )
    vector_file = _needed(
        embeddings, project / EMBEDDINGS_FILE, sampler.needs_vectors, f"{config.method} needs embeddings: --embeddings FILE"
    )
    agent = open_agent(Asked(project, platform, project_id, url, settings), journal, vector_file)
    values = None if score_file is None else Scores.load(score_file)
    total = config.n_samples if proportion is None else None  # how many a proportion makes is known after the listing
    with progress(total, "picking") as bar:
        batch = agent.query(config, values, push=not dry_run, verify=verify, on_pick=bar.update)
    current = agent.last_round
    picks = list(zip(batch.item_ids, batch.gains.tolist(), batch.reasons))
    result = {
        "project": str(project),
        "round": current.number,
        "name": current.name,
        "method": batch.method,
        "score": current.score,
        "is_pushed": current.is_pushed,
        "push": current.pushes[-1].counts if current.pushes else None,
        "notes": list(current.notes),
        "picks": [{"item_id": item_id, "gain": gain, "reason": reason} for item_id, gain, reason in picks],
    }
    shown = [(gain, item_id, reason) for item_id, gain, reason in picks[:_N_SHOWN]]
    rows = [(str(place), f"{gain:.3g}", *texts) for place, (gain, *texts) in enumerate(shown, start=1)]
    lines = [table(("#", "gain", "item", "reason"), rows, right=(0, 1))] if rows else []
    if len(picks) > _N_SHOWN:
        lines += [f"... and {len(picks) - _N_SHOWN:,} more: al-agent export {shlex.quote(str(project))} picks.csv"]
    pushed = "pushed" if current.is_pushed else f"not pushed: al-agent push {shlex.quote(str(project))}"
    lines += ["", f"{on_one_line(current.name)}: {len(picks):,} items by {batch.method}, {pushed}"]
    show(result, "\n".join(lines), as_json=as_json)


def _needed(given: Path | None, default: Path, is_needed: bool, complaint: str) -> Path | None:
    if given is not None:
        return given
    if not is_needed:
        return None
    if not default.exists():
        raise typer.BadParameter(f"{complaint} (looked for {default})")
    return default
