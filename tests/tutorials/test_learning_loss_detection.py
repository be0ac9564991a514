"""The detection tutorial of learning loss: losses, matching, what is found, precision, and a run of cycles."""

from __future__ import annotations

import csv
import io
import json
import math
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from coco_photos import CocoPhotos
from cycles import main
from detection import PUBLISHED, Detection, average_precisions, flipped, make_task
from networks_detection import ssd300
from PIL import Image
from single_shot import (
    Found,
    Outputs,
    corners,
    decode,
    encode,
    found_boxes,
    image_losses,
    matched,
    overlaps,
    prior_boxes,
)

from scorers.boxes import iou

BCCD = Path(__file__).resolve().parents[3] / "shared" / "data" / "det_bccd.zip"
PRIORS = prior_boxes([(4, 5), (2, 3)], (128, 160), sizes=[32, 64, 120], ratios=[[2], [2, 3]])
COLORS = {1: (250, 60, 60), 2: (60, 60, 250)}
Sizes = tuple[tuple[int, int], ...]


def write_zip(path: Path, sizes: Sizes = ((160, 128), (320, 128), (80, 256)), n_photos: int = 10, **more: Any) -> Path:
    """Dark photos with one bright rectangle each, red ones of category 4 and blue ones of category 9."""
    rng = np.random.default_rng(0)
    images, annotations = [], []
    with zipfile.ZipFile(path, "w") as pack:
        for number in range(n_photos):
            width, height = sizes[number % len(sizes)]
            kind = 1 + number % 2
            x, y = (int(rng.uniform(0.0, 0.6) * side) for side in (width, height))
            w, h = (int(rng.uniform(0.2, 0.4) * side) for side in (width, height))
            pixels = np.full((height, width, 3), 20, dtype=np.uint8)
            pixels[y : y + h, x : x + w] = COLORS[kind]
            content = io.BytesIO()
            Image.fromarray(pixels).save(content, "PNG")
            pack.writestr(f"images/{number}.png", content.getvalue())
            images.append({"id": 70 + number, "file_name": f"{number}.png", "width": width, "height": height, **more})
            annotations.append(
                {"id": number, "image_id": 70 + number, "category_id": 4 if kind == 1 else 9, "bbox": [x, y, w, h]}
            )
        categories = [{"id": 4, "name": "red"}, {"id": 9, "name": "blue"}]
        pack.writestr(
            "annotations.json", json.dumps({"images": images, "annotations": annotations, "categories": categories})
        )
    return path


@pytest.fixture
def photos(tmp_path: Path) -> CocoPhotos:
    return CocoPhotos(write_zip(tmp_path / "photos.zip"), (128, 160))


