"""A network of the user's own: the right numbers, nothing changed, nothing unpickled."""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

import torch
from torch import nn

from al_agent.embedding.methods.network import EmbedderNetwork
from al_agent.embedding.methods.network_files import load_network
from al_agent.embedding.methods.preparation import standardized
from al_agent.embedding.methods.torch_device import as_tensor, standardized_tensor
from al_agent.embedding.run import embed_images

PIXELS = np.random.default_rng(0).integers(0, 256, size=(5, 8, 6, 3), dtype=np.uint8)
PLAIN: dict[str, Any] = {"size": (8, 6), "mean": (0, 0, 0), "std": (1, 1, 1)}


class Fixed(nn.Module):
    """Gives what it was told to, whatever comes in."""

    def __init__(self, output: object) -> None:
        super().__init__()
        self.output = output

    def forward(self, images: Any) -> object:
        return self.output


class Tokens(nn.Module):
    """Each image's three channel means as the first token, zeros as the other."""

    def forward(self, images: Any) -> Any:
        means = images.mean((2, 3))
        return torch.stack([means, torch.zeros_like(means)], dim=1)


def small_network() -> Any:
    torch.manual_seed(0)
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(3, 4, 3),
            norm=nn.BatchNorm2d(4),
            drop=nn.Dropout(0.5),
            relu=nn.ReLU(inplace=True),
            flat=nn.Flatten(),
        )
    )


def channel_means(pixels: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    return np.asarray(pixels.mean((1, 2), dtype=np.float64) / 255)


def test_channels_arrive_in_order_and_standardized() -> None:
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.25, 2.0)
    vectors = EmbedderNetwork(nn.Identity(), size=(8, 6), mean=mean, std=std).embed(PIXELS)
    np.testing.assert_allclose(vectors, (channel_means(PIXELS) - mean) / std, atol=1e-6)
    assert vectors.dtype == np.float32


