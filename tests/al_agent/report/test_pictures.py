"""Pictures hold what they are given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from al_agent import Item, ItemState, Selection
from al_agent.report.contact_sheet import draw_contact_sheet
from al_agent.report.learning_curves import draw_learning_curves


def selection_of(ids: list[str]) -> Selection:
    return Selection(
        tuple(ids), np.arange(len(ids), 0, -1.0), ("score 0.9, 99th percentile; 3 from 'x'",) * len(ids), "CORAL"
    )


def test_thumbnails_stand_in_the_order_of_the_picks(tmp_path: Path) -> None:
    items = []
    for name, colour in {"red.png": (255, 0, 0), "blue.png": (0, 0, 255)}.items():
        Image.new("RGB", (300, 300), colour).save(tmp_path / name)
        items.append(Item(name, name, name, ItemState.UNLABELED, None, str(tmp_path / name)))
    draw_contact_sheet(tmp_path / "sheet.png", "title", selection_of(["red.png", "blue.png"]), items)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.getpixel((12 + 48, 44 + 48)) == (255, 0, 0)
        assert sheet.getpixel((12 + 300 + 48, 44 + 48)) == (0, 0, 255)


def test_images_that_cannot_be_opened_leave_an_empty_frame(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    media = [str(tmp_path / "broken.png"), str(tmp_path / "missing.png"), None]
    items = [Item(f"{n}\n", "", "", ItemState.UNLABELED, None, path) for n, path in enumerate(media)]
    draw_contact_sheet(tmp_path / "sheet.png", "title", selection_of([item.id for item in items]), items)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.getpixel((12 + 48, 44 + 48)) == (0xE4, 0xE4, 0xE4)


def test_a_sheet_is_bounded_and_says_so(tmp_path: Path) -> None:
    items = [Item(str(n), "", "", ItemState.UNLABELED) for n in range(30)]
    draw_contact_sheet(tmp_path / "a.png", "t", selection_of([i.id for i in items]), items, n_largest=10)
    draw_contact_sheet(tmp_path / "b.png", "t", selection_of([i.id for i in items[:10]]), items[:10])
    with Image.open(tmp_path / "a.png") as bounded, Image.open(tmp_path / "b.png") as whole:
        assert bounded.size == whole.size
        assert bounded.tobytes() != whole.tobytes()  # the title
    with pytest.raises(ValueError, match="nothing to draw"):
        draw_contact_sheet(tmp_path / "c.png", "t", selection_of([]), [])


def test_learning_curves_are_drawn(tmp_path: Path) -> None:
    curves = {"CORAL": (np.array([0.5, 0.9]), np.array([0.1, 0.05])), "RANDOM": (np.array([0.5, 0.7]), np.zeros(2))}
    draw_learning_curves(tmp_path / "curves.png", "title", np.array([10, 20]), curves)
    with Image.open(tmp_path / "curves.png") as picture:
        assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 20
