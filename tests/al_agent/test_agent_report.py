"""An agent writes the page of a round, and a batch shows itself."""

from __future__ import annotations

import gc
import html
import pickle
import re
import weakref
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from al_agent import (
    ActiveLearningAgent,
    ClassificationPredictions,
    DetectionPredictions,
    Embeddings,
    Item,
    ItemState,
    NoRoundYet,
    PlatformLocal,
    PushReport,
    SamplerConfig,
    ScorerClassification,
    ScorerObjectDetection,
    Scores,
    Selection,
    Unavailable,
)
from al_agent.report.page.report import Report
from al_agent.report.round.facts import ClassCount
from al_agent.report.round.reporter import Reporter
from samplers.showing import PageOptions

pytest.importorskip("jinja2")
pytest.importorskip("plotly")

IDS = tuple(f"img_{n}.png" for n in range(12))


@pytest.fixture
def platform(tmp_path: Path) -> PlatformLocal:
    """Twelve small images, two of them labeled."""
    folder = tmp_path / "project"
    folder.mkdir()
    for n, name in enumerate(IDS):
        Image.new("RGB", (32, 24), (20 * n, 100, 200 - 10 * n)).save(folder / name)
    platform = PlatformLocal.create(folder)
    platform.annotate({"img_0.png": "cat", "img_1.png": "dog"})
    return platform


def make_agent(platform: PlatformLocal) -> ActiveLearningAgent:
    return ActiveLearningAgent(platform, embeddings=Embeddings(IDS, np.random.default_rng(0).normal(size=(12, 4))))


def make_scorer() -> ScorerClassification:
    p = np.linspace(0.5, 1.0, 12)
    return ScorerClassification(ClassificationPredictions(IDS, np.stack([p, 1 - p], axis=1), class_names=["cat", "dog"]))


def test_a_batch_writes_its_page_with_all_that_the_agent_knew(platform: PlatformLocal, tmp_path: Path) -> None:
    batch = make_agent(platform).query(SamplerConfig(3, method="CORAL"), make_scorer())
    made = batch.report(tmp_path / "round.html", curve=[(10, 0.5), (20, 0.6)])
    assert made.missing == ()
    page = (tmp_path / "round.html").read_text(encoding="utf-8")
    for text in (*batch.item_ids, "round-1-coral", "SamplerConfig(3, method=", "cat 0."):
        assert text in page
    assert isinstance(made, Report)
    assert str(made) == f"{tmp_path / 'round.html'}, {(tmp_path / 'round.html').stat().st_size / 1e6:.1f} MB"
    assert (platform.home / "al-agent-map.npz").exists()


def test_the_page_shows_the_items_as_they_stood_at_the_query(platform: PlatformLocal) -> None:
    agent = make_agent(platform)
    batch = agent.query(SamplerConfig(2, method="RANDOM"))
    later = next(name for name in IDS[2:] if name not in batch.item_ids)
    platform.annotate({later: "cat"})
    shower = batch._shower
    assert isinstance(shower, Reporter)
    states = dict(zip(shower.facts(PageOptions()).item_ids, shower.facts(PageOptions()).states.tolist()))
    assert (states[later], states["img_0.png"]) == ("unlabeled", "labeled")
    assert not any("today" in sentence for sentence in agent.report().missing)
    assert any("today" in sentence for sentence in make_agent(platform).report().missing)


def test_the_agent_reports_what_it_has_picked_by_and_other_rounds_with_what_it_is_given(platform: PlatformLocal) -> None:
    agent = make_agent(platform)
    agent.query(SamplerConfig(2, method="UNCERTAINTY"), make_scorer())
    agent.query(SamplerConfig(2, method="RANDOM"))
    first = agent.report(round_number=1)
    assert any("No scores" in sentence for sentence in first.missing)
    assert any("2 picks are of unknown class" in sentence for sentence in first.missing)
    assert "round-1-uncertainty" in first.page
    with_scorer = agent.report(scorer=make_scorer(), round_number=1)
    assert not any("No scores" in sentence for sentence in with_scorer.missing)
    apart = agent.report(None, make_scorer().scores(), round_number=1, predictions=make_scorer().predictions)
    assert apart.missing == with_scorer.missing
    sent = agent.report(None, make_scorer().predictions, round_number=1)
    assert any("No scores" in sentence for sentence in sent.missing)


def test_a_batch_does_not_keep_the_predictions(platform: PlatformLocal) -> None:
    predictions = make_scorer().predictions
    reference = weakref.ref(predictions.probabilities)
    batch = make_agent(platform).query(SamplerConfig(2, method="UNCERTAINTY"), ScorerClassification(predictions))
    del predictions
    gc.collect()
    assert reference() is None
    assert "cat 0." in str(batch.report()._repr_html_())