def test_without_options_the_numbers_of_imagenet_are_used() -> None:
    embedder = EmbedderNetwork(nn.Identity())
    assert embedder.size == (224, 224)
    expected = (channel_means(PIXELS) - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(embedder.embed(PIXELS), expected, atol=1e-5)


@given(pixels=st.binary(min_size=12, max_size=12), mean=st.floats(-300, 300), std=st.floats(1e-3, 300))
@settings(derandomize=True, database=None, deadline=None, max_examples=50)
def test_numpy_and_torch_standardize_alike(pixels: bytes, mean: float, std: float) -> None:
    images = np.frombuffer(pixels, dtype=np.uint8).reshape(1, 2, 2, 3)
    means, stds = (mean, mean / 2, 0.5), (std, 2 * std, 0.25)
    ours = standardized(images, means, stds).transpose(0, 3, 1, 2)
    theirs = standardized_tensor(as_tensor(images, torch.device("cpu")), means, stds).numpy()
    exact = ((images.astype(np.float64) / 255 - means) / stds).transpose(0, 3, 1, 2)
    tolerance = 1e-6 * (1 + np.max(np.abs(means) + np.ones(3)) / std)
    np.testing.assert_allclose(ours, exact, atol=tolerance)
    np.testing.assert_allclose(theirs, exact, atol=tolerance)


def test_a_batch_and_single_images_give_the_same_vectors_in_a_network_that_was_training() -> None:
    network = small_network().train()
    embedder = EmbedderNetwork(network, size=(8, 6))
    whole = embedder.embed(PIXELS)
    single = np.concatenate([embedder.embed(PIXELS[row : row + 1]) for row in range(5)])
    np.testing.assert_allclose(whole, single, atol=1e-6)
    np.testing.assert_array_equal(whole, embedder.embed(PIXELS))


def test_modes_parameters_and_buffers_are_as_before_even_after_an_error() -> None:
    network = small_network().train()
    network.norm.eval()  # frozen by its owner
    before = {name: value.clone() for name, value in network.state_dict().items()}
    EmbedderNetwork(network, size=(8, 6)).embed(PIXELS)
    with pytest.raises(RuntimeError, match="conv2d"):
        EmbedderNetwork(nn.Sequential(network, nn.Conv2d(9, 9, 1)), size=(8, 6)).embed(PIXELS)
    assert [part.training for part in network.modules()] == [True, True, False, True, True, True]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_layer_gives_its_own_output_even_where_the_next_writes_into_it() -> None:
    network = small_network()
    vectors = EmbedderNetwork(network, size=(8, 6), layer="norm").embed(PIXELS)
    network.eval()
    images = (torch.from_numpy(PIXELS).permute(0, 3, 1, 2) / 255 - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / (
        torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    )
    expected = network.norm(network.conv(images)).mean((2, 3)).detach().numpy()
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    assert vectors.min() < 0
    assert not network.norm._forward_hooks


@pytest.mark.parametrize(("layer", "listed"), [("nor", "'norm'"), ("", "'conv', 'norm'"), ("layer4", "it has 5")])
def test_an_unknown_layer_is_an_error_that_lists_some(layer: str, listed: str) -> None:
    with pytest.raises(ValueError, match=listed):
        EmbedderNetwork(small_network(), layer=layer)


def test_a_layer_that_runs_twice_or_never_is_an_error() -> None:
    shared = nn.ReLU()
    with pytest.raises(ValueError, match="'0' ran 2 times"):
        EmbedderNetwork(nn.Sequential(shared, shared), layer="0", **PLAIN).embed(PIXELS)


def test_tokens_are_averaged_or_the_first_is_taken_as_asked() -> None:
    means = channel_means(PIXELS)
    np.testing.assert_allclose(EmbedderNetwork(Tokens(), pool="first", **PLAIN).embed(PIXELS), means, atol=1e-6)
    np.testing.assert_allclose(EmbedderNetwork(Tokens(), pool="mean", **PLAIN).embed(PIXELS), means / 2, atol=1e-6)
    with pytest.raises(ValueError, match=r"shape \(5, 2, 3\), a sequence of tokens.*pool='first'"):
        EmbedderNetwork(Tokens(), **PLAIN).embed(PIXELS)


@pytest.mark.parametrize(
    ("output", "key", "message"),
    [
        ({"a": torch.ones(5, 2), "b": torch.ones(5, 3)}, None, r"say which by output=: 'a' \(5, 2\), 'b' \(5, 3\)"),
        ({"a": torch.ones(5, 2)}, "c", r"no 'c' among them: 'a' \(5, 2\)"),
        ((torch.ones(5, 2), torch.ones(5, 3)), None, r"say which by output=: 0 \(5, 2\), 1 \(5, 3\)"),
        ({}, None, "none"),
        ("text", None, "is a str"),
        (torch.ones(5, 2), "a", "leave output out"),
        (torch.ones(4, 2), None, r"shape \(4, 2\) for 5 images"),
        (torch.ones(5), None, r"shape \(5,\); expected \(b, d\)"),
        (torch.ones(5, 0), None, "is empty"),
        (torch.ones(5, 2, dtype=torch.int64), None, r"type torch.int64; expected floats"),
    ],
)
def test_what_is_no_vector_for_each_image_is_an_error_that_says_what_there_is(output: Any, key: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EmbedderNetwork(Fixed(output), output=key, **PLAIN).embed(PIXELS)


@pytest.mark.parametrize(
    ("output", "key"),
    [
        ({"out": torch.full((5, 2), 3.0), "loss": None}, None),
        ({"a": torch.zeros(5, 2), "b": torch.full((5, 2), 3.0)}, "b"),
        ([torch.zeros(5, 2), torch.full((5, 2), 3.0)], 1),
        ((torch.zeros(5, 2), torch.full((5, 2), 3.0)), "1"),
        (torch.full((5, 2, 4, 4), 3.0), None),
        (torch.full((5, 2, 200, 200), 3.0, dtype=torch.float16), None),  # the sum is beyond float16
    ],
)
def test_the_one_tensor_is_taken_wherever_it_stands(output: Any, key: Any) -> None:
    assert EmbedderNetwork(Fixed(output), output=key, **PLAIN).embed(PIXELS).tolist() == [[3.0, 3.0]] * 5


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_precisions_and_memory_formats_give_nearly_the_same(dtype: Any) -> None:
    expected = EmbedderNetwork(small_network(), size=(8, 6)).embed(PIXELS)
    network = small_network().to(dtype=dtype, memory_format=torch.channels_last)
    vectors = EmbedderNetwork(network, size=(8, 6)).embed(PIXELS)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, atol=0.05)
    assert next(network.parameters()).dtype == dtype


def test_the_description_tells_weights_and_options_apart() -> None:
    one, other = small_network(), small_network()
    assert EmbedderNetwork(one).description == EmbedderNetwork(other).description
    other.norm.running_mean += 1
    descriptions = {
        EmbedderNetwork(network, **options).description
        for network in (one, other)
        for options in ({}, {"layer": "norm"}, {"size": (32, 32)}, {"mean": (0, 0, 0)}, {"fit_to_size": "pad"})
    }
    assert len(descriptions) == 10
    assert not any("\n" in description for description in descriptions)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 224}, r"size is 224; expected \(height, width\)"),
        ({"size": (224, 0)}, "expected"),
        ({"size": (8.0, 8)}, "expected"),
        ({"mean": (0.5, 0.5)}, "mean is"),
        ({"std": (1, 0, 1)}, "numbers above 0"),
        ({"std": (1, float("nan"), 1)}, "std is"),
        ({"fit_to_size": "squash"}, "'stretch', 'crop', 'pad'"),
        ({"pool": "max"}, "'mean', 'first'"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"device": "cuda:99"}, "device is 'cuda:99', and torch says"),
        ({"device": "warp"}, "device is 'warp', and torch says"),
        ({"device": "meta"}, "use 'cpu'"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EmbedderNetwork(small_network(), **options)


def test_a_path_instead_of_a_network_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"module is a str; expected a torch\.nn\.Module"):
        EmbedderNetwork("model.pt")  # type: ignore[arg-type]


