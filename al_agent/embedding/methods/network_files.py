"""Networks from files and functions, for the command line; nothing is ever unpickled."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import io
import json
import os
import sys
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

_HOW_TO_EXPORT = (
    "save a network as torch.export.save(torch.export.export(network.eval(), (images,), "
    "dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)), 'network.pt2'), or name a function that builds it, such as "
    "'my_model.py:build', and the file of its weights"
)


_KEYS_OF_WEIGHTS = ("state_dict", "model_state_dict", "model")  # as trainers save them beside their own state


def load_network(source: str, *, weights: str | os.PathLike[str] | None = None) -> torch.nn.Module:
    """The network that a text names.

    - `package.module:function` or `path/to/file.py:function`: the function is called without arguments and gives a
      `torch.nn.Module`, or the name is one. The folder of the file, or the current one, can be imported from.
    - `network.pt2`: an exported program (`torch.export.save`).
    - `network.pt`: a TorchScript archive (`torch.jit.save`).

    **Each of these runs the code that it names**, so it has to be your own or one that you trust. Whole models saved by
    `torch.save(model)` are refused: they can run anything while they are read.

    Args:
        source: One of the above.
        weights: A file of weights for the built network, by `torch.save(network.state_dict(), ...)` or safetensors; a
            dict with them under the key `state_dict`, `model_state_dict` or `model` is taken too. Tensors only are read. All
            names must match.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no such network, or the weights are of another one.
    """
    path = Path(source)
    if path.suffix in (".pt2", ".pt", ".pth", ".torchscript"):
        if weights is not None:
            raise ValueError(f"{source!r} has its own weights; leave the file of weights out")
        if not path.is_file():
            raise FileNotFoundError(f"there is no file '{source}'")
        return _exported(path) if path.suffix == ".pt2" else _torchscript(path)
    network = _built(source)
    if weights is not None:
        _load_weights(network, Path(weights))
    return network


def _built(source: str) -> torch.nn.Module:
    place, _, name = source.rpartition(":")
    if not place or not name.replace(".", "").isidentifier():
        raise ValueError(f"{source!r} is no network; expected 'file.py:function', 'package.module:function' or 'file.pt2'")
    folder = str(Path(place).resolve().parent if place.endswith(".py") else Path.cwd())
    sys.path.insert(0, folder)
    try:
        module = _from_file(Path(place)) if place.endswith(".py") else _imported(place)
        found: Any = module
        for part in name.split("."):
            if not hasattr(found, part):
                raise ValueError(
                    f"{place!r} has no {name!r}; it has {', '.join(_public_names(module)) or 'no public names'}"
                )
            found = getattr(found, part)
        network = found if isinstance(found, torch.nn.Module) or not callable(found) else found()
    finally:
        sys.path.remove(folder)
    if not isinstance(network, torch.nn.Module):
        raise ValueError(f"{source!r} gives a {type(network).__name__}; expected a torch.nn.Module")
    return network


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file '{path}'")
    name = f"_network_{path.stem}_{hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"'{path}' is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ValueError(f"there is no module {name!r} in the current folder or installed") from error
        raise


def _public_names(module: ModuleType) -> list[str]:
    return [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")][:10]


class _Exported(torch.nn.Module):
    """An exported program as a network: its graph knows no modes and is set in none."""

    def __init__(self, program: torch.export.ExportedProgram) -> None:
        super().__init__()
        self._use(program)

    def _use(self, program: torch.export.ExportedProgram) -> None:
        graph = program.module()
        for name, tensor in (*graph.named_parameters(), *graph.named_buffers()):
            self.register_buffer(name.replace(".", "/"), tensor.detach(), persistent=False)
        self._program = program
        self._graph = (graph,)  # in a tuple it is no part of this module

    def forward(self, images: torch.Tensor) -> Any:
        try:
            return self._graph[0](images)
        except AssertionError as error:  # what torch checks its shapes with
            raise ValueError(
                f"the exported program takes other images than {tuple(images.shape)}: {' '.join(str(error).split())[:200]}; "
                f"give the size that it was exported with, and export it for any number of images: {_HOW_TO_EXPORT}"
            ) from None

    def to(self, *args: Any, **kwargs: Any) -> _Exported:
        """Move the program, which has its devices written into it."""
        from torch.export.passes import move_to_device_pass  # noqa: PLC0415  # newer than torch.export

        self._use(move_to_device_pass(self._program, torch.empty(0).to(*args, **kwargs).device))
        return self


def _exported(path: Path) -> torch.nn.Module:
    _refuse_pickles(path)
    try:
        program = torch.export.load(path)
    except Exception as error:  # damaged bytes can fail in any way
        raise ValueError(f"'{path}' is no exported program that this torch {torch.__version__} reads: {error}") from error
    for node in program.graph.nodes:
        named = str(node.target)
        is_training = (named.startswith("aten.batch_norm") and node.args[5]) or (
            named.startswith("aten.dropout") and node.args[2]
        )
        if is_training:
            raise ValueError(f"'{path}' was exported in training mode; call network.eval() before torch.export.export")
    return _Exported(program)


def _refuse_pickles(path: Path) -> None:
    """Raise if the archive holds anything but tensors where torch would unpickle, or compiled code."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            pickled = [name for name in names if name.endswith((".pt", ".pkl"))]
            for name in names:
                if name.endswith("_config.json"):
                    beside = name.rpartition("/")[0]
                    pickled += [f"{beside}/{entry}" for entry in _pickled_entries(json.loads(archive.read(name)))]
            foreign = [name for name in names if name.endswith((".so", ".dll", ".pyd")) or "/custom_obj" in name]
            for name in pickled:
                if name not in names or not _is_tensors_only(archive.read(name)):
                    foreign.append(name)
    except (zipfile.BadZipFile, ValueError, KeyError) as error:
        raise ValueError(f"'{path}' is no exported program: {error}; {_HOW_TO_EXPORT}") from error
    if foreign:
        raise ValueError(f"'{path}' holds more than a graph and tensors: {foreign[0]!r}; {_HOW_TO_EXPORT}")


