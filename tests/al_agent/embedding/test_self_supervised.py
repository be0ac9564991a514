"""Self-supervised learning: it learns, goes on where it was stopped, and keeps nothing half."""

from __future__ import annotations

import csv
import itertools
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("torch")
pytest.importorskip("kornia")

import torch

from al_agent.embedding.embedder import Batch, Fit
from al_agent.embedding.methods.self_supervised import EmbedderSelfSupervised, Progress
from al_agent.embedding.methods.self_supervision.contrast import contrast
from al_agent.embedding.methods.self_supervision.views import Views
from al_agent.embedding.run import embed_images

OPTIONS: dict[str, Any] = {"size": (16, 16), "n_dimensions": 8, "batch_size": 16}


class Pixels:
    """Images in memory; the rows named cannot be read."""

    def __init__(self, pixels: npt.NDArray[np.uint8], unreadable: Sequence[int] = ()) -> None:
        self.pixels, self.unreadable = pixels, set(unreadable)
        self.item_ids = tuple(f"{row}.png" for row in range(len(pixels)))
        self.n_read = 0

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, rows: Sequence[int], size: tuple[int, int], fit: Fit) -> Batch:
        assert size == self.pixels.shape[1:3]
        kept = [row for row in rows if row not in self.unreadable]
        self.n_read += len(kept)
        return Batch(np.array(kept, dtype=np.int64), self.pixels[kept])


def noise(n: int = 48, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, size=(n, 16, 16, 3), dtype=np.uint8)


def learned(checkpoint: Path | None = None, images: Pixels | None = None, **options: Any) -> EmbedderSelfSupervised:
    embedder = EmbedderSelfSupervised(checkpoint, **{**OPTIONS, "epochs": 2, **options})
    embedder.fit(images or Pixels(noise()))
    return embedder


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Small steps are slower by more threads, above all where other work has the cores."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


class Trained(NamedTuple):
    """A training of two epochs by the usual options, which tests share, and its file, which they copy."""

    embedder: EmbedderSelfSupervised
    checkpoint: Path

    def copy_to(self, folder: Path) -> Path:
        return Path(shutil.copy(self.checkpoint, folder))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    checkpoint = tmp_path_factory.mktemp("trained") / "n.pt"
    return Trained(learned(checkpoint), checkpoint)


def scenes(n: int, seed: int) -> npt.NDArray[np.uint8]:
    """Smooth images of random colours, 24 pixels each way."""
    coarse = torch.from_numpy(np.random.default_rng(seed).uniform(0, 255, size=(n, 3, 4, 4)))
    smooth = torch.nn.functional.interpolate(coarse, size=(24, 24), mode="bicubic").clamp(0, 255)
    return smooth.byte().permute(0, 2, 3, 1).numpy()


def share_found(shown: npt.NDArray[Any], again: npt.NDArray[Any]) -> float:
    """Share of the rows of `again` whose nearest among `shown` has the same place."""
    shown, again = (rows.reshape(len(rows), -1).astype(np.float64) for rows in (shown, again))
    distances = (shown**2).sum(1) - 2 * again @ shown.T
    return float((distances.argmin(1) == np.arange(len(again))).mean())


def test_views_of_one_image_become_near_and_pixels_are_far() -> None:
    views = Views(smallest_crop=0.6, colour=0.2, grey=0)
    images = Pixels(scenes(256, seed=0)[:, 4:20, 4:20])
    options: dict[str, Any] = {"images": images, "views": views, "batch_size": 64, "n_dimensions": 16}
    embedder = learned(epochs=6, learning_rate=5e-3, **options)
    assert embedder.history[-1].loss < embedder.history[0].loss - 0.8
    assert embedder.history[-1].consistency > embedder.history[0].consistency + 0.15
    idle = learned(epochs=2, learning_rate=1e-9, **options)
    assert idle.history[-1].loss == pytest.approx(idle.history[0].loss, abs=0.3)

    others = scenes(100, seed=1)
    shown = others[:, 4:20, 4:20]
    again = (others[:, 2:18, 7:23, :] * 0.8 + 20).astype(np.uint8)[:, :, ::-1]  # moved, paler, mirrored
    assert share_found(shown, again) < 0.2
    assert share_found(embedder.embed(shown), embedder.embed(again)) > 0.5


