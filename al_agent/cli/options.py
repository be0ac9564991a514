"""Arguments and options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..agent import ActiveLearningAgent
from ..embedding import Embeddings
from ..platforms.local import PlatformLocal

SCORES_FILE = "scores.npz"
EMBEDDINGS_FILE = "embeddings.npz"

Project = Annotated[Path, typer.Argument(metavar="PROJECT", help="Folder of the local project.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
JournalFile = Annotated[
    Path | None, typer.Option("--journal", help="Record of rounds; by default in the project's folder.", show_default=False)
]


def open_agent(project: Path, journal: Path | None, embeddings: Path | None = None) -> ActiveLearningAgent:
    """The agent of a local project; embeddings come from the named file, if any."""
    vectors = None if embeddings is None else Embeddings.load(embeddings)
    return ActiveLearningAgent(PlatformLocal(project), embeddings=vectors, journal=journal)
