"""Networks in ONNX files: what the file declares is used, and what it leaves open is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper  # noqa: E402

from al_agent.embedding.methods.onnx import EmbedderOnnx  # noqa: E402

PIXELS = np.random.default_rng(0).integers(0, 256, size=(5, 4, 6, 3), dtype=np.uint8)
MEANS = PIXELS.mean((1, 2), dtype=np.float64)
PLAIN: dict[str, Any] = {"mean": (0, 0, 0), "std": (1, 1, 1)}

Shape = tuple[int | str, ...]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "network.onnx"


def write(
    path: Path,
    shape: Shape = ("n", 3, 4, 6),
    kind: int = TensorProto.FLOAT,
    *,
    channels_last: bool = False,
    keep: bool = False,
    outputs: tuple[str, ...] = ("features",),
    inputs: tuple[str, ...] = ("images",),
) -> Path:
    """A network that gives the mean of each channel; with `keep` as a feature map; further outputs are its double."""
    floats = kind if kind != TensorProto.UINT8 else TensorProto.FLOAT
    nodes = [
        helper.make_node("Cast", [inputs[0]], ["floats"], to=floats),
        helper.make_node(
            "ReduceMean", ["floats"], [outputs[0]], axes=[1, 2] if channels_last else [2, 3], keepdims=int(keep)
        ),
    ]
    nodes += [helper.make_node("Add", [outputs[0], outputs[0]], [name]) for name in outputs[1:]]
    graph = helper.make_graph(
        nodes,
        "means",
        [helper.make_tensor_value_info(name, kind, shape) for name in inputs],
        [helper.make_tensor_value_info(name, floats, None) for name in outputs],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return path


@pytest.mark.parametrize(
    ("shape", "channels_last", "options"),
    [
        (("n", 3, 4, 6), False, {}),
        ((1, 3, 4, 6), False, {}),
        ((2, 3, 4, 6), False, {}),
        (("n", 3, "h", "w"), False, {"size": (4, 6)}),
        (("n", "c", "h", "w"), False, {"size": (4, 6), "layout": "nchw"}),
        (("n", 4, 6, 3), True, {}),
        ((1, 4, 6, 3), True, {}),
        (("n", "h", "w", 3), True, {"size": (4, 6)}),
        (("n", "h", "w", "c"), True, {"size": (4, 6), "layout": "nhwc"}),
    ],
)
def test_order_of_axes_size_and_number_of_images_are_those_of_the_file(
    path: Path, shape: Shape, channels_last: bool, options: dict[str, Any]
) -> None:
    embedder = EmbedderOnnx(write(path, shape, channels_last=channels_last), **PLAIN, **options)
    assert embedder.size == (4, 6)
    np.testing.assert_allclose(embedder.embed(PIXELS), MEANS / 255, atol=1e-6)


def test_a_fixed_number_of_images_is_never_exceeded_and_filled_up_without_a_trace(path: Path) -> None:
    embedder = EmbedderOnnx(write(path, (4, 3, 4, 6)), batch_size=10, **PLAIN)
    assert embedder.batch_size == 8
    for n_images in (1, 4, 5):
        np.testing.assert_allclose(embedder.embed(PIXELS[:n_images]), MEANS[:n_images] / 255, atol=1e-6)


def test_floats_are_standardized_by_the_numbers_of_imagenet_or_those_given(path: Path) -> None:
    write(path)
    expected = (MEANS / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(EmbedderOnnx(path).embed(PIXELS), expected, atol=1e-5)
    to_255 = EmbedderOnnx(path, mean=(0, 0, 0), std=(1 / 255,) * 3)
    np.testing.assert_allclose(to_255.embed(PIXELS), MEANS, rtol=1e-5)


def test_whole_numbers_go_in_as_they_are(path: Path) -> None:
    embedder = EmbedderOnnx(write(path, ("n", 4, 6, 3), TensorProto.UINT8, channels_last=True))
    np.testing.assert_allclose(embedder.embed(PIXELS), MEANS, rtol=1e-5)
    with pytest.raises(ValueError, match="takes pixels of uint8 as they are; leave mean and std out"):
        EmbedderOnnx(path, mean=(0, 0, 0))


@pytest.mark.parametrize(("kind", "tolerance"), [(TensorProto.FLOAT16, 2e-3), (TensorProto.DOUBLE, 1e-6)])
def test_other_precisions_give_float32(path: Path, kind: int, tolerance: float) -> None:
    vectors = EmbedderOnnx(write(path, kind=kind), **PLAIN).embed(PIXELS)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, MEANS / 255, atol=tolerance)


def test_feature_maps_are_averaged_over_space(path: Path) -> None:
    vectors = EmbedderOnnx(write(path, keep=True), **PLAIN).embed(PIXELS)
    np.testing.assert_allclose(vectors, MEANS / 255, atol=1e-6)


def test_of_several_outputs_one_is_named(path: Path) -> None:
    write(path, outputs=("features", "logits"))
    np.testing.assert_allclose(EmbedderOnnx(path, output="logits", **PLAIN).embed(PIXELS), MEANS / 255 * 2, atol=1e-6)
    with pytest.raises(ValueError, match=r"has 2 outputs; say which by output=: 'features' .*, 'logits'"):
        EmbedderOnnx(path)
    with pytest.raises(ValueError, match="has no output 'feature'; it has 'features'"):
        EmbedderOnnx(path, output="feature")


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        (("n", "a", "b", "c"), {}, "can be either; say layout='nchw' or 'nhwc'"),
        (("n", 3, 4, 3), {}, "can be either; say layout="),
        (("n", 1, 4, 6), {}, "expected 3 channels, second or last"),
        (("n", 3, 4, 6), {"layout": "nhwc"}, "there it is 'nchw'"),
        (("n", 3, 4, 6), {"layout": "chw"}, "expected one of 'nchw', 'nhwc'"),
        (("n", 3, "h", "w"), {}, r"leaves the size open; say size=\(height, width\)"),
        (("n", 3, 4, 6), {"size": (6, 4)}, r"size is \(6, 4\), and input 'images' has shape .*; leave size out"),
        (("n", 3, 4), {}, "expected four axes"),
    ],
)
def test_what_the_file_leaves_open_or_contradicts_is_an_error(
    path: Path, shape: Shape, options: dict[str, Any], message: str
) -> None:
    write(path, (*shape, 1) if len(shape) == 3 else shape)
    if len(shape) == 3:
        flat = onnx.load(str(path))
        del flat.graph.input[0].type.tensor_type.shape.dim[3]
        flat.graph.node[1].attribute[0].ints[:] = [1, 2]
        onnx.save(flat, str(path))
    with pytest.raises(ValueError, match=message):
        EmbedderOnnx(path, **options)


def test_other_inputs_than_images_are_errors(path: Path) -> None:
    with pytest.raises(ValueError, match="has 2 inputs: 'images', 'mask'; expected one"):
        EmbedderOnnx(write(path, inputs=("images", "mask")))
    with pytest.raises(ValueError, match=r"type tensor\(int64\)"):
        EmbedderOnnx(write(path, kind=TensorProto.INT64))


def test_files_that_are_no_networks_are_errors(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        EmbedderOnnx(path)
    write(path)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ValueError, match="no network that onnxruntime reads"):
        EmbedderOnnx(path)


@pytest.mark.parametrize("device", ["cuda", "warp"])
def test_a_device_that_is_not_there_is_an_error(path: Path, device: str) -> None:
    import onnxruntime  # noqa: PLC0415  # may be missing

    if device == "cuda" and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has cuda")
    with pytest.raises(ValueError, match=f"device is '{device}'"):
        EmbedderOnnx(write(path), device=device)


def test_the_description_tells_files_and_options_apart(path: Path) -> None:
    write(path, outputs=("features", "logits"))
    changes: list[dict[str, Any]] = [{}, {"output": "logits"}, {"mean": (0, 0, 0)}, {"fit_to_size": "pad"}, {"pool": "mean"}]
    descriptions = [EmbedderOnnx(path, **{"output": "features", **options}).description for options in changes]
    write(path, (1, 3, 4, 6), outputs=("features", "logits"))
    descriptions.append(EmbedderOnnx(path, output="features").description)
    assert len(set(descriptions)) == 6
    assert EmbedderOnnx(path, output="features").description == descriptions[-1]