def random_case(seed: int) -> tuple[Outputs, torch.Tensor]:
    """Outputs of four images with 5, 2, 1 and no objects."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.full((4, 5, 5), -1.0)
    for image, n_objects in enumerate((5, 2, 1, 0)):
        middle = 0.2 + 0.6 * torch.rand(n_objects, 2, generator=generator)
        boxes = corners(torch.cat([middle, 0.2 + 0.3 * torch.rand(n_objects, 2, generator=generator)], dim=1))
        targets[image, :n_objects, :4] = boxes
        targets[image, :n_objects, 4] = torch.randint(3, (n_objects,), generator=generator).float()
    offsets = torch.randn(4, len(PRIORS), 4, generator=generator)
    logits = torch.randn(4, len(PRIORS), 4, generator=generator)
    return Outputs(offsets.requires_grad_(), logits.requires_grad_(), PRIORS), targets


def slow_matches(objects: npt.NDArray[Any], priors: npt.NDArray[Any]) -> list[int]:
    """Prior by prior, in Python."""
    shared = np.array([[iou(one[None, :4], prior[None])[0] for prior in priors] for one in objects])
    rows = []
    for place in range(len(priors)):
        best = int(shared[:, place].argmax()) if len(objects) else -1
        rows.append(best if len(objects) and shared[best, place] >= 0.5 else -1)
    for number in range(len(objects)):
        rows[int(shared[number].argmax())] = number
    return rows


def slow_loss(offsets: npt.NDArray[Any], logits: npt.NDArray[Any], objects: npt.NDArray[Any]) -> float:
    """The loss of one image as the paper writes it."""
    rows = slow_matches(objects, corners(PRIORS).numpy())
    total, negatives, n_positive = 0.0, [], 0
    for prior, (row, offset, values) in enumerate(zip(rows, offsets, logits)):
        log_sum = math.log(sum(math.exp(value) for value in values))
        if row < 0:
            negatives.append(log_sum - values[-1])
            continue
        n_positive += 1
        x0, y0, x1, y1, label = objects[row]
        cx, cy, w, h = PRIORS[prior].tolist()
        wanted = [((x0 + x1) / 2 - cx) / w / 0.1, ((y0 + y1) / 2 - cy) / h / 0.1]
        wanted += [math.log((x1 - x0) / w) / 0.2, math.log((y1 - y0) / h) / 0.2]
        for value, want in zip(offset, wanted):
            error = abs(value - want)
            total += 0.5 * error**2 if error < 1 else error - 0.5
        total += log_sum - values[int(label)]
    n_counted = max(n_positive, 1)
    return float(total + sum(sorted(negatives, reverse=True)[: 3 * n_counted])) / n_counted


@pytest.mark.parametrize("seed", range(4))
def test_the_loss_of_each_image_equals_a_slow_computation_of_it(seed: int) -> None:
    outputs, targets = random_case(seed)
    losses = image_losses(outputs, targets)
    expected = [
        slow_loss(offsets, logits, objects[objects[:, 4] >= 0])
        for offsets, logits, objects in zip(
            outputs.offsets.detach().numpy(), outputs.logits.detach().numpy(), targets.numpy()
        )
    ]
    assert losses.shape == (4,)
    assert losses.tolist() == pytest.approx(expected, rel=1e-4)


def test_the_loss_of_an_image_does_not_depend_on_the_others_of_its_batch() -> None:
    outputs, targets = random_case(0)
    together = image_losses(outputs, targets)
    alone = [
        image_losses(Outputs(outputs.offsets[[row]], outputs.logits[[row]], PRIORS), targets[[row], :n]).item()
        for row, n in enumerate((5, 2, 1, 0))
    ]
    assert together.tolist() == pytest.approx(alone, rel=1e-5)
    together[1].backward()  # type: ignore[no-untyped-call]
    assert outputs.logits.grad is not None
    assert [bool(gradient.any()) for gradient in outputs.logits.grad] == [False, True, False, False]


@pytest.mark.parametrize("seed", range(4))
def test_priors_answer_for_the_object_they_overlap_most_and_no_object_is_left_out(seed: int) -> None:
    _, targets = random_case(seed)
    rows = matched(targets, PRIORS)
    for image, objects in enumerate(targets.numpy()):
        real = objects[objects[:, 4] >= 0]
        assert rows[image].tolist() == slow_matches(real, corners(PRIORS).numpy())
    assert rows[3].max() == -1


def test_offsets_of_a_box_lead_back_to_it() -> None:
    _, targets = random_case(0)
    boxes = targets[0, :, None, :4].expand(-1, len(PRIORS), -1)
    assert torch.allclose(decode(encode(boxes, PRIORS), PRIORS), boxes, atol=1e-5)


def test_overlaps_are_those_of_the_scorers() -> None:
    _, targets = random_case(1)
    boxes, others = targets[0, :, :4], corners(PRIORS)
    expected = [[iou(one[None].numpy(), other[None].numpy())[0] for other in others] for one in boxes]
    assert np.allclose(overlaps(boxes, others), expected, atol=1e-6)


def outputs_of(boxes: list[list[float]], logits: list[list[float]]) -> Outputs:
    """One image whose priors are the boxes themselves."""
    given = torch.tensor(boxes)
    priors = torch.cat([(given[:, :2] + given[:, 2:]) / 2, given[:, 2:] - given[:, :2]], dim=1)
    return Outputs(torch.zeros(1, len(boxes), 4), torch.tensor(logits)[None], priors)


def test_a_box_is_dropped_for_a_stronger_one_of_its_class_only() -> None:
    boxes = [[0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 0.5, 0.375], [0.0, 0.0, 0.5, 0.375], [0.5, 0.5, 1.0, 1.0]]
    logits = [[3.0, -30.0, 0.0], [4.0, -30.0, 0.0], [-30.0, 2.0, 0.0], [1.0, -30.0, 0.0]]
    found = found_boxes(outputs_of(boxes, logits), min_score=0.1)
    assert found.labels.tolist() == [0, 1, 0]
    assert found.boxes.tolist() == [boxes[1], boxes[2], boxes[3]]
    assert found.scores.tolist() == pytest.approx([1 / (1 + math.exp(-value)) for value in (4, 2, 1)], abs=1e-5)
    assert found.probabilities.sum(axis=1) == pytest.approx(1)
    strongest = found_boxes(outputs_of(boxes, logits), min_score=0.1, n_most=2)
    assert (strongest.labels.tolist(), strongest.offsets.tolist()) == ([0, 1], [0, 2])


def test_found_boxes_stay_with_their_image() -> None:
    boxes = [[0.0, 0.0, 0.5, 0.5], [0.5, 0.5, 1.0, 1.0]]
    one = outputs_of(boxes, [[-9.0, -9.0, 0.0], [2.0, -9.0, 0.0]])
    logits = torch.cat(
        [one.logits, torch.full_like(one.logits, 0.0).index_fill(2, torch.tensor([2]), 9.0), one.logits.flip(1)]
    )
    found = found_boxes(Outputs(torch.zeros(3, 2, 4), logits, one.priors), min_score=0.1)
    assert found.offsets.tolist() == [0, 1, 1, 2]
    assert found.boxes.tolist() == [boxes[1], boxes[0]]


def test_uncertainty_is_the_largest_entropy_of_a_detected_box(photos: CocoPhotos) -> None:
    sure, torn, faint = [9.0, -9.0, 0.0], [1.0, 0.5, 0.0], [0.0, 0.0, 3.0]
    boxes = [[0.0, 0.0, 0.2, 0.2], [0.4, 0.4, 0.6, 0.6], [0.8, 0.8, 1.0, 1.0]]
    of_boxes = outputs_of(boxes, [sure, torn, faint])
    logits = torch.cat([of_boxes.logits, torch.tensor([[faint, faint, faint]])])
    values = Detection(photos).uncertainties(Outputs(torch.zeros(2, 3, 4), logits, of_boxes.priors))
    p = np.exp(torn) / np.exp(torn).sum()
    assert values.tolist() == pytest.approx([-(p * np.log(p)).sum() / np.log(3), 0.0], abs=1e-5)


def test_a_flipped_box_is_where_its_object_is(photos: CocoPhotos) -> None:
    task = Detection(photos)
    seen = set()
    for seed in range(8):
        for ids, inputs, targets in task.batches(task.item_ids, is_training=True, seed=seed):
            for item_id, pixels, target in zip(ids, inputs, targets):
                is_object = (pixels.max(dim=0).values > 0.2).numpy()
                rows, columns = np.flatnonzero(is_object.any(axis=1)), np.flatnonzero(is_object.any(axis=0))
                x0, y0, x1, y1 = (target[0, :4] * torch.tensor([160, 128, 160, 128])).tolist()
                assert [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1] == pytest.approx([x0, y0, x1, y1], abs=1.6)
                plain = photos.boxes[item_id][0]
                seen.add((item_id, abs(target[0, 0] - plain[0]) > 1e-6, abs(target[0, 1] - plain[1]) > 1e-6))
    assert {(bool(x), bool(y)) for name, x, y in seen if name == "0.png"} == {(a, b) for a in (0, 1) for b in (0, 1)}


def test_flipping_twice_gives_the_photo_and_its_boxes_back(photos: CocoPhotos) -> None:
    pixels, boxes = photos.pixels("0.png"), photos.boxes["0.png"]
    mirrored, at = flipped(pixels, boxes, is_mirrored=True, is_upside_down=False)
    assert at[0, [0, 2]].tolist() == pytest.approx((1 - boxes[0, [2, 0]]).tolist())
    assert at[0, [1, 3, 4]].tolist() == boxes[0, [1, 3, 4]].tolist()
    back, again = flipped(mirrored, at, is_mirrored=True, is_upside_down=False)
    assert (back == pixels).all() and np.allclose(again, boxes)
    upright, level = flipped(pixels, boxes, is_mirrored=False, is_upside_down=False)
    assert (upright == pixels).all() and (level == boxes).all()


def test_batches_for_testing_are_in_order_and_as_the_photos_are(photos: CocoPhotos) -> None:
    task = Detection(photos)
    ids = task.item_ids[::-1]
    first, second = (list(task.batches(ids, is_training=False, seed=seed)) for seed in (1, 2))
    assert [name for names, _, _ in first for name in names] == list(ids)
    for (_, inputs, targets), (_, same, again) in zip(first, second):
        assert torch.equal(inputs, same) and torch.equal(targets, again)
    pixels = np.stack([photos.pixels(item_id) for item_id in ids])
    assert np.allclose(torch.cat([inputs for _, inputs, _ in first]).permute(0, 2, 3, 1), pixels / 127.5 - 1, atol=1e-6)
    assert np.allclose(torch.cat([targets[:, 0] for _, _, targets in first]), [photos.boxes[item_id][0] for item_id in ids])


def test_training_batches_are_a_shuffle_that_the_seed_decides(photos: CocoPhotos) -> None:
    task = Detection(photos)
    (ids, inputs, _), (same_ids, same, _), (other_ids, _, _) = (
        next(iter(task.batches(task.item_ids, is_training=True, seed=seed))) for seed in (1, 1, 2)
    )
    assert ids == same_ids and torch.equal(inputs, same)
    assert sorted(ids) == sorted(other_ids) == sorted(task.item_ids)
    assert ids != other_ids


def slow_precision(coco: dict[str, Any], image_ids: list[int], results: list[dict[str, Any]], least: float) -> float:
    """Average precision at one IoU, mean over the classes, at 101 recalls."""
    found = []
    for category in coco["categories"]:
        truths = {
            image: [
                row["bbox"]
                for row in coco["annotations"]
                if (row["image_id"], row["category_id"]) == (image, category["id"])
            ]
            for image in image_ids
        }
        n_truths = sum(map(len, truths.values()))
        if not n_truths:
            continue
        hits = []
        mine = [row for row in results if row["category_id"] == category["id"] and row["image_id"] in image_ids]
        for row in sorted(mine, key=lambda row: -row["score"]):
            x, y, w, h = row["bbox"]
            free = truths[row["image_id"]]
            shared = [iou(np.array([[x, y, x + w, y + h]]), np.array([[a, b, a + c, b + d]]))[0] for a, b, c, d in free]
            is_hit = bool(shared) and max(shared) >= least
            hits.append(is_hit)
            if is_hit:
                del free[int(np.argmax(shared))]
        recall = np.cumsum(hits) / n_truths
        precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
        found.append(np.mean([max(precision[recall >= one - 1e-9], default=0.0) for one in np.linspace(0, 1, 101)]))
    return float(np.mean(found))


def test_average_precisions_equal_a_slow_computation_of_them() -> None:
    pytest.importorskip("pycocotools")
    rng = np.random.default_rng(3)
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for number in range(30):
        box = rng.uniform([0, 0, 40, 40], [400, 300, 150, 150])
        row = {"image_id": int(rng.integers(5)), "category_id": int(rng.integers(1, 3)), "bbox": box.tolist()}
        annotations.append({**row, "id": number})
        if rng.random() < 0.9:
            results.append({**row, "bbox": (box + rng.normal(0, 8, 4)).tolist(), "score": rng.random()})
        if rng.random() < 0.5:
            results.append(
                {**row, "bbox": rng.uniform([0, 0, 40, 40], [400, 300, 150, 150]).tolist(), "score": rng.random()}
            )
    coco = {
        "images": [{"id": number} for number in range(5)],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}, {"id": 3, "name": "never there"}],
    }
    figures = average_precisions(coco, [0, 1, 2, 3], [row for row in results if row["image_id"] < 4])
    at = [slow_precision(coco, [0, 1, 2, 3], results, least) for least in np.arange(0.5, 1.0, 0.05)]
    assert 0.2 < at[0] < 0.95
    assert figures == {"map": pytest.approx(np.mean(at), abs=1e-6), "map50": pytest.approx(at[0], abs=1e-6)}
    assert average_precisions(coco, [0, 1], []) == {"map": 0.0, "map50": 0.0}


def test_results_are_in_pixels_of_the_original_photos_and_have_the_files_ids(photos: CocoPhotos) -> None:
    pytest.importorskip("pycocotools")
    task = Detection(photos)
    ids = photos.item_ids
    rows = np.concatenate([photos.boxes[item_id] for item_id in ids]).astype(np.float64)
    found = Found(
        rows[:, :4], np.full(len(ids), 0.5), rows[:, 4].astype(int), np.arange(len(ids) + 1), np.ones((len(ids), 1))
    )
    results = task.results(ids, found)
    for result, truth in zip(results, photos.coco["annotations"]):
        assert result["bbox"] == pytest.approx(truth["bbox"], abs=1e-3)
        assert (result["image_id"], result["category_id"]) == (truth["image_id"], truth["category_id"])
    everywhere = average_precisions(photos.coco, list(photos.image_ids.values()), results)
    assert everywhere == {"map": pytest.approx(1.0), "map50": pytest.approx(1.0)}


def test_the_split_named_test_is_tested_on_and_else_a_fifth(photos: CocoPhotos, tmp_path: Path) -> None:
    task = Detection(photos, n_pool=3, n_test=1)
    whole = Detection(photos)
    assert len(whole.test_item_ids) == 2
    assert sorted([*whole.item_ids, *whole.test_item_ids]) == sorted(photos.item_ids)
    assert (task.item_ids, task.test_item_ids) == (whole.item_ids[:3], whole.test_item_ids[:1])
    named = CocoPhotos(write_zip(tmp_path / "named.zip", split="test"), (128, 160))
    assert named.test_item_ids == named.item_ids
    with pytest.raises(ValueError, match="0 images to choose from and 10 to test on; expected at least one to choose"):
        Detection(named)


@pytest.mark.skipif(not BCCD.exists(), reason=f"{BCCD.name} is not there")
def test_blood_cells_have_their_official_split_and_their_classes() -> None:
    task = Detection(CocoPhotos(BCCD, (128, 160)))
    assert (len(task.item_ids), len(task.test_item_ids)) == (292, 72)
    assert task.label("BloodImage_00000.jpg") == "19 RBC, 1 WBC"
    priors = corners(task.network().priors)
    (ids, _, targets), *_ = task.batches(task.item_ids[:10], is_training=False)
    shared = overlaps(targets[targets[..., 4] >= 0][:, :4], priors).max(dim=1).values
    assert len(ids) == 10
    assert (shared >= 0.5).float().mean() > 0.97  # an object without a prior of its size is hardly learned


def rewritten(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The zip with its annotations changed."""
    changed = path.with_name("changed.zip")
    with zipfile.ZipFile(path) as pack, zipfile.ZipFile(changed, "w") as other:
        for name in pack.namelist():
            content = pack.read(name)
            if name == "annotations.json":
                coco = json.loads(content)
                change(coco)
                content = json.dumps(coco).encode()
            other.writestr(name, content)
    return changed


