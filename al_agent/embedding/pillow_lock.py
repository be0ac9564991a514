"""What threads that read images share: one large image at a time, and no warnings of Pillow's."""

from __future__ import annotations

import contextlib
import re
import threading
import warnings
from collections.abc import Iterator
from typing import Any, cast

ONE_LARGE_IMAGE = threading.Lock()

_lock = threading.Lock()
_n_inside = 0
_OURS = r"PIL\.(?#while al-agent reads images)"  # a pattern that nobody else's filter has


@contextlib.contextmanager
def without_pillow_warnings() -> Iterator[None]:
    """Ignore Pillow's warnings about odd files in all threads until the last block is left.

    `warnings.catch_warnings` is no use here: threads that leave it in another order than they entered it leave their
    filters behind.
    """
    global _n_inside  # noqa: PLW0603  # filters are the process's
    with _lock:
        _n_inside += 1
        if _n_inside == 1:
            warnings.filterwarnings("ignore", module=_OURS)
    try:
        yield
    finally:
        with _lock:
            _n_inside -= 1
            if not _n_inside:
                filters = cast(list[Any], warnings.filters)
                filters[:] = [entry for entry in filters if entry[3] != re.compile(_OURS)]
