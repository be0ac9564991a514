"""Embeddings by a network in an ONNX file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from ..embedder import Embedder, Fit, Pixels
from .pooling import Pool, checked_pool, pooled
from .preparation import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    checked_batch_size,
    checked_channels,
    checked_fit,
    checked_size,
    standardized,
)

Layout = Literal["nchw", "nhwc"]
"""The order of an input's axes: images, channels, height, width; or channels last."""

_TYPES: dict[str, np.dtype[Any]] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(float16)": np.dtype(np.float16),
    "tensor(double)": np.dtype(np.float64),
    "tensor(uint8)": np.dtype(np.uint8),
}
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class EmbedderOnnx(Embedder):
    """Vectors from a network in an ONNX file, computed by onnxruntime (extra `onnx`), without torch.

    What the file declares of its one input is used: the order of the axes, the size, the type, and a fixed number of
    images. An input of floats gets `(pixels / 255 - mean) / std`; **mean and std must be the ones the network was trained
    with**: for values from 0 to 255 a mean of 0 and a std of 1/255. An input of `uint8` gets the pixels as they are.
    Vectors `(b, d)` are taken as they are, feature maps `(b, c, h, w)` are averaged over space, token sequences
    `(b, t, d)` as `pool` says.

    Args:
        path: The `.onnx` file.
        size: Height and width in pixels; needed where the file leaves them open.
        mean: Mean of red, green and blue that the network expects, for values in [0, 1]; that of ImageNet by default.
        std: Standard deviation of red, green and blue; that of ImageNet by default.
        output: Name of the output to take, where there are several.
        pool: How a sequence of tokens becomes a vector: their `mean`, or the `first`, where that stands for the image.
        layout: `nchw` or `nhwc`; needed where the file leaves it open.
        fit_to_size: How images get that size.
        device: `cpu` or `cuda`.
        batch_size: Images that go through the network at a time, where the file leaves that open.

    Raises:
        ImportError: onnxruntime is not installed.
        FileNotFoundError: There is no such file.
        ValueError: It is no network of images, or an option is missing or contradicts it.

    Examples:
        >>> embedder = EmbedderOnnx("model.onnx", output="features", device="cpu")  # doctest: +SKIP
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        size: Sequence[int] | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        output: str | None = None,
        pool: Pool | None = None,
        layout: Layout | None = None,
        fit_to_size: Fit = "crop",
        device: str = "cpu",
        batch_size: int = 64,
    ) -> None:
        self.fit_to_size = checked_fit(fit_to_size)
        self.batch_size = checked_batch_size(batch_size)
        checked_pool(pool)
        self.pool = pool
        self._name = os.fspath(path)
        content = Path(path).read_bytes()
        self._digest = hashlib.sha256(content).hexdigest()[:16]
        self._session = _session(path, device)

        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            names = ", ".join(repr(node.name) for node in inputs) or "none"
            raise ValueError(f"'{self._name}' has {len(inputs)} inputs: {names}; expected one, the images")
        self._input = inputs[0].name
        self._type = _checked_type(inputs[0])
        self.layout: Layout = _layout(inputs[0], layout)
        axes = dict(zip(self.layout, inputs[0].shape))
        self.size = _size(inputs[0], (axes["h"], axes["w"]), size)
        self._n_fixed: int | None = axes["n"] if isinstance(axes["n"], int) and axes["n"] > 0 else None
        if self._n_fixed is not None:
            self.batch_size = self._n_fixed * max(1, batch_size // self._n_fixed)

        if self._type == np.uint8 and (mean is not None or std is not None):
            raise ValueError(f"'{self._name}' takes pixels of uint8 as they are; leave mean and std out")
        self.mean = checked_channels(IMAGENET_MEAN if mean is None else mean, "mean")
        self.std = checked_channels(IMAGENET_STD if std is None else std, "std")
        self.output = _output(self._session.get_outputs(), output, self._name)

    def embed(self, pixels: Pixels) -> npt.NDArray[np.floating[Any]]:
        """Vectors `(b, d)` in float32 of `(b, h, w, 3)` pixels.

        Raises:
            ValueError: The network gives no such values.
        """
        if self._type == np.uint8:
            images: npt.NDArray[Any] = pixels
        else:
            images = standardized(pixels, self.mean, self.std).astype(self._type, copy=False)
        if self.layout == "nchw":
            images = images.transpose(0, 3, 1, 2)
        n_images = len(images)
        step = self._n_fixed or max(1, n_images)
        parts = [self._run(images[start : start + step]) for start in range(0, n_images, step)]
        return np.concatenate(parts)

    def _run(self, images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        n_images = len(images)
        n_missing = (self._n_fixed or n_images) - n_images
        if n_missing:
            images = np.concatenate([images, np.repeat(images[-1:], n_missing, axis=0)])
        values = np.asarray(self._session.run([self.output], {self._input: np.ascontiguousarray(images)})[0])
        what = f"output {self.output!r}"
        if values.dtype.kind != "f":
            raise ValueError(f"{what} is of type {values.dtype}; expected floats")
        vectors = pooled(values.astype(np.float32, copy=False), self.pool, what, len(images))
        return np.asarray(vectors[:n_images], dtype=np.float32)

    @property
    def description(self) -> str:
        """The file's name and digest, and every option that changes a vector."""
        numbers = "" if self._type == np.uint8 else f", mean {self.mean}, std {self.std}"
        pool = "" if self.pool is None else f", pool {self.pool}"
        return (
            f"onnx {Path(self._name).name}, sha256 {self._digest}, output {self.output}, size {self.size}{numbers}, "
            f"{self.fit_to_size}{pool}"
        )