def test_a_folder_of_images_is_embedded_and_a_broken_one_is_listed(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    for row, pixels in enumerate(PIXELS):
        image.fromarray(pixels).save(tmp_path / f"{row}.png")
    (tmp_path / "broken.png").write_bytes(b"")
    run = embed_images(tmp_path, EmbedderNetwork(nn.Identity(), batch_size=2, **PLAIN))
    assert run.embeddings.item_ids == ("0.png", "1.png", "2.png", "3.png", "4.png")
    assert list(run.failed) == ["broken.png"]
    np.testing.assert_allclose(run.embeddings.vectors, channel_means(PIXELS), atol=1e-6)


SOURCE = """
import torch
from dataclasses import dataclass
import sibling_of_network

@dataclass
class Options:
    bias: bool = sibling_of_network.BIAS

def build():
    return torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1, bias=Options().bias), torch.nn.Flatten())

ready = build()

def number():
    return 7
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "sibling_of_network.py").write_text("BIAS = True\n")
    (tmp_path / "my network.py").write_text(SOURCE)
    return tmp_path / "my network.py"


def test_a_function_in_a_file_builds_a_network_that_takes_weights(source: Path) -> None:
    trained = load_network(f"{source}:ready")
    for key in (None, "state_dict", "model", "model_state_dict"):
        state, name = trained.state_dict(), f"{key}.pt"
        torch.save(state if key is None else {"epoch": 3, key: state, "optimizer": {}}, source.with_name(name))
        network = load_network(f"{source}:build", weights=source.with_name(name))
        assert torch.equal(network[0].weight, trained[0].weight)  # type: ignore[index]
    assert not torch.equal(load_network(f"{source}:build")[0].weight, trained[0].weight)  # type: ignore[index]


def test_a_function_in_a_module_builds_a_network(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(source.parent)
    Path("net_of_test.py").write_text(SOURCE)
    assert isinstance(load_network("net_of_test:build"), nn.Sequential)
    with pytest.raises(ValueError, match=r"no module 'no_such_package.models'"):
        load_network("no_such_package.models:build")


def test_names_that_build_nothing_are_errors(source: Path) -> None:
    with pytest.raises(ValueError, match=r"has no 'biuld'; it has .*build"):
        load_network(f"{source}:biuld")
    with pytest.raises(ValueError, match="gives a int; expected"):
        load_network(f"{source}:number")
    with pytest.raises(ValueError, match=r"expected 'file.py:function'"):
        load_network(str(source))
    with pytest.raises(FileNotFoundError, match=r"no file '.*other.py'"):
        load_network(f"{source.with_name('other.py')}:build")
    with pytest.raises(FileNotFoundError, match=r"no file '.*x.pt2'"):
        load_network(str(source.with_name("x.pt2")))


class Evil:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_weights_of_another_network_or_with_code_are_refused(source: Path, tmp_path: Path) -> None:
    torch.save(nn.Linear(3, 2).state_dict(), tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"of another network: (?s:.*)0.weight"):
        load_network(f"{source}:build", weights=tmp_path / "other.pt")
    for content in (Evil(tmp_path / "ran"), {"state_dict": Evil(tmp_path / "ran")}, nn.Linear(1, 1)):
        torch.save(content, tmp_path / "evil.pt")
        with pytest.raises(ValueError, match=r"no file of weights alone; save them as torch.save\(network.state_dict"):
            load_network(f"{source}:build", weights=tmp_path / "evil.pt")
    torch.save({"epoch": 3}, tmp_path / "none.pt")
    with pytest.raises(ValueError, match="holds no weights by name"):
        load_network(f"{source}:build", weights=tmp_path / "none.pt")
    weights = nn.Linear(3, 2).state_dict()
    for saved in ({"ema": weights, "epoch": 3}, {"ema": 1, "epoch": 3, "model": weights, "state_dict": weights}):
        torch.save(saved, tmp_path / "other.pt")
        with pytest.raises(ValueError, match=r"by name; it has 'ema', 'epoch'.*; save the weights alone: torch.save"):
            load_network(f"{source}:build", weights=tmp_path / "other.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "model.pt2"])
def test_whole_pickled_models_are_refused_with_a_way_to_export_them(tmp_path: Path, name: str) -> None:
    for content in (Evil(tmp_path / "ran"), nn.Linear(1, 1)):
        torch.save(content, tmp_path / name)
        with pytest.raises(ValueError, match=r"torch.export.save\(torch.export.export"):
            load_network(str(tmp_path / name))
        (tmp_path / name).write_bytes(pickle.dumps(content))
        with pytest.raises(ValueError, match=r"torch.export.save\(torch.export.export"):
            load_network(str(tmp_path / name))
    assert not (tmp_path / "ran").exists()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("exported") / "network.pt2"
    program = torch.export.export(
        small_network().eval(), (torch.rand(2, 3, 8, 6),), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)
    )
    torch.export.save(program, path)
    return path


def test_an_exported_program_gives_the_same_vectors_as_its_network(exported: Path) -> None:
    expected = EmbedderNetwork(small_network(), size=(8, 6))
    embedder = EmbedderNetwork(load_network(str(exported)), size=(8, 6), device="cpu")
    np.testing.assert_allclose(embedder.embed(PIXELS), expected.embed(PIXELS), atol=1e-6)
    assert embedder.description == EmbedderNetwork(load_network(str(exported)), size=(8, 6)).description


def test_a_program_exported_for_another_batch_or_size_is_a_short_error_with_the_way_to_export(tmp_path: Path) -> None:
    torch.export.save(torch.export.export(small_network().eval(), (torch.rand(2, 3, 8, 6),)), tmp_path / "fixed.pt2")
    network = load_network(str(tmp_path / "fixed.pt2"))
    assert EmbedderNetwork(network, size=(8, 6)).embed(PIXELS[:2]).shape[0] == 2
    for size, n_images in (((8, 6), 1), ((9, 6), 2)):
        pixels = np.zeros((n_images, *size, 3), dtype=np.uint8)
        with pytest.raises(ValueError, match=rf"other images than \({n_images}, 3, {size[0]}, 6\)") as raised:
            EmbedderNetwork(network, size=size).embed(pixels)
        assert "torch.export.Dim.DYNAMIC" in str(raised.value)
        assert len(str(raised.value)) < 700
        assert raised.value.__suppress_context__


def test_a_program_exported_while_training_is_refused(tmp_path: Path) -> None:
    for network in (nn.BatchNorm2d(3), nn.Dropout()):
        torch.export.save(torch.export.export(network.train(), (torch.rand(2, 3, 8, 6),)), tmp_path / "t.pt2")
        with pytest.raises(ValueError, match=r"exported in training mode; call network.eval\(\)"):
            load_network(str(tmp_path / "t.pt2"))


def test_pickles_inside_an_exported_program_are_refused(exported: Path, tmp_path: Path) -> None:
    evil = io.BytesIO()
    torch.save(Evil(tmp_path / "ran"), evil)
    with zipfile.ZipFile(exported) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    sample = next(name for name in entries if "sample_inputs" in name)
    config = next(name for name in entries if name.endswith("weights_config.json"))
    weight = next(name for name in entries if name.endswith("weight_0"))
    flagged = (
        entries[config]
        .replace(b'"use_pickle":false', b'"use_pickle":true')
        .replace(b'"use_pickle": false', b'"use_pickle": true')
    )
    assert flagged != entries[config]
    for changes in ({sample: evil.getvalue()}, {weight: evil.getvalue(), config: flagged}, {"network/data/x.so": b"code"}):
        with zipfile.ZipFile(tmp_path / "evil.pt2", "w") as archive:
            for name, content in (entries | changes).items():
                archive.writestr(name, content)
        with pytest.raises(ValueError, match="more than a graph and tensors"):
            load_network(str(tmp_path / "evil.pt2"))
    assert not (tmp_path / "ran").exists()


def test_a_damaged_exported_program_is_an_error(exported: Path, tmp_path: Path) -> None:
    (tmp_path / "half.pt2").write_bytes(exported.read_bytes()[:5000])
    with pytest.raises(ValueError, match="no exported program"):
        load_network(str(tmp_path / "half.pt2"))


def test_a_torchscript_archive_gives_the_same_vectors_as_its_network(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        traced: Any = torch.jit.trace(small_network().eval(), torch.rand(2, 3, 8, 6))  # type: ignore[no-untyped-call]
        traced.save(tmp_path / "script.pt")
    embedder = EmbedderNetwork(load_network(str(tmp_path / "script.pt")), size=(8, 6))
    np.testing.assert_allclose(
        embedder.embed(PIXELS), EmbedderNetwork(small_network(), size=(8, 6)).embed(PIXELS), atol=1e-6
    )
    with pytest.raises(ValueError, match="has its own weights"):
        load_network(str(tmp_path / "script.pt"), weights="w.pt")
