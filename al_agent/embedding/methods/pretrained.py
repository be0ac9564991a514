"""Embeddings by published networks: those of the Hugging Face hub, through transformers or timm."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..embedder import Embedder, Pixels
from .network import weights_digest
from .preparation import checked_batch_size, middle
from .processor import Preparation, preparation
from .torch_device import as_tensor, standardized_tensor, torch_device


class EmbedderPretrained(Embedder):
    """Vectors from a published network, or from a folder that `save_pretrained` wrote (extra `pretrained`).

    Size, crop, mean and std are those of the network's own image processor. Which vector is taken follows a fixed order:

    1. of networks of images and texts (CLIP, SigLIP), the image features, in the space that texts share;
    2. the pooled output, where its weights came with the file;
    3. the mean over space of feature maps;
    4. the first token, where the network has a class token;
    5. the mean over tokens.

    A pooled output whose weights are missing would be random, as after a classifier's file was read, so it is passed by;
    any other missing weight is an error. Code that comes with a network is never run, and only weights in safetensors are
    read. Images never leave the machine; a name that is no folder is downloaded once from the hub.

    Args:
        name: Such as `facebook/dinov2-small`, `timm/resnet18.a1_in1k` (needs timm), or a folder.
        device: Where to compute, such as `cpu` or `cuda`.
        revision: A commit, tag or branch of the hub; a commit gives the same vectors forever.
        local_files_only: Never ask the hub: use what is on this machine.
        batch_size: Images that go through the network at a time.

    Raises:
        ImportError: transformers (or timm) is not installed.
        OSError: The network is not on this machine, and the hub has not got it or cannot be reached.
        ValueError: It is no network of images, lacks weights, or there is no such device.

    Examples:
        >>> embedder = EmbedderPretrained("facebook/dinov2-small")  # doctest: +SKIP
    """

    def __init__(
        self,
        name: str | os.PathLike[str],
        *,
        device: str | torch.device = "cpu",
        revision: str | None = None,
        local_files_only: bool = False,
        batch_size: int = 64,
    ) -> None:
        self.name = os.fspath(name)
        self.batch_size = checked_batch_size(batch_size)
        self.device = torch_device(device)
        self.revision = revision
        if _is_path(self.name) and not Path(self.name).is_dir():
            raise FileNotFoundError(f"there is no folder '{self.name}'; expected a network as save_pretrained writes it")
        source = "timm" if self.name.startswith("timm/") and not Path(self.name).is_dir() else "transformers"
        load = _timm if source == "timm" else _transformers
        self.preparation, self._network = load(self.name, revision, local_files_only)
        self.size, self.fit_to_size = self.preparation.size, self.preparation.fit_to_size
        self._network.to(self.device).eval()
        self._digest = weights_digest(self._network)

    def embed(self, pixels: Pixels) -> npt.NDArray[np.floating[Any]]:
        """Vectors `(b, d)` in float32 of `(b, h, w, 3)` pixels.

        Raises:
            ValueError: The network does not work on images alone.
        """
        images = as_tensor(middle(pixels, self.preparation.crop), self.device)
        with torch.inference_mode(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # masked autoencoders shuffle their tokens
            vectors = self._network(standardized_tensor(images, self.preparation.mean, self.preparation.std))
        return np.asarray(vectors.float().cpu().numpy())

    @property
    def description(self) -> str:
        """Name, revision and the digest of the weights; the preparation of images comes with them."""
        at = "" if self.revision is None else f" at {self.revision}"
        return f"pretrained {self.name}{at}, weights {self._digest}, {self.preparation}"


def _is_path(name: str) -> bool:
    """Whether it can be no name of the hub, which are `network` and `owner/network`."""
    return name.startswith((".", "/", "~", "\\")) or name.endswith("/") or name.count("/") > 1 or Path(name).is_absolute()


class _ImageVectors(torch.nn.Module):
    """A network of transformers, giving one vector for each image."""

    def __init__(self, network: Any, is_pooler_trained: bool) -> None:
        super().__init__()
        self.network = network
        self.is_pooler_trained = is_pooler_trained
        self.has_texts = hasattr(network, "get_image_features")
        names = [name for name, _ in network.named_parameters()]
        self.has_class_token = any(name.rpartition(".")[2] in ("cls_token", "class_embedding") for name in names)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        run = self.network.get_image_features if self.has_texts else self.network
        given = run(pixel_values=images)
        if isinstance(given, torch.Tensor):
            return given
        vectors: torch.Tensor | None = given.get("pooler_output")
        if vectors is not None and (self.is_pooler_trained or self.has_texts):
            return vectors.flatten(1)
        hidden: torch.Tensor | None = given.get("last_hidden_state")
        if hidden is None or hidden.ndim not in (3, 4):
            raise ValueError(f"the network gives {', '.join(given)}; expected pooler_output or last_hidden_state")
        if hidden.ndim == 4:
            return hidden.mean((2, 3))
        return hidden[:, 0] if self.has_class_token else hidden.mean(1)


def _transformers(name: str, revision: str | None, local_files_only: bool) -> tuple[Preparation, torch.nn.Module]:
    try:
        from transformers import AutoConfig, AutoModel, ImageProcessingMixin  # noqa: PLC0415  # seconds to import
    except ImportError as problem:
        raise ImportError('pretrained networks need transformers: pip install "al-agent[pretrained]"') from problem
    where: dict[str, Any] = {"revision": revision, "local_files_only": local_files_only}
    with _quiet():
        with _explained(name):
            config = AutoConfig.from_pretrained(name, trust_remote_code=False, **where)
        with _explained(name, "its image processor's preprocessor_config.json"):
            settings: Mapping[str, Any] = ImageProcessingMixin.get_image_processor_dict(name, **where)[0]
        if hasattr(config, "mask_ratio"):
            config.mask_ratio = 0.0  # a masked autoencoder embeds whole images
        with _explained(name, "weights in safetensors (pickled weights are never read)"):
            network, report = AutoModel.from_pretrained(
                name,
                config=config,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
                **where,
            )
    if not hasattr(network, "get_image_features") and getattr(network, "main_input_name", None) != "pixel_values":
        raise ValueError(f"{name!r} is a {type(network).__name__}, which takes no images alone; choose a network of images")
    missing = {*report["missing_keys"], *(key[0] for key in report["mismatched_keys"])}
    of_pooler = {key for key in missing if "pooler" in key.split(".")}
    if missing - of_pooler:
        first = sorted(missing - of_pooler)[0]
        raise ValueError(f"{name!r} has no weights for {len(missing - of_pooler)} parts of the network, such as {first!r}")
    return preparation(settings), _ImageVectors(network, is_pooler_trained=not of_pooler)


def _timm(name: str, revision: str | None, local_files_only: bool) -> tuple[Preparation, torch.nn.Module]:
    try:
        import timm  # noqa: PLC0415  # seconds to import
    except ImportError as problem:
        raise ImportError(f"{name!r} needs timm, which needs torchvision: pip install timm") from problem
    if local_files_only:
        raise ValueError(f"timm asks the hub for {name!r}; set HF_HUB_OFFLINE=1 instead of local_files_only")
    at = f"hf-hub:{name}" if revision is None else f"hf-hub:{name}@{revision}"
    with _explained(name):
        network: torch.nn.Module = timm.create_model(at, pretrained=True, num_classes=0)
    asks = timm.data.resolve_model_data_config(network)
    height, width = asks["input_size"][1:]
    enlarged = (round(height / asks["crop_pct"]), round(width / asks["crop_pct"]))
    return Preparation(
        enlarged, "stretch" if asks["crop_mode"] == "squash" else "crop", (height, width), asks["mean"], asks["std"]
    ), network


@contextlib.contextmanager
def _explained(name: str, what: str = "it") -> Iterator[None]:
    """Say in one line what is missing, and what to do where the hub cannot be reached."""
    try:
        yield
    except (OSError, ValueError) as error:
        said = f"transformers says: {' '.join(str(error).split())[:300]}"
        if "trust_remote_code" in str(error):
            raise ValueError(f"{name!r} comes with code of its own, which is never run; choose another network") from error
        if isinstance(error, ValueError):
            raise ValueError(f"{name!r} cannot be used; {said}") from error
        if Path(name).is_dir():
            raise OSError(f"the folder '{name}' has not got {what}, as save_pretrained writes it; {said}") from error
        raise OSError(
            f"{name!r} is no folder here, and the hub did not give {what}; without access, copy the network's folder from a "
            f"machine with access (hf download {name} --local-dir FOLDER) and give that folder; {said}"
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from printing what is said in our own words, and put its settings back."""
    from transformers.utils import logging as its_logging  # noqa: PLC0415  # seconds to import

    logging: Any = its_logging
    verbosity, has_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if has_bars:
            logging.enable_progress_bar()
