"""The page of a round in a real browser: no request, no error, what the pointer and the keys do, no serious obstacle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from browser import find_chromium, has_playwright
from page_browser import AXE, PHONE, WIDE, OpenPage, another, chromium, opened
from page_facts import bare_facts, draw_images, make_facts

from al_agent.report.page.report import Report
from al_agent.report.round.facts import RoundFacts
from al_agent.report.round.page import round_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [
    pytest.mark.skipif(find_chromium() is None, reason="no Chromium: set CHROMIUM"),
    pytest.mark.skipif(not has_playwright(), reason="playwright is not installed"),
]

NASTY = "</script><img src=x onerror=alert(1)>.jpg"
RIGHT_TO_LEFT = "صورة قطة.jpg"
READY = "#map-plot[data-ready]"
AT = """(row) => {
    const plot = document.getElementById("map-plot"), { xaxis, yaxis } = plot._fullLayout;
    const box = plot.getBoundingClientRect();
    const map = alAgent.data("map"), x = alAgent.decode(map.x)[row], y = alAgent.decode(map.y)[row];
    return [box.left + xaxis.c2p(x), box.top + yaxis.c2p(y)];
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> RoundFacts:
    ids = (NASTY, RIGHT_TO_LEFT, *(f"img_{row}.jpg" for row in range(2, 40)))
    media: list[str | None] = [*draw_images(tmp_path_factory.mktemp("images"), ids)]
    made = make_facts(ids, n_picks=32, media=media)
    missing = made.item_ids.index(made.round.selection.item_ids[2])
    media[missing] = "/nowhere.jpg"
    return replace(
        made,
        media=media,
        round=replace(made.round, notes=("30 items had no score.",)),
        missing=("Nothing is known of 2 items; label them.",),
    )


@pytest.fixture(scope="module")
def path(facts: RoundFacts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = tmp_path_factory.mktemp("page") / "round 2 قطة.html"
    Report.written(written, round_page(facts))
    return written


@pytest.fixture(scope="module")
def wide(browser: Browser, path: Path) -> Iterator[OpenPage]:
    with opened(browser, path, until=READY) as one:
        yield one


def point_of(page: OpenPage, item_id: str) -> tuple[float, float]:
    """Where an item is in the window."""
    page.page.locator("#map-plot").scroll_into_view_if_needed()
    row = page.page.evaluate("(id) => alAgent.data('map').ids.indexOf(id)", item_id)
    x, y = page.page.evaluate(AT, row)
    return x, y


def test_it_opens_from_disk_without_a_request_and_without_an_error(wide: OpenPage) -> None:
    assert wide.page.evaluate("document.querySelectorAll('#map-plot canvas').length") >= 1
    assert wide.page.locator("#curve-plot svg.main-svg").count() >= 1
    assert (wide.requests, wide.problems) == ([], [])


def test_every_request_that_a_page_could_try_is_forbidden(wide: OpenPage) -> None:
    refused = wide.page.evaluate("fetch('data:text/plain,x').then(() => 'came', () => 'refused')")
    assert refused == "refused"
    wide.problems.clear()  # the refusal itself


def test_names_are_text_and_do_not_turn_the_page_around(wide: OpenPage) -> None:
    assert wide.page.locator(".gallery h3").get_by_text(NASTY, exact=True).count() == 1
    assert wide.page.locator("img[src=x]").count() == 0
    names = wide.page.locator(".gallery bdi").filter(has_text=RIGHT_TO_LEFT)
    assert names.first.evaluate("(element) => getComputedStyle(element).direction") == "rtl"
    assert wide.page.evaluate("getComputedStyle(document.body).direction") == "ltr"


def test_the_pointer_shows_the_small_picture_the_id_and_the_values(wide: OpenPage, facts: RoundFacts) -> None:
    item_id = facts.round.selection.item_ids[0]
    x, y = point_of(wide, item_id)
    wide.page.mouse.move(x - 60, y)
    wide.page.mouse.move(x, y, steps=3)
    wide.page.locator("#map-tip").wait_for(state="visible")
    assert wide.page.locator("#map-tip .told div").first.inner_text() == item_id
    assert "pick 1" in wide.page.locator("#map-tip").inner_text()
    small = wide.page.locator("#map-tip .small")
    assert "data:image/webp" in small.evaluate("(element) => element.style.backgroundImage")
    size = small.bounding_box()
    assert size is not None
    assert (size["width"], size["height"]) == (64, 43)


def test_an_item_without_a_small_picture_says_so(wide: OpenPage, facts: RoundFacts) -> None:
    x, y = point_of(wide, facts.round.selection.item_ids[2])
    wide.page.mouse.move(x - 60, y)
    wide.page.mouse.move(x, y, steps=3)
    wide.page.locator("#map-tip").get_by_text("no thumbnail kept in this page").wait_for(state="visible")


def test_a_lasso_gives_the_ids_of_what_is_in_it(wide: OpenPage, facts: RoundFacts) -> None:
    page = wide.page
    page.get_by_role("button", name="Lasso").click()
    x, y = point_of(wide, facts.item_ids[7])
    page.mouse.move(x - 14, y - 14)
    page.mouse.down()
    for dx, dy in ((14, -14), (14, 14), (-14, 14), (-14, -14)):
        page.mouse.move(x + dx, y + dy, steps=3)
    page.mouse.up()
    page.locator("#map-selection").wait_for(state="visible")
    listed = page.locator("#map-selection li bdi").all_inner_texts()
    points = {item_id: point_of(wide, item_id) for item_id in facts.item_ids}
    inside = [one for one, (left, top) in points.items() if abs(left - x) < 13 and abs(top - y) < 13]
    assert listed == inside
    assert facts.item_ids[7] in listed
    page.get_by_role("button", name="Clear").click()
    page.locator("#map-selection").wait_for(state="hidden")
    page.get_by_role("button", name="Move", exact=True).click()


def test_ids_are_found_by_a_part_of_them_and_downloaded_whole(wide: OpenPage) -> None:
    page = wide.page
    page.get_by_label("Find ids").fill("SCRIPT")
    page.get_by_label("Find ids").press("Enter")
    assert page.locator("#map-selection h3").inner_text() == "1 item is selected"
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download .txt").click()
    assert waiting.value.path().read_text(encoding="utf-8") == f"{NASTY}\n"
    page.get_by_role("button", name="Copy ids").click()
    page.get_by_text("1 id copied").wait_for()
    page.get_by_role("button", name="Clear").click()


def test_the_keyboard_moves_zooms_and_leads_from_a_card_to_the_map(wide: OpenPage) -> None:
    page = wide.page
    ranges = "() => document.getElementById('map-plot').layout.xaxis.range"
    plot = page.locator("#map-plot")
    plot.focus()
    whole: Any = page.evaluate(ranges)
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    low, high = page.evaluate(ranges)
    assert high - low == pytest.approx(0.8 * (whole[1] - whole[0]))
    assert (low + high) / 2 == pytest.approx(0.1 * 0.8 * (whole[1] - whole[0]))
    page.keyboard.press("0")
    assert page.evaluate(ranges) == pytest.approx(whole)
    page.get_by_role("button", name="Show on map (pick 4)", exact=True).focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "map-plot"
    assert page.locator(".said").inner_text() == "Pick 4 has a ring on the map"


def test_the_hand_moves_the_map_and_the_wheel_zooms_where_the_pointer_is(wide: OpenPage, facts: RoundFacts) -> None:
    page, item_id = wide.page, facts.item_ids[9]
    page.get_by_role("button", name="All", exact=True).click()
    x, y = point_of(wide, item_id)
    page.mouse.move(x - 8, y - 8)
    page.mouse.down()
    page.mouse.move(x + 52, y + 32, steps=4)
    page.mouse.up()
    assert point_of(wide, item_id) == pytest.approx((x + 60, y + 40), abs=1)
    page.mouse.move(x + 60, y + 40)
    page.mouse.wheel(0, -200)
    page.wait_for_function("document.querySelector('#map-plot .plot-container').style.transform === ''")
    assert point_of(wide, item_id) == pytest.approx((x + 60, y + 40), abs=1)
    low, high = page.evaluate("document.getElementById('map-plot').layout.xaxis.range")
    page.get_by_role("button", name="All", exact=True).click()
    whole_low, whole_high = page.evaluate("document.getElementById('map-plot').layout.xaxis.range")
    assert (whole_high - whole_low) / (high - low) == pytest.approx(1.49, abs=0.02)


def test_a_click_on_a_pick_goes_to_its_card(wide: OpenPage, facts: RoundFacts) -> None:
    x, y = point_of(wide, facts.round.selection.item_ids[5])
    wide.page.mouse.move(x - 3, y)
    wide.page.mouse.move(x, y, steps=2)
    wide.page.mouse.click(x, y)
    wide.page.locator("#pick-6.lit").wait_for()
    assert wide.page.evaluate("document.activeElement.id") == "pick-6"


def test_colours_follow_what_is_chosen(wide: OpenPage) -> None:
    for key, text in (
        ("score", "uncertainty_margin: up to"),
        ("class", "other ("),
        ("round", "round 1: round-1-coral (8)"),
        ("state", "labeled (8)"),
    ):
        wide.page.select_option("#map-colour", key)
        wide.page.locator("#map-legend").get_by_text(text).first.wait_for()
    hide = wide.page.get_by_role("button", name="labeled (8)", exact=True)
    n_traces = "document.getElementById('map-plot').data.length"
    before = wide.page.evaluate(n_traces)
    hide.click()
    assert wide.page.evaluate(n_traces) == before - 1
    hide.click()
    assert wide.problems == []


def test_the_button_turns_dark_and_back(wide: OpenPage) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    light = wide.page.evaluate(paper)
    wide.page.get_by_role("button", name="Show this page in dark colours").click()
    assert wide.page.evaluate(paper) == "rgb(18, 20, 24)"
    wide.page.get_by_role("button", name="Show this page in light colours").click()
    assert wide.page.evaluate(paper) == light


@pytest.mark.skipif(not AXE.is_file(), reason="no axe-core: make axe")
@pytest.mark.parametrize(("scheme", "size"), [("light", WIDE), ("dark", WIDE), ("dark", PHONE), ("light", PHONE)])
def test_there_is_no_serious_obstacle(wide: OpenPage, scheme: Literal["dark", "light"], size: tuple[int, int]) -> None:
    page = wide.page
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    page.get_by_label("Find ids").fill("img")
    page.get_by_label("Find ids").press("Enter")
    assert wide.serious_issues() == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert (wide.requests, wide.problems) == ([], [])


def test_a_page_of_which_nothing_is_known_opens_without_scripts_that_fail(browser: Browser, tmp_path: Path) -> None:
    Report.written(tmp_path / "page.html", round_page(bare_facts()))
    with opened(browser, tmp_path / "page.html") as one:
        assert one.page.get_by_text("There is no map").is_visible()
        assert (one.requests, one.problems) == ([], [])


def test_print_is_light_and_shows_what_is_folded(browser: Browser, path: Path) -> None:
    with opened(browser, path, scheme="dark", until=READY) as one:
        one.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        one.page.emulate_media(media="print")
        assert one.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert one.page.locator("details:not([open])").count() == 0
        assert not one.page.locator(".tools").is_visible()
        assert one.page.evaluate("document.getElementById('map-plot').layout.width") == pytest.approx(656, abs=4)
        one.page.emulate_media(media="screen")
        one.page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert one.page.locator("details[open]").count() == 0


def test_without_webgl_the_map_is_drawn_by_other_means_and_says_so(browser: Browser, tmp_path: Path) -> None:
    facts = make_facts(tuple(map(str, range(6_000))), n_picks=20)
    Report.written(tmp_path / "page.html", round_page(facts))
    without = another(browser, ["--disable-software-rasterizer"])
    with without as second, opened(second, tmp_path / "page.html", until=READY) as one:
        said = one.page.locator("#map-said").inner_text()
        assert said.startswith("This browser has no WebGL: the map shows 4,")
        n_points = one.page.locator("#map-plot .scatterlayer .point").count()
        assert 4_900 < n_points <= 5_000
        assert one.problems == []
