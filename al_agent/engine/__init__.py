"""Where heavy selection runs: this machine, or a Ray cluster."""

from samplers import LocalEngine

from .crew import ClusterError
from .on_ray import RayEngine

__all__ = ["ClusterError", "LocalEngine", "RayEngine"]
