"""The page of a round: what it says of what is there, of what is missing, and of names that want to be more than names."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_facts import a_round, bare_facts, draw_images, make_facts
from PIL import Image

from al_agent.report.page.assembling import as_json, packed
from al_agent.report.page.report import Report
from al_agent.report.round.cards import box_key, cards_of, split_reason
from al_agent.report.round.facts import ClassCount, RoundFacts
from al_agent.report.round.figures import balance_of, coverage_of, histogram_of, near_duplicates, quality_of
from al_agent.report.round.map_data import map_data, thumbnail_places
from al_agent.report.round.page import round_page
from al_agent.report.round.pictures import CELL, sheets_of
from samplers.quality import Figure, Quality

IDS = tuple(f"img_{row}.jpg" for row in range(60))
NASTY = "</script><img src=x onerror=alert(1)>\"'&"
RIGHT_TO_LEFT = "صورة_12.jpg"


class Reading(HTMLParser):
    """Texts and tags of a page, as a browser's parser sees them; scripts and styles apart."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: dict[str, str] = {}
        self.texts: list[str] = []
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = (dict(attrs).get("id") or tag) if tag in ("script", "style") else ""

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.scripts[self._inside] = data
        else:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())

    def values(self, tag: str, attribute: str) -> list[str | None]:
        return [attributes[attribute] for name, attributes in self.tags if name == tag and attribute in attributes]


def data_of(page: str, name: str) -> Any:
    return json.loads(Reading(page).scripts[f"data-{name}"])


def unpacked(value: dict[str, str]) -> list[float]:
    numbers: list[float] = np.frombuffer(base64.b64decode(value["bdata"]), dtype=f"<{value['dtype']}").tolist()
    return numbers


def test_the_picks_stand_in_order_with_gain_reason_class_and_link() -> None:
    facts = make_facts(IDS, n_picks=3)
    reading = Reading(round_page(facts))
    first, *_ = cards_of(facts)
    assert first.reasons == ("score 0.900, 98th percentile", "0.90 from the nearest labeled item")
    places = [reading.text.index(item_id) for item_id in facts.round.selection.item_ids]
    assert places == sorted(places)
    assert "1 cat, 1 dog · gain 0.9" in reading.text
    assert facts.links[facts.item_ids.index(first.item_id)] in reading.values("a", "href")
    assert [one for one in reading.values("li", "id") if one] == ["pick-1", "pick-2", "pick-3"]


def test_the_head_counts_what_was_picked_and_what_is_left() -> None:
    text = Reading(round_page(make_facts(IDS, n_picks=8))).text
    assert "8 of 48 unlabeled items picked by CORAL with the score uncertainty_margin on 2 December 2026, 09:05 UTC" in text
    assert "Still unlabeled40 items" in text
    assert "Labeled before12 items" in text
    assert "first in the queue30 November 2026, 09:06 UTC: 8 updated, 3 taken back" in text


def test_names_with_markup_are_text_and_run_nothing() -> None:
    ids = (NASTY, RIGHT_TO_LEFT, *IDS[2:])
    facts = make_facts(ids, n_picks=48)
    facts = replace(
        facts,
        project=NASTY,
        round=replace(facts.round, name=NASTY, notes=(NASTY,)),
        classes=[NASTY] * len(ids),
        balance=(ClassCount(NASTY, 1, 1),),
        missing=(NASTY,),
        command=NASTY,
        score_name=NASTY,
    )
    page = round_page(facts)
    reading = Reading(page)
    assert reading.text.count(NASTY) >= 6
    assert not [attributes for tag, attributes in reading.tags if tag == "img" and attributes.get("src") == "x"]
    assert not [tag for tag, attributes in reading.tags if any(name.startswith("on") for name in attributes)]
    assert data_of(page, "map")["ids"] == list(ids)


def test_every_id_of_a_script_comes_back_from_its_json() -> None:
    ids = [NASTY, "\u2028\u2029", "\udc80.jpg", "<!--<script>", RIGHT_TO_LEFT]
    text = as_json(ids)
    assert not set("<>&\u2028\u2029\udc80") & set(text)
    assert json.loads(text) == ids