def test_crowds_and_boxes_without_area_are_not_learned(tmp_path: Path) -> None:
    def change(coco: dict[str, Any]) -> None:
        coco["annotations"][0]["iscrowd"] = 1
        coco["annotations"][1]["bbox"][2] = 0
        coco["annotations"][2]["bbox"] = [-20, -20, 500, 500]

    changed = CocoPhotos(rewritten(write_zip(tmp_path / "photos.zip"), change), (128, 160))
    assert [len(changed.boxes[name]) for name in changed.item_ids] == [0, 0, *[1] * 8]
    assert changed.boxes["2.png"].tolist() == [[0, 0, 1, 1, 0]]
    assert Detection(changed).label("0.png") == "nothing"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda coco: coco.pop("categories"), "has no categories; expected a name for each class"),
        (lambda coco: coco["images"][3].update(file_name="gone.png"), "lacks 1 photos .* the first is 'images/gone.png'"),
        (lambda coco: coco["annotations"][2].update(category_id=5), "annotation 2 is of image 72 and category 5; expected"),
        (lambda coco: coco["annotations"][2].pop("bbox"), "annotation 2 .*bbox"),
    ],
)
def test_annotations_that_do_not_fit_are_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        CocoPhotos(rewritten(write_zip(tmp_path / "photos.zip"), change), (128, 160))


