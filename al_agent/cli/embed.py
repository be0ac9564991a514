"""`al-agent embed`: turn the images of a project or a folder into embeddings."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scorers.files import load_arrays, written_whole

from ..embedding import Embeddings
from ..platforms.base import Item, ItemState
from ..platforms.local import PlatformLocal
from ..platforms.local.wire import FILE_NAME as LOCAL_FILE
from ..words import counted
from .embedders import METHODS, chosen_method, read_channels, read_size
from .images import RUN_BY_SPREADSHEETS, images_of, in_python, items_of, warn_of_new_images
from .options import EMBEDDINGS_FILE, EMBEDDINGS_FILES, AsJson
from .output import progress, show, table
from .project import FILE_NAME

if TYPE_CHECKING:
    from ..embedding.images import ImageFiles
    from ..embedding.methods.self_supervised import Progress
    from ..embedding.run import EmbeddingRun

_N_SHOWN = 10
_N_TSNE = 5_000  # half a minute
_LEARNING = "learning.pt"


def embed(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A local project, or any folder of images.", show_default="this folder")
    ] = Path(),
    method: Annotated[
        str | None,
        typer.Option("--method", "-m", help=f"{', '.join(METHODS)}.", show_default="by what is given, or patches"),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="pretrained: such as facebook/dinov2-small, timm/resnet18.a1_in1k, or a folder.", show_default=False
        ),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(
            help="network: FILE.py:FUNCTION or MODULE:FUNCTION that makes it, or FILE.pt2 or .pt. Its code is run.",
            show_default=False,
        ),
    ] = None,
    onnx: Annotated[Path | None, typer.Option(help="onnx: the network's file.", show_default=False)] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Ends in .npz, .npy, .parquet or .csv.", show_default="FOLDER/embeddings.npz"),
    ] = None,
    dimensions: Annotated[
        int | None, typer.Option(help="Of the vectors: the leading principal components.", show_default="the method's")
    ] = None,
    map_file: Annotated[
        Path | None, typer.Option("--map", help="Draw a map of the images into this PNG file.", show_default=False)
    ] = None,
    map_method: Annotated[
        str | None, typer.Option(help="--map: pca, tsne or umap.", show_default="tsne, above 5,000 images pca")
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="Of the images that are embedded: 224, or HEIGHTxWIDTH.", show_default="the method's")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images at a time.", show_default="the method's")] = None,
    device: Annotated[str | None, typer.Option(help="Where torch computes, such as cuda.", show_default="cpu")] = None,
    workers: Annotated[int | None, typer.Option(help="Threads that read images.", show_default="one for each core")] = None,
    seed: Annotated[int | None, typer.Option(help="patches, self-supervised: of all randomness.", show_default="0")] = None,
    epochs: Annotated[
        int | None, typer.Option(help="self-supervised: how often to see all images.", show_default="the method's")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="self-supervised: how long to train at most.", show_default="no limit")
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="self-supervised: file that learning is kept in and goes on from.", show_default="until it is done"
        ),
    ] = None,
    trained: Annotated[
        Path | None,
        typer.Option(help="self-supervised: checkpoint to embed with, learning nothing.", show_default=False),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="network: file of weights for what the function makes.", show_default=False)
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="network: take what this part of it gives.", show_default="its output")
    ] = None,
    take: Annotated[
        str | None, typer.Option(help="network, onnx: name of the output to take of several.", show_default=False)
    ] = None,
    pool: Annotated[
        str | None, typer.Option(help="network, onnx: mean or first of a sequence of tokens.", show_default=False)
    ] = None,
    mean: Annotated[
        str | None,
        typer.Option(help="network, onnx: mean of red, green, blue in [0, 1] that it expects.", show_default="of ImageNet"),
    ] = None,
    std: Annotated[
        str | None, typer.Option(help="network, onnx: standard deviations that it expects.", show_default="of ImageNet")
    ] = None,
    fit: Annotated[
        str | None, typer.Option(help="network, onnx: stretch, crop or pad images to the size.", show_default="crop")
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="pretrained: commit or tag of the hub.", show_default="the newest")
    ] = None,
    skip_failed: Annotated[
        bool, typer.Option("--skip-failed", help="Mark items of the project as skipped whose image cannot be read.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Turn the images of a project or a folder into embeddings.

    Images that cannot be read are listed and left out. After an interrupt the same command goes on where it was.

    Examples:

    al-agent embed my_project

    al-agent embed photos --model facebook/dinov2-small --output photos.parquet

    al-agent embed my_project --network model.py:build --weights best.pt --layer backbone
    """
    asked = {
        "model": model,
        "network": network,
        "onnx": onnx,
        "size": None if size is None else read_size(size),
        "batch_size": batch_size,
        "device": device,
        "seed": seed,
        "epochs": epochs,
        "minutes": minutes,
        "checkpoint": checkpoint,
        "trained": trained,
        "weights": weights,
        "layer": layer,
        "output": take,
        "pool": pool,
        "mean": None if mean is None else read_channels(mean, "mean"),
        "std": None if std is None else read_channels(std, "std"),
        "fit_to_size": fit,
        "revision": revision,
    }
    options = {option: value for option, value in asked.items() if value is not None}
    name = chosen_method(method, options)
    if dimensions is not None and METHODS[name].reduces and "trained" not in options:
        options["n_dimensions"] = dimensions
    _check_words(folder, dimensions, map_file, map_method, skip_failed=skip_failed)
    target = output or folder / EMBEDDINGS_FILE
    images = _images(folder)
    _check_target(target, is_ours=output is None)
    n_not_items = warn_of_new_images(folder, items_of(folder), map_file)
    run, seconds = _run(images, name, options, target, workers)
    if dimensions is not None and not METHODS[name].reduces:
        run = dataclasses.replace(run, embeddings=run.embeddings.reduce(dimensions))
    items = items_of(folder)  # as they are now: somebody may have labeled some meanwhile
    mended = _mended(target, items, run)
    failures = _write_failures(target, run.failed)
    in_the_way = [item.id for item in items if item.id in run.failed and item.state is ItemState.UNLABELED]
    if skip_failed:
        PlatformLocal(folder).skip(in_the_way)
    if run.failed and not skip_failed:  # so that the next run tries only these
        run.embeddings.save(target)
    else:
        for file in _kept(target).glob(f"{Path(_LEARNING).stem}.*"):
            file.unlink()
        run.save(target)
    if map_file is not None:
        _draw(map_file, map_method, folder, images, run.embeddings)
    n_items = len(run.embeddings)
    n_new = n_items - run.n_resumed
    result = {
        "folder": str(folder),
        "embeddings": str(target),
        "method": name,
        "description": run.embeddings.description,
        "n_items": n_items,
        "n_dimensions": run.embeddings.n_dimensions,
        "n_resumed": run.n_resumed,
        "seconds": round(seconds, 3),
        "images_per_s": round(n_new / seconds, 1),
        "failed": dict(run.failed),
        "failed_file": None if failures is None else str(failures),
        "n_skipped": len(in_the_way) if skip_failed else 0,
        "skipped_with_vector": mended,
        "n_not_items": n_not_items,
        "map": None if map_file is None else str(map_file),
    }
    speed = f"{_time(seconds)}, {n_new / seconds:,.0f} a second"
    lines = [f"{counted(n_new, 'image')} embedded by {name} in {speed}"] * bool(n_new)
    lines += [f"{counted(run.n_resumed, 'vector')} taken over from the run before"] * bool(run.n_resumed)
    lines += [f"{counted(n_items, 'vector')} of {counted(run.embeddings.n_dimensions, 'dimension')} in {target}"]
    lines += [f"their map is {map_file}"] * (map_file is not None)
    have = "skipped item has" if len(mended) == 1 else "skipped items have"
    lines += [f"{len(mended):,} {have} a vector now: {in_python(folder, 'reopen', mended)}"] * bool(mended)
    if failures is not None:
        lines += ["", f"{counted(len(run.failed), 'image')} could not be read, all in {failures}"]
        lines += [table(("image", "why"), list(run.failed.items())[:_N_SHOWN])]
        lines += [f"... and {len(run.failed) - _N_SHOWN:,} more"] * (len(run.failed) > _N_SHOWN)
        lines += ["", f"{counted(len(in_the_way), 'item')} of the project skipped for it"] * skip_failed
    if run.failed and not skip_failed:
        lines += ["", "Mend the files and run this again; until then the other vectors are kept in", f"{_kept(target)}."]
        lines += ["query needs a vector for each item: --skip-failed has it pass these over."] * bool(in_the_way)
    if not in_the_way or skip_failed:
        lines += ["", f"next: {_next(folder, target)}"]
    show(result, "\n".join(lines), as_json=as_json)


