"""A file of COCO results read into predictions, beside parsing its JSON alone."""

from __future__ import annotations

import importlib
import importlib.util
import json
import tempfile
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from measure import measure, print_table

from scorers.formats import coco

N_IMAGES, N_BOXES = 30_000, 20
N_MASKS, MASK_BOUNDARY = 40_000, 60


def write_boxes(path: Path, rng: np.random.Generator) -> None:
    with path.open("w") as file:
        file.write("[")
        for image in range(N_IMAGES):
            corners = (rng.random((N_BOXES, 4)) * (500, 300, 140, 180)).tolist()
            scores, categories = rng.random(N_BOXES).tolist(), rng.integers(1, 81, N_BOXES).tolist()
            rows = [
                {"image_id": image, "category_id": category, "bbox": bbox, "score": score}
                for bbox, score, category in zip(corners, scores, categories)
            ]
            file.write((", " if image else "") + json.dumps(rows)[1:-1])
        file.write("]")


def compressed(runs: list[int]) -> str:
    """Run lengths as text, as pycocotools writes them."""
    text = ""
    for number, length in enumerate(runs):
        rest = length - runs[number - 2] if number > 2 else length
        is_more = True
        while is_more:
            bits = rest & 31
            rest >>= 5
            is_more = rest != (-1 if bits & 16 else 0)
            text += chr(48 + (bits | 32 if is_more else bits))
    return text


def write_masks(path: Path, rng: np.random.Generator) -> None:
    """Masks that look like a blob: in each of many columns a run somewhat longer or shorter than in the one before."""
    with path.open("w") as file:
        file.write("[")
        for number in range(N_MASKS):
            lengths = np.abs(np.cumsum(rng.integers(-3, 4, MASK_BOUNDARY))) + 20
            runs = [480 * 100 + 50]
            for length in lengths.tolist():
                runs += [length, 480 - length]
            runs[-1] += 480 * 640 - sum(runs)
            mask = {"size": [480, 640], "counts": compressed(runs)}
            row = {"image_id": number % N_IMAGES, "category_id": 1, "segmentation": mask, "score": float(rng.random())}
            file.write((", " if number else "") + json.dumps(row))
        file.write("]")


def load_with_json(path: Path) -> object:
    with path.open(encoding="utf-8") as file:
        return json.load(file)


def load_with_orjson(path: Path) -> object:
    return importlib.import_module("orjson").loads(path.read_bytes())


def main() -> None:
    rng = np.random.default_rng(0)
    images = [{"id": number, "file_name": f"{number}.jpg", "width": 640, "height": 480} for number in range(N_IMAGES)]
    with tempfile.TemporaryDirectory() as folder:
        for what, write in (("boxes", write_boxes), ("run-length masks without boxes", write_masks)):
            path = Path(folder, "results.json")
            write(path, rng)
            megabytes = path.stat().st_size / 1e6

            rows = [measure("json.load alone", partial(load_with_json, path), n_runs=1)]
            if importlib.util.find_spec("orjson"):
                rows.append(measure("orjson.loads alone", partial(load_with_orjson, path), n_runs=1))
            rows.append(measure("al-agent", partial(coco.detections, path, images=images), n_runs=1))
            found = coco.detections(path, images=images)
            first = next(islice((row for row in json.loads(path.read_text()) if row["image_id"] == 0), 1))
            assert found.scores[0] == first["score"]
            print_table(f"COCO results: {found.n_boxes:,} {what}, {megabytes:.0f} MB", rows)


if __name__ == "__main__":
    main()
