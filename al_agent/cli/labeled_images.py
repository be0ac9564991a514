"""What `al-agent simulate` learns from: labels, and the vectors of these images, made where there are none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import typer

from ..embedding import Embeddings
from .embedders import METHODS
from .options import EMBEDDINGS_FILE, EMBEDDINGS_FILES
from .output import progress


def vectors_for(labels: Path, label_of: Mapping[str, str], given: Path | None, output: Path) -> tuple[Embeddings, str]:
    """The vectors of labeled images, and what to say of them.

    Those that were given; else those in the folder of the images, as `al-agent embed` leaves them; else patch features of
    the images, made now and kept with the results.

    Args:
        labels: The table or the folder that the labels were read from.
        label_of: Item to class.
        given: File of vectors, if one was named.
        output: Folder for results.

    Raises:
        BadParameter: Labels from a table, and no vectors given.
        ValueError: An image cannot be read.
    """
    if given is not None:
        return Embeddings.load(given), ""
    if not labels.is_dir():
        raise typer.BadParameter(f"the images of '{labels}' are not known: name their vectors with --embeddings FILE")
    found = next((labels / file for file in EMBEDDINGS_FILES if (labels / file).exists()), None)
    if found is not None:
        return Embeddings.load(found), f"Vectors: {found}"
    target = output / EMBEDDINGS_FILE
    said = f"Vectors: patch features of the images, in {target}\n(better ones are taken with --embeddings FILE)"
    if target.exists():
        embeddings = Embeddings.load(target)
        if set(embeddings.item_ids) == set(label_of):
            return embeddings, said
    from ..embedding.images import ImageFiles  # noqa: PLC0415  # loads Pillow
    from ..embedding.run import embed_images  # noqa: PLC0415

    output.mkdir(parents=True, exist_ok=True)
    images = ImageFiles({item_id: labels / item_id for item_id in sorted(label_of)})
    with progress(len(images), "embedding", "images") as bar:
        run = embed_images(images, METHODS["patches"].make({}), progress=bar.update, resume=output / f"{target.name}.part")
    if run.failed:
        item_id, why = next(iter(run.failed.items()))
        raise ValueError(
            f"{len(run.failed):,} of {len(images):,} images cannot be read, the first is '{labels / item_id}': {why}; mend "
            "or remove them"
        )
    run.save(target)
    return run.embeddings, said
