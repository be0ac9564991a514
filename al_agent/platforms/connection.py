"""How a platform's server is reached: timeouts, patience, parallel requests, a certificate authority of one's own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Settings of the way to a server; the defaults suit a cloud service and a server on the local network.

    Args:
        ca_file: File of the certificate authority that signed the server's certificate, for a private one; None trusts the
            public ones. Certificates are always checked.
        connect_timeout_s: Seconds to wait for a connection.
        read_timeout_s: Seconds to wait for the next part of an answer.
        give_up_after_s: Seconds that one request is tried again after failures that may pass.
        first_wait_s: Seconds to wait at most before the second try; the bound doubles with each further one.
        longest_wait_s: Seconds to wait at most between two tries, unless the server asks for more.
        n_parallel: Number of requests under way at once.
        show_progress: True and False switch progress bars of long listings and pushes on and off; None shows them on a
            terminal.

    Raises:
        ValueError: A number is not positive, or there is no such file.
    """

    ca_file: str | os.PathLike[str] | None = None
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 60.0
    give_up_after_s: float = 120.0
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    n_parallel: int = 8
    show_progress: bool | None = None

    def __post_init__(self) -> None:
        for name in (
            "connect_timeout_s",
            "read_timeout_s",
            "give_up_after_s",
            "first_wait_s",
            "longest_wait_s",
            "n_parallel",
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
                raise ValueError(f"{name} is {value!r}; expected a positive number")
        if not isinstance(self.n_parallel, int):
            raise ValueError(f"n_parallel is {self.n_parallel!r}; expected a whole number")
        if self.show_progress is not None:
            checked_flag(self.show_progress, "show_progress")
        ca_file: object = self.ca_file
        if ca_file is not None and not isinstance(ca_file, str | os.PathLike):
            raise ValueError(
                f"ca_file is {ca_file!r}; expected a file. Certificates are always checked; for a server with a "
                "certificate of its own, name the file of its authority"
            )
        if self.ca_file is not None and not Path(self.ca_file).expanduser().exists():
            raise ValueError(f"ca_file '{os.fspath(self.ca_file)}' does not exist")


def checked_flag(value: object, name: str) -> bool:
    """True or False, and nothing that only looks like one.

    Raises:
        ValueError: It is something else, such as the text `no`.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name} is {value!r}; expected True or False")
    return value
