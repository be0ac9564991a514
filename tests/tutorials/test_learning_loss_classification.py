"""The classification tutorial of learning loss: its photos, their augmentation, its figures, and a run of cycles."""

from __future__ import annotations

import csv
import io
import json
import math
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from classification import PUBLISHED, Classification, ResNet, augmented, make_task
from cycles import main
from PIL import Image

from scorers.learning_loss import LearningLoss

CIFAR = Path(__file__).resolve().parents[3] / "shared" / "data" / "cifar10_20k.zip"
CLASSES = ["ant", "bee", "cow"]
N_POOL, N_TEST = 1000, 40


def photo(row: int) -> npt.NDArray[np.uint8]:
    """A photo that is another in every row: a corner, a border, and a colour that tells the class."""
    made = np.full((32, 32, 3), 20, dtype=np.uint8)
    made[:, :, row % 3] = 200
    made[:5, :3] = row % 251
    made[9, 20:30] = row // 4
    return made


def sheet() -> bytes:
    tiles = np.stack([photo(row) for row in range(1000)]).reshape(25, 40, 32, 32, 3)
    file = io.BytesIO()
    Image.fromarray(tiles.swapaxes(1, 2).reshape(800, 1280, 3)).save(file, "webp", lossless=True, exact=True, method=0)
    return file.getvalue()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip file of the tutorial's form, with a thousand photos to choose from and forty to test on."""
    path = tmp_path_factory.mktemp("data") / "photos.zip"
    labels = io.BytesIO()
    np.savez(
        labels,
        y_train=(np.arange(N_POOL) % 3).astype(np.uint8),
        y_test=(np.arange(N_TEST) % 3).astype(np.uint8),
        names_train=np.array([f"pool_{row}.png".encode() for row in range(N_POOL)]),
        names_test=np.array([f"test_{row}.png".encode() for row in range(N_TEST)]),
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("labels.npz", labels.getvalue())
        archive.writestr("meta.json", json.dumps({"classes": CLASSES}))
        for name in ("train_00.webp", "test_00.webp"):
            archive.writestr(name, sheet())
    return path


@pytest.fixture(scope="module")
def task(data: Path) -> Classification:
    return Classification(data)


def pixels(inputs: torch.Tensor) -> npt.NDArray[np.uint8]:
    """Inputs of the network as the photos that they were made of, `(b, 32, 32, 3)`."""
    mean, deviation = np.array([0.4914, 0.4822, 0.4465]), np.array([0.2470, 0.2435, 0.2616])
    shown = (inputs.permute(0, 2, 3, 1).numpy() * deviation + mean) * 255
    return np.asarray(np.round(shown), dtype=np.uint8)


def test_names_photos_and_classes_belong_together(task: Classification) -> None:
    assert (len(task.item_ids), len(task.test_item_ids)) == (N_POOL, N_TEST)
    wanted = ["pool_999.png", "test_7.png", "pool_0.png"]
    ((ids, inputs, targets),) = task.batches(wanted, is_training=False)
    assert ids == wanted
    assert targets.tolist() == [0, 1, 0]
    np.testing.assert_array_equal(pixels(inputs), [photo(999), photo(7), photo(0)])
    assert [task.label(item_id) for item_id in wanted] == ["ant", "bee", "ant"]


def test_fewer_photos_are_the_first_ones(data: Path) -> None:
    few = Classification(data, n_pool=5, n_test=2)
    assert few.item_ids == tuple(f"pool_{row}.png" for row in range(5))
    assert few.test_item_ids == ("test_0.png", "test_1.png")
    ((_, inputs, _),) = few.batches(few.test_item_ids, is_training=False)
    np.testing.assert_array_equal(pixels(inputs), [photo(0), photo(1)])


def test_photos_in_folders_of_classes_are_mixed_and_read_as_those_in_sheets(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "folders.zip", "w") as archive:
        for row in range(60):
            file = io.BytesIO()
            Image.fromarray(photo(row)).save(file, "png")
            split = "test" if row >= 50 else "train"
            archive.writestr(f"CIFAR-10-dataset-a828d74/{split}/{CLASSES[row % 3]}/{row}.png", file.getvalue())
        archive.writestr("CIFAR-10-dataset-a828d74/README.md", "about")
    made = Classification(tmp_path / "folders.zip")
    assert sorted(map(int, map(str.removesuffix, made.item_ids, [".png"] * 50))) == list(range(50))
    assert set(made.test_item_ids) == {f"{row}.png" for row in range(50, 60)}
    wanted = ["7.png", "55.png", "0.png"]
    ((_, inputs, targets),) = made.batches(wanted, is_training=False)
    assert targets.tolist() == [1, 1, 0]
    np.testing.assert_array_equal(pixels(inputs), [photo(7), photo(55), photo(0)])
    few = Classification(tmp_path / "folders.zip", n_pool=12)
    assert few.item_ids == made.item_ids[:12]
    assert {few.label(item_id) for item_id in few.item_ids} == set(CLASSES)


def test_a_zip_file_without_photos_and_one_with_a_doubled_name_are_refused(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(photo(0)).save(file, "png")
    for names, said in (
        (["train/ant/0.png"], r"has no test/CLASS/NAME\.png and no labels\.npz with sheets; give the zip of CIFAR-10"),
        (["train/ant/0.png", "test/bee/0.png"], "has two photos of one name; every photo needs its own"),
    ):
        with zipfile.ZipFile(tmp_path / "odd.zip", "w") as archive:
            for name in names:
                archive.writestr(name, file.getvalue())
        with pytest.raises(ValueError, match=said):
            Classification(tmp_path / "odd.zip")


def test_for_training_photos_are_shuffled_moved_and_mirrored_by_the_seed_with_their_classes(task: Classification) -> None:
    def epoch(seed: int) -> tuple[list[str], torch.Tensor, torch.Tensor]:
        ids, inputs, targets = zip(*task.batches(task.item_ids[:70], is_training=True, seed=seed))
        assert [len(part) for part in ids] == [32, 32, 6]
        return [item_id for part in ids for item_id in part], torch.cat(inputs), torch.cat(targets)

    ids, inputs, targets = epoch(3)
    again, other = epoch(3), epoch(4)
    assert ids == again[0]
    assert torch.equal(inputs, again[1])
    assert ids != other[0]
    assert sorted(ids) == sorted(task.item_ids[:70])
    rows = [int(item_id[5:-4]) for item_id in ids]
    assert targets.tolist() == [row % 3 for row in rows]
    places = [crops(photo(row)).index(made.tobytes()) for row, made in zip(rows, pixels(inputs))]
    assert len(set(places)) > 50
    assert 20 < sum(place % 2 for place in places) < 50


def crops(image: npt.NDArray[np.uint8]) -> list[bytes]:
    """All that may become of a photo: 9 x 9 places over a black border, each as it is and mirrored."""
    padded = np.zeros((40, 40, 3), dtype=np.uint8)
    padded[4:36, 4:36] = image
    moves = [padded[top : top + 32, left : left + 32] for top in range(9) for left in range(9)]
    return [made.tobytes() for move in moves for made in (move, move[:, ::-1])]


def test_every_move_and_mirroring_is_as_likely_as_any_other() -> None:
    photos = torch.from_numpy(np.stack([photo(1)] * 6000))
    made = augmented(photos, torch.Generator().manual_seed(0)).numpy()
    known = crops(photo(1))
    counts = np.bincount([known.index(one.tobytes()) for one in made], minlength=162)
    expected = 6000 / 162
    assert ((counts - expected) ** 2 / expected).sum() < 161 + 4 * math.sqrt(2 * 161)  # chi-square, 4 deviations


def test_losses_and_uncertainties_are_those_of_each_photo_by_itself(task: Classification) -> None:
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.0, 0.0, 0.0], [-30.0, 40.0, 1.0]])
    losses, uncertainties = [], []
    for row, answer in zip(logits.tolist(), (0, 2, 0)):
        p = [math.exp(one) / sum(map(math.exp, row)) for one in row]
        losses.append(-math.log(p[answer]))
        uncertainties.append(-sum(one * math.log(one) for one in p))
    assert task.losses(logits, torch.tensor([0, 2, 0])).tolist() == pytest.approx(losses, rel=1e-5)
    assert task.uncertainties(logits).tolist() == pytest.approx(uncertainties, abs=1e-6)
    assert task.uncertainties(torch.tensor([[0.0, -200.0]])).tolist() == [0.0]


