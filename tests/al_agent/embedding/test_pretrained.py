"""Published networks: tiny ones of real architectures, saved as their authors save them and read without a network."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import torch  # noqa: E402

from al_agent.embedding.methods.pretrained import EmbedderPretrained  # noqa: E402
from al_agent.embedding.methods.processor import Preparation, preparation  # noqa: E402

PIXELS = np.random.default_rng(0).integers(0, 256, size=(3, 32, 32, 3), dtype=np.uint8)
TINY: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
VISION: dict[str, Any] = {**TINY, "image_size": 32, "patch_size": 8}
SETTINGS = {
    "do_resize": True,
    "size": {"height": 32, "width": 32},
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.5, 0.25, 0.2],
    "do_normalize": True,
    "rescale_factor": 1 / 255,
}


def save(folder: Path, network: Any, settings: dict[str, Any] | None = None) -> Path:
    network.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(settings or SETTINGS))
    return folder


def inputs(pixels: npt.NDArray[Any] = PIXELS) -> torch.Tensor:
    """What the image processor of `SETTINGS` makes of the pixels, written down once more."""
    values = (pixels.astype(np.float64) / 255 - [0.5, 0.4, 0.3]) / [0.5, 0.25, 0.2]
    return torch.from_numpy(values.transpose(0, 3, 1, 2)).float()


def network_of(name: str) -> Any:
    torch.manual_seed(0)
    if name == "clip":
        config = transformers.CLIPConfig(
            text_config={"vocab_size": 50, "bos_token_id": 1, "eos_token_id": 2, **TINY},
            vision_config=VISION,
            projection_dim=12,
        )
        return transformers.CLIPModel(config).eval()
    if name == "resnet":
        return transformers.ResNetModel(
            transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])
        ).eval()
    if name == "swin":
        config = transformers.SwinConfig(
            image_size=32, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[1, 2], window_size=4
        )
        return transformers.SwinModel(config, add_pooling_layer=False).eval()
    kinds = {"vit": "ViT", "dinov2": "Dinov2", "mae": "ViTMAE", "clip_vision": "CLIPVision"}
    config = getattr(transformers, f"{kinds[name]}Config")(**VISION)
    return getattr(transformers, f"{kinds[name]}Model")(config).eval()


def expected_of(name: str, network: Any) -> torch.Tensor:
    given = network.get_image_features(pixel_values=inputs()) if name == "clip" else network(pixel_values=inputs())
    if isinstance(given, torch.Tensor):
        return given
    if name == "swin":  # no pooler and no class token
        hidden: torch.Tensor = given.last_hidden_state
        return hidden.mean(1)
    pooled: torch.Tensor = given.pooler_output
    return pooled.flatten(1)


@pytest.mark.parametrize(
    ("name", "n_dimensions"), [("vit", 16), ("dinov2", 16), ("resnet", 16), ("clip", 12), ("clip_vision", 16), ("swin", 16)]
)
def test_the_vector_is_the_one_that_the_network_itself_gives(tmp_path: Path, name: str, n_dimensions: int) -> None:
    network = network_of(name)
    embedder = EmbedderPretrained(save(tmp_path, network))
    assert embedder.size == (32, 32)
    assert embedder.fit_to_size == "stretch"
    vectors = embedder.embed(PIXELS)
    assert vectors.shape == (3, n_dimensions)
    with torch.no_grad():
        np.testing.assert_allclose(vectors, expected_of(name, network).numpy(), atol=1e-5)
    np.testing.assert_allclose(embedder.embed(PIXELS[1:2]), vectors[1:2], atol=1e-5)


def test_of_a_classifier_the_class_token_is_taken_not_a_random_pooler(tmp_path: Path) -> None:
    torch.manual_seed(0)
    classifier = transformers.ViTForImageClassification(transformers.ViTConfig(**VISION)).eval()
    save(tmp_path, classifier)
    with torch.no_grad():
        expected = classifier.vit(pixel_values=inputs()).last_hidden_state[:, 0].numpy()
    for _ in range(2):
        np.testing.assert_allclose(EmbedderPretrained(tmp_path).embed(PIXELS), expected, atol=1e-5)


def test_a_masked_autoencoder_sees_the_whole_image_and_leaves_the_random_numbers_alone(tmp_path: Path) -> None:
    embedder = EmbedderPretrained(save(tmp_path, network_of("mae")))
    torch.manual_seed(5)
    vectors = embedder.embed(PIXELS)
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.rand(1) == after
    np.testing.assert_array_equal(embedder.embed(PIXELS), vectors)
    np.testing.assert_allclose(embedder.embed(PIXELS[::-1])[::-1], vectors, atol=1e-5)  # another shuffle of the tokens


def test_half_precision_weights_are_computed_in_float32(tmp_path: Path) -> None:
    network = network_of("vit").half()
    vectors = EmbedderPretrained(save(tmp_path, network)).embed(PIXELS)
    assert vectors.dtype == np.float32
    with torch.no_grad():
        np.testing.assert_allclose(vectors, network.float()(pixel_values=inputs()).pooler_output.numpy(), atol=1e-5)


def test_the_middle_is_cut_out_after_the_shorter_side_fits(tmp_path: Path) -> None:
    network = network_of("vit")
    settings = {**SETTINGS, "size": {"shortest_edge": 40}, "crop_size": {"height": 32, "width": 32}, "do_center_crop": True}
    embedder = EmbedderPretrained(save(tmp_path, network, settings))
    assert embedder.size == (40, 40)
    assert embedder.fit_to_size == "crop"
    large = np.random.default_rng(1).integers(0, 256, size=(2, 40, 40, 3), dtype=np.uint8)
    with torch.no_grad():
        expected = network(pixel_values=inputs(large[:, 4:36, 4:36])).pooler_output.numpy()
    np.testing.assert_allclose(embedder.embed(large), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "size", "fit", "crop"),
    [
        ({"size": {"height": 20, "width": 30}}, (20, 30), "stretch", (20, 30)),
        ({"size": 224}, (224, 224), "stretch", (224, 224)),
        ({"size": 256, "crop_size": 224}, (256, 256), "crop", (224, 224)),
        ({"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}}, (256, 256), "crop", (224, 224)),
        ({"size": {"shortest_edge": 256}, "crop_size": 224, "do_center_crop": False}, (256, 256), "crop", (256, 256)),
        ({"size": {"shortest_edge": 800, "longest_edge": 1333}}, (800, 800), "crop", (800, 800)),
        ({"size": {"shortest_edge": 224}, "crop_pct": 0.875}, (256, 256), "crop", (224, 224)),
        ({"size": {"shortest_edge": 384}, "crop_pct": 0.875}, (384, 384), "crop", (384, 384)),
        ({"size": {"height": 64, "width": 64}, "do_resize": False, "crop_size": 32}, (32, 32), "crop", (32, 32)),
        ({"size": 16, "crop_size": 32}, (32, 32), "crop", (32, 32)),
    ],
)
def test_sizes_of_image_processors_are_read(
    settings: dict[str, Any], size: tuple[int, int], fit: str, crop: tuple[int, int]
) -> None:
    assert preparation(settings)[:3] == (size, fit, crop)


@pytest.mark.parametrize(
    ("settings", "black", "white"),
    [
        ({}, 0, 1),
        ({"image_mean": [0.5] * 3, "image_std": [0.5] * 3}, -1, 1),
        ({"image_mean": 0.5, "image_std": 0.25}, -2, 2),
        ({"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "do_normalize": False}, 0, 1),
        ({"rescale_factor": 1 / 127.5, "rescale_offset": True}, -1, 1),
        ({"do_rescale": False, "image_mean": [127.5] * 3, "image_std": [127.5] * 3}, -1, 1),
        ({"do_rescale": False, "do_normalize": False}, 0, 255),
    ],
)
def test_numbers_of_image_processors_are_read(settings: dict[str, Any], black: float, white: float) -> None:
    found = preparation({"size": 8, **settings})
    assert (0 - found.mean[0]) / found.std[0] == pytest.approx(black)
    assert (1 - found.mean[0]) / found.std[0] == pytest.approx(white)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "have no size"),
        ({"size": {"longest_edge": 5}}, "expected height and width, or shortest_edge"),
        ({"size": "big"}, "expected height and width"),
        ({"size": 8, "rescale_factor": 0}, "rescale_factor is 0"),
        ({"size": 8, "image_mean": [0.5], "image_std": [1.0]}, "expected three numbers"),
    ],
)
def test_settings_without_sense_are_errors(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        preparation(settings)


def test_pixels_reach_the_network_as_through_the_image_processor_of_transformers(tmp_path: Path) -> None:
    processors = [transformers.CLIPImageProcessorPil, transformers.ViTImageProcessorPil]  # no torchvision needed
    for number, (kind, side) in enumerate(zip(processors, (224, 224))):
        processor = kind()
        processor.save_pretrained(tmp_path / str(number))
        found = preparation(json.loads((tmp_path / str(number) / "preprocessor_config.json").read_text()))
        assert found.crop == (side, side)
        pixels = np.random.default_rng(number).integers(0, 256, size=(side, side, 3), dtype=np.uint8)
        theirs = processor(pixels)["pixel_values"][0]
        ours = (pixels / 255 - found.mean) / found.std
        np.testing.assert_allclose(ours.transpose(2, 0, 1), theirs, atol=1e-5)


def test_what_a_folder_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot be used; transformers says: .*config\.json"):
        EmbedderPretrained(tmp_path)
    network = network_of("vit")
    network.save_pretrained(tmp_path)
    with pytest.raises(OSError, match=r"has not got its image processor's preprocessor_config\.json"):
        EmbedderPretrained(tmp_path)
    save(tmp_path, network)
    (tmp_path / "model.safetensors").unlink()
    torch.save(network.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(OSError, match=r"weights in safetensors \(pickled weights are never read\)"):
        EmbedderPretrained(tmp_path)


def test_missing_weights_are_an_error_never_random_numbers(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file  # noqa: PLC0415  # comes with transformers

    save(tmp_path, network_of("vit"))
    weights = load_file(tmp_path / "model.safetensors")
    name = next(name for name in weights if "layer.1" in name or "layers.1" in name)
    del weights[name]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match="no weights for 1 parts of the network, such as"):
        EmbedderPretrained(tmp_path)


def test_code_beside_the_weights_is_never_run(tmp_path: Path) -> None:
    save(tmp_path, network_of("vit"))
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="code of its own, which is never run"):
        EmbedderPretrained(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_a_network_of_texts_is_refused(tmp_path: Path) -> None:
    bert = transformers.BertModel(transformers.BertConfig(vocab_size=20, **TINY))
    with pytest.raises(ValueError, match="a BertModel, which takes no images"):
        EmbedderPretrained(save(tmp_path, bert))


@pytest.mark.parametrize("name", ["facebook/no-such-network", "no-such-network"])
def test_a_network_that_is_not_here_is_an_error_with_a_way_out(name: str) -> None:
    with pytest.raises(OSError, match=rf"'{name}' is no folder here.*--local-dir FOLDER\) and give that folder"):
        EmbedderPretrained(name, local_files_only=True)


def test_a_network_of_timm_without_timm_says_what_to_install() -> None:
    if importlib.util.find_spec("timm") is not None:
        pytest.skip("timm is installed")
    with pytest.raises(ImportError, match="pip install timm"):
        EmbedderPretrained("timm/resnet18.a1_in1k")


def test_a_device_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="device is 'cuda:99', and torch says"):
        EmbedderPretrained(save(tmp_path, network_of("resnet")), device="cuda:99")


def test_nothing_is_printed_and_the_description_tells_weights_apart(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    network = network_of("resnet")
    first = EmbedderPretrained(save(tmp_path, network)).description
    capfd.readouterr()
    assert EmbedderPretrained(tmp_path).description == first
    assert capfd.readouterr() == ("", "")
    next(network.parameters()).data += 1
    assert EmbedderPretrained(save(tmp_path, network)).description != first


def test_preparations_are_values() -> None:
    assert preparation({"size": 8}) == Preparation((8, 8), "stretch", (8, 8), (0, 0, 0), (1, 1, 1))


@pytest.mark.parametrize("name", ["./nofolder", "../no/folder", "/no/folder", "~/nofolder", "no/such/folder", "dino/"])
def test_a_path_to_nothing_is_no_folder_rather_than_a_name_of_the_hub(name: str) -> None:
    with pytest.raises(FileNotFoundError, match=f"^there is no folder '{name}'; expected a network as save_pretrained"):
        EmbedderPretrained(name)
