"""Two rounds of active learning on a running Label Studio, with real photos and two annotators.

The photos are blood smears, and the question is whether a smear is crowded: whether it has more than 11 red cells. The
script makes a project, uploads the photos, and then does what you would do with a project of your own: list, predict,
query, push. The annotators are played by the answers that the data has; they take the tasks that Label Studio gives them,
one after another. The model sees colours and textures only, so do not expect much of it: put your network in its place.

    label-studio start                        # in an environment of its own: pip install label-studio
    export LABEL_STUDIO_API_KEY=...           # Account & Settings
    export ANNOTATOR_KEYS=...,...             # keys of other users; yours annotates if there are none
    python tutorials/label_studio_rounds.py --data bccd.zip --url http://localhost:8080

`--data` is a zip or folder with `images/` and a COCO `annotations.json`. The photos of Shenggan/BCCD_Dataset (MIT licence)
were used to write this.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import requests
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from al_agent import (
    ActiveLearningAgent,
    ClassificationPredictions,
    Embeddings,
    PlatformLabelStudio,
    SamplerConfig,
    ScorerClassification,
)

CLASSES = ("sparse", "crowded")
CONFIG = """\
<View>
  <Image name="image" value="$image"/>
  <Choices name="what" toName="image" choice="single">
    <Choice value="sparse"/>
    <Choice value="crowded"/>
  </Choices>
</View>"""


class Photos:
    """Photos in a random order, with the answer to our question, which only the annotators may see."""

    def __init__(self, path: Path, category: str = "RBC", crowded_above: int = 11) -> None:
        read = (lambda name: (path / name).read_bytes()) if path.is_dir() else zipfile.ZipFile(path).read
        coco = json.loads(read("annotations.json"))
        (wanted,) = (one["id"] for one in coco["categories"] if one["name"] == category)
        n_cells = Counter(box["image_id"] for box in coco["annotations"] if box["category_id"] == wanted)
        images = [coco["images"][row] for row in np.random.default_rng(0).permutation(len(coco["images"]))]
        self.names = [image["file_name"].rpartition("/")[2] for image in images]
        self.bytes = {name: read(f"images/{name}") for name in self.names}
        self.answer = {name: int(n_cells[image["id"]] > crowded_above) for name, image in zip(self.names, images)}
        self.vector = {name: describe(content) for name, content in self.bytes.items()}

    def vectors(self, names: list[str] | tuple[str, ...]) -> npt.NDArray[np.float64]:
        """`(n, d)` descriptions of photos."""
        return np.stack([self.vector[name] for name in names])


def describe(content: bytes) -> npt.NDArray[np.float64]:
    """A photo as 106 numbers: how hues, saturations and brightnesses are spread, and how much they change."""
    image = np.asarray(Image.open(io.BytesIO(content)).convert("HSV").resize((160, 120)), dtype=float) / 255.0
    hue, saturation, value = np.moveaxis(image, 2, 0)
    spread = [np.histogram(channel, bins=16, range=(0, 1))[0] / channel.size for channel in (saturation, value)]
    hues = np.histogram(hue, bins=16, range=(0, 1), weights=saturation)[0]
    edges = np.abs(np.diff(value, axis=1))
    steps = np.histogram(edges, bins=8, range=(0, 0.3))[0] / edges.size
    cells = np.sort(saturation.reshape(6, 20, 8, 20).mean(axis=(1, 3)).ravel())
    slopes = [edges.mean(), np.abs(np.diff(value, axis=0)).mean()]
    return np.concatenate([hues / hues.sum(), *spread, steps, cells, slopes])


class Server:
    """The few calls that set up the project and play the annotators; your project and your people do this."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def call(self, key: str, method: str, path: str, **options: Any) -> Any:
        """A request as the user of a key; the JSON of the answer."""
        headers = {"Authorization": f"Token {key}"}
        if key.count(".") == 2:  # a personal access token, which buys a short-lived one
            answer = requests.post(f"{self.url}/api/token/refresh/", json={"refresh": key}, timeout=60)
            answer.raise_for_status()
            headers = {"Authorization": f"Bearer {answer.json()['access']}"}
        answer = requests.request(method, f"{self.url}{path}", headers=headers, timeout=300, **options)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def make_project(self, key: str, photos: Photos, names: list[str]) -> int:
        """A new project with these photos, uploaded a hundred at a time."""
        project: int = self.call(key, "POST", "/api/projects/", json={"title": "Crowded smears", "label_config": CONFIG})[
            "id"
        ]
        for start in range(0, len(names), 100):
            files = [(name, (name, photos.bytes[name], "image/jpeg")) for name in names[start : start + 100]]
            self.call(key, "POST", f"/api/projects/{project}/import", files=files)
        return project

    def annotate(self, keys: list[str], project: int, photos: Photos, n_photos: int) -> list[str]:
        """Annotators in turn ask for the next task and answer it; gives the photos in the order they were served."""
        served = []
        for place in range(n_photos):
            key = keys[place % len(keys)]
            task = self.call(key, "GET", f"/api/projects/{project}/next")
            name = task["data"]["image"].rpartition("/")[2].partition("-")[2]
            choice = {"choices": [CLASSES[photos.answer[name]]]}
            result = {"from_name": "what", "to_name": "image", "type": "choices", "value": choice}
            self.call(key, "POST", f"/api/tasks/{task['id']}/annotations/", json={"result": [result], "lead_time": 2.0})
            served.append(name)
        return served


