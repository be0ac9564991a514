"""Files of a public GitHub repository at one commit, each checked against its SHA-256."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from ..errors import AgentError

if TYPE_CHECKING:
    import pooch

_N_AT_ONCE = 4


def addresses_of(repository: str, commit: str) -> tuple[str, ...]:
    """Where the files of a commit are served: GitHub, and a mirror for those whom GitHub slows down."""
    return (
        f"https://raw.githubusercontent.com/{repository}/{commit}/",
        f"https://cdn.jsdelivr.net/gh/{repository}@{commit}/",
    )


def download(folder: Path, registry: Mapping[str, str], addresses: Sequence[str], *, title: str, way_out: str) -> None:
    """Fetch files to a folder; those that are there and right are kept, so that a download that broke goes on.

    Args:
        folder: Made if there is none.
        registry: Path of each file below the addresses, and below the folder, to its SHA-256.
        addresses: Each ends in `/`; a file that cannot be had from the first is fetched from the next.
        title: What is said of the download while it runs.
        way_out: What the user can do where it fails.

    Raises:
        AgentError: A file cannot be fetched, or is not the one that is expected. The message names it.
        ImportError: pooch is missing.
    """
    sources = [_source(folder, registry, address) for address in addresses]
    for parent in {(folder / path).parent for path in registry}:
        parent.mkdir(parents=True, exist_ok=True)
    crew = ThreadPoolExecutor(_N_AT_ONCE)
    try:
        with _quiet(), tqdm(total=len(registry), desc=title, unit="file") as progress:
            for _ in crew.map(lambda path: _fetch(path, sources, way_out), registry):
                progress.update()
    finally:
        crew.shutdown(cancel_futures=True)


def _source(folder: Path, registry: Mapping[str, str], address: str) -> pooch.Pooch:
    try:
        made = import_module("pooch").Pooch(folder, address, dict(registry))
    except ModuleNotFoundError as error:
        if error.name != "pooch":
            raise
        raise ImportError('sample data need pooch to be fetched: pip install "al-agent[tutorials]"') from error
    assert isinstance(made, import_module("pooch").Pooch)
    return made


def _fetch(path: str, sources: Sequence[pooch.Pooch], way_out: str) -> None:
    failures: list[Exception] = []
    for source in sources:
        try:
            source.fetch(path)
            return
        except (OSError, ValueError) as error:  # no answer, or another file than expected
            failures.append(error)
    raise AgentError(f"'{sources[0].get_url(path)}' cannot be fetched: {failures[0]}; {way_out}") from failures[0]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without pooch's line for each file; there are hundreds."""
    logger: logging.Logger = import_module("pooch").get_logger()
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)
