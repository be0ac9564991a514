"""The pose tutorial of learning loss: crops, targets, losses, figures, the published network, and a run of cycles."""

from __future__ import annotations

import csv
import doctest
import importlib
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from cycles import main
from high_resolution_network import HighResolutionNetwork
from people import Floats, People, Person, heatmaps_of, inverse, placed, placement_of, swaps_of
from PIL import Image
from pose import PUBLISHED, SMALL, Pose, make_task
from pose_metrics import average_precision, correct_share, figures_of, head_of, positions_of, sigmas_of, torso_of
from torch import nn

from al_agent import ActiveLearningAgent, KeypointPredictions, PlatformLocal, ScorerKeypointDetection

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
LSP, COCO = DATA / "restricted" / "pose_lspet400.zip", DATA / "det_coco_open.zip"

JOINTS = ("nose", "left_shoulder", "right_shoulder", "left_hip", "right_hip")
COLORS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [255, 0, 255]])
CPU = torch.device("cpu")
TINY = replace(
    SMALL,
    make=lambda k: HighResolutionNetwork(k, widths=(8, 12), stem=8, n_bottlenecks=1, n_modules=(1,), n_blocks=1),
    recipe=replace(SMALL.recipe, batch_size=4),
)


def png_of(pixels: npt.NDArray[np.uint8]) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def write_zip(path: Path, n_photos: int = 12, n_people: int = 1) -> Path:
    """Black photos of people seen from the front, each joint a square of its colour; every third nose is not labeled."""
    rng = np.random.default_rng(0)
    annotations: list[dict[str, Any]] = []
    images: list[dict[str, Any]] = []
    with zipfile.ZipFile(path, "w") as pack:
        for number in range(n_photos):
            pixels = np.zeros((120, 100 * n_people, 3), dtype=np.uint8)
            for place in range(n_people):
                middle = np.array([100 * place + 50, 60]) + rng.uniform(-8, 8, 2)
                offsets = np.array([[0, -35], [20, -20], [-20, -20], [12, 30], [-12, 30]]) + rng.uniform(-4, 4, (5, 2))
                corners = np.round(middle + offsets).astype(int)
                for (x, y), color in zip(corners, COLORS):
                    pixels[y - 3 : y + 3, x - 3 : x + 3] = color
                seen = [0 if joint == 0 and number % 3 == 0 else 2 for joint in range(5)]
                keypoints = [[float(x), float(y), v] if v else [0, 0, 0] for (x, y), v in zip(corners, seen)]
                low, high = corners.min(axis=0) - 5.0, corners.max(axis=0) + 5.0
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": 50 + number,
                        "category_id": 1,
                        "keypoints": [value for row in keypoints for value in row],
                        "bbox": [*low, *(high - low)],
                        "area": float((high - low).prod()),
                        "iscrowd": 0,
                    }
                )
            pack.writestr(f"images/{number}.png", png_of(pixels))
            images.append({"id": 50 + number, "file_name": f"{number}.png"})
        nobody = {**annotations[0], "id": 900, "keypoints": [0] * 15}
        crowd = {**annotations[0], "id": 901, "iscrowd": 1}
        category = {"id": 1, "name": "person", "keypoints": list(JOINTS)}
        text = {"images": images, "annotations": [nobody, crowd, *annotations], "categories": [category]}
        pack.writestr("person_keypoints.json", json.dumps(text))
    return path


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Tensors of this size are slower on several, much so where the processors are busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def small_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_zip(tmp_path_factory.mktemp("pose") / "people.zip")


@pytest.fixture
def task(small_zip: Path) -> Pose:
    return Pose(People(small_zip), TINY)


def centres(crop: torch.Tensor) -> dict[int, Floats]:
    """Where in a crop each colour that is seen lies on average, as points."""
    pixels = ((crop + 2) / 4).permute(1, 2, 0).numpy()
    found = {}
    for joint, color in enumerate(COLORS / 255):
        ys, xs = np.nonzero(np.abs(pixels - color).max(axis=2) < 0.3)
        if len(xs) >= 12:
            found[joint] = np.array([xs.mean() + 0.5, ys.mean() + 0.5])
    return found


def peaks(heatmaps: torch.Tensor) -> Floats:
    """Where in the crop the heat maps are highest: the mean of their mass, which for a whole bump is its middle."""
    maps = heatmaps.numpy().astype(np.float64)
    mass = maps.sum(axis=(1, 2))
    ys = (maps.sum(axis=2) * (np.arange(maps.shape[1]) + 0.5)).sum(axis=1) / mass
    xs = (maps.sum(axis=1) * (np.arange(maps.shape[2]) + 0.5)).sum(axis=1) / mass
    return np.stack([xs, ys], axis=1) * 4


