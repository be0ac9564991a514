"""Configuration of the documentation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "al-agent"
author = "the al-agent authors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "al-agent"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
myst_heading_anchors = 3
default_role = "code"  # a single backtick in a docstring is code
nitpicky = True  # a name in a signature or docstring that leads nowhere fails the build
nitpick_ignore_regex = [
    # Of other projects, whose inventories would have to be fetched from the network.
    (r"py:.*", r"(collections\.abc|contextlib|datetime|np|npt|numpy|os|pathlib|torch)\..*"),
    (r"py:class", r".*\[.*"),  # a long annotation that Sphinx cuts at its commas
    # Aliases and type variables of ours, which have no page: what they stand for is in the docstring.
    (r"py:class", r"(.*\.)?(Always|Batch|Distances|Images|LearningCurves|P|Path|PixelMap|Predictions|Seen)"),
]

_TYPE_LINE = re.compile(r"^:r?type: (.*)$")
_RETURNS = ":returns: "


def _keep_colons(app: Sphinx, what: str, name: str, documented: object, options: object, lines: list[str]) -> None:
    """Undo what napoleon makes of `Some words: more words`: a type and a sentence. Ours stand in annotations."""
    for number, line in reversed(list(enumerate(lines))):
        if not (found := _TYPE_LINE.match(line)):
            continue
        first = next((row for row, text in enumerate(lines) if text.startswith(_RETURNS)), None)
        if first is not None:
            lines[first] = f"{_RETURNS}{found[1]}: {lines[first].removeprefix(_RETURNS)}"
        else:
            lines[0] = f"{found[1]}: {lines[0]}"
        del lines[number]


def setup(app: Sphinx) -> None:
    """Run after napoleon, whose priority is 500."""
    app.connect("autodoc-process-docstring", _keep_colons, priority=600)
