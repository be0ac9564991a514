"""A page that was made: where it was written, and itself, for a notebook."""

from __future__ import annotations

import html
import os
from dataclasses import dataclass, field
from pathlib import Path

from scorers.files import written_whole

_HEIGHT_PX = 800


@dataclass(frozen=True)
class Report:
    """The page of a round or a study.

    In a notebook it shows itself, in a frame that can reach neither the notebook nor a network.

    Args:
        path: The file; None if it was not written.
        missing: What the page cannot show, and why.
        page: The HTML.

    Examples:
        >>> print(Report(None, (), "<html></html>"))
        a page of 0.0 MB, shown in a notebook and not written: give a path
    """

    path: Path | None
    missing: tuple[str, ...] = field(repr=False)
    page: str = field(repr=False)

    @classmethod
    def written(cls, path: str | os.PathLike[str] | None, page: str, missing: tuple[str, ...] = ()) -> Report:
        """The page, written whole or not at all where there is a path."""
        if path is not None:
            with written_whole(path) as file:
                file.write(page.encode())
        return cls(None if path is None else Path(path), missing, page)

    @property
    def n_bytes(self) -> int:
        """Size of the page."""
        return len(self.page.encode("utf-8", "replace"))

    def __str__(self) -> str:
        size = f"{self.n_bytes / 1e6:.1f} MB"
        if self.path is None:
            return f"a page of {size}, shown in a notebook and not written: give a path"
        return f"{self.path}, {size}"

    def _repr_html_(self) -> str:
        return (
            f'<iframe title="Report" sandbox="allow-scripts allow-downloads allow-popups" '
            f'style="width: 100%; height: {_HEIGHT_PX}px; border: 1px solid #8884; border-radius: 6px" '
            f'srcdoc="{html.escape(self.page, quote=True)}"></iframe>'
        )