def test_people_without_joints_and_crowds_are_left_out_and_no_photo_is_in_pool_and_test(tmp_path: Path) -> None:
    people = People(write_zip(tmp_path / "pairs.zip", n_photos=6, n_people=2))
    assert list(people.by_id)[:3] == ["0.png#0", "0.png#1", "1.png#0"]
    assert len(people.by_id) == 12
    pool, test = people.split(100, seed=0)
    assert sorted([*pool, *test]) == sorted(people.by_id)
    assert len(test) == 4  # a quarter are three people, and photos have two
    assert {name.split("#")[0] for name in pool}.isdisjoint(name.split("#")[0] for name in test)
    assert len(people.split(1, seed=0)[1]) == 2
    assert people.split(100, seed=0) == (pool, test)
    assert people.split(100, seed=1) != (pool, test)


def test_people_to_test_on_without_a_torso_are_refused_before_anything_is_trained(small_zip: Path) -> None:
    people = People(small_zip)
    for person in people.by_id.values():
        person.keypoints[3:, 2] = 0  # hips
    with pytest.raises(ValueError, match="of 3 people to test on nobody has a shoulder and the other side's hip labeled"):
        Pose(people, TINY)


def test_outside_of_training_items_come_in_order_and_as_they_are(task: Pose) -> None:
    names = [*task.item_ids[::-1], *task.test_item_ids]
    first, second = ([*task.batches(names, is_training=False, seed=seed)] for seed in (0, 1))
    assert [name for batch in first for name in batch[0]] == names
    assert [len(batch[0]) for batch in first] == [4, 4, 4]
    for (_, a, (a_maps, a_weights)), (_, b, (b_maps, b_weights)) in zip(first, second, strict=True):
        assert torch.equal(a, b) and torch.equal(a_maps, b_maps) and torch.equal(a_weights, b_weights)
    assert first[0][1].shape == (4, 3, 96, 96)
    assert first[0][2][0].shape == (4, 5, 24, 24)


def test_training_shuffles_and_changes_by_the_seed_alone(task: Pose) -> None:
    names = list(task.item_ids)
    runs = [[*task.batches(names, is_training=True, seed=seed)] for seed in (3, 3, 4)]
    orders = [[name for batch in run for name in batch[0]] for run in runs]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]
    assert orders[0] != names
    assert sorted(orders[0]) == sorted(names)
    assert torch.equal(runs[0][0][1], runs[1][0][1])
    assert torch.equal(runs[0][0][2][0], runs[1][0][2][0])


def test_targets_follow_the_pixels_through_crop_turn_scale_and_mirror(task: Pose) -> None:
    n_mirrored = n_joints = 0
    for seed in range(6):
        for _, crops, (heatmaps, weights) in task.batches(task.item_ids, is_training=True, seed=seed):
            for crop, maps, weight in zip(crops, heatmaps, weights):
                seen, wanted = centres(crop), peaks(maps)
                right, left, hips = seen[2], seen[1], (seen[3] + seen[4]) / 2
                across, down = left - right, hips - (left + right) / 2
                is_mirrored = across[0] * down[1] - across[1] * down[0] < 0
                n_mirrored += is_mirrored
                for joint in (1, 2, 3, 4):
                    shown = seen[swaps_of(JOINTS)[joint] if is_mirrored else joint]
                    if (
                        weight[joint] and (shown > 8).all() and (shown < 88).all()
                    ):  # bumps that the border cuts lie elsewhere
                        assert np.linalg.norm(shown - wanted[joint]) < 1.0
                        n_joints += 1
    assert 15 < n_mirrored < 39
    assert n_joints > 150


def test_joints_that_are_not_labeled_or_outside_the_crop_do_not_count(task: Pose) -> None:
    labeled = {name: task.people.by_id[name].is_labeled[0] for name in task.item_ids}
    assert set(labeled.values()) == {True, False}
    for names, _, (_, weights) in task.batches(task.item_ids, is_training=False):
        assert weights[:, 0].tolist() == [float(labeled[name]) for name in names]
        assert weights[:, 1:].min() == 1
    wide = Pose(task.people, replace(TINY, scale=9.0))
    zoomed = torch.cat([weights for _, _, (_, weights) in wide.batches(task.item_ids, is_training=True)])
    assert zoomed[:, 1:].min() == 0


