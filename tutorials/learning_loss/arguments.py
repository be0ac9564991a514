"""The words that all tasks take, and the check that a folder is gone on with by the words that it was started with."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from task import Recipe, Task

from scorers.files import written_whole

METHODS = ("learning-loss", "entropy", "random")
FILE_NAME = "arguments.json"


def parse(
    description: str, default_data: str, words: Sequence[str] | None
) -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    """The parser, for errors that are found later, and what it read."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, default=Path(default_data), metavar="ZIP", help="the images and answers (%(default)s)")
    add("--folder", type=Path, metavar="DIR", help="the project, results and networks (learning-loss-TASK)")
    add("--method", choices=METHODS, default=METHODS[0], help="what chooses after the random start (%(default)s)")
    add("--cycles", type=_count_from(0), default=1, metavar="N", help="cycles after the random start (%(default)s)")
    add("--seed", type=_count_from(0), default=0, metavar="N", help="of everything random (%(default)s)")
    add("--device", type=_device, default="cpu", help="of torch, such as cuda (%(default)s)")
    add("--published", action="store_true", help="network and recipe as published; takes a GPU and hours")
    add("--epochs", type=_count_from(1), metavar="N", help="passes over the labeled images in a cycle")
    add("--n-start", type=_count_from(1), metavar="N", help="images labeled at random to begin with")
    add("--n-per-cycle", type=_count_from(1), metavar="N", help="images labeled in each later cycle")
    add("--n-pool", type=_count_from(1), metavar="N", help="images to choose from, to try things out on fewer")
    add("--n-test", type=_count_from(1), metavar="N", help="images to test on, to try things out on fewer")
    given = parser.parse_args(words)
    if not given.data.is_file():
        parser.error(f"'{given.data}' is not there; give the zip file with --data")
    return parser, given


def recipe_of(given: argparse.Namespace, recipe: Recipe) -> Recipe:
    """A recipe with what was asked for in its place.

    With other epochs, the learning rate drops and the gradient is cut after the same share of them.
    """
    epochs = given.epochs or recipe.epochs
    return replace(
        recipe,
        epochs=epochs,
        drop_from_epoch=round(recipe.drop_from_epoch * epochs / recipe.epochs),
        detach_from_epoch=round(recipe.detach_from_epoch * epochs / recipe.epochs),
        n_start=given.n_start or recipe.n_start,
        n_per_cycle=given.n_per_cycle or recipe.n_per_cycle,
    )


def check_started(folder: Path, given: argparse.Namespace, task: Task, recipe: Recipe) -> None:
    """Note in a new folder what the run was started with, or compare it with what an old one says.

    The number of cycles is not compared: a run may be made longer.

    Raises:
        ValueError: More images are asked for than there are; or the folder holds a run with other arguments, or another
            project. Nothing is changed then.
    """
    n_labeled = recipe.n_start + given.cycles * recipe.n_per_cycle
    if n_labeled > len(task.item_ids):
        raise ValueError(
            f"{given.cycles} cycles label {n_labeled:,} images, and the pool has {len(task.item_ids):,}; "
            "lower --cycles, --n-start or --n-per-cycle"
        )
    path = folder / FILE_NAME
    now: dict[str, Any] = {
        "task": task.name,
        "data": f"{given.data.name}, {given.data.stat().st_size:,} bytes",
        **{name: getattr(given, name) for name in ("method", "seed", "device", "published", "n_pool", "n_test")},
        **asdict(recipe),
    }
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        names = dict.fromkeys([*before, *now])
        differing = [
            f"{name} was {before.get(name)!r} and is {now.get(name)!r}"
            for name in names
            if before.get(name) != now.get(name)
        ]
        if differing:
            raise ValueError(
                f"'{folder}' holds a run with other arguments: {'; '.join(differing)}; "
                "give those to go on with it, or choose another --folder"
            )
        return
    if any(folder.glob("al-agent-*.sqlite")):
        raise ValueError(f"'{folder}' holds a project that was not started here; choose another --folder")
    folder.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as file:
        file.write(json.dumps(now, indent=1).encode("utf-8"))


def _count_from(least: int) -> Any:
    def count(word: str) -> int:
        if not word.isascii() or not word.isdigit() or int(word) < least:
            raise argparse.ArgumentTypeError(f"expected a whole number of {least} or more, got {word!r}")
        return int(word)

    return count


def _device(word: str) -> str:
    try:
        torch.zeros(1, device=word).add(1)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise argparse.ArgumentTypeError(f"torch cannot use {word!r} here: {first_line}") from None
    return word
