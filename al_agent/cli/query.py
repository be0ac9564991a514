"""`al-agent query`: pick the next batch and push it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from samplers import SamplerJoint, SamplerPrototypes
from scorers import Scores

from ..config import SamplerConfig, SamplingMethod
from ..words import counted
from .histogram import histogram_lines
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
        str | None,
        typer.Option(
            "--method",
            "-m",
            help=f"{', '.join(SamplingMethod.__members__)}.",
            show_default="AUTO, with --strategies JOINT",
        ),
    ] = None,
    score: Annotated[str | None, typer.Option(help="Name of the score.", show_default="the scorer's default")] = None,
    scores: Annotated[
        Path | None, typer.Option(help="File that al-agent score wrote.", show_default="PROJECT/scores.npz")
    ] = None,
    embeddings: Annotated[
        Path | None,
        typer.Option(
            help=".npz with item_ids (n) and vectors (n, d), .parquet, .csv, or .npy with ids in .ids.txt beside it, which "
            "stays on disk.",
            show_default="PROJECT/embeddings.npy, .npz or .parquet",
        ),
    ] = None,
    strategies: Annotated[
        Path | None, typer.Option(help="JOINT: JSON file with a list of strategies.", show_default="none")
    ] = None,
    metadata: Annotated[
        list[Path] | None,
        typer.Option(
            help="CSV of columns for the strategies, item ids first; repeatable, joined by item.",
            show_default="PROJECT/metadata.csv",
        ),
    ] = None,
    min_distance: Annotated[
        float | None, typer.Option(help="CORESET, CORAL: pick nothing nearer than this.", show_default="none")
    ] = None,
    metric: Annotated[str, typer.Option(help="Of embeddings: euclidean or cosine.")] = "euclidean",
    ignore_sparsest: Annotated[
        float, typer.Option(help="CORESET, CORAL: share of the pool, farthest from its neighbours, to leave out.")
    ] = 0.0,
    score_strength: Annotated[float, typer.Option(help="CORAL: exponent of the score.")] = 1.0,
    distance_strength: Annotated[float, typer.Option(help="CORAL: exponent of the distance.")] = 1.0,
    batch_size: Annotated[int, typer.Option(help="BATCH_UNCERTAINTY: items in a random batch.")] = 10,
    batch_aggregate: Annotated[str, typer.Option(help="BATCH_UNCERTAINTY: sum or mean.")] = "sum",
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="Another option of the method, repeatable.", show_default=False),
    ] = None,
    engine: Annotated[str, typer.Option(help="Where CORESET, CORAL and JOINT run: local or ray.")] = "local",
    device: Annotated[str | None, typer.Option(help="Device of torch, such as cuda.", show_default="none")] = None,
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
            method=method or ("AUTO" if strategies is None else "JOINT"),
            score=score,
            strategies=[] if strategies is None else _read_strategies(strategies),
            min_distance=min_distance,
            metric=metric,
            ignore_sparsest=ignore_sparsest,
            score_strength=score_strength,
            distance_strength=distance_strength,
            batch_size=batch_size,
            batch_aggregate=batch_aggregate,
            options=_read_options(option or []),
            engine=engine,
            device=device,
            seed=seed,
            name=name,
        )
    except (ValueError, ImportError) as error:
        raise typer.BadParameter(str(error)) from error
    sampler = config.sampler()
    if sampler.needs_probabilities:
        raise typer.BadParameter(f"{config.method} reads class probabilities, which scores do not hold; use it from Python")
    score_file = _file(
        scores,
        [project / SCORES_FILE],
        f"{config.method} needs scores: al-agent score",
        is_needed=sampler.needs_scores or (sampler.takes_scores and score is not None),
        is_taken=sampler.takes_scores,
    )
    vector_file = _file(
        embeddings,
        [project / file for file in EMBEDDINGS_FILES],
        f"{config.method} needs embeddings: al-agent embed, or --embeddings FILE",
        is_needed=sampler.needs_vectors,
        is_taken=sampler.takes_vectors,
    )
    needs_columns = isinstance(sampler, SamplerJoint) and bool(sampler.columns)
    fact_files = metadata or []
    if not fact_files:
        complaint = "the strategies need columns: --metadata FILE"
        may_use = isinstance(sampler, SamplerPrototypes)
        found = _file(None, [project / METADATA_FILE], complaint, is_needed=needs_columns, is_taken=may_use)
        fact_files = [] if found is None else [found]
    agent = open_agent(Asked(project, platform, project_id, url, settings), journal, vector_file, fact_files)
    values = None if score_file is None else Scores.load(score_file)
    # how many a proportion or a budget makes is known after the listing
    total = config.n_samples if proportion is None and config.count(config.n_samples + 1) == config.n_samples else None
    with progress(total, "picking", "picks") as bar:
        try:
            batch = agent.query(config, values, push=not dry_run, verify=verify, on_pick=bar.update)
        except ValueError as error:
            if n_samples is None and "ask for no more" in str(error):
                raise ValueError(f"{error}: -n {len(agent.unlabeled_set)}") from error
            failures = None if vector_file is None else vector_file.with_suffix(".failed.csv")
            if failures is None or not failures.exists() or "no embedding" not in str(error):
                raise
            raise ValueError(
                f"{error}; '{failures}' lists the images that could not be read: mend them and embed again, or pass them "
                f"over: al-agent embed {shlex.quote(str(project))} --skip-failed"
            ) from error
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
    if values is not None and current.score is not None and not as_json:
        lines += histogram_lines(values, current.score, agent.unlabeled_set, batch.item_ids)
    lines += ["", f"{on_one_line(current.name)}: {counted(len(picks), 'item')} by {batch.method}, {pushed}"]
    files = {"--scores": scores, "--embeddings": embeddings}
    given = "".join(f" {option} {shlex.quote(str(file))}" for option, file in files.items() if file is not None)
    lines += [f"to see it: al-agent report {shlex.quote(str(project))}{given}"]
    show(result, "\n".join(lines), as_json=as_json)


def _read_strategies(path: Path) -> list[Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise typer.BadParameter(f"there is no file {str(path)!r}") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise typer.BadParameter(f"{str(path)!r} is no JSON: {error}") from error
    if not isinstance(found, list):
        raise typer.BadParameter(f"{str(path)!r} holds no list; write a list of strategies")
    return found


def _read_options(given: list[str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"--option {one!r} is not NAME=VALUE")
        try:
            options[name] = json.loads(value)
        except json.JSONDecodeError:
            options[name] = None if value.lower() == "none" else value
    return options


def _file(given: Path | None, defaults: Sequence[Path], complaint: str, *, is_needed: bool, is_taken: bool) -> Path | None:
    """The file that was given, or the default that is there, if the method takes one."""
    if given is not None:
        return given
    found = next((path for path in defaults if path.exists()), None) if is_needed or is_taken else None
    if found is None and is_needed:
        first, *others = defaults
        raise typer.BadParameter(f"{complaint} (looked for {', '.join([str(first), *(path.name for path in others)])})")
    return found
