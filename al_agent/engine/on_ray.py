"""The greedy walk on a Ray cluster: shards live in workers, and a round trip to all of them settles many picks."""

from __future__ import annotations

import importlib.util
import logging
import math
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from samplers.centers.engine import LocalEngine, n_processors
from samplers.centers.shard import Frame, Task
from samplers.centers.walk import Crew, Inner

from ..errors import ClusterError
from .crew import RayCrew

KERNELS = ("auto", "numpy", "numba")
_KNOCK_S = 5.0


@dataclass(frozen=True)
class RayEngine:
    """A Ray cluster: each worker holds a part of the vectors, and a round trip to all of them settles many picks.

    The picks are those of `LocalEngine`, to the last tie, on any number of workers and whatever happens to them: one that is
    lost is replaced, with a warning. A cluster that is started here is stopped at the end; one that was there stays.

    Args:
        n_workers: Number of workers; None: one for each processor of the cluster that is free, and for `rows_per_worker`.
        address: `host:port` of the cluster; None takes that of `RAY_ADDRESS` or of a cluster that runs on this machine,
            and starts one here if there is none; `local` always starts one. A connection that this process has is used
            whatever the address.
        threads_per_worker: Processors that each worker takes, and threads of the compiled kernels.
        rows_per_worker: Least rows that are worth a worker.
        kernels: `numpy`, `numba` or `auto`, as for `LocalEngine`.
        start_s: Seconds that workers may take to start.

    Raises:
        ValueError: An option is out of range.
        ImportError: Ray is not installed.
    """

    n_workers: int | None = None
    address: str | None = None
    threads_per_worker: int = 1
    rows_per_worker: int = 20_000
    kernels: str = "auto"
    start_s: float = 60.0

    def __post_init__(self) -> None:
        for name in ("n_workers", "threads_per_worker", "rows_per_worker"):
            value = getattr(self, name)
            if value is None and name == "n_workers":
                continue
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
                raise ValueError(f"{name} is {value!r}; expected a whole number of at least 1")
        if self.kernels not in KERNELS:
            raise ValueError(f"kernels is {self.kernels!r}; expected one of {', '.join(KERNELS)}")
        if not 0 < self.start_s < math.inf:
            raise ValueError(f"start_s is {self.start_s!r}; expected a number of seconds above 0")
        if self.address not in (None, "local"):
            _host_and_port(str(self.address))
        if importlib.util.find_spec("ray") is None:
            raise ImportError('RayEngine needs Ray, which is not installed: pip install "al-agent[ray]"')

    @contextmanager
    def open(self, task: Task, frame: Frame) -> Iterator[tuple[Crew, Inner]]:
        """The shards in workers, for as long as the context lasts.

        Raises:
            ClusterError: The cluster does not answer, has no room, or lost the same rows again and again.
        """
        n_processors_needed = max(n_processors(), (self.n_workers or 0) * self.threads_per_worker)
        with connected(self.address, n_processors_needed) as ray:
            crew = RayCrew(ray, self, task, frame)
            try:
                crew.begin()
                yield crew, self._inner(task, frame)
            finally:
                crew.end()

    def _inner(self, task: Task, frame: Frame) -> Inner:
        local = LocalEngine(self.kernels)
        kernels = local.kernels_for(task)
        one = task._replace(
            vectors=np.asarray(task.vectors[:1]), is_open=task.is_open[:1], weights=None, start=task.start[:0], n_picks=0
        )
        with LocalEngine(kernels).open(one, frame) as (_, inner):
            return inner


@contextmanager
def connected(address: str | None, n_processors_needed: int) -> Iterator[Any]:
    """The module `ray`, connected to a cluster; what was started here is stopped at the end.

    Raises:
        ClusterError: Nothing answers at the address, or no cluster can be started.
    """
    import ray  # noqa: PLC0415  # an extra

    if ray.is_initialized():
        yield ray
        return
    where = address or os.environ.get("RAY_ADDRESS") or _running() or "local"
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if where == "local":
        options |= {"num_cpus": n_processors_needed, "include_dashboard": False}
    else:
        _check_answers(where)
    handler = signal.getsignal(signal.SIGTERM)
    try:
        try:
            with _no_reports():
                ray.init(address=where, **options)
        except Exception as error:
            what = "no cluster can be started here" if where == "local" else f"the cluster at {where} cannot be used"
            raise ClusterError(f"{what}: {str(error).strip() or type(error).__name__}") from error
        yield ray
    finally:
        ray.shutdown()
        if threading.current_thread() is threading.main_thread():  # Ray puts one of its own there
            signal.signal(signal.SIGTERM, handler)


@contextmanager
def _no_reports() -> Iterator[None]:
    """Ray starts without reports of its use to its makers."""
    name = "RAY_USAGE_STATS_ENABLED"
    before = os.environ.get(name)
    os.environ[name] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _running() -> str | None:
    """The address of the cluster that `ray start` has left running on this machine, if it answers."""
    try:
        address = (
            (Path(os.environ.get("RAY_TMPDIR", tempfile.gettempdir())) / "ray" / "ray_current_cluster").read_text().strip()
        )
        _check_answers(address)
    except (OSError, ValueError, ClusterError):
        return None
    return address


def _check_answers(address: str) -> None:
    """Raise within seconds if no Ray listens at an address; Ray itself waits for minutes."""
    way_out = "start it with `ray start --head`, correct the address or RAY_ADDRESS, or use address='local'"
    host, port = _host_and_port(address)
    hello = (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
    )  # of HTTP/2, which Ray's gRPC speaks, and no settings
    try:
        with socket.create_connection((host, port), timeout=_KNOCK_S) as connection:
            connection.sendall(hello)
            answer = connection.recv(9)
    except OSError as error:
        raise ClusterError(f"no Ray cluster answers at {address}: {error}; {way_out}") from None
    if len(answer) < 4 or answer[3] != 4:
        raise ClusterError(f"what answers at {address} is no Ray cluster; {way_out}")


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise ValueError(f"address is {address!r}; expected host:port, such as '10.0.0.7:6379', or 'local'")
    return host.strip("[]"), int(port)