def _pickled_entries(config: object) -> Iterator[str]:
    if isinstance(config, Mapping):
        if config.get("use_pickle"):
            yield str(config.get("path_name"))
        for value in config.values():
            yield from _pickled_entries(value)


def _is_tensors_only(content: bytes) -> bool:
    try:
        torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception:  # damaged bytes can fail in any way
        return False
    return True


def _torchscript(path: Path) -> torch.nn.Module:
    try:
        with zipfile.ZipFile(path) as archive:
            is_script = any(name.partition("/")[2].startswith("code/") for name in archive.namelist())
    except zipfile.BadZipFile:
        is_script = False
    if not is_script:
        raise ValueError(
            f"'{path}' is no TorchScript archive; saved models and bare weights hold no network: {_HOW_TO_EXPORT}"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it still reads them
        try:
            network: torch.nn.Module = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
        except Exception as error:  # damaged bytes can fail in any way
            raise ValueError(f"'{path}' is no TorchScript archive that this torch reads: {error}") from error
    return network


def _are_weights(state: object) -> bool:
    return isinstance(state, Mapping) and bool(state) and all(isinstance(value, torch.Tensor) for value in state.values())


def _load_weights(network: torch.nn.Module, path: Path) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file '{path}'")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file  # noqa: PLC0415  # comes with transformers

            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except ImportError as error:
        raise ImportError("weights in safetensors need the package: pip install safetensors") from error
    except Exception as error:  # damaged bytes can fail in any way
        raise ValueError(
            f"'{path}' is no file of weights alone; save them as torch.save(network.state_dict(), path)"
        ) from error
    if not _are_weights(state):
        nested = [key for key in _KEYS_OF_WEIGHTS if isinstance(state, Mapping) and _are_weights(state.get(key))]
        if len(nested) != 1:
            holds = f"; it has {', '.join(map(repr, list(state)[:10])) or 'nothing'}" if isinstance(state, Mapping) else ""
            raise ValueError(
                f"'{path}' holds no weights by name{holds}; save the weights alone: torch.save(network.state_dict(), path)"
            )
        state = state[nested[0]]
    try:
        network.load_state_dict(dict(state))
    except RuntimeError as error:
        raise ValueError(f"the weights in '{path}' are of another network: {error}") from error
