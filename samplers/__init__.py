"""Samplers: a pool in, an ordered batch out. Needs numpy alone."""

from .batch_uncertainty import SamplerBatchUncertainty
from .coral import SamplerCoral
from .kcenter import SamplerCoreset
from .pool import Pool
from .random_order import SamplerRandom
from .sampler import Picks, Sampler
from .selection import Selection
from .uncertainty import SamplerUncertainty

__all__ = [
    "Picks",
    "Pool",
    "Sampler",
    "SamplerBatchUncertainty",
    "SamplerCoral",
    "SamplerCoreset",
    "SamplerRandom",
    "SamplerUncertainty",
    "Selection",
]
