"""What a model sees, drawn on thumbnails: colours are looked up pixel by pixel."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageChops, ImageOps

from al_agent.report.round.drawing import colour_of, draw_marks, names_in
from al_agent.report.round.facts import Box, Marks
from al_agent.report.round.gathering.marks import marks_of
from scorers import DetectionPredictions

PHOTOS = Path(__file__).resolve().parents[4].parent / "shared" / "data" / "det_cartucho_map85.zip"
WIDTH, HEIGHT = 240, 180
GREY = (150, 150, 150)
EVERYTHING = Marks(
    boxes=(Box("cat", 0.9, (0.1, 0.1, 0.9, 0.9)), Box("dog", 0.5, (0, 0, 1, 1))),
    points=np.array([[[0.5, 0.5], [np.nan, np.nan], [2.0, -1.0]]]),
    mask=np.array([[0, 1], [2, -1]]),
    mask_names=("sky", "road", "car"),
)


def drawn(marks: Marks, *, order: tuple[str, ...] = (), size: tuple[int, int] = (WIDTH, HEIGHT)) -> npt.NDArray[np.uint8]:
    return np.asarray(draw_marks(Image.new("RGB", size, GREY), marks, order=order))


def n_pixels(picture: npt.NDArray[np.uint8], colour: tuple[int, int, int]) -> int:
    return int((picture == colour).all(axis=2).sum())


def n_of_letters(picture: npt.NDArray[np.uint8]) -> int:
    """Pixels of white letters on blue, which are brighter than both the blue and the grey around."""
    return int((picture.min(axis=2) > 180).sum())


def boxes(*labels: str) -> Marks:
    """Boxes side by side."""
    n = len(labels)
    return Marks(boxes=tuple(Box(label, 0.5, (k / n, 0.3, (k + 0.8) / n, 0.9)) for k, label in enumerate(labels)))


def test_a_box_is_drawn_where_it_is_and_inside_it_the_picture_stays() -> None:
    picture = drawn(Marks(boxes=(Box("cat", 0.9, (0.25, 0.5, 0.75, 1.0)),)), order=("cat",))
    blue = colour_of(0)
    left, right, top = round(0.25 * (WIDTH - 1)), round(0.75 * (WIDTH - 1)), round(0.5 * (HEIGHT - 1))
    assert (picture[top:, left] == blue).all() and (picture[top:, right] == blue).all()
    assert (picture[top, left : right + 1] == blue).all() and (picture[-1, left : right + 1] == blue).all()
    assert (picture[top + 3 : -3, left + 3 : right - 2] == GREY).all()
    assert (picture[:, : left - 1] == GREY).all()


def test_the_tag_is_above_the_box_and_filled_with_its_colour() -> None:
    picture = drawn(Marks(boxes=(Box("cat", 0.9, (0.25, 0.5, 0.75, 1.0)),)), order=("cat",))
    above = picture[: round(0.5 * (HEIGHT - 1))]
    rows, columns = np.nonzero((above != GREY).any(axis=2))
    assert rows.min() > 60 and columns.min() == 60
    assert n_pixels(above, colour_of(0)) > 0.5 * (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    assert n_of_letters(above) > 10


@pytest.mark.parametrize("corners", [(0, 0, 1, 1), (0.95, 0, 1, 0.1), (0.9, 0.95, 1, 1), (0, 0.97, 1, 1), (-3, -2, 5, 0.5)])
def test_the_tag_stays_inside_the_image_wherever_the_box_is(corners: tuple[float, float, float, float]) -> None:
    name = "a class whose name goes on and on and on and on and on"
    with_tag = drawn(Marks(boxes=(Box(name, 0.9, corners),)), order=(name,))
    alone = drawn(Marks(boxes=(Box("x", 0.9, corners),)), order=("x",))
    assert n_pixels(with_tag, colour_of(0)) > n_pixels(alone, colour_of(0)) + 500  # a long tag, and all of it to be seen


def test_a_tag_that_would_hide_that_of_a_surer_box_goes_elsewhere() -> None:
    upper, lower = Box("upper", 0.9, (0.2, 0.3, 0.6, 0.9)), Box("lower", 0.8, (0.25, 0.3, 0.65, 0.9))
    both = drawn(Marks(boxes=(upper, lower)), order=("upper", "lower"))
    alone = drawn(Marks(boxes=(upper,)), order=("upper",))
    above = slice(0, round(0.3 * (HEIGHT - 1)))
    np.testing.assert_array_equal(both[above], alone[above])
    assert n_pixels(both[above.stop + 3 : -30], colour_of(1)) > 700


def test_many_boxes_are_thin_and_without_tags() -> None:
    few, many = drawn(boxes(*"abcdefghijkl")), drawn(boxes(*"abcdefghijklm"))
    top = round(0.3 * (HEIGHT - 1))
    assert (few[:top] != GREY).any()
    assert (many[:top] == GREY).all()
    assert (few[top + 1, :6] != GREY).any(axis=1).sum() > (many[top + 1, :6] != GREY).any(axis=1).sum() == 1


def test_only_the_surest_hundred_boxes_are_drawn() -> None:
    sure = [Box("a", 0.9, (0.1, 0.1, 0.2, 0.2))] * 100
    np.testing.assert_array_equal(
        drawn(Marks(boxes=(*sure, Box("z", 0.1, (0.4, 0.4, 0.9, 0.9))))), drawn(Marks(boxes=tuple(sure)))
    )


def test_a_class_has_one_colour_on_all_images() -> None:
    order = names_in([boxes("dog", "cat"), boxes("cat", "cow"), Marks()])
    assert order == ("cat", "cow", "dog")
    for shown in (boxes("dog"), boxes("cat", "dog"), boxes("cow", "dog", "cat")):
        assert n_pixels(drawn(shown, order=order), colour_of(2)) > 100
    alone, beside = drawn(boxes("dog", "dog")), drawn(boxes("cat", "dog"))  # without an order, by the name alone
    np.testing.assert_array_equal(alone[60:, WIDTH // 2 + 5 :], beside[60:, WIDTH // 2 + 5 :])


def test_thirty_colours_are_all_different() -> None:
    assert len({colour_of(place) for place in range(30)}) == 30
    assert colour_of(0) == (0, 114, 178)  # Okabe and Ito's blue


def test_keypoints_are_dots_with_a_dark_rim_of_one_colour_for_each_person() -> None:
    points = np.array([[[0.25, 0.5], [np.nan, np.nan]], [[0.75, 0.5], [0.75, np.nan]]])
    picture = drawn(Marks(points=points))
    centres = [picture[90, 60], picture[90, 179]]
    assert [tuple(centre.tolist()) for centre in centres] == [colour_of(0), colour_of(1)]
    assert (picture != GREY).any(axis=2).sum() < 120  # two dots, and none for those that are not predicted
    assert picture.min() < 60


def test_a_mask_lets_the_picture_shine_through_and_leaves_what_is_not_looked_at() -> None:
    picture = drawn(Marks(mask=np.array([[0, -1], [0, -1]])), size=(60, 60))
    assert (picture[:, 30:] == GREY).all()
    mixed = [round((a + b) / 2) for a, b in zip(GREY, colour_of(0))]
    assert np.abs(picture[:, :30].astype(int) - mixed).max() <= 1


def test_the_legend_of_a_mask_names_its_largest_classes_first() -> None:
    mask = np.zeros((10, 10), dtype=int)
    mask[:3] = 4
    picture = drawn(Marks(mask=mask, mask_names=("road", "b", "c", "d", "sky")))
    bottom = picture[-14:]
    road = np.nonzero((bottom == colour_of(0)).all(axis=2))[1]
    sky = np.nonzero((bottom == colour_of(4)).all(axis=2))[1]
    assert 0 == road.min() < road.max() < sky.min() < sky.max() < 100
    assert n_pixels(picture[:-20], colour_of(0)) == 0


@pytest.mark.parametrize(
    "name", ["חתול", "قطة", "猫", "café", "\ud83d", "", "a\nb\x00", "<script>alert(1)</script>", "x" * 10_000]
)
def test_any_name_is_written_or_stands_as_a_number(name: str) -> None:
    corners = (0.25, 0.5, 0.75, 1.0)
    above = drawn(Marks(boxes=(Box(name, 0.9, corners),)), order=(name,))[: HEIGHT // 2 - 1]
    rows, columns = np.nonzero((above == colour_of(0)).all(axis=2))
    assert 25 < np.ptp(columns) < 0.75 * WIDTH
    assert np.ptp(rows) < 20
    assert n_of_letters(above) > 10


@pytest.mark.parametrize(
    "corners",
    [(0.5, 0.5, 0.5, 0.5), (0.8, 0.8, 0.2, 0.2), (2.0, 2.0, 3.0, 3.0), (float("nan"), 0, 1, 1), (0, 0, float("inf"), 1)],
)
def test_boxes_that_are_none_do_no_harm(corners: tuple[float, float, float, float]) -> None:
    picture = drawn(Marks(boxes=(Box("odd", 0.9, corners), Box("cat", 0.8, (0.1, 0.1, 0.3, 0.9)))), order=("cat",))
    assert n_pixels(picture, colour_of(0)) > 300


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (2000, 2), (63, 63), (64, 64)])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "I;16", "F"])
def test_every_kind_of_image_gives_an_rgb_copy_of_its_size(mode: str, size: tuple[int, int]) -> None:
    image = Image.new(mode, size)
    before = image.tobytes()
    for marks in (Marks(), Marks(label="cat 0.90"), EVERYTHING):
        result = draw_marks(image, marks)
        assert (result.mode, result.size) == ("RGB", size)
    assert result is not image and image.tobytes() == before


@pytest.mark.parametrize(
    "marks",
    [Marks(), Marks(mask=np.zeros((0, 3), int)), Marks(mask=np.full((3, 3), -1)), Marks(points=np.zeros((0, 17, 2)))],
)
def test_nothing_to_see_leaves_the_picture_as_it_is(marks: Marks) -> None:
    assert (drawn(marks) == GREY).all()


@pytest.mark.skipif(not PHOTOS.is_file(), reason="no det_cartucho_map85.zip beside the repository")
def test_the_output_of_a_real_detector_is_drawn_on_its_photos() -> None:
    with zipfile.ZipFile(PHOTOS) as archive:
        results, about = (json.loads(archive.read(name)) for name in ("detections.json", "annotations.json"))
        predictions = DetectionPredictions.from_coco_results(results, images=about)
        marks = marks_of(predictions, predictions.item_ids[:20])
        order = names_in(marks.values())
        for item_id, of_item in marks.items():
            with Image.open(io.BytesIO(archive.read(f"images/{Path(item_id).name}"))) as photo:
                small = ImageOps.contain(photo.convert("RGB"), (WIDTH, WIDTH))
            changed = ImageChops.difference(small, draw_marks(small, of_item, order=order)).getbbox()
            assert (changed is not None) == bool(of_item.boxes)
