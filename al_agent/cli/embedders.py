"""Which embedder the options of `al-agent embed` ask for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import typer

from ..embedding.embedder import Embedder


class Method(NamedTuple):
    """A way to embed."""

    make: Callable[[Mapping[str, Any]], Embedder]
    options: frozenset[str]
    needs: str | None = None
    """The option that says what to embed with, and alone chooses the method."""
    implied_by: frozenset[str] = frozenset()
    """Options that only this method has, and that choose it where nothing else does."""
    reduces: bool = False
    """Whether the embedder itself makes as many dimensions as asked for."""


def _patches(options: Mapping[str, Any]) -> Embedder:
    from ..embedding.methods.patches import EmbedderPatches  # noqa: PLC0415  # each method loads what it needs

    settings = dict(options)
    if "size" in settings:
        settings["side"], width = settings.pop("size")
        if settings["side"] != width:
            raise typer.BadParameter("--size of patches is one number: 32 or 64")
    return EmbedderPatches(**settings)


def _self_supervised(options: Mapping[str, Any]) -> Embedder:
    from ..embedding.methods.self_supervised import EmbedderSelfSupervised  # noqa: PLC0415

    settings = dict(options)
    if "trained" not in settings:
        return EmbedderSelfSupervised(settings.pop("checkpoint", None), **settings)
    for_learning = settings.keys() - {"trained", "device", "progress"}
    if for_learning:
        raise typer.BadParameter(f"--trained learns nothing, so --{flag(min(for_learning))} has nothing to do")
    settings.pop("progress", None)
    return EmbedderSelfSupervised.trained(settings.pop("trained"), **settings)


def _pretrained(options: Mapping[str, Any]) -> Embedder:
    from ..embedding.methods.pretrained import EmbedderPretrained  # noqa: PLC0415

    settings = dict(options)
    return EmbedderPretrained(settings.pop("model"), **settings)


def _network(options: Mapping[str, Any]) -> Embedder:
    from ..embedding.methods.network import EmbedderNetwork  # noqa: PLC0415
    from ..embedding.methods.network_files import load_network  # noqa: PLC0415

    settings = dict(options)
    network = load_network(settings.pop("network"), weights=settings.pop("weights", None))
    return EmbedderNetwork(network, **settings)


def _onnx(options: Mapping[str, Any]) -> Embedder:
    from ..embedding.methods.onnx import EmbedderOnnx  # noqa: PLC0415

    settings = dict(options)
    path = settings.pop("onnx")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file '{path}'")
    return EmbedderOnnx(path, **settings)


_OF_NETWORKS = {"size", "fit_to_size", "mean", "std", "pool", "output", "device", "batch_size"}
METHODS: Mapping[str, Method] = {
    "patches": Method(_patches, frozenset({"size", "seed"}), reduces=True),
    "self-supervised": Method(
        _self_supervised,
        frozenset({"size", "seed", "batch_size", "device", "epochs", "minutes", "checkpoint", "trained"}),
        implied_by=frozenset({"epochs", "minutes", "checkpoint", "trained"}),
        reduces=True,
    ),
    "pretrained": Method(_pretrained, frozenset({"model", "revision", "device", "batch_size"}), "model"),
    "network": Method(_network, frozenset({"network", "weights", "layer", *_OF_NETWORKS}), "network"),
    "onnx": Method(_onnx, frozenset({"onnx", *_OF_NETWORKS}), "onnx"),
}
_FLAGS = {"fit_to_size": "fit", "output": "take"}


def chosen_method(method: str | None, options: Mapping[str, Any]) -> str:
    """The method by its name, or by an option that only it has; patches if nothing says.

    Args:
        method: The name, if one was given.
        options: What was given, by the names of the embedders' arguments.

    Raises:
        BadParameter: An unknown method, one that lacks its option, or an option that it does not use.
    """
    needed = {which.needs: name for name, which in METHODS.items() if which.needs is not None}
    asked = [option for option in needed if option in options]
    if method is not None and method not in METHODS:
        raise typer.BadParameter(f"the method {method!r} is none of {', '.join(METHODS)}")
    if len(asked) > 1:
        raise typer.BadParameter(f"--{asked[0]} and --{asked[1]} are two ways to embed; give one")
    implied = [name for name, which in METHODS.items() if which.implied_by & options.keys()]
    name = method or (needed[asked[0]] if asked else next(iter(implied), "patches"))
    chosen = METHODS[name]
    if chosen.needs is not None and chosen.needs not in options:
        raise typer.BadParameter(f"the method {name} needs --{chosen.needs}")
    unused = [option for option in options if option not in chosen.options]
    if unused:
        users = [other for other, which in METHODS.items() if unused[0] in which.options]
        raise typer.BadParameter(f"--{flag(unused[0])} is not for the method {name}, but for {', '.join(users)}")
    return name


def flag(option: str) -> str:
    """How an embedder's argument is called on the command line, without dashes in front."""
    return _FLAGS.get(option, option).replace("_", "-")


def read_size(text: str) -> tuple[int, int]:
    """`224` or `240x320`, height first, as height and width. Raises BadParameter if it is neither."""
    found = re.fullmatch(r"(\d+)(?:x(\d+))?", text.strip().lower())
    if not found or not int(found[1]) or not int(found[2] or 1):
        raise typer.BadParameter(f"--size {text!r} is no size in pixels; write 224, or 240x320 for height x width")
    return int(found[1]), int(found[2] or found[1])


def read_channels(text: str, name: str) -> tuple[float, ...]:
    """`0.5` or `0.485,0.456,0.406` as three numbers. Raises BadParameter if it is neither."""
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in (1, 3):
        raise typer.BadParameter(f"--{name} {text!r} is no number, nor three with commas, such as 0.485,0.456,0.406")
    return numbers * 3 if len(numbers) == 1 else numbers
