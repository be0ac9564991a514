"""Studies: methods compared on data with hidden labels, fairly, and resumable."""

from .locks import InUse
from .records import Measurement
from .result import StudyResult
from .study import Study
from .trainers import ORACLE, Model, Trainer

__all__ = ["ORACLE", "InUse", "Measurement", "Model", "Study", "StudyResult", "Trainer"]
