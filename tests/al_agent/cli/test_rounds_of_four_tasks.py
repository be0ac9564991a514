"""A round of each task from the shell: real images, predictions of a small model, and the batch worked out anew."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from al_agent import Embeddings, PlatformLocal, Scores
from al_agent.cli import main

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"

Floats = npt.NDArray[np.float64]


def data(name: str) -> Path:
    """A file of real data; the test is skipped where it is missing."""
    if not (DATA / name).exists():
        pytest.skip(f"needs {name}")
    return DATA / name


class Shell:
    """Runs `al-agent`, and reads what it prints."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.said = ""

    def __call__(self, *words: str | Path | float) -> dict[str, Any]:
        status = main([*map(str, words), "--json"])
        printed = self._capsys.readouterr()
        self.said = printed.err
        assert status == 0, printed.err
        result: dict[str, Any] = json.loads(printed.out)
        return result


@pytest.fixture
def al_agent(capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(capsys)


def label(al_agent: Shell, project: Path, item_ids: Sequence[str]) -> None:
    """Label the first items, so that there is a model to begin with."""
    table = project.parent / "labels.csv"
    table.write_text("name,label\n" + "".join(f"{item_id},done\n" for item_id in item_ids), encoding="utf-8")
    assert al_agent("annotate", project, table)["n_labeled"] == len(item_ids)


def check_batch(al_agent: Shell, project: Path, queried: dict[str, Any], expected: Sequence[str]) -> None:
    """The picks are the expected ones in order, in the answer, in the local queue and in the exported file."""
    picks = [pick["item_id"] for pick in queried["picks"]]
    assert picks == list(expected)
    assert queried["is_pushed"]
    assert [item.id for item in PlatformLocal(project).next_items(len(picks))] == picks
    output = project.parent / "picks.csv"
    assert al_agent("export", project, output)["n_items"] == len(picks)
    rows = list(csv.reader(output.read_text(encoding="utf-8").splitlines()))
    assert rows == [["name", "entropy_value"], *([name, str(len(picks) - rank)] for rank, name in enumerate(picks))]


def best(item_ids: Sequence[str], scores: npt.ArrayLike, labeled: Sequence[str], n: int) -> list[str]:
    """The n unlabeled items of highest score, ties in the order of the items."""
    order = np.argsort(-np.asarray(scores), kind="stable")
    return [item_ids[row] for row in order if item_ids[row] not in labeled][:n]


def margins(probabilities: npt.NDArray[Any]) -> Floats:
    """One minus the gap between the two largest of the last axis."""
    ranked = np.sort(np.asarray(probabilities, dtype=np.float64), axis=-1)
    return np.asarray(1 - (ranked[..., -1] - ranked[..., -2]))


def test_classification_embed_score_coral(al_agent: Shell, tmp_path: Path) -> None:
    with np.load(data("cifar10_2k.npz")) as archive:
        x, y = archive["x_train"][::5][:300], archive["y_train"][::5][:300]
    project = tmp_path / "photos"
    project.mkdir()
    for row in range(300):
        Image.fromarray(x[row]).save(project / f"{row:03d}.png")
    ids = [f"{row:03d}.png" for row in range(300)]
    assert al_agent("init", project)["n_items"] == 300
    first = np.random.default_rng(0).permutation(300)[:100]
    labeled = [ids[row] for row in first]
    label(al_agent, project, labeled)
    assert al_agent("embed", project, "--workers", 1)["n_items"] == 300

    embedded = Embeddings.load(project / "embeddings.npz")
    assert list(embedded.item_ids) == ids
    vectors = StandardScaler().fit_transform(np.asarray(embedded.vectors, dtype=np.float64))
    model = LogisticRegression(C=0.01, max_iter=200).fit(vectors[first], y[first])
    unlabeled = np.setdiff1d(np.arange(300), first)
    table = model.predict_proba(vectors[unlabeled])  # of the unlabeled items alone
    lines = [",".join([ids[row], *map(repr, rows)]) for row, rows in zip(unlabeled, table.tolist())]
    header = ",".join(["image", *(f"class {c}" for c in model.classes_)])
    (tmp_path / "predictions.csv").write_text("\n".join([header, *reversed(lines)]), encoding="utf-8")

    scored = al_agent("score", project, "--probabilities", tmp_path / "predictions.csv")
    assert (scored["n_items"], scored["default"]) == (200, "uncertainty_margin")
    assert scored["columns"]["uncertainty_margin"]["highest"] == pytest.approx(margins(table).max(), abs=1e-12)

    queried = al_agent("query", project, "-n", 20, "-m", "coral")
    points = np.asarray(embedded.vectors, dtype=np.float64)
    score = np.zeros(300)
    score[unlabeled] = margins(table)
    taken, expected, gains = list(first), [], []
    for _ in range(20):
        distance = np.linalg.norm(points[:, None] - points[taken][None], axis=2).min(axis=1)
        product = np.where(np.isin(np.arange(300), taken), -1.0, score * distance)
        taken.append(int(product.argmax()))
        expected.append(ids[taken[-1]])
        gains.append(float(product.max()))
    assert [pick["gain"] for pick in queried["picks"]] == pytest.approx(gains, rel=1e-5)
    check_batch(al_agent, project, queried, expected)


def test_detection_score_uncertainty(al_agent: Shell, tmp_path: Path) -> None:
    with zipfile.ZipFile(data("det_cartucho_map85.zip")) as archive:
        archive.extractall(tmp_path)
    project = tmp_path / "project"
    assert al_agent("init", project, "--images", tmp_path / "images")["n_items"] == 85
    annotations = json.loads((tmp_path / "annotations.json").read_text(encoding="utf-8"))
    ids = [item.id for item in PlatformLocal(project).list_items()]
    labeled = ids[:10]
    label(al_agent, project, labeled)
    al_agent(
        "score", project, "--coco-results", tmp_path / "detections.json", "--coco-images", tmp_path / "annotations.json",
        "--score-threshold", 0.3, "--aggregation", "top3_mean",
    )  # fmt: skip

    name_of = {image["id"]: image["file_name"] for image in annotations["images"]}
    doubts: dict[str, list[float]] = {item_id: [] for item_id in ids}
    for result in json.loads((tmp_path / "detections.json").read_text(encoding="utf-8")):
        if result["score"] >= 0.3:
            doubts[name_of[result["image_id"]]].append(1 - abs(2 * result["score"] - 1))
    n_empty = sum(not doubts[item_id] for item_id in ids[10:])
    assert f"{n_empty} of 75 unlabeled items have no boxes" in al_agent.said
    scores = {
        "uncertainty_margin": [max(doubts[item_id], default=0.0) for item_id in ids],
        "uncertainty_margin_top3_mean": [float(np.mean(sorted(doubts[i])[-3:])) if doubts[i] else 0.0 for i in ids],
    }
    kept = Scores.load(project / "scores.npz")
    for name, values in scores.items():
        found = dict(zip(kept.item_ids, kept.column(name).tolist()))
        assert [found[item_id] for item_id in ids] == pytest.approx(values, abs=1e-12)

    name = "uncertainty_margin_top3_mean"
    queried = al_agent("query", project, "-n", 15, "-m", "uncertainty", "--score", name)
    check_batch(al_agent, project, queried, best(ids, scores[name], labeled, 15))


CAMVID_SIZE = (120, 90)


def test_segmentation_score_regions(al_agent: Shell, tmp_path: Path) -> None:
    project, truths = tmp_path / "frames", {}
    project.mkdir()
    with zipfile.ZipFile(data("seg_camvid_240x180.zip")) as archive:
        rows = csv.DictReader(io.StringIO(archive.read("frames.csv").decode()))
        ids = [f"{row['sequence']}/{row['name']}.jpg" for row in rows if row["split"] == "train"][::6][:60]
        for item_id in ids:
            path = project / item_id
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(archive.read(f"images/{path.name}"))
            with Image.open(io.BytesIO(archive.read(f"labels/{path.stem}.png"))) as image:
                truths[item_id] = np.asarray(image)[::2, ::2].ravel()
    ids.sort()
    assert al_agent("init", project)["n_items"] == 60
    labeled = ids[::12]
    label(al_agent, project, labeled)

    pixels = {item_id: pixels_of(project / item_id) for item_id in ids}
    x = np.concatenate([pixels[item_id] for item_id in labeled])
    y = np.concatenate([truths[item_id] for item_id in labeled])
    is_known = y != 11  # the void
    model = RandomForestClassifier(20, max_depth=12, random_state=0).fit(x[is_known][::3], y[is_known][::3])
    maps = tmp_path / "maps"
    maps.mkdir()
    means, regions, errors = np.zeros(60), np.zeros(60), np.zeros(60)
    for row, item_id in enumerate(ids):
        found = model.predict_proba(pixels[item_id]).astype((np.float16, np.float32)[row % 2])
        np.save(maps / Path(item_id).with_suffix(".npy").name, found.reshape(*CAMVID_SIZE[::-1], -1))
        doubt = margins(found / found.sum(axis=1, keepdims=True, dtype=np.float64)).reshape(CAMVID_SIZE[::-1])
        means[row] = doubt.mean()
        corners = [(top, left) for top in range(0, 90, 32) for left in range(0, 120, 32)]
        regions[row] = max(doubt[top : top + 32, left : left + 32].mean() for top, left in corners)
        is_known = truths[item_id] != 11
        errors[row] = (model.classes_[found.argmax(axis=1)] != truths[item_id])[is_known].mean()

    scored = al_agent("score", project, "--maps", maps, "--aggregation", "region32_max")
    assert scored["n_items"] == 60
    kept = Scores.load(project / "scores.npz")
    np.testing.assert_allclose(kept.column("uncertainty_margin"), means, atol=1e-3)  # half precision
    np.testing.assert_allclose(kept.column("uncertainty_margin_region32_max"), regions, atol=1e-3)
    name = "uncertainty_margin_region32_max"
    queried = al_agent("query", project, "-n", 10, "-m", "uncertainty", "--score", name)
    check_batch(al_agent, project, queried, best(ids, kept.column(name), labeled, 10))

    chosen = al_agent("query", project, "-n", 10, "-m", "uncertainty", "--dry-run")["picks"]
    assert [pick["item_id"] for pick in chosen] == best(ids, means, labeled, 10)
    is_open = ~np.isin(ids, labeled)
    chosen_error = errors[[ids.index(pick["item_id"]) for pick in chosen]].mean()
    assert chosen_error > errors[is_open].mean() + 0.03  # of 18 other choices of frames the closest has 0.037


def pixels_of(path: Path) -> npt.NDArray[np.float32]:
    """Colour, colour around, and place of each pixel, `(h w, 8)`."""
    with Image.open(path) as image:
        small = image.convert("RGB").resize(CAMVID_SIZE)
    width, height = CAMVID_SIZE
    around = small.resize((width // 8, height // 8)).resize(CAMVID_SIZE)
    down, right = np.mgrid[0:height, 0:width]
    colours = [np.asarray(part, dtype=np.float32) / 255 for part in (small, around)]
    return np.concatenate([*colours, (down / height)[..., None], (right / width)[..., None]], axis=2).reshape(-1, 8)


def test_keypoints_score_uncertainty(al_agent: Shell, tmp_path: Path) -> None:
    project = tmp_path / "people"
    project.mkdir()
    with zipfile.ZipFile(data("restricted/pose_lspet400.zip")) as archive:
        content = json.loads(archive.read("person_keypoints.json"))
        images = content["images"][:60]
        for image in images:
            (project / image["file_name"]).write_bytes(archive.read(f"images/{image['file_name']}"))
    (tmp_path / "images.json").write_text(json.dumps({**content, "images": images, "annotations": []}), encoding="utf-8")
    ids = [image["file_name"] for image in images]
    assert al_agent("init", project)["n_items"] == 60
    labeled = ids[:20]
    label(al_agent, project, labeled)

    known = {row["image_id"]: np.reshape(row["keypoints"], (-1, 3)) for row in content["annotations"]}
    sizes = np.array([(image["width"], image["height"]) for image in images], dtype=np.float64)
    poses = np.stack([known[image["id"]] for image in images])
    places, is_labeled = poses[:20, :, :2] / sizes[:20, None], poses[:20, :, 2:] > 0
    thumbnails = np.stack([thumbnail(project / item_id) for item_id in ids])
    nearest = np.linalg.norm(thumbnails[:, None] - thumbnails[None, :20], axis=2).argsort(axis=1, kind="stable")[:, :5]
    n_votes = is_labeled[nearest].sum(axis=1)
    mean = (places[nearest] * is_labeled[nearest]).sum(axis=1) / np.maximum(n_votes, 1)
    spread = ((places[nearest] - mean[:, None]) ** 2 * is_labeled[nearest]).sum(axis=(1, 3)) / np.maximum(n_votes[..., 0], 1)
    confidences = np.exp(-np.sqrt(spread) / 0.2) * (n_votes[..., 0] / 5)  # how far, and how often, the neighbours agree
    triples = np.concatenate([mean * sizes[:, None], confidences[..., None]], axis=2)
    results = [
        {"image_id": image["id"], "category_id": 1, "keypoints": pose.ravel().tolist(), "score": 1.0}
        for image, pose in zip(images, triples)
    ][::-1]
    (tmp_path / "poses.json").write_text(json.dumps(results), encoding="utf-8")

    al_agent("score", project, "--coco-keypoints", tmp_path / "poses.json", "--coco-images", tmp_path / "images.json")
    assert al_agent.said == ""
    is_there = (triples != 0).any(axis=2)
    doubts = ((1 - confidences) * is_there).sum(axis=1) / is_there.sum(axis=1)
    np.testing.assert_allclose(Scores.load(project / "scores.npz").column("mean_uncertainty"), doubts, rtol=1e-12)
    queried = al_agent("query", project, "-n", 10, "-m", "uncertainty", "--score", "mean_uncertainty")
    check_batch(al_agent, project, queried, best(ids, doubts, labeled, 10))


def thumbnail(path: Path) -> Floats:
    """Grey values of a small image, of mean 0 and deviation 1."""
    with Image.open(path) as image:
        grey = np.asarray(image.convert("L").resize((16, 16)), dtype=np.float64).ravel()
    return np.asarray((grey - grey.mean()) / grey.std())
