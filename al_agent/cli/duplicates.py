"""`al-agent duplicates`: which images are so much alike that one label is enough, and which are unlike all others."""

from __future__ import annotations

import csv
import io
import json
import shlex
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scorers.files import written_whole

from ..embedding import Embeddings
from ..platforms.base import Item, ItemState
from ..platforms.local.wire import FILE_NAME as LOCAL_FILE
from ..words import counted
from .images import RUN_BY_SPREADSHEETS, check_ids, images_of, items_of
from .options import EMBEDDINGS_FILE, EMBEDDINGS_FILES, AsJson
from .output import WIDTH, on_one_line, show, table
from .project import FILE_NAME

if TYPE_CHECKING:
    from ..embedding.neighbours.duplicates import DuplicateGroups

_N_SHOWN = 5
_HEADER = ("item", "group", "is_representative", "distance")
_METRICS = ("euclidean", "cosine")
_N_MOST = 100


def duplicates(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A local project, or any folder of images.", show_default="this folder")
    ] = Path(),
    embeddings: Annotated[
        Path | None, typer.Option(help="File that al-agent embed wrote.", show_default="FOLDER/embeddings.npz")
    ] = None,
    distance: Annotated[
        float | None, typer.Option(help="Images nearer than this are duplicates.", show_default="taken from the data")
    ] = None,
    metric: Annotated[str, typer.Option(help="Of embeddings: euclidean or cosine.")] = "euclidean",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="CSV file of groups, for al-agent query.", show_default="FOLDER/groups.csv"),
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Draw the largest groups into this PNG file.", show_default=False)
    ] = None,
    n_outliers: Annotated[
        int, typer.Option("--outliers", min=0, help="Number of images to list that are least like the others.")
    ] = _N_SHOWN,
    as_json: AsJson = False,
) -> None:
    """Find near-duplicates, so that only one of each group is labeled, and outliers.

    Groups are written to a CSV file that al-agent query reads, and beside it, of the same name in .json, strategies that ask
    for different images and at most one of each group. Nothing is deleted.

    Examples:

    al-agent duplicates my_project --sheet duplicates.png

    al-agent duplicates photos --distance 0.1 --metric cosine
    """
    if distance is not None and not 0 <= distance < float("inf"):
        raise typer.BadParameter(f"--distance {distance} is no finite number of 0 or more")
    if metric not in _METRICS:
        raise typer.BadParameter(f"--metric {metric} is neither euclidean nor cosine")
    if sheet is not None and sheet.suffix.lower() != ".png":
        raise typer.BadParameter(f"--sheet {sheet} does not end in .png")
    target = output or folder / "groups.csv"
    if target.suffix.lower() != ".csv":
        raise typer.BadParameter(f"--output {target} does not end in .csv")
    wishes = target.with_suffix(".json")
    if output is None:
        _check_ours(target)
    _check_unedited(wishes)
    vectors = Embeddings.load(embeddings or _vector_file(folder))
    is_project = (folder / LOCAL_FILE).exists()
    items = items_of(folder)
    check_ids(vectors.item_ids, folder, items)
    images = {} if sheet is None else images_of(folder)  # before the work, as it may fail

    from ..embedding.neighbours.duplicates import near_duplicates  # noqa: PLC0415
    from ..embedding.neighbours.outliers import outliers  # noqa: PLC0415

    groups = near_duplicates(vectors, distance=distance, metric=metric)
    ranking = outliers(vectors, metric=metric) if n_outliers else None
    farthest = [] if ranking is None else list(zip(ranking.item_ids, ranking.distances.tolist()))[:n_outliers]
    _write(target, groups, vectors.item_ids)
    with written_whole(wishes) as file:
        file.write(("[\n " + ",\n ".join(map(json.dumps, _strategies(metric))) + "\n]\n").encode())
    if sheet is not None and len(groups):
        from ..report.group_sheet import draw_group_sheet  # noqa: PLC0415  # loads Pillow

        files = {item_id: file for item_id, file in images.items() if file is not None}
        draw_group_sheet(sheet, f"{folder.absolute().name}: near-duplicates", groups, files)
    n_redundant = len(groups.redundant)
    n_pickable = _n_pickable(items, groups, vectors.item_ids) if is_project else groups.n_items - n_redundant
    result = {
        "folder": str(folder),
        "n_items": groups.n_items,
        "n_groups": len(groups),
        "n_redundant": n_redundant,
        "n_pickable": n_pickable,
        "distance": groups.distance,
        "metric": metric,
        "groups": [list(group) for group in groups.groups],
        "outliers": [{"item_id": item_id, "distance": far} for item_id, far in farthest],
        "output": str(target),
        "strategies": str(wishes),
        "sheet": None if sheet is None or not len(groups) else str(sheet),
    }
    lines = [_summary(groups, is_given=distance is not None)]
    if len(groups):
        rows = [
            (f"g{number}", f"{len(group):,}", on_one_line(group[0]), f"{distances[-1]:.3g}")
            for number, (group, distances) in enumerate(zip(groups.groups[:_N_SHOWN], groups.distances), start=1)
        ]
        lines += ["", table(("group", "images", "stays", "farthest"), rows, right=(1, 3))]
        lines += [f"... and {counted(len(groups) - _N_SHOWN, 'more group')}"] * (len(groups) > _N_SHOWN)
    if farthest:
        lines += ["", "least like the others:"]
        lines += [table(("distance", "image"), [(f"{far:.3g}", item_id) for item_id, far in farthest], right=(0,))]
    lines += ["", f"all groups are in {target}" if len(groups) else f"{target} has no group"]
    if sheet is not None:
        lines += [f"the largest are drawn in {sheet}" if len(groups) else f"nothing to draw in {sheet}"]
    if len(groups) and n_pickable:
        lines += ["", _next(folder, target, wishes, embeddings, min(n_pickable, _N_MOST))]
    elif len(groups):
        lines += ["", "nothing is left to pick: no image is open but in groups that have a label"]
    show(result, "\n".join(lines), as_json=as_json)