def main() -> None:
    """Set the project up, and go through the rounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--url", default="http://localhost:8080")
    parser.add_argument("--n-photos", type=int, default=200)
    parser.add_argument("--n-rounds", type=int, default=2)
    parser.add_argument("--n-per-round", type=int, default=20)
    given = parser.parse_args()
    key = os.environ.get("LABEL_STUDIO_API_KEY", "")
    if not key:
        parser.error("set LABEL_STUDIO_API_KEY; Label Studio shows the key under Account & Settings")
    annotators = [one for one in os.environ.get("ANNOTATOR_KEYS", "").split(",") if one] or [key]

    photos = Photos(given.data)
    pool, test = photos.names[: given.n_photos], photos.names[given.n_photos :]
    server = Server(given.url)
    project = server.make_project(key, photos, pool)
    print(f"project {project}: {len(pool)} photos uploaded, {len(test)} kept apart to test on, {len(annotators)} annotators")

    # From here on it is what you would write for a project of your own.
    platform = PlatformLabelStudio(given.url, project, tab="Next batch")
    agent = ActiveLearningAgent(platform, embeddings=Embeddings(pool, photos.vectors(pool)))
    batch = agent.query(SamplerConfig(given.n_per_round, method="CORESET"))  # no model yet: spread over the pool
    for number in range(given.n_rounds + 1):
        served = server.annotate(annotators, project, photos, len(batch))
        in_order = sum(one == other for one, other in zip(served, batch.item_ids))
        print(f"{agent.last_round.name}: {in_order} of {len(batch)} photos were served in the order that was pushed")
        print(f"    since then {agent.refresh()}")

        labeled = list(agent.labeled_set)
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
        model.fit(photos.vectors(labeled), [photos.answer[name] for name in labeled])
        if test:
            accuracy = model.score(photos.vectors(test), [photos.answer[name] for name in test])
            print(f"    a model trained on {len(labeled)} labels: accuracy {accuracy:.1%} on {len(test)} other photos")
        if number == given.n_rounds:
            break
        open_ids = agent.unlabeled_set
        predictions = ClassificationPredictions(open_ids, model.predict_proba(photos.vectors(open_ids)), class_names=CLASSES)
        batch = agent.query(
            SamplerConfig(given.n_per_round, method="CORAL"),
            ScorerClassification(predictions),
            preannotate=predictions,
            verify=True,
        )
        print(f"    picked {batch.item_ids[0]} first: {batch.reasons[0]}")
    print("settings put back:", platform.restore())


if __name__ == "__main__":
    main()