def test_nothing_is_written_where_the_page_cannot_be_made(platform: PlatformLocal, tmp_path: Path) -> None:
    agent = make_agent(platform)
    target = tmp_path / "round.html"
    with pytest.raises(NoRoundYet, match="there was no round"):
        agent.report(target)
    batch = agent.query(SamplerConfig(2, method="RANDOM"))
    with pytest.raises(ValueError, match=r"there is no round 7; the project has 1$"):
        agent.report(target, round_number=7)
    with pytest.raises(ValueError, match="prices are given without curve"):
        batch.report(target, value_per_point=1.0, cost_per_label=1.0)
    with pytest.raises(ValueError, match="none of 1 items with a label is in the project"):
        batch.report(target, labels={"nobody.png": "cat"})
    with pytest.raises(ValueError, match="expected a scorer such as ScorerClassification, or Scores"):
        agent.report(target, "scores.npz")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="n_thumbnails is -1"):
        batch.report(target, n_thumbnails=-1)
    with pytest.raises(ValueError, match=r"'round.txt' ends in .txt; expected .html"):
        batch.report("round.txt")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        batch.report(tmp_path / "nowhere" / "round.html")
    assert not target.exists()


def test_a_batch_of_no_agent_names_the_way(platform: PlatformLocal) -> None:
    batch = make_agent(platform).query(SamplerConfig(2, method="RANDOM"))
    for stranger in (pickle.loads(pickle.dumps(batch)), Selection(("a",), np.zeros(1), ("",))):
        with pytest.raises(ValueError, match=r"does not know its project: .* use agent.report\(path\)"):
            stranger.report("round.html")


def test_missing_and_corrupt_images_are_said_and_the_page_is_made(platform: PlatformLocal) -> None:
    batch = make_agent(platform).query(SamplerConfig(4, method="RANDOM"))
    (platform.home / batch.item_ids[0]).unlink()
    (platform.home / batch.item_ids[1]).write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    made = batch.report()
    lost = platform.home / batch.item_ids[0]
    assert f"The images of 1 of 4 picks are not there, the first is '{lost}'." in made.missing
    assert batch._repr_html_().count("<img") == 2


# --- in a notebook ---


def test_a_report_shows_itself_in_a_frame_that_runs_only_its_own_scripts() -> None:
    page = "<!doctype html><title>\"quotes\" & <b>'marks'</b></title>"
    shown = Report(None, (), page)._repr_html_()
    (frame,) = re.findall(r'srcdoc="([^"]*)"', shown)
    assert html.unescape(frame) == page
    (rights,) = re.findall(r'sandbox="([^"]*)"', shown)
    assert "allow-scripts" in rights
    assert "allow-same-origin" not in rights


def test_a_batch_shows_a_light_table_with_pictures(platform: PlatformLocal) -> None:
    batch = make_agent(platform).query(SamplerConfig(10, method="CORAL"), make_scorer())
    shown = batch._repr_html_()
    assert shown.count("data:image/jpeg;base64,") == 10
    assert len(shown) < 300_000
    assert "<script" not in shown
    for reason in batch.reasons:
        assert html.escape(reason) in shown


def test_a_batch_of_a_project_that_is_gone_shows_without_pictures(platform: PlatformLocal) -> None:
    batch = make_agent(platform).query(SamplerConfig(2, method="RANDOM"))
    (platform.home / "al-agent.sqlite").unlink(missing_ok=True)
    for file in platform.home.glob("*.sqlite"):
        file.unlink()
    assert "<img" not in batch._repr_html_()
    assert batch.item_ids[0] in batch._repr_html_()


# --- on a platform ---


class PlatformFar:
    """A remote project whose word for an image is not to be opened here."""

    key = "far:labels.example.com/7"
    home = None

    def __init__(self, media: str) -> None:
        self.media = media
        self.is_down = False

    def list_items(self) -> Iterator[Item]:
        if self.is_down:
            raise Unavailable("labels.example.com does not answer")
        for n, name in enumerate(IDS):
            yield Item(name, str(n), name, ItemState.UNLABELED, media=self.media)

    def push(self, ranks: Mapping[str, int], resets: Collection[str] = ()) -> PushReport:
        return PushReport(updated=tuple(ranks))

    def link(self, item: Item) -> str | None:
        return f"https://labels.example.com/7/{item.remote_id}"