def test_the_loss_of_each_person_is_half_the_squared_error_over_the_joints_that_count(task: Pose) -> None:
    rng = torch.Generator().manual_seed(0)
    outputs, heatmaps = torch.rand(3, 5, 6, 4, generator=rng), torch.rand(3, 5, 6, 4, generator=rng)
    weights = torch.tensor([[1.0, 1, 1, 1, 1], [0, 1, 0, 1, 0], [0, 0, 0, 0, 0]])
    losses = task.losses(outputs, (heatmaps, weights))
    slow = []
    for person in range(3):
        total, n = 0.0, 0
        for joint in range(5):
            for y in range(6):
                for x in range(4):
                    if weights[person, joint]:
                        total += float(outputs[person, joint, y, x] - heatmaps[person, joint, y, x]) ** 2
                        n += 1
        slow.append(total / n / 2 if n else 0.0)
    assert losses.shape == (3,)
    np.testing.assert_allclose(losses.numpy(), slow, rtol=1e-5)


def test_the_uncertainty_is_the_heatmap_entropy_of_the_scorer_for_keypoints(task: Pose) -> None:
    outputs = torch.rand(3, 5, 6, 4, generator=torch.Generator().manual_seed(1)) * 1.2 - 0.2
    predictions = KeypointPredictions.from_heatmaps(["a", "b", "c"], outputs.numpy(), [0, 1, 2, 3])
    expected = ScorerKeypointDetection(predictions).scores().column("heatmap_entropy")
    np.testing.assert_allclose(task.uncertainties(outputs).numpy(), expected, rtol=1e-6)


class Oracle(nn.Module):
    """Gives heat maps one batch after the other, whatever it is shown."""

    def __init__(self, heatmaps: list[torch.Tensor]) -> None:
        super().__init__()
        self.heatmaps = iter(heatmaps)

    def forward(self, _: torch.Tensor) -> torch.Tensor:
        assert not self.training
        return next(self.heatmaps)


def test_heat_maps_that_equal_the_targets_find_every_joint_in_the_photo(task: Pose) -> None:
    true = [maps for _, _, (maps, _) in task.batches(task.test_item_ids, is_training=False)]
    oracle = Oracle(true).train()
    joints, confidences = task.predict(oracle, task.test_item_ids, CPU)
    assert oracle.training
    for name, found, confidence in zip(task.test_item_ids, joints, confidences):
        person = task.people.by_id[name]
        errors = np.linalg.norm(found - person.joints, axis=1)[person.is_labeled]
        pixel = 4 / np.sqrt(abs(np.linalg.det(task.placement(name)[:, :2])))
        assert errors.max() < 0.4 * pixel
        assert 0.5 < confidence <= 1
    figures = task.measure(Oracle(true), CPU)
    assert figures == {"pck": 1.0, "ap": 1.0, "ap50": 1.0}  # no head among these joints


def standing(image_id: int, seen: tuple[int, ...] = (2, 2, 2, 2, 2)) -> Person:
    joints = np.array([[50.0, 10], [70, 30], [30, 30], [60, 70], [40, 70]])
    keypoints = np.concatenate([joints, np.array(seen)[:, None]], axis=1)
    return Person(f"{image_id}#0", image_id, f"{image_id}", (20.0, 0.0, 60.0, 80.0), 4800.0, keypoints)


def test_the_torso_is_a_diagonal_that_is_labeled_and_people_without_one_are_left_out() -> None:
    assert torso_of(standing(1), JOINTS) == pytest.approx(50.0)  # 30 and 40
    assert torso_of(standing(1, (2, 2, 2, 2, 0)), JOINTS) == pytest.approx(50.0)
    assert np.isnan(torso_of(standing(1, (2, 0, 2, 0, 2)), JOINTS))
    assert np.isnan(head_of(standing(1), JOINTS))
    names = ("neck", "head_top", "left_hip", "right_hip", "left_shoulder")
    assert head_of(standing(1), names) == pytest.approx(np.hypot(20, 20))
    off = standing(1).joints + np.array([11.0, 0])
    assert correct_share([standing(1), standing(2)], [off, standing(2).joints], [10.0, 10.0]) == 0.5
    assert correct_share([standing(1), standing(2)], [off, standing(2).joints], [float("nan"), 10.0]) == 1.0
    assert np.isnan(correct_share([standing(1)], [off], [float("nan")]))