def _session(path: str | os.PathLike[str], device: str) -> Any:
    try:
        import onnxruntime  # noqa: PLC0415  # an extra
    except ImportError as problem:
        raise ImportError('networks in ONNX files need onnxruntime: pip install "al-agent[onnx]"') from problem
    if device not in _PROVIDERS:
        raise ValueError(f"device is {device!r}; expected one of {', '.join(map(repr, _PROVIDERS))}")
    there = onnxruntime.get_available_providers()
    if _PROVIDERS[device] not in there:
        raise ValueError(f"device is {device!r}, and this onnxruntime has only {', '.join(there)}; install onnxruntime-gpu")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only: its warnings are about the graph's own nodes
    try:
        return onnxruntime.InferenceSession(os.fspath(path), sess_options=options, providers=[_PROVIDERS[device]])
    except Exception as error:  # damaged bytes can fail in any way
        raise ValueError(f"'{os.fspath(path)}' is no network that onnxruntime reads: {error}") from error


def _checked_type(node: Any) -> np.dtype[Any]:
    if node.type not in _TYPES:
        raise ValueError(f"input {node.name!r} is of type {node.type}; expected one of {', '.join(_TYPES)}")
    if len(node.shape) != 4:
        raise ValueError(f"input {node.name!r} has shape {node.shape}; expected four axes, of a batch of RGB images")
    return _TYPES[node.type]


def _layout(node: Any, asked: str | None) -> Layout:
    """The one order of axes in which there can be three channels."""
    if asked is not None and asked not in get_args(Layout):
        raise ValueError(f"layout is {asked!r}; expected one of {', '.join(map(repr, get_args(Layout)))}")
    possible = [name for name in get_args(Layout) if _may_be(node.shape[name.index("c")], 3)]
    certain = [name for name in possible if node.shape[name.index("c")] == 3]
    if not possible:
        raise ValueError(f"input {node.name!r} has shape {node.shape}; expected 3 channels, second or last")
    if asked is not None:
        if asked not in possible:
            raise ValueError(
                f"layout is {asked!r}, and input {node.name!r} has shape {node.shape}; there it is {possible[0]!r}"
            )
        return asked  # type: ignore[return-value]
    only = certain if len(certain) == 1 else possible
    if len(only) != 1:
        raise ValueError(f"input {node.name!r} has shape {node.shape}, which can be either; say layout='nchw' or 'nhwc'")
    return only[0]  # type: ignore[no-any-return]


def _may_be(declared: object, wanted: int) -> bool:
    return not isinstance(declared, int) or declared in (wanted, -1, 0)


def _size(node: Any, declared: tuple[object, object], asked: Sequence[int] | None) -> tuple[int, int]:
    if asked is None:
        height, width = declared
        if isinstance(height, int) and isinstance(width, int) and height > 0 and width > 0:
            return height, width
        raise ValueError(f"input {node.name!r} has shape {node.shape}, which leaves the size open; say size=(height, width)")
    size = checked_size(asked)
    if not all(_may_be(side, wanted) for side, wanted in zip(declared, size)):
        raise ValueError(f"size is {size}, and input {node.name!r} has shape {node.shape}; leave size out")
    return size


def _output(outputs: Sequence[Any], asked: str | None, path: str) -> str:
    listed = ", ".join(f"{node.name!r} {node.shape}" for node in outputs)
    names = [str(node.name) for node in outputs]
    if asked is not None:
        if asked not in names:
            raise ValueError(f"'{path}' has no output {asked!r}; it has {listed}")
        return asked
    if len(names) != 1:
        raise ValueError(f"'{path}' has {len(names)} outputs; say which by output=: {listed}")
    return names[0]
