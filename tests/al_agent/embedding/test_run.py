"""A run embeds every image that can be read, lists the others, and goes on where an earlier one was killed."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from al_agent.embedding.embedder import Batch, Embedder, Fit, Images, Pixels
from al_agent.embedding.images import ImageFiles, read_rgb
from al_agent.embedding.run import EmbeddingRun, embed_images
from scorers.files import load_arrays


class MeanColour(Embedder):
    """Mean red, green and blue, plus what it is told to add."""

    size = (12, 16)
    batch_size = 4

    def __init__(self, plus: float = 0.0) -> None:
        self.plus = plus
        self.n_embedded = 0
        self.batches: list[int] = []
        self.lock = threading.Lock()

    def embed(self, pixels: Pixels) -> npt.NDArray[np.floating[Any]]:
        with self.lock:
            self.n_embedded += len(pixels)
            self.batches.append(len(pixels))
        return np.asarray(pixels.mean(axis=(1, 2)) + self.plus, dtype=np.float32)

    @property
    def description(self) -> str:
        return "mean colour"


class MeanColourInThreads(MeanColour):
    embeds_in_threads = True


class LearnedMean(MeanColour):
    """Less the mean of the images that it learned from."""

    def fit(self, images: Images) -> None:
        batch = images.read(range(len(images)), self.size, "pad")
        self.plus = -float(batch.pixels.mean())
        self.learned_from = batch


N_PROBES = 1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """22 images of random sizes and colours."""
    images = tmp_path / "images"
    images.mkdir()
    rng = np.random.default_rng(0)
    for number in range(22):
        values = rng.integers(0, 256, size=(*rng.integers(1, 80, size=2), 3), dtype=np.uint8)
        Image.fromarray(values).save(images / f"{number:02d}.png")
    return images


def one_by_one(folder: Path) -> npt.NDArray[np.float32]:
    paths = sorted(folder.iterdir())
    return np.array([read_rgb(path, MeanColour.size).mean(axis=(0, 1)) for path in paths], dtype=np.float32)


@pytest.mark.parametrize("kind", [MeanColour, MeanColourInThreads])
@pytest.mark.parametrize("n_workers", [1, 2, 7, None])
def test_vectors_are_the_same_for_any_number_of_workers(folder: Path, kind: type[MeanColour], n_workers: int | None) -> None:
    run = embed_images(folder, kind(), n_workers=n_workers)
    assert run.embeddings.item_ids == tuple(f"{number:02d}.png" for number in range(22))
    np.testing.assert_allclose(run.embeddings.vectors, one_by_one(folder), rtol=1e-6)
    assert run.embeddings.digest == embed_images(folder, MeanColour(), n_workers=1).embeddings.digest
    assert run.embeddings.vectors.dtype == np.float32
    assert (dict(run.failed), run.n_resumed) == ({}, 0)


@pytest.mark.parametrize("kind", [MeanColour, MeanColourInThreads])
def test_bad_files_are_listed_in_order_and_stop_nothing(folder: Path, kind: type[MeanColour]) -> None:
    expected = one_by_one(folder)
    for number in (0, 5, 8, 9, 10, 11, 21):  # one batch has none left
        (folder / f"{number:02d}.png").write_bytes(b"")
    (folder / "05.png").write_bytes(b"no image")
    told: list[int] = []
    run = embed_images(folder, kind(), n_workers=3, progress=told.append)
    good = [number for number in range(22) if number not in (0, 5, 8, 9, 10, 11, 21)]
    assert run.embeddings.item_ids == tuple(f"{number:02d}.png" for number in good)
    np.testing.assert_allclose(run.embeddings.vectors, expected[good], rtol=1e-6)
    assert list(run.failed) == [f"{number:02d}.png" for number in (0, 5, 8, 9, 10, 11, 21)]
    assert run.failed["00.png"] == "is empty, 0 bytes long"
    assert run.failed["05.png"] == "is no image that Pillow can read"
    assert sum(told) == 22
    assert "15 items" in repr(run)
    assert "7 failed" in repr(run)
    assert pickle.loads(pickle.dumps(run)).failed == run.failed


def test_where_nothing_can_be_read_the_first_reason_is_told(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"none of the 2 images could be read; the first: 'a\.png' is empty, 0 bytes long"):
        embed_images(tmp_path, MeanColour())


@settings(derandomize=True, database=None, deadline=None, max_examples=40)
@given(
    is_bad=st.lists(st.booleans(), min_size=1, max_size=20),
    batch_size=st.integers(1, 9),
    n_workers=st.integers(1, 5),
    in_threads=st.booleans(),
)
def test_every_item_is_either_embedded_as_alone_or_listed(
    is_bad: list[bool], batch_size: int, n_workers: int, in_threads: bool
) -> None:
    """Images in memory: image i is of colour i, and the bad ones cannot be read."""
    embedder = MeanColourInThreads() if in_threads else MeanColour()
    embedder.batch_size = batch_size
    images = InMemory(is_bad)
    if all(is_bad):
        with pytest.raises(ValueError, match="could be read"):
            embed_images(images, embedder, n_workers=n_workers)
        return
    run = embed_images(images, embedder, n_workers=n_workers)
    good = [row for row, bad in enumerate(is_bad) if not bad]
    assert run.embeddings.item_ids == tuple(f"i{row}" for row in good)
    assert run.embeddings.vectors.tolist() == [[row, row, row] for row in good]
    assert run.failed == {f"i{row}": "is bad" for row, bad in enumerate(is_bad) if bad}
    assert embedder.n_embedded == len(good) + N_PROBES
    assert max(embedder.batches) <= batch_size


class InMemory:
    """Images that count how many are read."""

    def __init__(self, is_bad: Sequence[bool]) -> None:
        self.item_ids = tuple(f"i{row}" for row in range(len(is_bad)))
        self.is_bad = is_bad
        self.n_read = 0
        self.lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.item_ids)

    def read(self, rows: Sequence[int], size: tuple[int, int], fit: Fit) -> Batch:
        good = [row for row in rows if not self.is_bad[row]]
        with self.lock:
            self.n_read += len(rows)
        pixels = np.array(good, dtype=np.uint8)[:, None, None, None] * np.ones((1, *size, 3), dtype=np.uint8)
        return Batch(np.array(good, dtype=np.int64), pixels, {row: "is bad" for row in rows if self.is_bad[row]})


def test_only_so_many_images_wait_in_memory() -> None:
    class Slow(MeanColour):
        size = (1000, 1000)  # 3 MB each: 256 MiB hold 89
        most_ahead = 0

        def embed(self, pixels: Pixels) -> npt.NDArray[np.floating[Any]]:
            time.sleep(0.02)
            self.most_ahead = max(self.most_ahead, images.n_read - self.n_embedded)
            return super().embed(pixels[:, :1, :1])

    images = InMemory([False] * 200)
    embedder = Slow()
    embed_images(images, embedder, n_workers=2)
    assert 4 < embedder.most_ahead < 100


def test_an_embedder_learns_first_and_from_images_read_in_order_by_all_threads(folder: Path) -> None:
    (folder / "03.png").write_bytes(b"")
    embedder = LearnedMean()
    run = embed_images(folder, embedder, n_workers=3)
    alone = ImageFiles.from_folder(folder).read(range(22), embedder.size, "pad")
    assert embedder.learned_from.rows.tolist() == [row for row in range(22) if row != 3]
    assert (embedder.learned_from.pixels == alone.pixels).all()
    assert embedder.learned_from.failed == {3: "is empty, 0 bytes long"}
    expected = np.delete(one_by_one_but(folder, 3), 3, axis=0) - alone.pixels.mean()
    np.testing.assert_allclose(run.embeddings.vectors, expected, atol=1e-3)


def one_by_one_but(folder: Path, bad: int) -> npt.NDArray[np.float64]:
    paths = sorted(folder.iterdir())
    nothing = np.zeros(3)
    return np.array(
        [nothing if row == bad else read_rgb(path, MeanColour.size).mean(axis=(0, 1)) for row, path in enumerate(paths)]
    )


class Says(MeanColour):
    """Gives what it is told to for batches of more than one."""

    def __init__(self, given: Any) -> None:
        super().__init__()
        self.given = given

    def embed(self, pixels: Pixels) -> npt.NDArray[np.floating[Any]]:
        good = super().embed(pixels)
        return np.asarray(self.given(good)) if len(pixels) > 1 else good


def with_nan(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    vectors[2, 1] = np.nan
    return vectors


LYING: list[tuple[str, Any, str]] = [
    ("NaN", with_nan, r"the embedding of '02\.png' is \[.*nan.*\]; expected finite numbers"),
    ("another width", lambda good: good[:, :2], r"shape \(4, 2\) for the 4 images from '00\.png' on; expected \(4, 3\)"),
    ("fewer", lambda good: good[1:], r"shape \(3, 3\) for the 4 images from '00\.png' on; expected \(4, 3\)"),
    ("one dimension", lambda good: good[0], r"shape \(3,\) for the 4 images"),
]


@pytest.mark.parametrize(("lie", "message"), [row[1:] for row in LYING], ids=[row[0] for row in LYING])
def test_vectors_that_cannot_be_are_refused_by_item(folder: Path, lie: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        embed_images(folder, Says(lie))


def test_wrong_arguments_are_refused_before_anything_is_read(folder: Path) -> None:
    class Integers(MeanColour):
        def embed(self, pixels: Pixels) -> Any:
            return pixels[:, 0, 0]

    with pytest.raises(ValueError, match=r"array of uint8 of shape \(1, 3\) for one image; expected floats \(1, d\)"):
        embed_images(folder, Integers())
    with pytest.raises(ValueError, match="expected an Embedder"):
        embed_images(folder, MeanColour)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="n_workers is 0; expected 1 or more"):
        embed_images(folder, MeanColour(), n_workers=0)
    with pytest.raises(ValueError, match="resume needs ImageFiles"):
        embed_images(InMemory([False]), MeanColour(), resume=folder / "part")
    with pytest.raises(ValueError, match="there are no images to embed"):
        embed_images(InMemory([]), MeanColour())


def test_warnings_of_others_are_still_warnings_during_a_run(folder: Path) -> None:
    class Warns(MeanColour):
        def embed(self, pixels: Pixels) -> npt.NDArray[np.floating[Any]]:
            warnings.warn("from the embedder", stacklevel=1)
            return super().embed(pixels)

    filters = list(warnings.filters)
    with pytest.raises(UserWarning, match="from the embedder"):  # warnings are errors here
        embed_images(folder, Warns())
    assert list(warnings.filters) == filters


# --- interrupts --------------------------------------------------------------------------------------------------------


class Breaks(MeanColour):
    """Is interrupted after so many images."""

    def __init__(self, after: int, error: type[BaseException] = KeyboardInterrupt) -> None:
        super().__init__()
        self.after, self.error = after, error

    def embed(self, pixels: Pixels) -> npt.NDArray[np.floating[Any]]:
        if self.n_embedded >= self.after:
            raise self.error
        return super().embed(pixels)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_after_an_interrupt_the_same_call_makes_the_rest_and_the_same_vectors(
    folder: Path, tmp_path: Path, error: type[BaseException]
) -> None:
    part = tmp_path / "e.npz.part"
    (folder / "02.png").write_bytes(b"")
    whole = embed_images(folder, MeanColour())
    with pytest.raises(error):
        embed_images(folder, Breaks(8, error), resume=part)
    kept = [load_arrays(path, ("vectors",))["vectors"] for path in part.iterdir()]
    assert sum(map(len, kept)) == 7  # two batches of four, one of which has a bad file
    embedder = MeanColour()
    told: list[int] = []
    run = embed_images(folder, embedder, resume=part, progress=told.append)
    assert (run.n_resumed, embedder.n_embedded) == (7, 14 + N_PROBES)
    assert run.embeddings.digest == whole.embeddings.digest
    assert run.failed == whole.failed == {"02.png": "is empty, 0 bytes long"}
    assert sum(told) == 22
    run.save(tmp_path / "e.npz")
    assert (tmp_path / "e.npz").exists()
    assert not part.exists()


def finished_but_not_saved(folder: Path, part: Path, embedder: Embedder | None = None) -> EmbeddingRun:
    return embed_images(folder, embedder or MeanColour(), resume=part)


def test_only_what_changed_is_made_again(folder: Path, tmp_path: Path) -> None:
    part = tmp_path / "part"
    finished_but_not_saved(folder, part)
    Image.new("RGB", (5, 5), (9, 9, 9)).save(folder / "07.png")  # changed
    Image.new("RGB", (5, 5), (1, 2, 3)).save(folder / "00a.png")  # new, and all others move
    (folder / "20.png").unlink()
    embedder = MeanColour()
    run = embed_images(folder, embedder, resume=part)
    assert (run.n_resumed, embedder.n_embedded) == (20, 2 + N_PROBES)
    np.testing.assert_allclose(run.embeddings.vectors, one_by_one(folder), rtol=1e-6)
    assert run.embeddings.subset(["00a.png", "07.png"]).vectors.tolist() == [[1, 2, 3], [9, 9, 9]]


def test_another_embedder_takes_over_nothing(folder: Path, tmp_path: Path) -> None:
    class Larger(MeanColour):
        size = (24, 32)

    class Renamed(MeanColour):
        description = "another name"

    class Cut(MeanColour):
        fit_to_size = "crop"

    class Double(MeanColour):
        def embed(self, pixels: Pixels) -> npt.NDArray[np.floating[Any]]:
            return super().embed(pixels).astype(np.float64)

    part = tmp_path / "part"
    finished_but_not_saved(folder, part)
    others: list[Embedder] = [Larger(), Renamed(), Cut(), Double()]
    others += [MeanColour(plus=1.0)]  # calls itself the same, as a network that was trained again
    for other in others:
        run = finished_but_not_saved(folder, part, other)
        assert run.n_resumed == 0
        assert run.embeddings.digest == embed_images(folder, other).embeddings.digest
    assert finished_but_not_saved(folder, part).n_resumed == 22


def test_damaged_and_foreign_files_in_the_folder_are_passed_over(folder: Path, tmp_path: Path) -> None:
    part = tmp_path / "part"
    finished_but_not_saved(folder, part)
    written = next(part.iterdir())
    arrays = load_arrays(written, ("description", "probe", "fingerprints", "vectors"))
    lies: dict[str, Any] = {
        "vectors": np.full_like(arrays["vectors"], np.nan),
        "fingerprints": arrays["fingerprints"][:, :8],
        "probe": arrays["probe"][:2],
        "description": np.array([1.0, 2.0]),
    }
    for name, lie in lies.items():
        np.savez(part / f"part-{name}.npz", **{**arrays, name: lie})
    (part / "part-half.npz").write_bytes(written.read_bytes()[:100])
    (part / "part-empty.npz").touch()
    (part / ".part-x.npz.12345678.part").touch()  # what a kill leaves
    (part / "mine.txt").write_text("not yours", encoding="utf-8")
    written.unlink()
    run = finished_but_not_saved(folder, part)
    assert run.n_resumed == 0
    run.save(tmp_path / "e.npz")
    assert [path.name for path in part.iterdir()] == ["mine.txt"]


def test_a_save_that_fails_loses_nothing(folder: Path, tmp_path: Path) -> None:
    part = tmp_path / "part"
    run = finished_but_not_saved(folder, part)
    with pytest.raises(FileNotFoundError):
        run.save(tmp_path / "nowhere/e.npz")
    assert finished_but_not_saved(folder, part).n_resumed == 22


SLOWLY = """
import sys, time
import numpy as np
from al_agent.embedding.embedder import Embedder
from al_agent.embedding.run import embed_images