def test_half_a_surrogate_in_a_name_is_written_as_a_replacement_and_kept_for_the_scripts(tmp_path: Path) -> None:
    facts = make_facts(("bad_\udc80.jpg", *IDS[1:]), n_picks=48)
    Report.written(tmp_path / "page.html", round_page(facts))
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "bad_\N{REPLACEMENT CHARACTER}.jpg" in Reading(page).text
    assert data_of(page, "map")["ids"][0] == "bad_\udc80.jpg"


def test_a_link_that_is_no_address_of_the_web_is_not_there() -> None:
    facts = make_facts(IDS, n_picks=1)
    (card,) = cards_of(replace(facts, links=["javascript:alert(1)"] * len(IDS)))
    assert card.link == ""


def test_the_page_forbids_every_request_and_names_its_scripts_by_digest() -> None:
    reading = Reading(round_page(make_facts(IDS, n_picks=3)))
    (policy,) = [value for value in reading.values("meta", "content") if value and "default-src" in value]
    assert policy.startswith("default-src 'none'; img-src data: blob:;")
    assert policy.count("sha256-") == 5  # page, moving, map, curve, Plotly
    assert "'unsafe-inline' 'unsafe-eval'" not in policy
    sources = [*reading.values("img", "src"), *reading.values("script", "src"), *reading.values("link", "href")]
    assert [source for source in sources if not str(source).startswith("data:")] == []


def test_what_nothing_is_known_of_is_said_in_its_section_and_in_the_end() -> None:
    text = Reading(round_page(bare_facts())).text
    for sentence in (
        "There is no map: no item of this round has a place on it.",
        "There is no picture of the scores: no unlabeled item of this round has one.",
        "There is no class balance: nothing is known of the classes.",
        "The batch is not compared with random ones: there are no figures of it.",
        "There is no learning curve: no figures of earlier rounds were given.",
        "no image file on this machine",
        "No map: no embeddings were given; pass embeddings=.",
        "not pushed",
    ):
        assert sentence in text, sentence
    assert 'id="plotly-source"' not in round_page(bare_facts())


def test_a_round_without_picks_says_so() -> None:
    assert "Nothing was picked in this round." in Reading(round_page(bare_facts(picks=()))).text


@pytest.mark.parametrize("n_items", [1, 2])
def test_a_map_of_an_item_or_two_has_them_in_it(n_items: int) -> None:
    facts = make_facts(IDS[:n_items], n_picks=1)
    on_map = data_of(round_page(facts), "map")
    assert len(unpacked(on_map["x"])) == n_items
    assert np.abs(unpacked(on_map["x"])).max() <= 1


def test_places_keep_their_proportions_whatever_their_size() -> None:
    places = np.array([[0.0, 0.0], [1.0, 0.25], [0.5, 0.5]])
    for factor in (1.0, 1e300, 1e-150):
        on_map: Any = map_data(replace(make_facts(IDS[:3], n_picks=1), positions=places * factor), 0)
        np.testing.assert_allclose(unpacked(on_map["x"]), [-1.0, 1.0, 0.0], atol=1e-6)
        np.testing.assert_allclose(unpacked(on_map["y"]), [-0.5, 0.0, 0.5], atol=1e-6)


def test_items_without_a_place_are_left_out_of_the_map_and_counted() -> None:
    facts = make_facts(IDS, n_picks=3)
    assert facts.positions is not None
    positions = np.array(facts.positions)
    positions[:5] = np.nan
    page = round_page(replace(facts, positions=positions))
    assert data_of(page, "map")["ids"] == list(IDS[5:])
    assert "5 items without an embedding are not on it" in Reading(page).text


def test_scores_that_are_all_nan_are_said_to_be_missing() -> None:
    facts = replace(make_facts(IDS, n_picks=3), scores=np.full(len(IDS), np.nan))
    page = round_page(facts)
    assert "There is no picture of the scores" in Reading(page).text
    assert "score" not in [column["key"] for column in data_of(page, "map")["columns"]]