def test_the_same_seed_gives_the_same_vectors_and_leaves_the_random_numbers_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first = learned().embed(noise())
    assert torch.rand(1) == expected
    np.testing.assert_array_equal(learned().embed(noise()), first)
    assert np.abs(learned(seed=1).embed(noise()) - first).max() > 0.1


def test_vectors_are_uncorrelated_of_variance_one_and_each_of_its_image_alone(trained: Trained) -> None:
    embedder = trained.embedder
    vectors = embedder.embed(noise())
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.cov(vectors.T), np.eye(8), atol=1e-3)
    np.testing.assert_allclose(vectors.mean(0), np.zeros(8), atol=1e-3)
    read_only = noise()
    read_only.flags.writeable = False
    np.testing.assert_allclose(embedder.embed(read_only[5:6]), vectors[5:6], atol=1e-3)
    np.testing.assert_allclose(embedder.embed(noise()[5:6, :, ::-1]), vectors[5:6], atol=1e-3)  # its mirror image


class Stop(Exception):
    """Ctrl-C."""


def test_a_stopped_training_goes_on_to_the_very_same_vectors(tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.epoch == 3 and progress.step == 2:
            raise Stop

    with pytest.raises(Stop):
        learned(tmp_path / "stopped.pt", epochs=4, progress=stop)
    went_on = learned(tmp_path / "stopped.pt", epochs=4)
    whole = learned(tmp_path / "whole.pt", epochs=4)
    np.testing.assert_array_equal(went_on.embed(noise()), whole.embed(noise()))
    assert [epoch.loss for epoch in went_on.history] == [epoch.loss for epoch in whole.history]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "stopped.learning_curve.csv",
        "stopped.pt",
        "whole.learning_curve.csv",
        "whole.pt",
    ]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 here")