def test_accuracy_is_the_share_of_test_photos_that_are_classified_rightly(task: Classification) -> None:
    class Careless(torch.nn.Module):
        """Reads the class off the colour, but takes the photos 0 to 9, whose corner is darkest, for cows."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            assert not self.training
            is_dark = x[:, 0, 1, 1] * 0.2470 + 0.4914 < 9.5 / 255
            return x.mean(dim=(2, 3)) + is_dark[:, None] * torch.tensor([0.0, 0.0, 100.0])

    network = Careless().train()
    n_wrong = sum(row % 3 != 2 for row in range(10))
    assert n_wrong == 7
    assert task.measure(network, torch.device("cpu")) == {"accuracy": (N_TEST - n_wrong) / N_TEST}
    assert network.training


@pytest.mark.parametrize("is_published", [False, True])
def test_each_network_learns_with_a_loss_prediction_on_its_four_stages(data: Path, is_published: bool) -> None:
    made = Classification(data, is_published=is_published, n_pool=4, n_test=1)
    network = made.network()
    learning_loss = LearningLoss(network, layers=list(made.layers), width=made.recipe.width, grid=made.recipe.grid)
    assert [tap.in_features for tap in learning_loss.taps] == ([64, 128, 256, 512] if is_published else [16, 32, 64, 128])
    (_, inputs, targets), *_ = made.batches(made.item_ids, is_training=True)
    losses = made.losses(network(inputs), targets)
    assert losses.shape == (4,)
    (losses.mean() + learning_loss.loss(losses)).backward()  # type: ignore[no-untyped-call]  # torch has no types here
    assert all(one.grad is not None and bool(one.grad.isfinite().all()) for one in network.parameters())


def test_the_published_network_is_resnet_18_of_32_pixels_with_the_published_recipe() -> None:
    assert sum(parameter.numel() for parameter in ResNet().parameters()) == 11_173_962  # as pytorch-cifar counts it
    recipe = PUBLISHED
    assert (recipe.n_start, recipe.n_per_cycle, recipe.candidate_factor) == (1000, 1000, 10)
    assert (recipe.epochs, recipe.batch_size, recipe.drop_from_epoch, recipe.detach_from_epoch) == (200, 128, 160, 120)
    assert (recipe.optimizer, recipe.learning_rate, recipe.weight_decay, recipe.weight) == ("sgd", 0.1, 5e-4, 1.0)


def test_a_run_learns_the_colours_and_asks_for_more(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    sizes = ["--n-pool", "120", "--n-test", "40", "--n-start", "40", "--n-per-cycle", "10", "--epochs", "3"]
    main(make_task, "", "", ["--data", str(data), "--folder", str(folder), *sizes])
    assert "120 images to choose from, 40 to test on" in capsys.readouterr().out
    rows = list(csv.DictReader((folder / "results.csv").read_text().splitlines()))
    assert [row["n_labeled"] for row in rows] == ["40", "50"]
    assert float(rows[1]["accuracy"]) > 0.6
    assert (folder / "priorities_cycle_1.csv").read_text().count("pool_") == 10


@pytest.mark.skipif(not CIFAR.exists(), reason=f"{CIFAR.name} is not there")
def test_the_sheets_of_cifar_are_cut_as_they_were_laid() -> None:
    task = Classification(CIFAR, n_pool=1500, n_test=50)
    assert task.classes[7] == "horse"
    assert task.item_ids[0] == "saddle_horse_s_001227.png"
    assert task.label(task.item_ids[0]) == "horse"
    (_, inputs, _), *_ = task.batches(task.item_ids[1001:], is_training=False)
    photos = pixels(inputs).astype(int)
    within = np.abs(np.diff(photos, axis=2)).mean()
    across = np.abs(photos[:-1, :, -1] - photos[1:, :, 0]).mean()
    assert within < across / 3  # neighbouring pixels of a photo are alike, those of two photos are not