def test_the_histogram_counts_every_scored_candidate_and_pick_once() -> None:
    facts = make_facts(IDS, n_picks=10)
    histogram = histogram_of(facts)
    assert histogram is not None
    assert sum(one.n_pool for one in histogram.bins) == histogram.n_pool == 48
    assert sum(one.n_picked for one in histogram.bins) == histogram.n_picked == 10
    assert histogram.bins[-1].n_picked == 1  # the highest score is the first pick
    assert max(one.pool_share for one in histogram.bins) == 1.0


@pytest.mark.parametrize("scores", [np.full(60, 0.5), np.linspace(-1, 1, 60) * 1e308, np.array([1.0, 1.0 + 2e-16] * 30)])
def test_scores_that_are_equal_or_huge_have_a_histogram(scores: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    histogram = histogram_of(replace(make_facts(IDS, n_picks=3), scores=scores))
    assert histogram is not None
    assert sum(one.n_pool for one in histogram.bins) == 48
    assert "uncertainty_margin" in round_page(replace(make_facts(IDS, n_picks=3), scores=scores))


def test_twenty_thousand_classes_are_shown_as_the_commonest_and_the_rest() -> None:
    n_classes = 20_000
    counts = tuple(ClassCount(f"class {number}", n_classes - number, number % 2) for number in range(n_classes))
    bars = balance_of(counts)
    assert [bar.name for bar in bars[:2]] == ["class 0", "class 1"]
    assert (len(bars), bars[-1].name, bars[-1].is_rest) == (21, "19,980 other classes", True)
    assert sum(bar.before for bar in bars) == n_classes * (n_classes + 1) // 2
    ids = tuple(map(str, range(n_classes)))
    facts = replace(make_facts(ids, n_picks=5), classes=[f"class {number}" for number in range(n_classes)], balance=counts)
    (column,) = [one for one in data_of(round_page(facts), "map")["columns"] if one["key"] == "class"]
    assert (len(column["names"]), column["n_named"]) == (n_classes, 9)


def test_a_huge_name_is_whole_in_the_card_and_cut_in_the_map() -> None:
    huge = "x" * 100_000
    page = round_page(replace(make_facts((huge, *IDS[1:]), n_picks=48), classes=[huge] * len(IDS)))
    assert len(data_of(page, "map")["columns"][2]["names"][0]) == 200
    assert page.count(huge) < 8


def test_classes_of_the_map_are_counted_commonest_first_and_none_is_apart() -> None:
    facts = replace(make_facts(IDS[:5], n_picks=1), classes=["b", "a", "b", "", "c"])
    (column,) = [one for one in data_of(round_page(facts), "map")["columns"] if one["key"] == "class"]
    assert column["names"] == ["b", "a", "c"]
    assert unpacked(column["codes"]) == [0, 1, 0, -1, 2]


def test_rounds_of_the_map_are_latest_first() -> None:
    facts = replace(make_facts(IDS[:4], n_picks=1), round_of=np.array([0, 1, 2, 7]))
    (column,) = [one for one in data_of(round_page(facts), "map")["columns"] if one["key"] == "round"]
    assert column["names"] == ["round 7", "round 2: round-2-coral", "round 1: round-1-coral"]
    assert unpacked(column["codes"]) == [-1, 2, 1, 0]


def test_beyond_two_hundred_picks_the_others_are_rows_of_a_table() -> None:
    ids = tuple(f"{row}.jpg" for row in range(300))
    reading = Reading(round_page(make_facts(ids, n_picks=230)))
    assert len([one for one in reading.values("li", "id") if one]) == 200
    assert [one for one in reading.values("tr", "id") if one] == [f"pick-{rank}" for rank in range(201, 231)]
    assert "Picks 201 to 230" in reading.text


def test_a_round_without_gains_claims_no_best_pick_and_no_gain() -> None:
    facts = make_facts(IDS, n_picks=8)
    selection = replace(facts.round.selection, gains=np.zeros(8), note="drawn at random")
    text = Reading(round_page(replace(facts, round=replace(facts.round, selection=selection)))).text
    assert "8 items in the order of the queue: what people should label next" in text
    assert "best first" not in text and "gain 0" not in text and "drawn at random" in text
    assert "best first" in Reading(round_page(facts)).text

    noted = replace(facts.round, selection=selection, notes=("drawn at random",))
    assert Reading(round_page(replace(facts, round=noted))).text.count("drawn at random") == 1


def test_the_colours_of_boxes_are_told_where_boxes_are_drawn(tmp_path: Path) -> None:
    facts = make_facts(IDS, n_picks=8)
    drawn = replace(facts, media=draw_images(tmp_path, IDS))
    assert box_key(facts) == [("cat", "#0072b2"), ("dog", "#e69f00")]
    assert 'style="background:#e69f00"' in round_page(drawn)
    assert "#e69f00" not in round_page(facts)


def test_pictures_are_of_the_items_and_damaged_ones_are_named(tmp_path: Path) -> None:
    facts = make_facts(IDS, n_picks=2, media=draw_images(tmp_path, IDS))
    second = facts.item_ids.index(facts.round.selection.item_ids[1])
    Path(str(facts.media[second])).write_bytes(b"no image")
    first_card, second_card = cards_of(facts)
    with Image.open(io.BytesIO(base64.b64decode(first_card.picture.partition(",")[2]))) as picture:
        assert picture.size == first_card.size == (240, 160)
        assert len(picture.convert("RGB").getcolors(100_000) or []) > 2
    assert (second_card.picture, second_card.lacks) == ("", "image cannot be read")
    assert "image cannot be read" in Reading(round_page(facts)).text


def test_small_pictures_lie_in_their_cells(tmp_path: Path) -> None:
    media: list[str | None] = [*draw_images(tmp_path, IDS[:20])]
    media[3] = str(tmp_path / "missing.png")
    sheets = sheets_of(range(20), media)
    assert sheets.rows.tolist() == [row for row in range(20) if row != 3]
    assert sheets.sizes[0].tolist() == [64, 43]
    with Image.open(io.BytesIO(sheets.webp[0])) as sheet:
        assert sheet.size == (16 * CELL, 2 * CELL)
        place = sheets.rows.tolist().index(17)
        with Image.open(str(media[17])) as image:
            here = np.asarray(sheet.convert("RGB"))[place // 16 * CELL + 8, place % 16 * CELL + 50]
            there = np.asarray(image.convert("RGB"))[12, 90]
        np.testing.assert_allclose(here, there, atol=12)


def test_thumbnails_go_to_picks_first_and_then_evenly_over_the_map() -> None:
    random = np.random.default_rng(0)
    crowd, lonely = random.uniform(-1, -0.8, (990, 2)), random.uniform(0.2, 1, (10, 2))
    places = np.concatenate([crowd, lonely])
    ranks = np.zeros(1_000, dtype=np.int64)
    ranks[[7, 3]] = 1, 2
    media: list[str | None] = ["file"] * 1_000
    media[995] = None
    chosen = thumbnail_places(places, ranks, media, 30)
    assert chosen[:2].tolist() == [7, 3]
    assert len(set(chosen.tolist())) == 30
    assert set(range(990, 1_000)) - set(chosen.tolist()) == {995}
    assert thumbnail_places(places, ranks, media, 1).tolist() == [7]
    assert thumbnail_places(places, ranks, media, 0).tolist() == []


def test_the_number_of_thumbnails_bounds_what_is_read_for_the_map(tmp_path: Path) -> None:
    facts = make_facts(IDS, n_picks=2, media=draw_images(tmp_path, IDS))
    assert "10 items of the map show a small picture" in Reading(round_page(facts, n_thumbnails=10)).text
    assert "No small pictures are kept in this page." in Reading(round_page(facts, n_thumbnails=0)).text
    with pytest.raises(ValueError, match="n_thumbnails is -1; expected 0 or more"):
        round_page(facts, n_thumbnails=-1)


def test_figures_are_compared_with_random_batches_in_words() -> None:
    facts = make_facts(IDS, n_picks=8)
    assert facts.quality is not None
    by_name = {one.name: one for one in quality_of(facts.quality)}
    radius = by_name["covering radius"]
    assert (radius.value, radius.low, radius.high) == ("3.21", "4", "4.9")
    assert (radius.verdict, radius.kind, radius.better) == ("better than 95% of random batches", "good", "lower is better")
    assert radius.at_value < radius.at_low < radius.at_mean < radius.at_high
    assert by_name["outlier share"].verdict == "worse than 95% of random batches"
    assert by_name["mean distance"].verdict == "as in random batches"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_figure_that_is_no_number_has_a_place_too(value: float) -> None:
    quality = Quality("CORAL", 1, 20, (Figure("mean distance", "euclidean", value, 1.0, 0.5, 2.0, "lower"),))
    (one,) = quality_of(quality)
    assert 0 <= one.at_value <= 100


def test_near_duplicates_avoided_are_counted_in_labels() -> None:
    quality = Quality("CORAL", 100, 20, (Figure("near-duplicate share", "share", 0.02, 0.17, 0.1, 0.24, "lower"),))
    assert near_duplicates(quality) == (
        "2 of 100 picks look like a labeled or an earlier picked item; in a random batch 17 would: "
        "15 labels are not spent on near-duplicates."
    )
    none = Quality("CORAL", 50, 20, (Figure("near-duplicate share", "share", 0.0, 0.0, 0.0, 0.0, "lower"),))
    assert near_duplicates(none).startswith("No pick looks like a labeled or an earlier picked item")
    assert near_duplicates(Quality("CORAL", 100, 20, ())) == ""


def test_coverage_before_and_after_stand_side_by_side() -> None:
    facts = make_facts(IDS, n_picks=8)
    facts = replace(facts, labeled_distances=np.array([1.0, 3.0, *[np.nan] * 58]))
    coverage = coverage_of(facts)
    assert coverage is not None
    assert coverage.rows == (("mean distance", "2", "1.4", "1.41"), ("covering radius", "3", "3.21", "4.4"))
    assert coverage_of(replace(facts, distance_unit="cosine")) is None


def test_a_long_history_shows_the_last_fifty_rounds() -> None:
    facts = bare_facts()
    history = tuple(a_round(number, (), n_unlabeled=1, n_labeled=0) for number in range(1, 61))
    text = Reading(round_page(replace(facts, history=history))).text
    assert "10 earlier rounds are left out" in text
    assert "round-60-coral" in text
    assert "round-10-coral" not in text


def test_a_push_that_failed_in_part_names_the_items() -> None:
    facts = make_facts(IDS, n_picks=3)
    push = replace(facts.round.pushes[0], problems={"img_1.jpg": "it is locked"}, is_complete=False)
    text = Reading(round_page(replace(facts, round=replace(facts.round, pushes=(push,))))).text
    assert "pushed in part" in text
    assert "img_1.jpg is not in the queue: it is locked" in text


def test_arrays_of_another_length_and_unknown_picks_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    facts = make_facts(IDS, n_picks=3)
    with pytest.raises(ValueError, match="scores has 2 entries for 60 item ids; expected one of each"):
        Report.written(tmp_path / "page.html", round_page(replace(facts, scores=np.zeros(2))))
    with pytest.raises(ValueError, match="1 picks are not among the item ids, the first is 'gone"):
        Report.written(tmp_path / "page.html", round_page(bare_facts(picks=("gone.jpg",))))
    assert list(tmp_path.iterdir()) == []


def test_the_same_facts_give_the_same_page_but_for_its_time() -> None:
    facts: RoundFacts = make_facts(IDS, n_picks=3)
    written = re.compile(r"<time>[^<]*</time>")
    assert written.sub("", round_page(facts)) == written.sub("", round_page(facts))


def test_numbers_are_packed_in_the_smallest_type_that_holds_them() -> None:
    for values, dtype in (([0, 255], "u1"), ([0, 256], "u2"), ([-1, 5], "i1"), ([0, 70_000], "i4")):
        assert packed(np.array(values))["dtype"] == dtype
        assert unpacked(packed(np.array(values))) == values
    assert packed(np.array([1e300]))["dtype"] == "f8"
    with pytest.raises(TypeError, match="cannot be packed; expected numbers"):
        packed(np.array(["a"]))


def test_a_reason_is_split_between_its_parts_and_not_inside_of_names() -> None:
    assert split_reason("score 1; far from 'a; b'; new") == ("score 1", "far from 'a; b'", "new")
    assert split_reason("") == ()
