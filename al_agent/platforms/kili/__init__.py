"""Kili: a project on its cloud service or on premise."""

from .platform import PlatformKili

__all__ = ["PlatformKili"]
