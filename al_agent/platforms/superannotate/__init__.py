"""SuperAnnotate: a project, or some of its folders."""

from .platform import PlatformSuperAnnotate

__all__ = ["PlatformSuperAnnotate"]