def _check_words(
    folder: Path, dimensions: int | None, map_file: Path | None, map_method: str | None, *, skip_failed: bool
) -> None:
    if dimensions is not None and dimensions < 1:
        raise typer.BadParameter(f"--dimensions {dimensions} is less than 1")
    if map_method is not None and map_file is None:
        raise typer.BadParameter("--map-method is for --map, which is not given")
    if map_file is not None and map_file.suffix.lower() != ".png":
        raise typer.BadParameter(f"--map {map_file} does not end in .png")
    if skip_failed and not (folder / LOCAL_FILE).exists():
        raise typer.BadParameter(f"--skip-failed is for local projects, and '{folder}' is none")


def _mended(target: Path, items: Sequence[Item], run: EmbeddingRun) -> list[str]:
    """Skipped items that the run before could not read, and this one could."""
    path = _failure_file(target)
    if not items or not path.exists():
        return []
    try:
        with path.open(encoding="utf-8", errors="surrogatepass", newline="") as file:
            names = {row[0] for row in csv.reader(file) if row}
    except (UnicodeDecodeError, csv.Error):  # somebody has edited it
        return []
    failed_before = names | {name[1:] for name in names if name.startswith("'")}
    candidates = {item.id for item in items if item.state is ItemState.SKIPPED} & failed_before
    return [item_id for item_id in run.embeddings.item_ids if item_id in candidates]


