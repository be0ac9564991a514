"""Text files of the sources as COCO files: images, annotations, categories, and results of a detector."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image


class _Box(NamedTuple):
    photo: str
    label: str
    corners: tuple[float, float, float, float]
    score: float | None = None

    @property
    def bbox(self) -> list[float]:
        x0, y0, x1, y1 = self.corners
        return [x0, y0, x1 - x0, y1 - y0]


def indoor_photos(folder: Path) -> dict[str, Any]:
    """`annotations.json` and `detections.json` from a text file for each photo, `class [score] left top right bottom`."""
    photos = sorted((folder / "input/images-optional").iterdir())
    drawn = list(_of_text_files(folder / "input/ground-truth", photos))
    found = list(_of_text_files(folder / "input/detection-results", photos))
    by_photo = sorted([*drawn, *found], key=lambda box: box.photo)
    classes = {label: number for number, label in enumerate(dict.fromkeys(box.label for box in by_photo), start=1)}
    images = _images(photos)
    id_of = {image["file_name"]: image["id"] for image in images}
    results = [
        {"image_id": id_of[box.photo], "category_id": classes[box.label], "bbox": box.bbox, "score": box.score}
        for box in found
    ]
    return {"annotations.json": _coco(images, drawn, classes), "detections.json": results}


def blood_cells(folder: Path) -> dict[str, Any]:
    """`annotations.json` from one table of all boxes and three lists of photos; two boxes without an extent are left out."""
    photos = sorted((folder / "BCCD/JPEGImages").iterdir())
    with (folder / "test.csv").open(encoding="utf-8", newline="") as file:
        boxes = [
            _Box(
                row["filename"],
                row["cell_type"],
                (float(row["xmin"]), float(row["ymin"]), float(row["xmax"]), float(row["ymax"])),
            )
            for row in csv.DictReader(file)
        ]
    images = _images(photos)
    for split in ("train", "val", "test"):
        names = set((folder / f"BCCD/ImageSets/Main/{split}.txt").read_text(encoding="utf-8").split())
        for image in images:
            if Path(image["file_name"]).stem in names:
                image["split"] = split
    drawn = [box for box in boxes if min(box.bbox[2:]) > 0]
    return {"annotations.json": _coco(images, drawn, {"RBC": 1, "WBC": 2, "Platelets": 3})}


def _of_text_files(folder: Path, photos: Iterable[Path]) -> Iterator[_Box]:
    for photo in photos:
        for line in (folder / f"{photo.stem}.txt").read_text(encoding="utf-8").splitlines():
            label, *numbers = line.split()
            *score, x0, y0, x1, y1 = map(float, numbers)
            yield _Box(photo.name, label, (x0, y0, x1, y1), *score)


def _images(photos: Iterable[Path]) -> list[dict[str, Any]]:
    images = []
    for number, path in enumerate(photos, start=1):
        with Image.open(path) as image:
            images.append({"id": number, "file_name": path.name, "width": image.width, "height": image.height})
    return images


def _coco(images: list[dict[str, Any]], boxes: Iterable[_Box], classes: dict[str, int]) -> dict[str, Any]:
    id_of = {image["file_name"]: image["id"] for image in images}
    annotations = [
        {
            "id": number,
            "image_id": id_of[box.photo],
            "category_id": classes[box.label],
            "bbox": box.bbox,
            "area": box.bbox[2] * box.bbox[3],
            "iscrowd": 0,
        }
        for number, box in enumerate(boxes, start=1)
    ]
    categories = [{"id": number, "name": label} for label, number in classes.items()]
    return {"images": images, "annotations": annotations, "categories": categories}
