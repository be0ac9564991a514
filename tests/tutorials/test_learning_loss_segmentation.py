"""The segmentation tutorial of learning loss: frames, windows, losses, figures, networks, and a run of cycles."""

from __future__ import annotations

import argparse
import csv
import io
import math
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from camvid import CLASSES, VOID, Frames, evenly_spaced, window
from cycles import main
from dilated_residual_network import DRN_D_22, LEVELS, DilatedResidualNetwork, Shape
from PIL import Image
from segmentation import PUBLISHED, SMALL, Segmentation, confusion, make_task, mean_iou
from training import train

from al_agent import ScorerSemanticSegmentation, SegmentationPredictions
from scorers.learning_loss import LearningLoss

CAMVID = Path(__file__).resolve().parents[3] / "shared" / "data" / "seg_camvid_240x180.zip"
SIZE = (24, 32)
LEVEL = 20  # the grey of a pixel is this many times its class

Labels = npt.NDArray[np.uint8]


def labels_of(number: int) -> Labels:
    """Four rectangles of classes that are others from frame to frame, no two frames mirror images, and a void corner."""
    rows, columns = np.indices(SIZE)
    labels = (number + 2 * (rows >= 8 + number % 5) + (columns >= 10)) % len(CLASSES)
    labels[:4, -6:] = VOID
    return labels.astype(np.uint8)


def png(pixels: Labels, *, is_palette: bool = False) -> bytes:
    content, image = io.BytesIO(), Image.fromarray(pixels)
    if is_palette:
        image.putpalette([value for index in range(256) for value in (255 - index, index, 7)])
    image.save(content, "PNG")
    return content.getvalue()


def write_zip(
    path: Path, n_train: int = 10, n_test: int = 4, *, is_repository: bool = False, odd: dict[int, Labels] | None = None
) -> Path:
    """Frames whose grey tells the class of each pixel; `odd` are labels to put in the place of right ones."""
    lines = ["name,split,sequence,frame"]
    splits = ["train"] * n_train + ["val"] + ["test"] * n_test
    with zipfile.ZipFile(path, "w") as archive:
        for number, split in enumerate(splits):
            name, labels = f"frame_{number:02d}", labels_of(number)
            image = png(np.repeat(LEVEL * labels[:, :, None], 3, axis=2))
            answer = png((odd or {}).get(number, labels), is_palette=True)
            lines.append(f"{name},{split},one,{number}")
            if is_repository:
                archive.writestr(f"Tutorial-master/CamVid/{split}/{name}.png", image)
                archive.writestr(f"Tutorial-master/CamVid/{split}annot/{name}.png", answer)
            else:
                archive.writestr(f"images/{name}.jpg", image)  # by name alone: JPEG would change the greys
                archive.writestr(f"labels/{name}.png", answer)
        if not is_repository:
            archive.writestr("frames.csv", "\n".join(lines))
    return path


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Segmentation:
    path = write_zip(tmp_path_factory.mktemp("frames") / "camvid.zip")
    return Segmentation(Frames(path), replace(SMALL, window_size=(12, 16)))


@pytest.fixture
def outputs() -> torch.Tensor:
    return (3 * torch.randn(3, len(CLASSES), 4, 5, generator=torch.Generator().manual_seed(0))).log_softmax(1)


