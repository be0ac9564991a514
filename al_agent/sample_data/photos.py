"""Photos with boxes that lie in a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SamplePhotos:
    """A folder of photos, with the boxes that people drew; `print` gives the credit that the licence wants.

    Args:
        folder: Holds the folder `images`, `annotations.json` and `LICENSE`; `detections.json` where a detector was run.
        title: What the photos show.
        license: Short name of the licence, of which `LICENSE` is the whole.
        source: Address of the source at the commit that was fetched.

    Examples:
        >>> photos = SamplePhotos(Path("data/cats"), "Cats", "MIT", "https://example.org/cats")
        >>> print(photos, photos.images.name, photos.detections)
        Cats. MIT, https://example.org/cats images None
    """

    folder: Path
    title: str
    license: str
    source: str

    @property
    def images(self) -> Path:
        """The folder of the photos."""
        return self.folder / "images"

    @property
    def annotations(self) -> Path:
        """The boxes that people drew, as a COCO annotation file."""
        return self.folder / "annotations.json"

    @property
    def detections(self) -> Path | None:
        """The boxes that a detector found, as a COCO results file; None where none was run."""
        path = self.folder / "detections.json"
        return path if path.is_file() else None

    def __str__(self) -> str:
        return f"{self.title}. {self.license}, {self.source}"
