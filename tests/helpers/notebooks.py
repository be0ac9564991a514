"""Tutorial notebooks run from their first cell to their last, in a kernel of their own."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

TUTORIALS = Path(__file__).resolve().parents[2] / "tutorials"
NOTEBOOKS = sorted(TUTORIALS.glob("*.ipynb"))

_SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
_ZIP_OF = {"blood_cells": "det_bccd.zip", "indoor_photos": "det_cartucho_map85.zip"}
_STRICT = """\
import warnings

warnings.filterwarnings("error", module=r"(al_agent|samplers|scorers|__main__)\\b")
"""


def lay_out_sample_data(folder: Path) -> Path:
    """Make what `AL_AGENT_DATA` names, as `al_agent.sample_data` would fetch it; skip where the files are not here."""
    for name, file in _ZIP_OF.items():
        if not (_SHARED_DATA / file).exists():
            pytest.skip(f"{file} is not there")
        with zipfile.ZipFile(_SHARED_DATA / file) as archive:
            archive.extractall(folder / name)
    return folder


def read_notebook(path: Path) -> NotebookNode:
    """A notebook as it is on disk, checked against its format."""
    notebook: NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    return notebook


def run_notebook(path: Path, folder: Path, environment: Mapping[str, str] | None = None) -> NotebookNode:
    """Run a copy of a notebook in a folder; warnings of our own code are errors.

    Args:
        path: The notebook, which is not changed.
        folder: Where its code runs.
        environment: Variables of its kernel beside those of the tests.

    Returns:
        The notebook with what it printed and drew.

    Raises:
        CellExecutionError: A cell failed; the message shows the cell and the error.
    """
    notebook = read_notebook(path)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(_STRICT))  # type: ignore[no-untyped-call]
    # as many kernels as there are processors run at a time
    own = {"IPYTHONDIR": str(folder / ".ipython"), "OMP_NUM_THREADS": "1"}
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    client.execute(env={**os.environ, **own, **(environment or {})})
    del notebook.cells[0]
    return notebook


def text_of(notebook: NotebookNode) -> str:
    """What the cells of a notebook that was run printed or showed as text."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return "\n".join(str(output.get("text") or output.get("data", {}).get("text/plain", "")) for output in outputs)


def pictures_of(notebook: NotebookNode) -> int:
    """How many pictures the cells of a notebook that was run show."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return sum("image/png" in output.get("data", {}) or "image/jpeg" in output.get("data", {}) for output in outputs)
