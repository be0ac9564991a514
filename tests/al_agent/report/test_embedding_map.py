"""Maps and sheets of near-duplicates hold what they are given, where it belongs."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor

from al_agent import Embeddings
from al_agent.embedding.neighbours.duplicates import DuplicateGroups, near_duplicates
from al_agent.report.embedding_map import draw_embedding_map
from al_agent.report.group_sheet import draw_group_sheet
from al_agent.report.thumbnails import clipped, clipped_left, read_thumbnail, thumbnail

RED, BLUE, GREEN = (220, 20, 20), (20, 20, 220), (20, 160, 20)
PICKED = ImageColor.getrgb("#D00000")


def colours_of(path: Path) -> dict[tuple[int, ...], tuple[float, float]]:
    """Each colour of a picture, and the middle of its pixels."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(np.int64) @ (1 << 16, 1 << 8, 1)
    rows, columns = np.nonzero(pixels != 0xFFFFFF)
    kinds, of_pixel, counts = np.unique(pixels[rows, columns], return_inverse=True, return_counts=True)
    x, y = (np.bincount(of_pixel, places) / counts for places in (columns, rows))
    return {
        (kind >> 16, kind >> 8 & 255, kind & 255): middle
        for kind, middle in zip(kinds.tolist(), zip(x.tolist(), y.tolist()))
    }


def paint(folder: Path, **colours: tuple[int, int, int]) -> dict[str, str]:
    """A file of one colour for each name."""
    images = {}
    for name, colour in colours.items():
        images[name] = str(folder / f"{name}.png")
        Image.new("RGB", (60, 40), colour).save(images[name])
    return images


def test_points_stand_where_they_are_with_one_scale_and_y_upwards(tmp_path: Path) -> None:
    positions = Embeddings(["a", "b", "c"], np.array([[0.0, 0.0], [4.0, 0.0], [2.0, 2.0]]))
    draw_embedding_map(tmp_path / "m.png", "t", positions, colours={"a": "x", "b": "y", "c": "z"}, legend="kind")
    with Image.open(tmp_path / "m.png") as picture:
        assert picture.size == (1600, 1200)
        plot = np.asarray(picture.convert("RGB"))[:, :1335]
    places = []
    for colour in ("#0072B2", "#E69F00", "#009E73"):  # of x, y and z, as many of each
        rows, columns = np.nonzero((plot == ImageColor.getrgb(colour)).all(axis=2))
        places.append((columns.mean(), rows.mean()))
    (ax, ay), (bx, by), (cx, cy) = places
    assert ay == pytest.approx(by, abs=1)
    assert cx == pytest.approx((ax + bx) / 2, abs=1)
    assert ay - cy == pytest.approx((bx - ax) / 2, abs=1)


def test_numbers_make_a_ramp_and_unknown_ones_are_grey(tmp_path: Path) -> None:
    positions = Embeddings(["a", "b", "c", "d"], np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0]]))
    draw_embedding_map(tmp_path / "m.png", "t", positions, colours={"a": -1.0, "b": 3.0, "c": float("nan")})
    found = colours_of(tmp_path / "m.png")
    for colour in ("#440154", "#FDE725", "#B0B0B0"):
        assert ImageColor.getrgb(colour) in found


def test_the_eleventh_category_is_grey_and_counted_with_the_others(tmp_path: Path) -> None:
    ids = [f"{number:02d}" for number in range(24)]
    positions = Embeddings(ids, np.random.default_rng(0).normal(size=(24, 2)))
    draw_embedding_map(tmp_path / "a.png", "t", positions, colours={i: f"class {int(i) // 2}" for i in ids})
    draw_embedding_map(tmp_path / "b.png", "t", positions, colours={i: f"class {int(i) // 3}" for i in ids})
    n_grey = []
    for name in ("a.png", "b.png"):
        with Image.open(tmp_path / name) as picture:
            n_grey.append(int((np.asarray(picture.convert("RGB")) == 0xB0).all(axis=2).sum()))
    assert n_grey[0] > 400  # 4 points and a disc in the legend
    assert n_grey[1] < 100  # edges of letters


def test_a_square_shows_its_picked_item_and_hides_no_other_square(tmp_path: Path) -> None:
    images = paint(tmp_path, red=RED, blue=BLUE, green=GREEN)
    positions = Embeddings(["red", "blue", "green"], np.array([[0.0, 0.0], [0.001, 0.0], [1.0, 0.0]]))
    draw_embedding_map(tmp_path / "a.png", "t", positions, images=images, picked=["red"])
    draw_embedding_map(tmp_path / "b.png", "t", positions, images=images, picked=["blue"])
    first, second = colours_of(tmp_path / "a.png"), colours_of(tmp_path / "b.png")
    assert RED in first and BLUE not in first and GREEN in first
    assert BLUE in second and RED not in second and GREEN in second
    assert first[GREEN][0] - first[RED][0] > 1000
    assert PICKED in first