@pytest.fixture
def far(platform: PlatformLocal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[PlatformFar, Selection]:
    monkeypatch.setenv("AL_AGENT_HOME", str(tmp_path / "home"))
    project = PlatformFar(str(platform.home / "img_3.png"))
    embeddings = Embeddings(IDS, np.random.default_rng(0).normal(size=(12, 4)))
    return project, ActiveLearningAgent(project, embeddings=embeddings).query(SamplerConfig(3, method="RANDOM"))


def test_a_remote_platforms_word_for_an_image_is_not_opened_here(far: tuple[PlatformFar, Selection]) -> None:
    _, batch = far
    made = batch.report()
    assert any("3 picks are without an image on this machine" in sentence for sentence in made.missing)
    assert "<img" not in batch._repr_html_()
    shower = batch._shower
    assert isinstance(shower, Reporter)
    assert set(shower.facts(PageOptions()).media) == {None}
    assert shower.facts(PageOptions()).project == "far:labels.example.com/7"


def test_images_are_taken_from_a_folder_or_a_mapping(
    far: tuple[PlatformFar, Selection], platform: PlatformLocal, tmp_path: Path
) -> None:
    _, batch = far
    shower = batch._shower
    assert isinstance(shower, Reporter)
    facts = shower.facts(PageOptions(images=platform.home))
    assert facts.media[3] == str(platform.home / "img_3.png")
    assert not any("without an image" in sentence for sentence in facts.missing)
    facts = shower.facts(PageOptions(images={"img_3.png": Path("somewhere.png")}))
    assert (facts.media[3], facts.media[4]) == ("somewhere.png", None)
    with pytest.raises(ValueError, match="images names no item of the project, but 'x'; its keys are item ids"):
        batch.report(images={"x": "x.png"})
    other = tmp_path / "other"
    other.mkdir()
    Image.new("RGB", (4, 4)).save(other / "holiday.png")
    with pytest.raises(ValueError, match=r"none of 1 images below '.*other' is an item of the project"):
        batch.report(images=other)


def test_picks_link_to_their_pages_and_the_map_is_kept_below_the_home(
    far: tuple[PlatformFar, Selection], tmp_path: Path
) -> None:
    _, batch = far
    page = batch.report()
    assert isinstance(page, Report)
    for item_id in batch.item_ids:
        assert f"https://labels.example.com/7/{IDS.index(item_id)}" in page.page
    assert [file.suffix for file in (tmp_path / "home" / "maps").iterdir()] == [".npz"]


def test_a_platform_that_is_down_is_an_error_before_anything_is_written(
    far: tuple[PlatformFar, Selection], tmp_path: Path
) -> None:
    project, batch = far
    project.is_down = True
    with pytest.raises(Unavailable):
        batch.report(tmp_path / "round.html")
    assert not (tmp_path / "round.html").exists()
    assert batch.item_ids[0] in batch._repr_html_()


def test_odd_names_make_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = ("<script>alert(1)</script>", "half \ud800.png", "\u05e9\u05dc\u05d5\u05dd.png")

    class PlatformOdd(PlatformFar):
        def list_items(self) -> Iterator[Item]:
            for name in odd:
                yield Item(name, name, name, ItemState.UNLABELED)

        def link(self, item: Item) -> str | None:
            return None

    scores = Scores(odd, {"age": [1.0, 2.0, 3.0]})
    embeddings = Embeddings(odd, np.eye(3))
    agent = ActiveLearningAgent(PlatformOdd(""), embeddings=embeddings, journal=tmp_path / "j.sqlite")
    monkeypatch.setenv("AL_AGENT_HOME", str(tmp_path))
    batch = agent.query(SamplerConfig(1, method="CORAL"), scores)
    batch.report(tmp_path / "round.html", labels={odd[1]: "</td>"})
    page = (tmp_path / "round.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "\u05e9\u05dc\u05d5\u05dd.png" in page or "\\u05e9" in page


def test_boxes_that_the_scorer_leaves_out_are_not_on_the_page(platform: PlatformLocal) -> None:
    predictions = DetectionPredictions(
        IDS, [[0.1, 0.1, 0.9, 0.9]] * 24, [0.9, 0.2] * 12, [0, 1] * 12, np.arange(0, 25, 2), class_names=["car", "bus"]
    )
    scorer = ScorerObjectDetection(predictions, score_threshold=0.5)
    batch = make_agent(platform).query(SamplerConfig(2, method="UNCERTAINTY"), scorer)
    shower = batch._shower
    assert isinstance(shower, Reporter)
    facts = shower.facts(PageOptions())
    assert [[box.label for box in facts.marks[item_id].boxes] for item_id in batch] == [["car"], ["car"]]
    assert facts.balance == (ClassCount("car", 2, 2),)


def test_a_scorer_that_read_chunks_gives_scores_and_no_classes(platform: PlatformLocal) -> None:
    chunks = (make_scorer().predictions[part] for part in (slice(0, 6), slice(6, 12)))
    batch = make_agent(platform).query(SamplerConfig(2, method="UNCERTAINTY"), ScorerClassification(chunks))
    shower = batch._shower
    assert isinstance(shower, Reporter)
    facts = shower.facts(PageOptions())
    assert facts.scores is not None
    assert (facts.marks, facts.class_kind) == ({}, "label")