def _vector_file(folder: Path) -> Path:
    found = next((folder / name for name in EMBEDDINGS_FILES if (folder / name).exists()), None)  # as query looks
    if found is None:
        missing = folder / EMBEDDINGS_FILE
        raise typer.BadParameter(f"there is no {missing}: al-agent embed makes it, or name a file by --embeddings")
    return found


def _check_ours(target: Path) -> None:
    """Raise if a file of that name is there which somebody else has made."""
    if target.exists():
        with target.open("rb") as file:
            if file.readline(80).decode("utf-8", "replace").strip() != ",".join(_HEADER):
                raise ValueError(
                    f"'{target}' is there already and was not made by al-agent duplicates; name another --output, or "
                    "this one"
                )


def _strategies(metric: str) -> list[dict[str, Any]]:
    return [
        {"kind": "diversity", "metric": metric},
        {"kind": "at_most", "count": 1, "column": "group", "counts_labeled": True},
    ]


def _check_unedited(wishes: Path) -> None:
    """Raise if a file of that name is there which is not as this verb writes it."""
    if not wishes.exists():
        return
    try:
        found = json.loads(wishes.read_bytes())
    except ValueError:  # no JSON, or not in unicode
        found = None
    if found not in [_strategies(metric) for metric in _METRICS]:
        raise ValueError(
            f"'{wishes}' is there already, and was edited or not made by al-agent duplicates; name another --output, whose "
            "name the strategies take, or move the file"
        )


def _n_pickable(items: Sequence[Item], groups: DuplicateGroups, item_ids: Sequence[str]) -> int:
    """How many items can be picked with one of each group, those counted that are labeled."""
    group_of = dict.fromkeys(item_ids, -1)
    group_of |= {item_id: number for number, group in enumerate(groups.groups) for item_id in group}
    open_in = [group_of[i.id] for i in items if i.state is ItemState.UNLABELED and i.id in group_of]
    labeled_in = {group_of.get(item.id, -1) for item in items if item.state is ItemState.LABELED}
    return open_in.count(-1) + len({*open_in} - labeled_in - {-1})


def _write(path: Path, groups: DuplicateGroups, item_ids: Sequence[str]) -> None:
    """The columns of all items, whole or not at all."""
    risky = [item_id for item_id in item_ids if item_id.startswith(RUN_BY_SPREADSHEETS)]
    if risky:  # they must stay as they are: the file is joined by them
        warnings.warn(
            f"names that a spreadsheet would run as a formula: {len(risky):,}, the first is {risky[0]!r}; do not open "
            f"'{path}' with a spreadsheet",
            stacklevel=2,
        )
    columns = groups.columns(item_ids)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER)
    cells: list[list[Any]] = [columns[name].tolist() for name in _HEADER[1:]]
    writer.writerows(zip(item_ids, *cells))
    with written_whole(path) as file:
        file.write(text.getvalue().encode())


def _summary(groups: DuplicateGroups, *, is_given: bool) -> str:
    reach = f"{groups.metric} distance {groups.distance:.3g}"
    if not len(groups):
        if is_given:
            return f"no near-duplicates among {counted(groups.n_items, 'image')}\n({reach}, as asked)"
        return (
            f"no near-duplicates stand out among {counted(groups.n_items, 'image')}\n"
            "(--distance groups those nearer than that anyway)"
        )
    n_redundant = len(groups.redundant)
    origin = f"{reach}, {'as asked' if is_given else 'taken from the data'}"
    if not is_given and groups.distance == 0:
        origin = "equal vectors; no others stand out, and --distance groups them anyway"
    return (
        f"{n_redundant:,} of {counted(groups.n_items, 'image')} ({n_redundant / groups.n_items:.1%}) "
        f"{'is' if n_redundant == 1 else 'are'} redundant: {counted(len(groups), 'group')} of near-duplicates\n({origin})"
    )


def _next(folder: Path, target: Path, wishes: Path, embeddings: Path | None, n_samples: int) -> str:
    """The commands to type now."""
    where = shlex.quote(str(folder))
    words = [f"al-agent query {where} -n {n_samples}", f"--strategies {shlex.quote(str(wishes))}"]
    words += [f"--metadata {shlex.quote(str(target))}"]
    words += [f"--embeddings {shlex.quote(str(embeddings))}"] * (embeddings is not None)
    is_project = (folder / LOCAL_FILE).exists() or (folder / FILE_NAME).exists()
    init = [] if is_project else [f"    al-agent init {where}"]
    line = f"    {' '.join(words)}"
    lines = (
        [line]
        if len(line) <= WIDTH
        else [f"    {words[0]} \\", *(f"        {word} \\" for word in words[1:-1]), f"        {words[-1]}"]
    )
    return "\n".join(["next, different images and at most one of each group:", *init, *lines])
