"""Active learning for teams that label images: what should people label next, and is it still worth labeling more?

Everything a user needs is imported from here. Importing does no work: no network, no files, no torch.
"""

from __future__ import annotations

import importlib
import importlib.util
import pathlib
from typing import TYPE_CHECKING, Any


def _check_not_hidden(name: str) -> None:
    """Raise if a file of the user's has the name of one of our packages and would be imported in its place."""
    ours = pathlib.Path(__file__).parent.parent / name / "__init__.py"
    try:
        spec = importlib.util.find_spec(name)
    except ValueError:  # a module of that name is imported and does not say from where
        spec = None
    origin = spec.origin if spec is not None else None
    if origin is None or pathlib.Path(origin).resolve() != ours.resolve():
        raise ImportError(
            f"{origin or name!r} hides the package '{name}' that al-agent needs from '{ours.parent}'; rename your "
            f"'{name}', or start Python in another folder"
        )


for _name in ("scorers", "samplers"):
    _check_not_hidden(_name)

from samplers import (  # noqa: E402
    AtMost,
    Balance,
    Budget,
    Diversity,
    Exclude,
    Include,
    LocalEngine,
    MinDistance,
    Selection,
    SelectionInterrupted,
    Similarity,
    Threshold,
    Typicality,
    Weight,
)
from scorers import (  # noqa: E402
    ClassificationPredictions,
    DetectionPredictions,
    EnsemblePredictions,
    KeypointPredictions,
    Scorer,
    ScorerClassification,
    ScorerEnsemble,
    ScorerKeypointDetection,
    ScorerLookAlikeEntropy,
    ScorerObjectDetection,
    ScorerSemanticSegmentation,
    Scores,
    SegmentationPredictions,
    formats,
)

from .agent import ActiveLearningAgent  # noqa: E402
from .config import SamplerConfig, SamplingMethod  # noqa: E402
from .embedding import Embedder, Embeddings  # noqa: E402
from .errors import (  # noqa: E402
    AgentError,
    AuthenticationFailed,
    ClusterError,
    JournalError,
    NoRoundYet,
    NotFound,
    PlatformError,
    RateLimited,
    Rejected,
    Unavailable,
)
from .journal import Round  # noqa: E402
from .metadata import Metadata  # noqa: E402
from .platforms.base import Guess, Item, ItemState, Platform, PushReport  # noqa: E402
from .platforms.connection import Connection  # noqa: E402
from .platforms.local import PlatformLocal  # noqa: E402

if TYPE_CHECKING:
    from scorers.learning_loss import LearningLoss, LossPredictionLoss, ScorerLearningLoss
    from scorers.networks.dropout import dropout_classifications, dropout_segmentations
    from scorers.networks.last_layer import LastLayer, last_layer

    from .embedding.images import ImageFiles
    from .embedding.methods.network import EmbedderNetwork
    from .embedding.methods.onnx import EmbedderOnnx
    from .embedding.methods.patches import EmbedderPatches
    from .embedding.methods.pretrained import EmbedderPretrained
    from .embedding.methods.self_supervised import EmbedderSelfSupervised
    from .embedding.neighbours.duplicates import DuplicateGroups, near_duplicates
    from .embedding.neighbours.outliers import outliers
    from .embedding.run import EmbeddingRun, embed_images
    from .engine.on_ray import RayEngine
    from .platforms.kili import PlatformKili
    from .platforms.label_studio import PlatformLabelStudio
    from .platforms.superannotate import PlatformSuperAnnotate

_LATE = {  # loaded when asked for, from where: an HTTP library, Pillow, Ray and torch are slow to load
    "DuplicateGroups": ".embedding.neighbours.duplicates",
    "EmbedderNetwork": ".embedding.methods.network",
    "EmbedderOnnx": ".embedding.methods.onnx",
    "EmbedderPatches": ".embedding.methods.patches",
    "EmbedderPretrained": ".embedding.methods.pretrained",
    "EmbedderSelfSupervised": ".embedding.methods.self_supervised",
    "EmbeddingRun": ".embedding.run",
    "ImageFiles": ".embedding.images",
    "LastLayer": "scorers.networks.last_layer",
    "LearningLoss": "scorers.learning_loss",
    "LossPredictionLoss": "scorers.learning_loss",
    "PlatformKili": ".platforms.kili",
    "PlatformLabelStudio": ".platforms.label_studio",
    "PlatformSuperAnnotate": ".platforms.superannotate",
    "RayEngine": ".engine.on_ray",
    "ScorerLearningLoss": "scorers.learning_loss",
    "dropout_classifications": "scorers.networks.dropout",
    "dropout_segmentations": "scorers.networks.dropout",
    "embed_images": ".embedding.run",
    "last_layer": "scorers.networks.last_layer",
    "near_duplicates": ".embedding.neighbours.duplicates",
    "outliers": ".embedding.neighbours.outliers",
}


def __getattr__(name: str) -> Any:
    if name in _LATE:
        try:
            return getattr(importlib.import_module(_LATE[name], __name__), name)
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            raise ImportError(f'{name} needs torch: pip install "al-agent[torch]"') from error
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415  # seldom asked for, and slow to load

        return version("al-agent")
    raise AttributeError(f"module 'al_agent' has no attribute {name!r}")


__all__ = [
    "ActiveLearningAgent",
    "AgentError",
    "AtMost",
    "AuthenticationFailed",
    "Balance",
    "Budget",
    "ClassificationPredictions",
    "ClusterError",
    "Connection",
    "DetectionPredictions",
    "Diversity",
    "DuplicateGroups",
    "Embedder",
    "EmbedderNetwork",
    "EmbedderOnnx",
    "EmbedderPatches",
    "EmbedderPretrained",
    "EmbedderSelfSupervised",
    "EmbeddingRun",
    "Embeddings",
    "EnsemblePredictions",
    "Exclude",
    "Guess",
    "ImageFiles",
    "Include",
    "Item",
    "ItemState",
    "JournalError",
    "KeypointPredictions",
    "LastLayer",
    "LearningLoss",
    "LocalEngine",
    "LossPredictionLoss",
    "Metadata",
    "MinDistance",
    "NoRoundYet",
    "NotFound",
    "Platform",
    "PlatformError",
    "PlatformKili",
    "PlatformLabelStudio",
    "PlatformLocal",
    "PlatformSuperAnnotate",
    "PushReport",
    "RateLimited",
    "RayEngine",
    "Rejected",
    "Round",
    "SamplerConfig",
    "SamplingMethod",
    "Scorer",
    "ScorerClassification",
    "ScorerEnsemble",
    "ScorerKeypointDetection",
    "ScorerLearningLoss",
    "ScorerLookAlikeEntropy",
    "ScorerObjectDetection",
    "ScorerSemanticSegmentation",
    "Scores",
    "SegmentationPredictions",
    "Selection",
    "SelectionInterrupted",
    "Similarity",
    "Threshold",
    "Typicality",
    "Unavailable",
    "Weight",
    "dropout_classifications",
    "dropout_segmentations",
    "embed_images",
    "formats",
    "last_layer",
    "near_duplicates",
    "outliers",
]
