"""The suite that every platform must pass, for connectors of one's own; needs pytest."""

from .platform_contract import PlatformContract, ProjectUnderTest

__all__ = ["PlatformContract", "ProjectUnderTest"]