def test_only_labeled_joints_are_counted_each_once() -> None:
    people = [standing(1, (0, 2, 2, 0, 2)), standing(2)]
    found = [person.joints + np.array([[9.0, 0], [9.9, 0], [10.1, 0], [0, 0], [0, 0]]) for person in people]
    # 0.2 torsos are 10 pixels: of the first 2 of 3, of the second 4 of 5
    assert figures_of(people, found, [1.0, 1.0], JOINTS)["pck"] == pytest.approx(6 / 8)


def slow_precision(people: list[Person], found: list[Floats], confidences: list[float], threshold: float) -> float:
    """One detection and one person in each photo: precision at 101 recalls, by its definition."""
    sigmas = {"nose": 0.026, "shoulder": 0.079, "hip": 0.107}
    hits = []
    for place in np.argsort([-confidence for confidence in confidences], kind="stable"):
        person, parts = people[place], []
        for joint, name in enumerate(JOINTS):
            if person.keypoints[joint, 2] > 0:
                squared = ((found[place][joint] - person.joints[joint]) ** 2).sum()
                parts.append(np.exp(-squared / (2 * person.area * (2 * sigmas[name.split("_")[-1]]) ** 2)))
        hits.append(np.mean(parts) >= threshold)
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    recall = np.cumsum(hits) / len(people)
    return float(np.mean([precision[recall >= level].max(initial=0.0) for level in np.linspace(0, 1, 101)]))


def test_average_precision_equals_a_slow_one_by_the_definition() -> None:
    rng = np.random.default_rng(4)
    people = [standing(number, (2, 2, 2, 2, number % 3)) for number in range(1, 13)]
    found = [person.joints + rng.normal(0, 1 + person.image_id, (5, 2)) for person in people]
    confidences = rng.random(12).tolist()
    ap, ap50 = average_precision(people, found, confidences, JOINTS)
    slow = [slow_precision(people, found, confidences, threshold) for threshold in np.linspace(0.5, 0.95, 10)]
    assert ap == pytest.approx(np.mean(slow), abs=1e-6)
    assert ap50 == pytest.approx(slow[0], abs=1e-6)
    assert 0.05 < ap < ap50 < 1


def test_falloffs_of_the_joints_of_coco_are_those_of_pycocotools() -> None:
    params = importlib.import_module("pycocotools.cocoeval").Params("keypoints")
    sides = [
        f"{side}_{part}"
        for part in ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
        for side in ("left", "right")
    ]
    np.testing.assert_allclose(sigmas_of(["nose", *sides]), params.kpt_oks_sigmas)
    with pytest.raises(ValueError, match="joint 'tail' has no known falloff"):
        sigmas_of(["nose", "tail"])


def test_points_come_back_from_the_crop_and_mirrors_need_pairs() -> None:
    points = np.random.default_rng(0).uniform(0, 200, (7, 2))
    placement = placement_of((20, 30, 50, 90), (96, 72), scale=1.2, degrees=33, is_flipped=True)
    np.testing.assert_allclose(placed(placed(points, placement), inverse(placement)), points)
    assert np.linalg.det(placement[:, :2]) < 0
    with pytest.raises(ValueError, match="joint 'left_toe' has no counterpart 'right_toe'"):
        swaps_of(["nose", "left_toe"])


def test_large_photos_are_averaged_down_without_a_shift(tmp_path: Path) -> None:
    pixels = np.zeros((611, 407, 3), dtype=np.uint8)
    pixels[300:340, 100:160] = 255
    person = {"image_id": 1, "keypoints": [1, 1, 2], "bbox": [3, 50, 300, 500], "area": 150000}
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as pack:
        pack.writestr("images/0.png", png_of(pixels))
        images, categories = [{"id": 1, "file_name": "0.png"}], [{"id": 1, "keypoints": ["nose"]}]
        text = {"images": images, "annotations": [person], "categories": categories}
        pack.writestr("person_keypoints.json", json.dumps(text))
    people = People(tmp_path / "one.zip")
    placement = placement_of((3, 50, 300, 500), (96, 72))
    crop = people.crop("0.png#0", placement, (96, 72))[:, :, 0].astype(np.float64)
    ys, xs = np.mgrid[:96, :72] + 0.5
    found = np.array([(xs * crop).sum(), (ys * crop).sum()]) / crop.sum()
    np.testing.assert_allclose(found, placed(np.array([[130.0, 320.0]]), placement)[0], atol=0.05)
    assert crop.sum() / 255 == pytest.approx(40 * 60 * np.linalg.det(placement[:, :2]), rel=0.03)


