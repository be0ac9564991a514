"""Maps in a folder are streamed one by one, matched to items by file name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scorers import ScorerSemanticSegmentation, SegmentationPredictions, formats


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    (tmp_path / "night").mkdir()
    for name in ("b.npy", "a.npy", "night/c.npy"):
        np.save(tmp_path / name, rng.dirichlet(np.ones(4), (5, 7)).astype(np.float32))
    return tmp_path


def test_every_map_is_one_item_by_its_path_without_the_ending(maps: Path) -> None:
    assert [one.item_ids for one in formats.npy.segmentations(maps)] == [("a",), ("b",), ("night/c",)]


def test_scores_are_those_of_the_maps_in_memory(maps: Path) -> None:
    ids = ["night/c.jpg", "a.jpg", "b.jpg"]
    streamed = ScorerSemanticSegmentation(formats.npy.segmentations(maps, item_ids=ids)).scores()
    arrays = [np.load(maps / item_id.replace(".jpg", ".npy")) for item_id in ids]
    whole = ScorerSemanticSegmentation(SegmentationPredictions(ids, arrays)).scores()
    assert streamed.item_ids == tuple(ids)
    for name in whole.names:
        assert streamed.column(name).tolist() == whole.column(name).tolist()


def test_classes_first_is_said_and_not_guessed(tmp_path: Path) -> None:
    last, first = tmp_path / "last", tmp_path / "first"
    for folder in (last, first):
        folder.mkdir()
    maps = np.random.default_rng(0).dirichlet(np.ones(4), (5, 7))
    np.save(last / "a.npy", maps)
    np.save(first / "a.npy", np.moveaxis(maps, -1, 0))
    read = [formats.npy.segmentations(last), formats.npy.segmentations(first, class_axis=0)]
    one, other = (ScorerSemanticSegmentation(stream).scores().column().tolist() for stream in read)
    assert one == other
    with pytest.raises(ValueError, match="'a'"):
        ScorerSemanticSegmentation(formats.npy.segmentations(first)).scores()


def test_logits_are_said_to_be_logits(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 3, 4)))
    scores = ScorerSemanticSegmentation(formats.npy.segmentations(tmp_path, is_logits=True)).scores()
    assert scores.column("uncertainty_entropy").tolist() == [1.0]


def test_an_item_without_a_map_is_an_error_or_left_out(maps: Path) -> None:
    ids = ["a.png", "b.png", "c.png", "d.png"]
    with pytest.raises(ValueError, match=r"nothing of 1 items, the first is 'd.png'"):
        formats.npy.segmentations(maps, item_ids=ids)
    assert len(list(formats.npy.segmentations(maps, item_ids=ids, is_complete=False))) == 3


def test_what_is_no_map_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no folder"):
        formats.npy.segmentations(tmp_path / "none")
    with pytest.raises(ValueError, match=r"there is no .npy file"):
        formats.npy.segmentations(tmp_path)
    (tmp_path / "a.npy").write_bytes(b"not numpy")
    with pytest.raises(ValueError, match=r"a.npy' is not a .npy file"):
        list(formats.npy.segmentations(tmp_path))
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"a.npy' is not a .npy file"):
        list(formats.npy.segmentations(tmp_path))
    np.save(tmp_path / "a.npy", np.zeros((3, 4)))
    with pytest.raises(ValueError, match="'a'"):
        list(formats.npy.segmentations(tmp_path))
    np.save(tmp_path / "a.JPG.npy", np.zeros((3, 4, 2)))
    with pytest.raises(ValueError, match=r"are both of 'x/a.JPG'"):
        formats.npy.segmentations(tmp_path, item_ids=["x/a.JPG"])