def test_the_published_network_is_ssd300_and_learns() -> None:
    torch.manual_seed(0)
    network = ssd300(20)
    taps: list[int] = []
    for stage in network.stages:
        stage.register_forward_hook(lambda _, __, output: taps.append(output.shape[1]))
    outputs = network(torch.rand(1, 3, 300, 300))
    assert taps == [512, 1024, 512, 256, 256, 256]
    assert [tuple(each.shape) for each in outputs] == [(1, 8732, 4), (1, 8732, 21), (8732, 4)]
    image_losses(outputs, torch.tensor([[[0.1, 0.1, 0.5, 0.6, 7.0]]])).mean().backward()  # type: ignore[no-untyped-call]
    assert all(weights.grad is not None and weights.grad.isfinite().all() for weights in network.parameters())
    first = network.stages[0]
    assert isinstance(first, torch.nn.Sequential) and isinstance(first[0], torch.nn.Conv2d)
    assert first[0].weight.grad is not None and first[0].weight.grad.any()


def test_the_published_task_taps_six_maps_of_photos_of_300_pixels(photos: CocoPhotos) -> None:
    task = Detection(photos, is_published=True)
    assert task.recipe is PUBLISHED
    assert task.layers == tuple(f"stages.{number}" for number in range(6))
    assert set(task.layers) <= {name for name, _ in ssd300(2).named_modules()}


