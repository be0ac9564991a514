"""Label Studio: a project on a server of one's own, or of HumanSignal's."""

from .platform import PlatformLabelStudio

__all__ = ["PlatformLabelStudio"]
