"""The page of a study, as text and as a browser shows it."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browser import find_chromium, has_playwright
from page_browser import AXE, PHONE, OpenPage, chromium, opened

from al_agent.simulation.study import StudyResult
from al_agent.simulation.study.records import Measurement

if TYPE_CHECKING:
    from playwright.sync_api import Browser

EVIL = "</script><script>alert(1)</script><b>שלום & co"
NAN = math.nan


def runs(method: str, n_seeds: int, *figures: float, error: str = "", first: int = 0) -> list[Measurement]:
    """Runs of a method whose seeds differ by a hundredth; labels 20, 40, ... with three boxes each."""
    return [
        Measurement(
            method,
            seed,
            number,
            20 * (number + 1),
            figure + seed / 100 + (number % 2) * (seed % 3) / 1000,
            error=error if math.isnan(figure) else "",
            amounts={"boxes": 60.0 * (number + 1), "classes": 8.0 + number, "duplicates": 2.0 * number},
        )
        for seed in range(first, first + n_seeds)
        for number, figure in enumerate(figures)
    ]


def text_of(html: str) -> str:
    """The words of a page without its scripts and marks."""
    html = re.sub(r"<(script|style)\b.*?</\1>", " ", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def page_of(folder: Path, rows: list[Measurement], command: str = "") -> str:
    StudyResult(tuple(rows)).report(folder / "study.html", command=command)
    return (folder / "study.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with three methods in two units, one of them with a name that would like to be HTML."""
    path = tmp_path_factory.mktemp("study") / "study.html"
    rows = runs("RANDOM", 5, 0.5, 0.6, 0.7) + runs("CORAL", 5, 0.5, 0.7, 0.8) + runs(EVIL, 5, 0.5, 0.5, 0.6)
    arguments = {"n_pool": 1_300, "n_test": 497, "seeds": list(range(5)), "trainer": EVIL}
    StudyResult(tuple(rows)).report(path, arguments=arguments, command=f"al-agent simulate '{EVIL}'")
    return path


def test_the_page_says_whether_it_pays_and_what_that_rests_on(whole: Path) -> None:
    text = text_of(whole.read_text(encoding="utf-8"))
    for words in (
        "Does it pay? Yes.",
        "On these data and with this model: CORAL is ahead of RANDOM by 0.075",
        "seeds 5 0, 1, 2, 3, 4",
        "runs 15 none failed",
        "labeled images 20 to 60 measured at 3 budgets",
        "items in the pool 1,300",
        "labels saved boxes saved",
        "classes seen in the end labels wasted on look-alikes",
        "CORAL is ahead at 2 of 2 budgets and behind at 0",
        "None of 15 runs.",
        "al-agent cost --images-without 60 --images-with 40 --images-with-interval 40 40 --pool 1300 --price-per-label",
        "What CORAL saves on the way to what RANDOM has in the end",
    ):
        assert words in text


def test_names_are_text_wherever_they_stand(whole: Path) -> None:
    html = whole.read_text(encoding="utf-8")
    assert "<script>alert" not in html
    assert "<b>שלום" not in html
    assert html.count("&lt;b&gt;שלום &amp; co") > 5


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            runs("RANDOM", 1, 0.5, 0.6) + runs("CORAL", 1, 0.5, 0.7),
            ["Cannot be said. 1 seed is too few", "1 seed is few: take 5 or more", "no band around a curve", "+0.1000"],
        ),
        (
            runs("CORAL", 5, 0.5, 0.7) + runs("AUTO", 5, 0.5, 0.6),
            [
                "RANDOM is not in the study: there is nothing to compare with.",
                "method test accuracy classes",
                "no method can be",
            ],
        ),
        (
            runs("RANDOM", 2, NAN, error="no torch") + runs("CORAL", 2, NAN, error="<b>full</b>"),
            ["Every run failed", "4 of 4 runs. A figure", "0, 1 no torch", "&lt;b&gt;full", "There is no curve"],
        ),
        (
            runs("RANDOM", 5, 0.5) + runs("CORAL", 5, 0.6),
            ["There is one budget", "no number", "labeled images 20 measured at 1 budget"],
        ),
        (
            runs("RANDOM", 5, 0.5, 0.6) + runs("CORAL", 4, 0.5, 0.7) + runs("CORAL", 1, 0.5, NAN, error="killed", first=4),
            [
                "1 of 10 runs failed",
                "CORAL 4 killed",
                "1 of 5 runs of CORAL diverged at 40 images",
                "at 1 it cannot be tested",
            ],
        ),
        (
            runs("RANDOM", 5, 0.5, 0.6) + runs("CORAL", 5, 0.5, 0.7, first=5),
            ["No seed was run with every method.", "CORAL 0.77", "None of 10 runs."],
        ),
        (
            runs("RANDOM", 6, 0.5, 0.6) + runs("CORAL", 5, 0.5, 0.7),
            ["Not all methods have runs of the seeds 5, which are left out.", "seeds 5 0, 1, 2, 3, 4", "Yes."],
        ),
    ],
    ids=["one seed", "no RANDOM", "all failed", "one budget", "one failed", "other seeds", "some seeds"],
)
def test_what_is_missing_is_said_and_the_rest_is_shown(tmp_path: Path, rows: list[Measurement], said: list[str]) -> None:
    text = text_of(page_of(tmp_path, rows))
    for words in said:
        assert words in text


