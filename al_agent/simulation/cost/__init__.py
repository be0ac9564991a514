"""What active learning costs and what it saves, and whether the one is worth more than the other."""

from .estimate import Estimate
from .model import Answer, CostModel
from .parts import Costs, Way

__all__ = ["Answer", "CostModel", "Costs", "Estimate", "Way"]