def test_a_short_training_finds_bright_rectangles(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    torch.manual_seed(0)
    task = Detection(CocoPhotos(write_zip(tmp_path / "photos.zip", n_photos=20), (64, 96)))
    task.recipe = replace(task.recipe, batch_size=4)
    network = task.network()
    before = task.measure(network, torch.device("cpu"))
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    for epoch in range(25):
        for _, inputs, targets in task.batches(task.item_ids, is_training=True, seed=epoch):
            loss = task.losses(network(inputs), targets).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    after = task.measure(network, torch.device("cpu"))
    assert before["map50"] < 0.3
    assert after["map50"] > 0.6
    assert network.training


def test_two_cycles_run_and_say_what_to_label_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pycocotools")
    words = ["--data", str(write_zip(tmp_path / "photos.zip", n_photos=15)), "--folder", str(tmp_path / "run")]
    words += ["--epochs", "2", "--n-start", "4", "--n-per-cycle", "3", "--n-pool", "11", "--n-test", "2"]
    main(make_task, "", "", words)
    assert "11 images to choose from, 2 to test on" in capsys.readouterr().out
    with (tmp_path / "run" / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["n_labeled"] for row in rows] == ["4", "7"]
    assert all(0 <= float(row["map"]) <= float(row["map50"]) <= 1 for row in rows)
    assert (tmp_path / "run" / "priorities_cycle_1.csv").read_text().count(".png") >= 3