def test_of_many_methods_the_best_are_drawn_first(tmp_path: Path) -> None:
    rows = runs("RANDOM", 5, 0.5, 0.6)
    for number in range(12):
        rows += runs(f"M{number}", 5, 0.5, 0.61 + number / 100)
    html = page_of(tmp_path, rows)
    checked = re.findall(r'name="method" value="(\d+)" checked', html)
    assert checked == ["0", "8", "9", "10", "11", "12"]


def test_a_folder_that_is_not_there_is_an_error_and_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        StudyResult(tuple(runs("RANDOM", 1, 0.5))).report(tmp_path / "nowhere" / "study.html")


def test_without_the_extra_the_message_says_how_to_get_it(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['jinja2'] = None\n"
        "from al_agent.simulation.study import StudyResult\n"
        "from al_agent.simulation.study.records import Measurement\n"
        "StudyResult((Measurement('RANDOM', 0, 0, 10, 0.5),)).report('study.html')"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr.rstrip().endswith('ImportError: the page needs jinja2 and plotly: pip install "al-agent[report]"')
    assert not (tmp_path / "study.html").exists()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if find_chromium() is None or not has_playwright():
        pytest.skip("no Chromium, or no playwright")
    with chromium() as running:
        yield running


DRAWN = "#curves .scatterlayer .trace"
NAMES = "document.getElementById('curves').data.map(({name}) => name ?? '').filter(Boolean)"


@pytest.fixture(scope="module")
def shown(browser: Browser, whole: Path) -> Iterator[OpenPage]:
    with opened(browser, whole, until=DRAWN) as noted:
        yield noted


def test_it_opens_from_disk_draws_the_curves_and_asks_no_network(shown: OpenPage) -> None:
    page = shown.page
    traces = page.evaluate("document.getElementById('curves').data.map(({name, y}) => ({name, y}))")
    drawn = {trace["name"]: trace["y"] for trace in traces if trace["name"]}
    assert list(drawn)[:2] == ["RANDOM", "CORAL"]
    assert drawn["CORAL"] == pytest.approx([0.52, 0.7208, 0.82])
    box = page.locator("#curves").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.66, box["y"] + box["height"] / 2)  # at 40 labels of 0 to 60
    hover = page.locator("#curves .hoverlayer .legendtext")
    hover.first.wait_for()
    texts = hover.all_text_contents()
    assert any(re.fullmatch(r"CORAL : 0\.7208 \(0\.70\d\d to 0\.74\d\d\)", text) for text in texts), texts
    assert any(EVIL in text for text in texts), texts
    assert (shown.requests, shown.problems) == ([], [])


def test_curves_and_their_unit_are_chosen_by_keyboard(shown: OpenPage) -> None:
    page = shown.page
    page.get_by_role("radio", name="images").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.getElementById('curves').layout.xaxis.title.text === 'labeled boxes'")
    assert page.evaluate("document.getElementById('curves').data.at(-1).x") == [60, 120, 180]
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.wait_for_function(f"{NAMES}.length === 2")
    assert page.evaluate(NAMES)[0] == "CORAL"
    page.get_by_role("button", name="None").press("Enter")
    page.wait_for_function(f"{NAMES}.length === 0")
    page.get_by_role("button", name="All").press("Enter")
    page.wait_for_function(f"{NAMES}.length === 3")
    assert shown.problems == []


def test_in_print_everything_is_unfolded_and_buttons_are_gone(shown: OpenPage) -> None:
    page = shown.page
    page.get_by_role("button", name="in dark colours").click()
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    assert not any(button.is_visible() for button in page.locator("button").all())
    assert page.locator("label", has_text="CORAL").is_visible()  # the key of the colours
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


@pytest.mark.skipif(not AXE.exists(), reason="make axe installs axe-core")
def test_a_scan_finds_no_serious_obstacle_on_a_wide_page_and_on_a_dark_phone(
    browser: Browser, shown: OpenPage, whole: Path
) -> None:
    unfold = "for (const fold of document.querySelectorAll('details')) fold.open = true"
    shown.page.evaluate(f"document.documentElement.dataset.theme = 'light'; {unfold}")
    assert shown.serious_issues() == []
    with opened(browser, whole, scheme="dark", size=PHONE, until=DRAWN) as noted:
        noted.page.evaluate(unfold)
        assert noted.serious_issues() == []
        assert noted.page.evaluate("document.documentElement.scrollWidth") == PHONE[0]  # nothing sticks out


def test_the_data_in_the_page_are_the_curves_alone(whole: Path) -> None:
    found = re.search(r'id="data-study">(.*?)</script>', whole.read_text(encoding="utf-8"))
    assert found
    data = json.loads(found[1])
    assert [unit["unit"] for unit in data["units"]] == ["images", "boxes"]
    assert data["units"][0]["lines"][0]["y"] == pytest.approx([0.52, 0.6208, 0.72])