def test_a_peak_moves_a_quarter_towards_its_higher_neighbour_but_not_at_the_border() -> None:
    heatmaps = heatmaps_of(np.array([[2.7, 3.2], [0.2, 3.5]]), (6, 5), sigma=1.0)
    points, heights = positions_of(heatmaps)
    np.testing.assert_allclose(points, [[2.75, 3.25], [0.5, 3.5]])
    np.testing.assert_allclose(heights, [np.exp(-(0.2**2 + 0.3**2) / 2), np.exp(-(0.3**2) / 2)])


def test_the_published_network_has_the_channels_and_the_weights_of_hrnet_w32_and_trains() -> None:
    assert (PUBLISHED.size, PUBLISHED.sigma, PUBLISHED.recipe.weight) == ((256, 192), 2.0, 1e-4)
    network = PUBLISHED.make(17)
    assert sum(parameter.numel() for parameter in network.parameters()) == 28_536_113  # 28.5 million, as its paper says
    layers, channels = dict(network.named_modules()), []
    for name in network.taps:
        layers[name].register_forward_hook(lambda _, __, output: channels.append(output.shape[1]))
    outputs = network(torch.rand(1, 3, 64, 32))
    assert channels == [64, 64, 256, 32, 64, 32, 64, 128, 32]
    assert outputs.shape == (1, 17, 16, 8)
    outputs.square().mean().backward()
    missed = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    assert missed == []


def test_widths_must_fit_the_stages() -> None:
    with pytest.raises(ValueError, match="widths has 2 channels and n_modules 2 stages"):
        HighResolutionNetwork(3, widths=(8, 8), n_modules=(1, 1))


def test_a_tiny_network_learns_to_tell_left_from_right_by_colour(task: Pose) -> None:
    torch.manual_seed(0)
    gentle = Pose(task.people, replace(TINY, size=(48, 48), degrees=10.0, scale=0.1))
    network = gentle.network()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    before = gentle.measure(network, CPU)["pck"]
    for epoch in range(20):
        for _, crops, targets in gentle.batches(gentle.item_ids, is_training=True, seed=epoch):
            optimizer.zero_grad()
            gentle.losses(network(crops), targets).mean().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    assert before < 0.4
    assert gentle.measure(network, CPU)["pck"] > 0.8


@pytest.mark.parametrize(
    ("path", "n_joints"),
    [
        pytest.param(LSP, 14, marks=pytest.mark.skipif(not LSP.exists(), reason=f"{LSP.name} is not there")),
        pytest.param(COCO, 17, marks=pytest.mark.skipif(not COCO.exists(), reason=f"{COCO.name} is not there")),
        (None, 5),
    ],
)
def test_a_run_labels_trains_measures_and_chooses(
    path: Path | None, n_joints: int, small_zip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    words = ["--data", str(path or small_zip), "--folder", str(folder), "--epochs", "1"]
    words += ["--n-start", "4", "--n-per-cycle", "2", "--n-pool", "9", "--n-test", "3"]
    main(make_task, "pose", "people.zip", words)
    printed = capsys.readouterr().out
    assert "9 images to choose from, 3 to test on" in printed
    with (folder / "results.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["n_labeled"] for row in rows] == ["4", "6"]
    for row in rows:
        assert 0 <= float(row["pck"]) <= 1
        assert 0 <= float(row["ap"]) <= float(row["ap50"]) <= 1
    task = Pose(People(path or small_zip), SMALL, n_pool=9, n_test=3)
    assert len(task.people.joint_names) == n_joints
    agent = ActiveLearningAgent(PlatformLocal(folder))
    assert len(agent.history) == 3
    assert set(agent.history[1].selection.item_ids) <= set(agent.labeled_set)
    assert set(agent.labeled_set) | set(agent.query_set) <= set(task.item_ids)
    with (folder / "priorities_cycle_1.csv").open(encoding="utf-8") as file:
        assert agent.added_set[0] in file.read()


@pytest.mark.parametrize("name", ["people", "pose", "pose_metrics", "high_resolution_network"])
def test_the_examples_are_right(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.failed == 0
    assert found.attempted > 0


def test_an_answer_is_told_in_words(task: Pose) -> None:
    name = "1.png#0"
    person = task.people.by_id[name]
    x, y = person.joints[0]
    assert task.label(name).startswith(f"nose {x:g} {y:g}, left_shoulder ")
    assert task.label("0.png#0").startswith("left_shoulder ")  # its nose is not labeled
