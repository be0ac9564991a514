"""Arguments and options that several verbs share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ..agent import ActiveLearningAgent
from ..embedding import Embeddings
from ..metadata import Metadata
from .project import Asked, open_project

SCORES_FILE = "scores.npz"
EMBEDDINGS_FILE = "embeddings.npz"
METADATA_FILE = "metadata.csv"
EMBEDDINGS_FILES = ("embeddings.npy", EMBEDDINGS_FILE, "embeddings.parquet")
"""What is looked for in a project, the first first: what stays on disk was made for a pool that needs it."""

Project = Annotated[
    Path,
    typer.Argument(
        metavar="PROJECT",
        help="Folder of a local project, or one whose al_agent.toml names a remote project.",
        show_default="this folder",
    ),
]
PlatformName = Annotated[
    str | None,
    typer.Option("--platform", help="local, label-studio, kili, superannotate, or another.", show_default=False),
]
ProjectId = Annotated[str | None, typer.Option("--project-id", help="The project on the platform.", show_default=False)]
Url = Annotated[str | None, typer.Option("--url", help="Address of the platform's server.", show_default=False)]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Another setting of the platform, repeatable.", show_default=False),
]
Verify = Annotated[bool, typer.Option("--verify", help="Read back what the platform stored, and compare.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
JournalFile = Annotated[
    Path | None,
    typer.Option("--journal", help="Record of rounds.", show_default="in the local project, or in ~/.al-agent"),
]


def open_agent(
    asked: Asked, journal: Path | None, embeddings: Path | None = None, metadata: Sequence[Path] = ()
) -> ActiveLearningAgent:
    """The agent of a project; embeddings and metadata come from the named files, if any, metadata joined by item."""
    vectors = None if embeddings is None else Embeddings.load(embeddings)
    facts = None
    if metadata:
        facts = Metadata.side_by_side([Metadata.load(path) for path in metadata], names=[f"'{path}'" for path in metadata])
    return ActiveLearningAgent(open_project(asked), embeddings=vectors, metadata=facts, journal=journal)