def _kept(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


def _images(folder: Path) -> ImageFiles:
    """The items of a local project, or the image files of a folder."""
    from ..embedding.images import ImageFiles  # noqa: PLC0415  # loads Pillow

    if not (folder / LOCAL_FILE).exists() and (folder / FILE_NAME).exists():
        raise ValueError(
            f"the images of '{folder}' are on its platform; embed the folder where you have them, with the names that they "
            f"have there: al-agent embed IMAGES --output {shlex.quote(str(folder / EMBEDDINGS_FILE))}"
        )
    return ImageFiles(images_of(folder))


def _check_target(target: Path, *, is_ours: bool) -> None:
    """Raise before hours of work if the result cannot be written, or would take the place of somebody's own."""
    if target.suffix.lower() not in (".npz", ".npy", ".parquet", ".csv"):
        raise typer.BadParameter(f"--output {target} does not end in .npz, .npy, .parquet or .csv")
    if not target.absolute().parent.is_dir():
        raise FileNotFoundError(f"there is no folder '{target.absolute().parent}' to write '{target.name}' into")
    if is_ours and target.exists():
        try:
            load_arrays(target, ("description",))
        except ValueError:
            raise ValueError(
                f"'{target}' is there already and was not made by al-agent embed; name another --output, or this one"
            ) from None


def _run(
    images: ImageFiles, name: str, options: Mapping[str, Any], target: Path, workers: int | None
) -> tuple[EmbeddingRun, float]:
    kept = _kept(target)
    settings = dict(options)
    learning = None
    try:
        from ..embedding.run import embed_images  # noqa: PLC0415  # loads Pillow

        if name == "self-supervised":
            learning = settings["progress"] = _Learning()
            if not {"checkpoint", "trained"} & settings.keys():
                kept.mkdir(exist_ok=True)
                settings["checkpoint"] = kept / _LEARNING
        embedder = METHODS[name].make(settings)
        started_s = time.perf_counter()
        bars = contextlib.closing(learning) if learning else contextlib.nullcontext()
        with bars, progress(len(images), "embedding", "images") as bar:
            run = embed_images(images, embedder, n_workers=workers, progress=bar.update, resume=kept)
    except BaseException as problem:
        with contextlib.suppress(OSError):
            kept.rmdir()  # if nothing is in it
        if kept.exists() and not isinstance(problem, typer.BadParameter):
            print(f"what is done so far is kept in {kept}: the same command goes on from there", file=sys.stderr)
        elif isinstance(problem, KeyboardInterrupt):
            print("nothing was kept: the same command begins anew", file=sys.stderr)
        raise
    return run, time.perf_counter() - started_s


class _Learning:
    """A progress bar for what is learned before embedding."""

    def __init__(self) -> None:
        self._bar = progress(100, "learning", "%")

    def __call__(self, now: Progress) -> None:
        self._bar.update(int(100 * now.share_done) - self._bar.n)

    def close(self) -> None:
        self._bar.close()


def _failure_file(target: Path) -> Path:
    return target.with_suffix(".failed.csv")


def _write_failures(target: Path, failed: Mapping[str, str]) -> Path | None:
    """Write which images have no embedding, and why, beside the embeddings; or remove what an earlier run wrote."""
    path = _failure_file(target)
    if not failed:
        path.unlink(missing_ok=True)
        return None
    rows = [(f"'{name}" if name.startswith(RUN_BY_SPREADSHEETS) else name, reason) for name, reason in failed.items()]
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([("item_id", "reason"), *rows])
    with written_whole(path) as file:
        file.write(text.getvalue().encode("utf-8", "surrogatepass"))
    return path


def _draw(path: Path, method: str | None, folder: Path, images: ImageFiles, embeddings: Embeddings) -> None:
    from ..embedding.projection import METHODS as PROJECTIONS  # noqa: PLC0415
    from ..report.embedding_map import draw_embedding_map  # noqa: PLC0415  # loads Pillow

    method = method or ("tsne" if len(embeddings) <= _N_TSNE else "pca")
    files = {item_id: file for item_id, file in zip(images.item_ids, images.paths) if file is not None}
    title = f"{folder.absolute().name}: {counted(len(embeddings), 'image')}"
    draw_embedding_map(path, title, embeddings.project(method), method=PROJECTIONS[method], images=files)


def _next(folder: Path, target: Path) -> str:
    """The command to type now."""
    where = shlex.quote(str(folder))
    if not (folder / LOCAL_FILE).exists():
        return f"al-agent init {where}"
    default = next((folder / file for file in EMBEDDINGS_FILES if (folder / file).exists()), None)  # what query takes
    is_default = default is not None and target.absolute() == default.absolute()
    option = "" if is_default else f" --embeddings {shlex.quote(str(target))}"
    return f"al-agent query {where}{option}"


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