@pytest.fixture
def targets() -> torch.Tensor:
    """Of the first frame two pixels are void, of the last all."""
    labels = torch.randint(len(CLASSES), (3, 4, 5), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    labels[0, 1, 2:4] = VOID
    labels[2] = VOID
    return labels


def test_palette_images_give_classes_and_not_colours(task: Segmentation) -> None:
    for number in (0, 7, 11):
        assert np.array_equal(task.frames.labels(f"frame_{number:02d}.jpg").numpy(), labels_of(number))
        assert np.array_equal(task.frames.image(f"frame_{number:02d}.jpg")[1].numpy(), LEVEL * labels_of(number))


def test_the_pool_is_the_training_split_and_validation_frames_are_not_used(task: Segmentation) -> None:
    assert task.item_ids == tuple(f"frame_{number:02d}.jpg" for number in range(10))
    assert task.test_item_ids == tuple(f"frame_{number:02d}.jpg" for number in range(11, 15))


def test_the_zip_of_the_repository_gives_the_same_frames_at_the_wanted_size(tmp_path: Path) -> None:
    frames = Frames(write_zip(tmp_path / "repository.zip", is_repository=True), size=(12, 16))
    assert frames.pool == tuple(f"frame_{number:02d}.png" for number in range(10))
    assert frames.test == tuple(f"frame_{number:02d}.png" for number in range(11, 15))
    labels = frames.labels("frame_03.png").numpy()
    assert np.array_equal(labels, labels_of(3)[1::2, 1::2])
    assert frames.image("frame_03.png").shape == (3, 12, 16)


@pytest.mark.parametrize("is_repository", [False, True])
def test_the_pool_may_have_the_validation_split_too(tmp_path: Path, is_repository: bool) -> None:
    path = write_zip(tmp_path / "camvid.zip", is_repository=is_repository)
    frames = Frames(path, pool_splits=("train", "val"))
    ending = "png" if is_repository else "jpg"
    assert sorted(frames.pool) == [f"frame_{number:02d}.{ending}" for number in range(11)]
    assert frames.test == tuple(f"frame_{number:02d}.{ending}" for number in range(11, 15))


def test_fewer_frames_are_spread_over_the_video(tmp_path: Path) -> None:
    frames = Frames(write_zip(tmp_path / "camvid.zip"), n_pool=4, n_test=99)
    assert frames.pool == ("frame_00.jpg", "frame_03.jpg", "frame_06.jpg", "frame_09.jpg")
    assert len(frames.test) == 4
    assert evenly_spaced([], 3) == []


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.full(SIZE, VOID + 1, dtype=np.uint8), "'frame_02.jpg' has the label 12; expected 0 to 11"),
        (np.zeros((24, 31), dtype=np.uint8), r"'frame_02.jpg' has \(32, 24\) pixels and its labels have \(31, 24\)"),
    ],
)
def test_labels_that_do_not_fit_are_refused_by_name(tmp_path: Path, labels: Labels, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Frames(write_zip(tmp_path / "camvid.zip", odd={2: labels}))


def test_a_zip_without_frames_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    with pytest.raises(ValueError, match="has 0 frames to train on and 0 to test on"):
        Frames(tmp_path / "empty.zip")


def test_labels_follow_the_pixels_into_mirrored_and_scaled_windows(task: Segmentation) -> None:
    image, labels = task.frames.image("frame_03.jpg"), task.frames.labels("frame_03.jpg")
    rng = np.random.default_rng(0)
    sides, n_void, mirrored_alike = set(), set(), []
    for _ in range(40):
        pixels, classes = window(image, labels, rng, size=(48, 64), smallest=0.4)
        assert (pixels.shape, classes.shape) == ((3, 48, 64), (48, 64))
        seen = (pixels[0] / LEVEL).round()
        assert (seen == classes).float().mean() > 0.9  # all but the lines between classes, where pixels are mixed
        mirrored_alike.append(float((seen == classes.flip(1)).float().mean()))
        n_void.add(int((classes == VOID).sum()))
        sides.add(int((classes[:, 0] == VOID).any()) - int((classes[:, -1] == VOID).any()))
    assert np.mean(mirrored_alike) < 0.7
    assert sides == {-1, 0, 1}  # the void corner is seen on the right, not at all, and on the left
    assert len(n_void) > 15


def test_a_window_of_the_whole_frame_is_the_frame_or_its_mirror_image(task: Segmentation) -> None:
    image, labels = task.frames.image("frame_03.jpg"), task.frames.labels("frame_03.jpg")
    rng = np.random.default_rng(0)
    n_mirrored = 0
    for _ in range(40):
        pixels, classes = window(image, labels, rng, size=SIZE, smallest=1.0)
        is_mirrored = torch.equal(classes, labels.flip(1))
        assert is_mirrored or torch.equal(classes, labels)
        assert torch.equal(pixels, image.flip(2) if is_mirrored else image)
        n_mirrored += is_mirrored
    assert 10 < n_mirrored < 30


def test_outside_of_training_frames_come_whole_and_in_order_whatever_the_seed(task: Segmentation) -> None:
    wanted = [task.item_ids[place] for place in (7, 2, 5)]
    ((names, inputs, labels),) = task.batches(wanted, is_training=False, seed=1)
    ((_, again, _),) = task.batches(wanted, is_training=False, seed=2)
    assert names == wanted
    assert torch.equal(inputs, again)
    assert torch.equal(labels, torch.from_numpy(np.stack([labels_of(number) for number in (7, 2, 5)])))
    assert torch.allclose(inputs[:, 0], LEVEL * labels.float() / 255 * 4 - 2, atol=1e-6)


def test_training_batches_are_given_by_the_seed_and_hold_every_frame_once(task: Segmentation) -> None:
    first, same, other = (list(task.batches(task.item_ids, is_training=True, seed=seed)) for seed in (3, 3, 4))
    assert [len(names) for names, _, _ in first] == [5, 5]  # of at most 8: no frame is left alone
    assert sorted(name for names, _, _ in first for name in names) == list(task.item_ids)
    for (names, inputs, labels), (names_again, inputs_again, labels_again) in zip(first, same):
        assert names == names_again
        assert torch.equal(inputs, inputs_again)
        assert torch.equal(labels, labels_again)
    assert [names for names, _, _ in first] != [names for names, _, _ in other]
    assert not any(torch.equal(one[1], two[1]) for one, two in zip(first, other))
    assert first[0][1].shape == (5, 3, 12, 16)


def test_the_loss_of_a_frame_is_the_mean_cross_entropy_of_its_pixels_that_are_not_void(
    task: Segmentation, outputs: torch.Tensor, targets: torch.Tensor
) -> None:
    expected = []
    for frame in range(3):
        pixels = [
            -math.log(math.exp(outputs[frame, int(label), row, column]))
            for row in range(4)
            for column in range(5)
            if (label := targets[frame, row, column]) != VOID
        ]
        expected.append(sum(pixels) / len(pixels) if pixels else 0.0)
    losses = task.losses(outputs, targets)
    assert losses.shape == (3,)
    assert losses.tolist() == pytest.approx(expected, rel=1e-5)
    assert expected[0] > 0
    assert losses[2] == 0
    assert task.losses(outputs[:1], targets[:1]).item() == pytest.approx(expected[0], rel=1e-5)


def test_void_pixels_and_all_void_frames_give_no_gradient(
    task: Segmentation, outputs: torch.Tensor, targets: torch.Tensor
) -> None:
    outputs.requires_grad_()
    (gradient,) = torch.autograd.grad(task.losses(outputs, targets).sum(), outputs)
    is_moved = (gradient != 0).any(dim=1)
    assert torch.equal(is_moved, targets != VOID)


def test_uncertainties_are_the_entropies_of_the_scorer(task: Segmentation, outputs: torch.Tensor) -> None:
    maps = outputs.double().exp().permute(0, 2, 3, 1).numpy()
    scorer = ScorerSemanticSegmentation(SegmentationPredictions(["a", "b", "c"], list(maps)))
    expected = scorer.scores().column("uncertainty_entropy")
    assert task.uncertainties(outputs).numpy() == pytest.approx(expected, abs=1e-6)
    assert len(set(expected.round(4))) == 3


def test_figures_come_from_all_pixels_of_the_test_set_and_not_from_means_of_batches(task: Segmentation) -> None:
    class Shades(torch.nn.Module):
        """Takes every class for itself but two that it takes for their predecessors."""

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            classes = ((inputs[:, 0] + 2) * 255 / 4 / LEVEL).round().long().clamp(max=len(CLASSES) - 1)
            guess = classes - ((classes == 3) | (classes == 5)).long()
            return torch.nn.functional.one_hot(guess, len(CLASSES)).permute(0, 3, 1, 2).float()

    network = Shades().train()
    task = Segmentation(task.frames, replace(task.design, recipe=replace(task.recipe, batch_size=3)))
    figures = task.measure(network, torch.device("cpu"))
    assert network.training
    true = np.concatenate([labels_of(number).ravel() for number in range(11, 15)])
    true = true[true != VOID]
    guess = np.where((true == 3) | (true == 5), true - 1, true)
    ious = [((true == one) & (guess == one)).sum() / ((true == one) | (guess == one)).sum() for one in {*true, *guess}]
    assert len(ious) < len(CLASSES)  # so classes that do not occur are left out
    assert figures["mean_iou"] == pytest.approx(np.mean(ious))
    assert figures["pixel_accuracy"] == pytest.approx((true == guess).mean())
    assert 0.1 < figures["mean_iou"] < figures["pixel_accuracy"] < 1


def test_a_class_that_is_only_predicted_counts_as_zero_and_one_that_never_occurs_not_at_all() -> None:
    labels, predicted = torch.tensor([0, 0, 0, 0, 4]), torch.tensor([0, 0, 0, 1, 2])
    counts = confusion(predicted, labels, 3)
    assert counts.tolist() == [[3, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert mean_iou(counts) == pytest.approx((3 / 4 + 0) / 2)


def test_the_answer_names_the_classes_by_their_share(task: Segmentation) -> None:
    labels = labels_of(0)
    counts = {name: int((labels == place).sum()) for place, name in enumerate(CLASSES)}
    n_pixels = sum(counts.values())
    answer = dict(part.rsplit(" ", 1) for part in task.label("frame_00.jpg").split(", "))
    assert answer == {name: f"{count / n_pixels:.1%}" for name, count in counts.items() if count}
    assert list(answer.values()) == sorted(answer.values(), key=lambda word: -float(word[:-1]))


def test_a_frame_that_is_all_void_is_answered_in_words(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "camvid.zip", odd={2: np.full(SIZE, VOID, dtype=np.uint8)})
    assert Segmentation(Frames(path), SMALL).label("frame_02.jpg") == "void"


def test_small_and_published_networks_are_no_coarser_than_eight_pixels(task: Segmentation) -> None:
    inputs = torch.zeros(1, 3, 64, 80)
    for design, stride in ((SMALL, 4), (PUBLISHED, 8)):
        network = DilatedResidualNetwork(len(CLASSES), design.shape).eval()
        maps, sizes = inputs, []
        for level in LEVELS:
            maps = network.get_submodule(level)(maps)
            sizes.append(tuple(maps.shape[1:]))
        assert network(inputs).shape == (1, len(CLASSES), 64, 80)
        assert [size[0] for size in sizes] == list(design.shape.channels)
        assert sizes[-1][1:] == (64 // stride, 80 // stride)
        assert set(design.layers) <= {name for name, _ in network.named_modules()}


def test_one_pixel_is_seen_far_around_by_dilations_of_two_and_four() -> None:
    network = DilatedResidualNetwork(2, Shape((4,) * 8, blocks=(1,) * 4, strides=(1, 1, 1, 1), kernel=3)).eval()
    dilations = [
        {one.dilation[0] for one in network.get_submodule(level).modules() if isinstance(one, torch.nn.Conv2d)} - {1}
        for level in LEVELS
    ]
    assert dilations == [set(), set(), set(), set(), {2}, {4}, {2}, set()]
    inputs = torch.rand(1, 3, 61, 61, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(inputs)[0, 0, 30, 30], inputs)
    seen = gradient.abs().sum(dim=(0, 1)).nonzero()
    # 2 of level 1, 1 of level 2, 2 of each plain block, 4 and 8 of the dilated blocks, 2 and 1 of the last two levels.
    reach = 2 + 1 + 2 + 2 + 4 + 8 + 2 + 1
    assert (int(seen.min()), int(seen.max())) == (30 - reach, 30 + reach)


def test_the_published_network_and_recipe_train_a_loss_prediction_too(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "camvid.zip", n_train=2, n_test=1)
    task = make_task(argparse.Namespace(data=path, published=True, n_pool=None, n_test=None))
    assert task.design is PUBLISHED
    torch.manual_seed(0)
    network = task.network()
    assert sum(one.numel() for one in network.parameters()) == 15_886_395
    assert DRN_D_22.channels == (16, 32, 64, 128, 256, 512, 512, 512)
    recipe = task.recipe
    ((_, inputs, labels),) = task.batches(task.item_ids, is_training=True)
    assert inputs.shape == (2, 3, *SIZE)
    learning_loss = LearningLoss(network, task.layers, width=recipe.width, grid=recipe.grid, example=inputs)
    assert len(learning_loss.layers) == 10
    losses = task.losses(network(inputs), labels)
    total = losses.mean() + recipe.weight * learning_loss.loss(losses)
    gradients = torch.autograd.grad(total, [*network.parameters(), *learning_loss.parameters()])
    assert all(bool(one.isfinite().all()) for one in gradients)
    assert float(gradients[0].abs().sum()) > 0


def test_shapes_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected 8 channels, 4 blocks and 4 strides, got \(7, 4, 4\)"):
        Shape((4,) * 7, blocks=(1,) * 4, strides=(1,) * 4, kernel=3)


def run(words: list[str], capsys: pytest.CaptureFixture[str], make: Callable[..., Segmentation] = make_task) -> str:
    main(make, "segmentation", "camvid.zip", words)
    return capsys.readouterr().out


@pytest.mark.parametrize("method", ["learning-loss", "entropy"])
def test_cycles_train_choose_and_write_priorities(tmp_path: Path, capsys: pytest.CaptureFixture[str], method: str) -> None:
    data, folder = write_zip(tmp_path / "camvid.zip"), tmp_path / "run"
    words = ["--data", str(data), "--folder", str(folder), "--method", method, "--n-start", "4", "--n-per-cycle", "2"]
    run([*words, "--cycles", "1", "--epochs", "2"], capsys)
    with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(float(row["n_labeled"])) for row in rows] == [4, 6]
    assert all(0 <= float(row["mean_iou"]) <= float(row["pixel_accuracy"]) <= 1 for row in rows)
    chosen: list[str] = []
    for cycle in (0, 1):
        with (folder / f"priorities_cycle_{cycle}.csv").open(encoding="utf-8", newline="") as file:
            chosen += [row["name"] for row in csv.DictReader(file)]
    assert len(set(chosen)) == len(chosen) == 2 + 2
    assert set(chosen) < {f"frame_{number:02d}.jpg" for number in range(10)}


@pytest.mark.skipif(not CAMVID.exists(), reason=f"{CAMVID.name} is not there")
def test_camvid_has_the_splits_and_classes_it_is_said_to_have() -> None:
    frames = Frames(CAMVID, size=(180, 240), n_pool=30, n_test=20)
    assert (frames.pool[0], frames.test[-1]) == ("0001TP_006690.jpg", "Seq05VD_f05100.jpg")
    labels = torch.stack([frames.labels(name) for name in (*frames.pool, *frames.test)])
    shares = (torch.bincount(labels.flatten(), minlength=VOID + 1) / labels.numel()).tolist()
    assert shares[CLASSES.index("road")] == pytest.approx(0.29, abs=0.03)
    assert shares[CLASSES.index("sky")] == pytest.approx(0.16, abs=0.03)
    assert min(shares) > 0
    assert shares[VOID] < 0.06


@pytest.mark.skipif(not CAMVID.exists(), reason=f"{CAMVID.name} is not there")
def test_sixteen_frames_of_camvid_teach_more_than_that_streets_are_grey() -> None:
    task = make_task(argparse.Namespace(data=CAMVID, published=False, n_pool=16, n_test=8))
    torch.manual_seed(0)
    network = task.network()
    recipe = replace(task.recipe, epochs=16, drop_from_epoch=12)
    train(task, recipe, network, None, task.item_ids, device=torch.device("cpu"), seed=0)
    figures = task.measure(network, torch.device("cpu"))
    assert figures["pixel_accuracy"] > 0.45  # all road: 0.3
    assert figures["mean_iou"] > 0.13  # all road: 0.03