def test_a_killed_training_goes_on_to_the_very_same_vectors(tmp_path: Path) -> None:
    checkpoint = tmp_path / "killed.pt"
    script = """
        import sys
        from pathlib import Path
        sys.path.insert(0, sys.argv[1])
        from test_self_supervised import learned, torch
        torch.set_num_threads(1)
        learned(Path(sys.argv[2]), epochs=6, progress=lambda progress: print(progress.epoch, flush=True))
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(Path(__file__).parent), str(checkpoint)]
    root = str(Path(__file__).resolve().parents[3])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": root}) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == "4":
                process.send_signal(signal.SIGKILL)
                break
        process.wait()
    assert process.returncode == -signal.SIGKILL
    seen: list[int] = []
    went_on = learned(checkpoint, epochs=6, progress=lambda progress: seen.append(progress.epoch))
    assert seen[0] in (4, 5, 6)
    np.testing.assert_allclose(went_on.embed(noise()), learned(epochs=6).embed(noise()), atol=1e-3)


def test_files_with_the_same_name_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_text("mine")
    learned(tmp_path / "n.pt", epochs=1)
    assert (tmp_path / "n.csv").read_text() == "mine"


def test_a_folder_of_images_is_learned_from_and_embedded(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    for row, pixels in enumerate(noise(20)):
        image.fromarray(pixels).save(tmp_path / f"{row:02d}.png")
    (tmp_path / "broken.png").write_bytes(b"")
    run = embed_images(tmp_path, EmbedderSelfSupervised(epochs=1, **OPTIONS))
    assert run.embeddings.item_ids == tuple(f"{row:02d}.png" for row in range(20))
    assert list(run.failed) == ["broken.png"]
    np.testing.assert_allclose(
        run.embeddings.vectors, learned(images=Pixels(noise(20)), epochs=1).embed(noise(20)), atol=1e-3
    )


def test_a_finished_training_is_not_repeated_and_its_images_are_not_read_again(trained: Trained, tmp_path: Path) -> None:
    checkpoint, images = trained.copy_to(tmp_path), Pixels(noise())
    again = learned(checkpoint, images)
    assert images.n_read == 0
    np.testing.assert_array_equal(again.embed(noise()), trained.embedder.embed(noise()))
    longer = learned(checkpoint, images, epochs=3)
    assert [epoch.epoch for epoch in longer.history] == [1, 2, 3]
    assert images.n_read == 48


def test_other_images_are_embedded_by_a_trained_network(tmp_path: Path) -> None:
    first = learned(tmp_path / "n.pt", fit_to_size="pad")
    trained = EmbedderSelfSupervised.trained(tmp_path / "n.pt")
    others = Pixels(noise(20, seed=4))
    trained.fit(others)
    assert others.n_read == 0
    assert (trained.size, trained.fit_to_size, trained.description) == ((16, 16), "pad", first.description)
    np.testing.assert_array_equal(trained.embed(others.pixels), first.embed(others.pixels))


def test_the_learning_curve_lies_beside_the_checkpoint(tmp_path: Path) -> None:
    embedder = learned(tmp_path / "n.pt", epochs=3)
    with (tmp_path / "n.learning_curve.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    for row, epoch in zip(rows, embedder.history):
        assert float(row["loss"]) == pytest.approx(epoch.loss, rel=1e-5)
        assert 0 <= float(row["consistency"]) <= 1
        assert float(row["seconds"]) > 0


def test_progress_tells_the_rate_that_rises_and_falls_and_the_time_left() -> None:
    told: list[Progress] = []
    learned(epochs=12, progress=told.append)
    assert [(progress.epoch, progress.step) for progress in told] == list(itertools.product(range(1, 13), range(1, 4)))
    shares = [progress.share_done for progress in told]
    assert shares == pytest.approx(np.arange(1, 37) / 36)
    rates = [progress.learning_rate for progress in told]
    top = int(np.argmax(rates))
    assert 0 < top < 5
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[top] == pytest.approx(2e-3, rel=0.01)
    assert rates[-1] < 2e-5
    assert told[-1].seconds_left == 0
    assert told[0].seconds_left > 0


def test_minutes_end_in_the_middle_of_an_epoch_and_count_over_interrupts(tmp_path: Path) -> None:
    def run(minutes: float) -> EmbedderSelfSupervised:
        embedder = EmbedderSelfSupervised(tmp_path / "n.pt", minutes=minutes, **OPTIONS)
        seconds = itertools.count()
        embedder.clock = lambda: next(seconds)  # a second for each step
        embedder.fit(Pixels(noise()))
        return embedder

    assert [epoch.seconds for epoch in run(8 / 60).history] == [3, 3, 2]
    assert [epoch.seconds for epoch in run(8 / 60).history] == [3, 3, 2]
    assert [epoch.seconds for epoch in run(12 / 60).history] == [3, 3, 2, 3, 1]


def test_a_checkpoint_of_other_options_or_images_is_an_error_that_names_them(trained: Trained, tmp_path: Path) -> None:
    checkpoint = trained.copy_to(tmp_path)
    with pytest.raises(ValueError, match=r"with temperature 0\.2, not 0\.5; give another file"):
        learned(checkpoint, temperature=0.5)
    with pytest.raises(ValueError, match=r"on other images; .* EmbedderSelfSupervised\.trained"):
        learned(checkpoint, Pixels(noise(47)))


def test_damaged_or_foreign_checkpoints_are_errors_and_nothing_is_unpickled(trained: Trained, tmp_path: Path) -> None:
    content = trained.checkpoint.read_bytes()
    (tmp_path / "half.pt").write_bytes(content[: len(content) // 2])
    torch.save({"format": "other"}, tmp_path / "other.pt")
    torch.save(torch.nn.Linear(1, 1), tmp_path / "model.pt")
    state = torch.load(trained.checkpoint, weights_only=True)
    torch.save({**state, "recipe": "{}"}, tmp_path / "recipe.pt")
    torch.save({**state, "network": {}}, tmp_path / "network.pt")
    for name in ("half", "other", "model", "recipe", "network"):
        with pytest.raises(ValueError, match=f"{name}.pt' is no checkpoint of self-supervised learning"):
            EmbedderSelfSupervised.trained(tmp_path / f"{name}.pt")
    with pytest.raises(FileNotFoundError):
        EmbedderSelfSupervised.trained(tmp_path / "none.pt")


def test_a_loss_that_is_no_number_is_an_error_and_the_last_good_epoch_stays(trained: Trained, tmp_path: Path) -> None:
    state = torch.load(trained.checkpoint, weights_only=True)
    state["recipe"] = state["recipe"].replace("0.002", "1e+30")
    torch.save(state, tmp_path / "n.pt")
    before = (tmp_path / "n.pt").read_bytes()
    with pytest.raises(ValueError, match=r"the loss of epoch 3 is (nan|inf); use a learning_rate below .* 2 epochs before"):
        learned(tmp_path / "n.pt", learning_rate=1e30, epochs=4)
    assert (tmp_path / "n.pt").read_bytes() == before
    with pytest.raises(ValueError, match="the loss of epoch 1 is nan"):
        learned(tmp_path / "new.pt", learning_rate=1e30, epochs=4)
    assert not (tmp_path / "new.pt").exists()


@pytest.mark.parametrize(("n_images", "unreadable"), [(1, ()), (15, ()), (20, range(5))])
def test_fewer_images_than_a_batch_are_an_error(n_images: int, unreadable: Sequence[int]) -> None:
    n_read = n_images - len(unreadable)
    with pytest.raises(ValueError, match=f"^{n_read} images can be read, fewer than the batch_size of 16"):
        learned(images=Pixels(noise(n_images), unreadable))


@pytest.mark.parametrize(("n_images", "batch_size", "n_dimensions"), [(40, 32, 32), (32, 32, 16), (8, 8, 4)])
def test_few_images_are_one_error_with_values_that_work(n_images: int, batch_size: int, n_dimensions: int) -> None:
    images = Pixels(noise(n_images))
    with pytest.raises(ValueError, match="fewer than the batch_size of 256 and too few for n_dimensions of 128") as raised:
        learned(images=images, batch_size=256, n_dimensions=128)
    assert f"batch_size={batch_size}, n_dimensions={n_dimensions} (--batch-size, --dimensions)" in str(raised.value)
    embedder = learned(images=images, batch_size=batch_size, n_dimensions=n_dimensions)
    assert embedder.embed(images.pixels).shape == (n_images, n_dimensions)


def test_images_that_cannot_be_read_change_nothing_for_the_others() -> None:
    pixels = noise(50)
    with_gaps = learned(images=Pixels(pixels, (0, 7)))
    without = learned(images=Pixels(np.delete(pixels, (0, 7), axis=0)))
    np.testing.assert_array_equal(with_gaps.embed(pixels), without.embed(pixels))


def test_of_too_many_images_some_are_learned_from() -> None:
    images = Pixels(noise(48))
    learned(images=images, max_images=20)
    assert images.n_read == 20


def test_more_dimensions_than_there_can_be_are_an_error_before_the_training() -> None:
    with pytest.raises(ValueError, match=r"^20 images can be read, too few for n_dimensions of 30; .*, n_dimensions=16 "):
        learned(images=Pixels(noise(20)), n_dimensions=30)
    with pytest.raises(ValueError, match="n_dimensions is 1000; the backbone 'small' has 336 at most"):
        learned(n_dimensions=1000)


def test_the_large_backbone_learns_too() -> None:
    embedder = learned(backbone="resnet18", epochs=1)
    assert embedder.embed(noise()[:3]).shape == (3, 8)
    assert "resnet18" in embedder.description


def test_the_description_tells_trainings_apart(trained: Trained) -> None:
    assert "untrained" in EmbedderSelfSupervised(epochs=1).description
    assert learned().description == trained.embedder.description
    assert len({trained.embedder.description, learned(seed=1).description, learned(epochs=1).description}) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either epochs= or minutes="),
        ({"epochs": 1, "minutes": 1}, "either epochs= or minutes="),
        ({"epochs": 0}, "epochs is 0"),
        ({"minutes": float("nan")}, "minutes is nan"),
        ({"minutes": -1}, "minutes is -1"),
        ({"epochs": 1, "size": 32}, "size is 32"),
        ({"epochs": 1, "size": (8, 32)}, "at least 16 pixels"),
        ({"epochs": 1, "batch_size": 4}, "batch_size is 4"),
        ({"epochs": 1, "temperature": 0}, "temperature is 0"),
        ({"epochs": 1, "learning_rate": float("inf")}, "learning_rate is inf"),
        ({"epochs": 1, "n_dimensions": 0}, "n_dimensions is 0"),
        ({"epochs": 1, "seed": -1}, "seed is -1"),
        ({"epochs": 1, "backbone": "vit"}, "'small', 'resnet18'"),
        ({"epochs": 1, "fit_to_size": "squash"}, "fit_to_size is 'squash'"),
        ({"epochs": 1, "device": "cuda:99"}, "device is 'cuda:99', and torch says"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EmbedderSelfSupervised(**options)


def test_embedding_before_learning_or_into_no_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="call fit first"):
        EmbedderSelfSupervised(epochs=1).embed(noise())
    with pytest.raises(FileNotFoundError, match="no folder"):
        learned(tmp_path / "none" / "n.pt")


def test_an_unfinished_training_embeds_nothing(tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.epoch == 2:
            raise Stop

    with pytest.raises(Stop):
        learned(tmp_path / "n.pt", progress=stop)
    with pytest.raises(ValueError, match="is not finished; go on with it first"):
        EmbedderSelfSupervised.trained(tmp_path / "n.pt")


def test_without_kornia_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kornia", None)
    with pytest.raises(ImportError, match=r"al-agent\[self-supervised\]"):
        learned()


def test_the_loss_is_that_of_the_formula() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 5, 3))
    rows = np.concatenate([first, second])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    losses, nearest = [], []
    for row in range(10):
        likeness = {other: float(rows[row] @ rows[other]) / 0.3 for other in range(10) if other != row}
        losses.append(-np.log(np.exp(likeness[(row + 5) % 10]) / sum(np.exp(list(likeness.values())))))
        nearest.append(max(likeness, key=lambda other: likeness[other]) == (row + 5) % 10)
    loss, share = contrast(torch.from_numpy(first), torch.from_numpy(second), 0.3)
    assert float(loss) == pytest.approx(np.mean(losses), rel=1e-5)
    assert float(share) == pytest.approx(np.mean(nearest))


def test_views_vary_only_in_what_is_switched_on() -> None:
    torch.manual_seed(0)
    dark_to_bright = torch.linspace(0.2, 0.8, 16).expand(40, 3, 16, 16) * torch.tensor([1.0, 0.5, 0.25])[:, None, None]
    plain = Views(flip=False, colour=0, grey=0).augmentation((8, 8))(dark_to_bright)
    assert (plain[..., -1] > plain[..., 0]).all()
    torch.testing.assert_close(plain[:, 1] * 2, plain[:, 0])
    assert plain[:, 0].std(0).min() > 0.01  # crops differ
    flipped = Views(colour=0, grey=0).augmentation((8, 8))(dark_to_bright)
    assert 8 < int((flipped[:, 0, 0, -1] < flipped[:, 0, 0, 0]).sum()) < 32
    grey = Views(flip=False, colour=0, grey=1).augmentation((8, 8))(dark_to_bright)
    torch.testing.assert_close(grey[:, 0], grey[:, 2])
    coloured = Views(flip=False, grey=0).augmentation((8, 8))(dark_to_bright)
    assert ((coloured[:, 1] * 2 - coloured[:, 0]).abs().amax((1, 2)) > 0.01).sum() > 20


@pytest.mark.parametrize("options", [{"smallest_crop": 0}, {"colour": 1.5}, {"grey": float("nan")}])
def test_bad_views_are_named(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(options))} is"):
        Views(**options)  # type: ignore[arg-type]