class Slow(Embedder):
    size, batch_size, description = (8, 8), 2, "slow"

    def embed(self, pixels):
        time.sleep(float(sys.argv[3]))
        return pixels.mean(axis=(1, 2))

run = embed_images(sys.argv[1], Slow(), resume=sys.argv[2], n_workers=2)
run.save(sys.argv[2] + ".npz")
print(run.n_resumed)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9")
def test_after_kill_nine_the_run_goes_on(folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "slowly.py"
    script.write_text(textwrap.dedent(SLOWLY), encoding="utf-8")
    root = str(Path(__file__).resolve().parents[3])
    environment = {**os.environ, "PYTHONPATH": root}

    def words(name: str, sleep_s: float) -> list[str]:
        return [sys.executable, str(script), str(folder), str(tmp_path / name), str(sleep_s)]

    with subprocess.Popen(words("killed", 0.4), env=environment) as process:
        deadline = time.monotonic() + 60
        while not list((tmp_path / "killed").glob("part-*.npz")):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    again = subprocess.run(words("killed", 0), env=environment, check=True, capture_output=True, text=True)
    assert 2 <= int(again.stdout) < 22
    subprocess.run(words("whole", 0), env=environment, check=True, capture_output=True)
    assert (tmp_path / "killed.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()
    assert not (tmp_path / "killed").exists()
