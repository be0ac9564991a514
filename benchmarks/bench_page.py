"""The page of a round beside the map alone that plotly.py writes: size, time to write, first paint, frames while panning.

Chromium draws WebGL on the processor here. Without playwright or Chromium only sizes and times to write are measured.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from measure import machine
from PIL import Image

from al_agent import SamplerConfig, Selection
from al_agent.journal import Round
from al_agent.report.page.report import Report
from al_agent.report.round.facts import ClassCount, RoundFacts
from al_agent.report.round.page import round_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SIZES = (10_000, 100_000)
N_PICKS = 100
N_IMAGES = 2_500  # files; items beyond it share them
N_CLASSES = 40
N_OPENINGS = 3

_FRAMES = """async () => {
    const plot = document.querySelector(".js-plotly-plot"), box = plot.getBoundingClientRect();
    const target = plot.querySelector(".nsewdrag");
    const at = (kind, x) => {
        const where = { bubbles: true, cancelable: true, view: window, button: 0, buttons: 1, pointerId: 1, isPrimary: true,
            clientX: x, clientY: box.top + box.height / 2 };
        const element = kind === "down" ? target : document;
        element.dispatchEvent(new PointerEvent(`pointer${kind}`, where));
        element.dispatchEvent(new MouseEvent(`mouse${kind}`, where));
    };
    const middle = box.left + box.width / 2, frame = () => new Promise(requestAnimationFrame);
    at("down", middle);
    for (let step = 0; step < 5; step += 1) { at("move", middle + 3 * step); await frame(); }
    const start = performance.now();
    let frames = 0;
    while (performance.now() - start < 3000) {
        at("move", middle + 150 * Math.sin(frames / 10));
        await frame();
        frames += 1;
    }
    const seconds = (performance.now() - start) / 1000;
    at("up", middle);
    return frames / seconds;
}"""
_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime / 1000"


@dataclass(frozen=True)
class Row:
    what: str
    write_s: float
    size_mb: float
    paint_s: float = float("nan")
    map_s: float = float("nan")
    frames: float = float("nan")

    def line(self, first: Row) -> str:
        def cell(value: float, of: float) -> str:
            return "" if np.isnan(value) else f"{value:.3g} ({value / of:.2g})"

        cells = (
            cell(self.write_s, first.write_s),
            cell(self.size_mb, first.size_mb),
            cell(self.paint_s, first.paint_s),
            cell(self.map_s, first.map_s),
            cell(self.frames, first.frames),
        )
        return f"| {self.what} | {' | '.join(cells)} |"


def photos(folder: Path) -> list[str]:
    """JPEG files of 640 x 480 pixels with the detail of a photo."""
    random = np.random.default_rng(0)
    noise = np.array(Image.fromarray(random.integers(0, 255, (900, 1200, 3), dtype=np.uint8)).resize((1400, 1100)))
    paths = []
    for number in range(N_IMAGES):
        top, left = random.integers(0, 500, 2).tolist()
        shade = random.integers(0, 150, 3)
        pixels = noise[top : top + 480, left : left + 640] // 3 + shade
        Image.fromarray(pixels.astype(np.uint8)).save(path := folder / f"{number}.jpg", quality=85)
        paths.append(str(path))
    return paths


def facts_of(n_items: int, files: list[str]) -> RoundFacts:
    random = np.random.default_rng(1)
    classes = random.integers(0, N_CLASSES, n_items)
    positions = random.normal(0, 6, (N_CLASSES, 2))[classes] + random.normal(0, 1, (n_items, 2))
    scores = random.beta(2, 6, n_items)
    rows = np.argsort(-scores)[:N_PICKS].tolist()
    ids = tuple(f"2026/11/camera_{row % 7}/image_{row:07d}.jpg" for row in range(n_items))
    selection = Selection(
        tuple(ids[row] for row in rows), scores[rows], tuple(f"score {scores[row]:.3f}" for row in rows), "CORAL"
    )
    this = Round(
        1, "bench", datetime.now(timezone.utc), SamplerConfig(N_PICKS, method="CORAL"), "score", None, None,
        {"unlabeled": n_items, "labeled": 0}, (), selection,
    )  # fmt: skip
    return RoundFacts(
        project="bench",
        round=this,
        item_ids=ids,
        states=np.full(n_items, "unlabeled"),
        media=[files[row % len(files)] for row in range(n_items)],
        links=[None] * n_items,
        positions=positions,
        scores=scores,
        classes=[f"class {code}" for code in classes.tolist()],
        labeled_distances=random.gamma(3, 1, n_items),
        balance=tuple(ClassCount(f"class {code}", 0, code) for code in range(N_CLASSES)),
        history=(this,),
    )


def write_plotly(path: Path, facts: RoundFacts) -> None:
    """What a user would write instead: the map alone, coloured by score, with ids under the pointer."""
    import plotly.graph_objects as go  # noqa: PLC0415

    assert facts.positions is not None
    x, y = facts.positions.T
    marker = {"color": facts.scores, "colorscale": "Viridis", "size": 3, "showscale": True}
    dots = go.Scattergl(x=x, y=y, mode="markers", marker=marker, text=list(facts.item_ids))
    go.Figure(dots, {"dragmode": "pan", "width": 1180, "height": 576}).write_html(path, include_plotlyjs=True)


def opened(browser: Browser, path: Path) -> tuple[float, float, float]:
    """Seconds to the first paint and to the map, and frames a second while it is dragged."""
    paints, maps, rates = [], [], []
    for _ in range(N_OPENINGS):
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        start = time.perf_counter()
        page.goto(path.as_uri())
        page.wait_for_selector(".js-plotly-plot .gl-canvas", state="attached", timeout=60_000)
        page.wait_for_selector(".js-plotly-plot .nsewdrag", state="attached", timeout=60_000)
        maps.append(time.perf_counter() - start)
        page.wait_for_timeout(1_500)
        paints.append(page.evaluate(_PAINT))
        page.locator(".js-plotly-plot").first.scroll_into_view_if_needed()
        rates.append(page.evaluate(_FRAMES))
        page.close()
    return statistics.median(paints), statistics.median(maps), statistics.median(rates)


def measured(what: str, path: Path, write: Callable[[], None], browser: Browser | None) -> Row:
    walls = []
    for _ in range(3):
        start = time.perf_counter()
        write()
        walls.append(time.perf_counter() - start)
    row = (what, statistics.median(walls), path.stat().st_size / 1e6)
    return Row(*row, *opened(browser, path)) if browser else Row(*row)


def compare(folder: Path, browser: Browser | None) -> None:
    files = photos(folder)
    for n_items in SIZES:
        rows = measure_pages(folder, facts_of(n_items, files), browser)
        print(f"\n## The page of a round: {n_items:,} items, {N_PICKS} picks, photos of 640 x 480\n")
        print("| what | written in s | MB | first paint s | map after s | frames a second, panning |")
        print("| --- | --- | --- | --- | --- | --- |")
        for row in rows:
            print(row.line(rows[0]), flush=True)


def measure_pages(folder: Path, facts: RoundFacts, browser: Browser | None) -> list[Row]:
    ours, bare, theirs = (folder / f"{name}.html" for name in ("ours", "bare", "plotly"))

    def write(path: Path, n_thumbnails: int = 2000) -> None:
        Report.written(path, round_page(facts, n_thumbnails=n_thumbnails))

    return [
        measured("al-agent: the whole page, 2,000 small pictures", ours, lambda: write(ours), browser),
        measured(
            "al-agent: without small pictures",
            bare,
            lambda: write(bare, n_thumbnails=0),
            browser,
        ),
        measured("plotly.py: the map alone", theirs, lambda: write_plotly(theirs, facts), browser),
    ]


def main() -> None:
    print(f"{machine()}, {os.cpu_count()} processors; in brackets: times the first line")
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with tempfile.TemporaryDirectory() as name:
        if executable is None or importlib.util.find_spec("playwright") is None:
            return compare(Path(name), None)
        from playwright.sync_api import sync_playwright  # noqa: PLC0415

        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
            compare(Path(name), browser)
            browser.close()
    return None


if __name__ == "__main__":
    main()
