"""Every error of the outside world; bad arguments raise ValueError.

AgentError
├── NoRoundYet             there is no round to show or to push
├── JournalError           the record of rounds cannot be read or written
├── ClusterError           the Ray cluster cannot be reached, or cannot do the work
└── PlatformError          the annotation platform
    ├── AuthenticationFailed   the key is missing, wrong or expired
    ├── NotFound               no such project, folder or item
    ├── RateLimited            too many requests
    ├── Unavailable            no answer, no access, no room: trying again later may help
    └── Rejected               the platform understood and refused
"""

from __future__ import annotations


class AgentError(Exception):
    """Base of all errors that are not a bad argument."""

    def add_hint(self, hint: str) -> None:
        """Append what to do next to the message."""
        self.args = (f"{self}; {hint}",)


class NoRoundYet(AgentError):
    """There is no round to show or to push."""


class JournalError(AgentError):
    """The record of rounds cannot be read or written."""


class ClusterError(AgentError):
    """The Ray cluster cannot be reached, or cannot do the work."""


class PlatformError(AgentError):
    """The annotation platform could not do what was asked."""

    status: int | None = None
    """The HTTP status that the server answered with; None where there was no answer."""
    retry_after_s: float | None = None
    """Seconds that the server asked to wait; None where it did not."""


class AuthenticationFailed(PlatformError):
    """The key is missing, wrong or expired."""


class NotFound(PlatformError):
    """No such project, folder or item."""


class RateLimited(PlatformError):
    """Too many requests."""


class Unavailable(PlatformError):
    """No answer, no access or no room: trying again later may help."""


class Rejected(PlatformError):
    """The platform understood and refused."""