@pytest.mark.parametrize("n", [4, 100, 400])
def test_thumbnails_at_the_ends_are_whole(tmp_path: Path, n: int) -> None:
    images = paint(tmp_path, red=RED, blue=BLUE, green=GREEN)
    corners = np.array([[0.0, 0.0], [1.0, 0.8], [1.0, 0.0], *[[0.0, 0.8]] * (n - 3)])
    positions = Embeddings([*images, *map(str, range(n - 3))], corners)
    draw_embedding_map(tmp_path / "m.png", "t", positions, images=images, picked=["red"])
    with Image.open(tmp_path / "m.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    n_pixels = {int((pixels == colour).all(axis=2).sum()) for colour in (BLUE, GREEN)}
    assert len(n_pixels) == 1
    side = 160 if n <= 50 else 104 if n <= 250 else 64
    assert n_pixels.pop() == pytest.approx(side * round(side * 2 / 3), rel=0.1)  # less the frame


def test_images_that_cannot_be_read_stay_points(tmp_path: Path) -> None:
    images = paint(tmp_path, red=RED)
    (tmp_path / "broken.png").write_bytes(b"no image")
    positions = Embeddings(["red", "broken", "missing"], np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]))
    draw_embedding_map(tmp_path / "m.png", "t", positions, images={**images, "broken": str(tmp_path / "broken.png")})
    found = colours_of(tmp_path / "m.png")
    assert RED in found
    assert ImageColor.getrgb("#0072B2")[:3] in found
    draw_embedding_map(tmp_path / "n.png", "t", positions, images={"red": str(tmp_path / "broken.png")})
    assert RED not in colours_of(tmp_path / "n.png")


@pytest.mark.parametrize(
    "vectors", [[[3.0, 4.0]], [[1.0, 1.0]] * 3, [[-1.7e308, 0.0], [1.7e308, 0.0]], [[0, 0], [1e-320, 0]]]
)
def test_any_positions_are_drawn_inside_the_picture(tmp_path: Path, vectors: list[list[float]]) -> None:
    positions = Embeddings([f"\n{row} 画像" for row in range(len(vectors))], np.array(vectors))
    draw_embedding_map(tmp_path / "m.png", "title\n" * 99, positions, picked=positions.item_ids[:1])
    x, y = colours_of(tmp_path / "m.png")[ImageColor.getrgb("#0072B2")[:3]]
    assert 40 < x < 1360
    assert 84 < y < 1160


def test_a_map_refuses_what_it_cannot_place_and_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "m.png").write_bytes(b"old")
    with pytest.raises(ValueError, match=r"positions has shape \(1, 3\); expected \(n, 2\)"):
        draw_embedding_map(tmp_path / "m.png", "t", Embeddings(["a"], [[1.0, 2.0, 3.0]]))
    with pytest.raises(ValueError, match="1 picked items have no position, the first is 'b'"):
        draw_embedding_map(tmp_path / "m.png", "t", Embeddings(["a"], [[1.0, 2.0]]), picked=["b"])
    assert (tmp_path / "m.png").read_bytes() == b"old"


def test_a_sheet_has_a_row_for_each_group_with_its_representative_first(tmp_path: Path) -> None:
    images = paint(tmp_path, a=RED, b=BLUE, c=GREEN, d=(200, 200, 20))
    groups = DuplicateGroups((("b", "a"), ("d", "c")), ((0.0, 0.5), (0.0, 0.7)), 1.0, "euclidean", 5)
    draw_group_sheet(tmp_path / "s.png", "title", groups, images)
    found = colours_of(tmp_path / "s.png")
    assert found[BLUE][0] < found[RED][0]
    assert found[BLUE][1] == found[RED][1]
    assert found[(200, 200, 20)][0] == found[BLUE][0]
    assert found[(200, 200, 20)][1] - found[BLUE][1] == pytest.approx(176, abs=1)
    assert found[GREEN][1] == found[(200, 200, 20)][1]


def test_a_sheet_is_bounded_and_takes_items_without_images(tmp_path: Path) -> None:
    rows = np.concatenate([np.zeros((30, 1)), *(np.full((2, 1), place) for place in range(1, 40))])
    groups = near_duplicates(Embeddings([f"{row:03d}" for row in range(len(rows))], rows))
    assert len(groups) == 40
    draw_group_sheet(tmp_path / "s.png", "title", groups, {}, n_groups=3, n_across=4)
    with Image.open(tmp_path / "s.png") as sheet:
        assert sheet.size == (120 + 4 * 140 - 12 + 32, 66 + 3 * 176 + 16)
    with pytest.raises(ValueError, match="nothing to draw"):
        draw_group_sheet(tmp_path / "t.png", "title", near_duplicates(Embeddings(["a"], [[1.0]])), {})


def test_thumbnails_keep_proportions_turn_upright_and_survive_anything(tmp_path: Path) -> None:
    image = Image.new("RGB", (300, 100), RED)
    exif = image.getexif()
    exif[0x0112] = 6  # turned by a quarter
    image.save(tmp_path / "turned.jpg", exif=exif)
    found = read_thumbnail(str(tmp_path / "turned.jpg"), 60)
    assert found is not None
    assert found.size == (20, 60)
    assert thumbnail(str(tmp_path / "turned.jpg"), 60).size == (60, 60)
    assert read_thumbnail(None, 60) is None
    assert thumbnail(str(tmp_path), 8).getpixel((4, 4)) == (0xE4, 0xE4, 0xE4)


def test_thumbnails_run_no_program_and_wait_for_no_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "gs"
    program.write_text(f"#!/bin/sh\ntouch '{tmp_path / 'was run'}'\n", encoding="ascii")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None)  # so that it is looked for again
    (tmp_path / "a.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n%%EOF\n")
    assert read_thumbnail(str(tmp_path / "a.jpg"), 60) is None
    assert not (tmp_path / "was run").exists()
    os.mkfifo(tmp_path / "b.jpg")
    assert read_thumbnail(str(tmp_path / "b.jpg"), 60) is None


def test_long_names_are_clipped_where_they_say_least() -> None:
    assert clipped("a\nlong name", 8) == "a lon..."
    assert clipped_left("folder/img.png", 10) == "...img.png"
    assert clipped_left("img.png", 10) == "img.png"
