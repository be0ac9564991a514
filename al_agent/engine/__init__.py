"""Where heavy selection runs: this machine, or a Ray cluster."""

from samplers import LocalEngine

from .on_ray import RayEngine

__all__ = ["LocalEngine", "RayEngine"]
