"""The embedded platform: a folder of images and one SQLite file, no server."""

from .platform import PlatformLocal

__all__ = ["PlatformLocal"]
