"""Samplers: a pool in, an ordered batch out. Needs numpy alone."""

from .auto import SamplerAuto
from .badge import SamplerBadge
from .bald import SamplerBald, SamplerBatchBald
from .batch_uncertainty import SamplerBatchUncertainty
from .centers.engine import Engine, LocalEngine
from .cluster_margin import SamplerClusterMargin
from .coral import SamplerCoral
from .discriminative import SamplerDiscriminative
from .herding import SamplerMaxHerding, SamplerUHerding
from .joint import SamplerJoint
from .kcenter import SamplerCoreset
from .pool import Pool
from .probcover import SamplerProbCover
from .prototypes import SamplerPrototypes
from .quality import Figure, Quality
from .random_order import SamplerRandom
from .sampler import Picks, Sampler, SelectionInterrupted
from .selection import Selection
from .strategies import (
    AtMost,
    Balance,
    Budget,
    Diversity,
    Exclude,
    Include,
    MinDistance,
    Objective,
    Similarity,
    Strategy,
    Threshold,
    Typicality,
    Weight,
)
from .typiclust import SamplerTypiClust, SamplerTypiClustMargin
from .uncertainty import SamplerUncertainty

__all__ = [
    "AtMost",
    "Balance",
    "Budget",
    "Diversity",
    "Engine",
    "Exclude",
    "Figure",
    "Include",
    "LocalEngine",
    "MinDistance",
    "Objective",
    "Picks",
    "Pool",
    "Quality",
    "Sampler",
    "SamplerAuto",
    "SamplerBadge",
    "SamplerBald",
    "SamplerBatchBald",
    "SamplerBatchUncertainty",
    "SamplerClusterMargin",
    "SamplerCoral",
    "SamplerCoreset",
    "SamplerDiscriminative",
    "SamplerJoint",
    "SamplerMaxHerding",
    "SamplerProbCover",
    "SamplerPrototypes",
    "SamplerRandom",
    "SamplerTypiClust",
    "SamplerTypiClustMargin",
    "SamplerUHerding",
    "SamplerUncertainty",
    "Selection",
    "SelectionInterrupted",
    "Similarity",
    "Strategy",
    "Threshold",
    "Typicality",
    "Weight",
]
