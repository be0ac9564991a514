"""The picture of the scores in a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import numpy as np
import pytest

from al_agent import Embeddings, PlatformLocal, Scores
from al_agent.cli.histogram import draw_histogram
from al_agent.cli.output import n_cells


def test_each_whole_number_has_a_bar_of_its_count_and_picks_are_marked() -> None:
    drawn = draw_histogram(np.array([3.0, 5, 5, 5, 5, 5, 5, 5]), "boxes", picked=np.array([3.0, 5.0]), width=30)
    assert drawn.splitlines() == [
        "boxes of 8 unl...s, ▲ 2 picked",
        "7 │                ████████",
        *["  │                ████████"] * 5,
        "0 │████████        ████████",
        "  └────────────────────────",
        "   ▲▲▲▲▲▲▲▲        ▲▲▲▲▲▲▲▲",
        "   3                      5",
    ]


def test_the_bars_are_the_counts_of_equal_parts_of_the_range() -> None:
    scores = np.concatenate([np.full(14, 0.05), np.full(7, 0.3), [0.55], [1.05]])
    lines = draw_histogram(scores, "margin", width=80).splitlines()
    rows = [line[4:] for line in lines[1:8]]
    heights = [sum(row[bar * 8 : bar * 8 + 1] == "█" for row in rows) for bar in range(8)]
    assert lines[1].startswith("14 │")
    assert heights == [7, 0, 3, 0, 0, 0, 0, 0]  # of 24 scores 8 bars: 14, 7 at 3.5 of the 7 rows, and one each
    assert [rows[6][bar * 8 : bar * 8 + 8] for bar in (3, 4, 7)] == ["        ", "▄" * 8, "▄" * 8]
    assert lines[-1].split() == ["0.05", "1.05"]


@pytest.mark.parametrize("scale", [1e-320, 1.0, 1e300])
@pytest.mark.parametrize("width", [30, 80])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_it_fits_the_terminal_whatever_the_scores_are(scale: float, width: int, ascii_only: bool) -> None:
    scores = np.random.default_rng(0).normal(size=5_000) * scale
    drawn = draw_histogram(scores, "猫" * 60, picked=scores[:50], width=width, ascii_only=ascii_only)
    lines = drawn.splitlines()
    assert len(lines) == 11
    assert max(map(n_cells, lines)) <= width
    assert not ascii_only or "".join(lines[1:]).isascii()
    marks = lines[-2]
    assert 0 < len(marks.split()) < len(marks)  # of 50 picks some share a bar, and the tails have none


def test_neighbours_that_three_digits_do_not_tell_apart_get_more() -> None:
    lines = draw_histogram(np.array([1.0, 1 + 1e-15]), "p").splitlines()
    assert lines[-1].split() == ["1", "1.000000000000001"]


def test_scores_that_are_all_the_same_are_a_sentence_and_none_are_nothing() -> None:
    assert draw_histogram(np.full(1_200, 0.5), "entropy") == "all 1,200 unlabeled items have the same entropy: 0.5"
    assert draw_histogram(np.array([]), "entropy") == ""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Ten images of which one is labeled, with scores 0.1 to 1."""
    folder = tmp_path / "project"
    ids = [f"img_{number}.png" for number in range(10)]
    PlatformLocal.create(folder, images=ids).annotate({"img_9.png": "cat"})
    Scores(ids, {"margin": np.arange(1.0, 11.0) / 10}, default="margin").save(folder / "scores.npz")
    Embeddings(ids, np.arange(10.0)[:, None]).save(folder / "embeddings.npz")
    return folder


def in_terminal(*words: str, encoding: str = "utf-8") -> str:
    """What a command prints in a terminal, standard error among it."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with subprocess.Popen(
        [sys.executable, "-m", "al_agent.cli", *words],
        stdout=follower,
        stderr=follower,
        env=os.environ | {"PYTHONIOENCODING": encoding},
    ) as command:
        os.close(follower)
        parts = []
        while True:
            try:
                part = os.read(leader, 4_096)
            except OSError:  # on Linux, the end
                break
            if not part:
                break
            parts.append(part)
        os.close(leader)
    assert command.returncode == 0
    return b"".join(parts).decode("utf-8").replace("\r\n", "\n")


def test_a_terminal_shows_progress_the_picture_and_where_the_page_is(project: Path) -> None:
    printed = in_terminal("query", str(project), "-n", "2", "-m", "uncertainty")
    assert "picking: 100%|" in printed
    assert "2/2 picks, " in printed
    assert "margin of 9 unlabeled items, ▲ 2 picked" in printed
    assert "█" in printed.split("margin of 9")[1]
    assert printed.rstrip().endswith(f"to see it: al-agent report {project}")
    plain = in_terminal("query", str(project), "-n", "2", "-m", "uncertainty", "--seed", "1", encoding="ascii")
    assert "margin of 9 unlabeled items, ^ 2 picked" in plain
    assert plain.isascii()


def test_a_program_gets_one_object_in_a_terminal_too(project: Path) -> None:
    printed = in_terminal("query", str(project), "-n", "2", "-m", "uncertainty", "--json")
    assert "unlabeled items" not in printed
    assert printed.rstrip().splitlines()[-1].startswith('{"project"')
