"""Whatever goes wrong on the way to a platform: the report is true, the next push finishes, and no key is seen."""

from __future__ import annotations

import contextlib
import logging
import pickle
import sqlite3
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from fault_sites import KiliSite, LabelStudioSite, Site, SuperAnnotateSite, Vendor, forms_of
from gate import Gate, find_openssl, make_certificate
from http_double import Fault, HttpDouble, Request
from kili_double import graphql_error
from label_studio_server import LabelStudioServer

from al_agent import (
    ActiveLearningAgent,
    AuthenticationFailed,
    NoRoundYet,
    NotFound,
    PlatformError,
    PushReport,
    RateLimited,
    Rejected,
    SamplerConfig,
    Scores,
    Unavailable,
)
from al_agent.journal import Journal
from al_agent.platforms.connection import Connection

VENDORS: tuple[Vendor, ...] = ("Kili", "SuperAnnotate", "Label Studio")
DOUBLES: tuple[Vendor, ...] = ("Kili", "SuperAnnotate")
Phase = Literal["listing", "pushing"]
Note = Callable[[str, str, str, int, float], None]
MakeSite = Callable[..., Site]
Expected = str | type[PlatformError]

HEADINGS = ("updated", "unchanged", "declined", "failed", "not_sent", "taken_back")
COMPLETE, INCOMPLETE = "complete", "incomplete"
FAST: dict[str, Any] = {
    "first_wait_s": 0.01,
    "longest_wait_s": 0.05,
    "give_up_after_s": 3.0,
    "read_timeout_s": 2.0,
    "connect_timeout_s": 1.0,
    "n_parallel": 4,
    "show_progress": False,
}
SHORT_READ = {"read_timeout_s": 0.5}
N_EARLIER = 3  # picks of the round before, some of which are to be taken back
DATE, A_SECOND_LATER = "Wed, 01 Jan 2020 00:00:00 GMT", "Wed, 01 Jan 2020 00:00:01 GMT"
SAYS_KEY = {"message": "what you sent was KEY"}


@dataclass(frozen=True)
class Case:
    """A fault, and what comes of it.

    Args:
        name: In words.
        expected: What a push under it gives: a report that is complete or not, or an error; by vendor where they differ.
        fault: Options of the `Fault`; KEY stands for the key.
        connection: What is other than in `FAST`.
        phases: Requests that suffer: those that list, or those that push.
        vendors: Whom it can happen to.
        n_hits: How many requests are hit, if it is known.
        least_s: How long the push takes at least.
        n_items: Number of items.
        n_picks: Number of picks.
    """

    name: str
    expected: Expected | Mapping[Vendor, Expected]
    fault: Mapping[str, Any] = field(default_factory=dict)
    connection: Mapping[str, Any] = field(default_factory=dict)
    phases: tuple[Phase, ...] = ("listing", "pushing")
    vendors: tuple[Vendor, ...] = VENDORS
    n_hits: int | Mapping[Vendor, int] | None = None
    least_s: float = 0.0
    n_items: int = 12
    n_picks: int = 4

    def expected_of(self, vendor: Vendor) -> Expected:
        return self.expected[vendor] if isinstance(self.expected, Mapping) else self.expected

    def hits_of(self, vendor: Vendor) -> int | None:
        return self.n_hits.get(vendor) if isinstance(self.n_hits, Mapping) else self.n_hits


def once(name: str, *phases: Phase, least_s: float = 0.0, vendors: tuple[Vendor, ...] = VENDORS, **fault: Any) -> Case:
    """A fault that passes, and that nobody needs to hear of."""
    both: tuple[Phase, ...] = ("listing", "pushing")
    return Case(f"{name}, once", COMPLETE, fault, n_hits=1, least_s=least_s, phases=phases or both, vendors=vendors)


def always(name: str, expected: Expected | Mapping[Vendor, Expected], n_hits: int | None = None, **fault: Any) -> Case:
    """A fault that stays."""
    options = {name: fault.pop(name) for name in ("connection", "phases", "vendors") if name in fault}
    return Case(name, expected, {"times": None, **fault}, n_hits=n_hits, **options)


def refused(status: int) -> tuple[Case, Case]:
    """A refusal that concerns one request: listing ends, pushing tells of each item."""
    fault: dict[str, Any] = {"status": status, "body": SAYS_KEY}
    by_vendor: dict[Vendor, Expected] = {"Kili": INCOMPLETE, "SuperAnnotate": INCOMPLETE, "Label Studio": Rejected}
    return (
        always(f"{status}", Rejected, 1, phases=("listing",), **fault),
        always(f"{status}", by_vendor, phases=("pushing",), **fault),
    )


KILI_LISTS: dict[str, Any] = {"vendors": ("Kili",), "phases": ("listing",)}
KILI_PUSHES: dict[str, Any] = {"vendors": ("Kili",), "phases": ("pushing",)}
EMPTY_ROWS: dict[Vendor, Any] = {
    "Kili": {"data": {"data": [{}]}},
    "SuperAnnotate": {"data": [{}], "total": 1},
    "Label Studio": {"tasks": [{}]},
}
MANY: dict[str, Any] = {"vendors": DOUBLES, "phases": ("pushing",), "n_items": 520, "n_picks": 480}


def half(request: Request, body: Any) -> Any:
    """The answer with every other of its confirmations."""
    if request.operation == "updateEntropy":
        return {"data": body["data"][::2]}
    return {"data": {"data": body["data"]["data"][::2]}}


# What 502 and 504 do is what 503 does, and the real server takes its time.
TROUBLE: dict[int, tuple[Vendor, ...]] = {500: VENDORS, 502: DOUBLES, 503: VENDORS, 504: DOUBLES}
LOOKED_UP: dict[Vendor, Expected] = {"Kili": Unavailable, "SuperAnnotate": Unavailable, "Label Studio": COMPLETE}
RESET: dict[str, Any] = {"then": "reset"}
CUT: dict[str, Any] = {"then": "cut"}
CASES = (
    always("401", AuthenticationFailed, 1, status=401, body=SAYS_KEY),
    always("403", AuthenticationFailed, status=403, body={"detail": "KEY"}),
    always("404", NotFound, status=404, body={"error": "KEY"}),
    *refused(409),
    *refused(413),
    once("429 with Retry-After in seconds", "pushing", status=429, headers={"Retry-After": "1"}, least_s=1.0),
    once(
        "429 with Retry-After as a date of a wrong clock",
        "listing",
        status=429,
        headers={"Date": DATE, "Retry-After": A_SECOND_LATER},
        least_s=1.0,
    ),
    once("429 with Retry-After in the past", "pushing", status=429, headers={"Retry-After": DATE}),
    once("429 without Retry-After", status=429),
    always("429 for longer than we wait", RateLimited, 1, status=429, headers={"Retry-After": "100"}, body=SAYS_KEY),
    *(once(f"{status}", status=status, body=SAYS_KEY, vendors=vendors) for status, vendors in TROUBLE.items()),
    once("503 after the change", "pushing", status=503, applied=True),
    *(
        always(f"{status}", Unavailable, status=status, body=SAYS_KEY, vendors=vendors)
        for status, vendors in TROUBLE.items()
    ),
    once("reset before the answer", applied=False, **RESET),
    once("reset after the change", "pushing", **RESET),
    always("reset after the change", LOOKED_UP, phases=("pushing",), **RESET),
    once("cut in the middle of the answer", **CUT),
    Case(
        "no answer after the change, once",
        COMPLETE,
        {"then": "hang"},
        connection=SHORT_READ,
        n_hits=1,
        vendors=DOUBLES,
        least_s=0.5,
    ),
    Case(
        "no answer after the change",
        Unavailable,
        {"then": "hang", "times": None},
        connection=SHORT_READ,
        n_hits=3,
        vendors=DOUBLES,
        least_s=1.5,
    ),
    once("truncated JSON", status=200, body='{"data": [{"KEY', applied=True),
    always("truncated JSON", Unavailable, status=200, body='{"data": [{"KEY'),
    always("a page in HTML", Unavailable, status=200, body="<html>Sign in, KEY</html>"),
    always("JSON of another kind", Unavailable, phases=("listing",), status=200, body=["KEY", "KEY"]),
    always("a JSON string", Unavailable, phases=("pushing",), status=200, body='"KEY"'),
    always("GraphQL error with extensions", Rejected, status=200, body=graphql_error("KEY"), **KILI_LISTS),
    always("GraphQL error without extensions", Rejected, status=200, body=graphql_error("KEY", None), **KILI_LISTS),
    always("GraphQL error with extensions", INCOMPLETE, status=200, body=graphql_error("KEY"), **KILI_PUSHES),
    always("GraphQL error without extensions", INCOMPLETE, status=200, body=graphql_error("KEY", None), **KILI_PUSHES),
    always(
        "GraphQL refusal of the key, status 200",
        AuthenticationFailed,
        status=200,
        body=graphql_error("[unauthorized] KEY", None),
        vendors=("Kili",),
    ),
    always("GraphQL data that is null", Unavailable, status=200, body={"data": {"data": None}}, vendors=("Kili",)),
    always("GraphQL data that is empty", Unavailable, status=200, body={"data": {}}, vendors=("Kili",)),
    *(
        always("rows without fields", Unavailable, phases=("listing",), vendors=(vendor,), status=200, body=body)
        for vendor, body in EMPTY_ROWS.items()
    ),
    Case(
        "the key expires after the first batch",
        INCOMPLETE,
        {"times": None, "skip": 1, "status": 401, "body": SAYS_KEY},
        {"n_parallel": 1},
        n_hits=1,
        **MANY,
    ),
    Case("503 from the second batch on", INCOMPLETE, {"times": None, "skip": 1, "status": 503}, {"n_parallel": 1}, **MANY),
    Case("503 from the second batch on, in parallel", INCOMPLETE, {"times": None, "skip": 1, "status": 503}, **MANY),
    Case("reset after the change, from the second batch on", INCOMPLETE, {"times": None, "skip": 1, **RESET}, **MANY),
    Case("413 for one batch of several", INCOMPLETE, {"skip": 1, "status": 413}, n_hits=1, **MANY),
    Case("half of each batch is confirmed", INCOMPLETE, {"times": None, "rewrite": half}, **MANY),
)


def spoken(text: Any, key: str) -> Any:
    """`text` with the key in it, as a server that repeats what it got."""
    if isinstance(text, str):
        is_json = text.startswith(("{", '"'))
        return text.replace("KEY", key.replace('"', '\\"') if is_json else key)
    if isinstance(text, Mapping):
        return {name: spoken(value, key) for name, value in text.items()}
    return [spoken(value, key) for value in text] if isinstance(text, list) else text


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AL_AGENT_HOME", str(tmp_path / "home"))


@pytest.fixture
def make_site(request: pytest.FixtureRequest) -> Iterator[MakeSite]:
    with contextlib.ExitStack() as stack:

        def make(vendor: Vendor, n_items: int = 12, **options: Any) -> Site:
            site: Site
            if vendor == "Label Studio":
                site = LabelStudioSite(request.getfixturevalue("behind_faults"), n_items, **options)
            else:
                site = KiliSite(n_items) if vendor == "Kili" else SuperAnnotateSite(n_items)
            return stack.enter_context(site)

        yield make


@dataclass
class Heard:
    """What a push under a fault gave: a report or an error, and everything that was said meanwhile."""

    report: PushReport | None = None
    error: PlatformError | None = None
    said: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def what(self) -> str:
        return type(self.error).__name__ if self.report is None else f"{self.report}"

    @property
    def outcome(self) -> Expected:
        if self.report is None:
            return type(self.error)  # type: ignore[return-value]  # one of the two is there
        return COMPLETE if self.report.is_complete else INCOMPLETE


class Story:
    """Two rounds on a site: the first pushed, the second noted and then pushed under a fault.

    Args:
        site: The project.
        journal: The file.
        n_picks: Number of picks of the second round, which shares one item with the first.
    """

    def __init__(self, site: Site, journal: Path, n_picks: int = 4, n_earlier: int = N_EARLIER) -> None:
        self.site = site
        self.journal = journal
        self.earlier = tuple(site.ids[:n_earlier])
        self.picks = (*reversed(site.ids[N_EARLIER + 1 : N_EARLIER + n_picks]), site.ids[1])
        self.agent = self.new_agent()
        if self.earlier:
            self.pick(self.agent, self.earlier, push=True)
        self.pick(self.agent, self.picks, push=False)
        self.before, _ = site.state()
        assert [name for name, rank in self.before.items() if rank is not None] == list(self.earlier)

    def new_agent(self, connection: Mapping[str, Any] | None = None) -> ActiveLearningAgent:
        """As another process would have it."""
        platform = self.site.platform(Connection(**{**FAST, **self.site.trusted, **(connection or {})}))
        return ActiveLearningAgent(platform, journal=self.journal)

    def pick(self, agent: ActiveLearningAgent, wanted: Sequence[str], *, push: bool) -> None:
        place = {item_id: n for n, item_id in enumerate(wanted)}
        values = np.array([float(-place.get(item_id, len(place))) for item_id in self.site.ids])
        scores = Scores(self.site.ids, {"uncertainty": values})
        agent.query(SamplerConfig(n_samples=len(wanted), method="UNCERTAINTY"), scores, push=push)

    def push(self, agent: ActiveLearningAgent, **options: Any) -> Heard:
        """Push, and hear everything."""
        heard, begun = Heard(), time.monotonic()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                heard.report = agent.push(**options)
                heard.said += [repr(heard.report), str(heard.report.declined), str(heard.report.failed)]
            except PlatformError as error:
                heard.error = error
                again = pickle.loads(pickle.dumps(error))
                assert (type(again), str(again), again.status) == (type(error), str(error), error.status)
                heard.said += [str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)]
                heard.said.append(pickle.dumps(error).decode("latin-1"))
        heard.seconds = time.monotonic() - begun
        heard.said += [str(one.message) for one in caught]
        assert bool(caught) == (heard.report is not None and not heard.report.is_complete)
        heard.said += [repr(agent), repr(agent.platform), repr(agent.history)]
        return heard

    def check(self, heard: Heard, caplog: pytest.LogCaptureFixture, gone: Sequence[str] = ()) -> None:
        """The report is true, the journal reads, the next push finishes, nothing is lost, and no key is seen."""
        if heard.report is not None:
            self.check_report(heard.report, gone)
        self.check_journal(heard.report)
        self.site.double.faults.clear()
        self.site.double.before_each = None
        self.site.drop(())
        ended = self.push(self.new_agent())
        assert ended.report is not None, ended.error
        assert ended.report.is_complete
        self.check_order(self.check_report(ended.report, gone), gone)
        check_secret(self.site, [*heard.said, *ended.said], caplog, self.journal)

    def check_report(self, report: PushReport, gone: Sequence[str]) -> list[str]:
        """Every item stands in one heading, and the server has what the heading says; gives the server's queue."""
        now, queue = self.site.state()
        ranks = {item_id: rank for rank, item_id in enumerate(self.picks)}
        told = [item_id for name in HEADINGS for item_id in getattr(report, name)]
        assert len(told) == len(set(told)) == sum(report.counts().values())
        assert set(self.picks) <= set(told) <= {*self.picks, *self.earlier}
        has = {item_id: rank for item_id, rank in now.items() if rank is not None and item_id not in gone}
        done = {*report.updated, *report.unchanged} - set(gone)
        assert {item_id: has.get(item_id) for item_id in done} == {item_id: ranks[item_id] for item_id in done}
        assert {*has} & {*report.taken_back} == set()
        assert {i: now[i] for i in report.not_sent} == {i: self.before[i] for i in report.not_sent}
        assert {*report.declined} <= set(gone)
        assert report.is_complete == (not report.failed and not report.not_sent)
        if report.is_complete:
            assert has == {item_id: rank for item_id, rank in ranks.items() if item_id not in gone}
        return queue

    def check_journal(self, report: PushReport | None) -> None:
        """Both rounds are in it, and the last push as the report has it."""
        with contextlib.closing(sqlite3.connect(self.journal)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        *first, last = Journal(self.journal, project=self.agent.platform.key).rounds()
        assert [(one.selection.item_ids, one.is_pushed) for one in first] == [(self.earlier, True)] * bool(self.earlier)
        assert last.selection.item_ids == self.picks
        assert [push.counts for push in last.pushes] == ([] if report is None else [report.counts()])
        assert last.is_pushed == (report is not None and report.is_complete)

    def check_order(self, queue: Sequence[str], gone: Sequence[str]) -> None:
        """The server's queue begins with the picks in their order, and no item is lost."""
        head = [item_id for item_id in self.picks if item_id not in gone]
        assert list(queue[: len(head)]) == head
        assert sorted(queue) == [item_id for item_id in self.site.ids if item_id not in gone]


def check_secret(site: Site, said: Sequence[str], caplog: pytest.LogCaptureFixture, journal: Path) -> None:
    """No key stands in anything that leaves."""
    keys = {form for key in site.secrets() for form in forms_of(key)}
    texts = [*said, *(f"{record.getMessage()} {record.args} {record.exc_text}" for record in caplog.records)]
    files = [path for path in journal.parent.rglob("*") if path.is_file() and path.suffix != ".pem"]
    texts += [path.read_bytes().decode("latin-1") for path in files]
    assert any(record.name == "al_agent.http" for record in caplog.records)
    assert any(journal == path for path in files) == journal.exists()
    assert [(key, text) for key in keys for text in texts if key in text] == []


def all_cases() -> list[Any]:
    return [
        pytest.param(case, phase, vendor, id=f"{vendor}: {case.name} while {phase}")
        for case in CASES
        for phase in case.phases
        for vendor in case.vendors
    ]


@pytest.mark.parametrize(("case", "phase", "vendor"), all_cases())
def test_a_fault_is_told_truly_and_the_next_push_finishes(
    case: Case,
    phase: Phase,
    vendor: Vendor,
    make_site: MakeSite,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    note_outcome: Note,
) -> None:
    site = make_site(vendor, case.n_items)
    is_brief = vendor == "Label Studio" and phase == "listing"  # seconds on a real server, for what is not reached
    story = Story(site, tmp_path / "rounds.sqlite", case.n_picks, n_earlier=0 if is_brief else N_EARLIER)
    caplog.set_level(logging.DEBUG)
    fault = Fault(**{"on": site.lists if phase == "listing" else site.pushes, **spoken(case.fault, site.key)})
    site.double.faults.append(fault)

    heard = story.push(story.new_agent(case.connection))

    assert heard.outcome == case.expected_of(vendor), heard.said
    assert fault.n_hit == (case.hits_of(vendor) or fault.n_hit) > 0
    assert heard.seconds >= case.least_s
    story.check(heard, caplog)
    note_outcome(vendor, f"{case.name} while {phase}", heard.what, fault.n_hit, heard.seconds)


def check_case(
    story: Story, heard: Heard, name: str, caplog: pytest.LogCaptureFixture, note: Note, gone: Sequence[str] = ()
) -> None:
    """The same for a fault that no table can hold."""
    n_hits = sum(fault.n_hit for fault in story.site.double.faults)
    story.check(heard, caplog, gone)
    note(story.site.vendor, name, heard.what, n_hits, heard.seconds)


@dataclass
class Repeated:
    """Gives the first page again in place of each other one."""

    first: Any = None

    def __call__(self, request: Request, body: Any) -> Any:
        self.first = body if self.first is None else self.first
        return self.first


PAGES: dict[Vendor, int] = {"Kili": 250, "SuperAnnotate": 4100, "Label Studio": 12}


@pytest.fixture
def paged_story(make_site: MakeSite, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Callable[[Vendor], Story]:
    """A project of three pages."""

    def make(vendor: Vendor) -> Story:
        site = make_site(vendor, PAGES[vendor])
        if isinstance(site, LabelStudioSite):
            site.double.page_cap = 5
        caplog.set_level(logging.DEBUG)
        return Story(site, tmp_path / "rounds.sqlite")

    return make


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(("times", "expected"), [(2, COMPLETE), (None, Unavailable)])
def test_a_page_that_comes_twice_is_read_again_or_refused(
    times: int | None,
    expected: Expected,
    vendor: Vendor,
    paged_story: Callable[[Vendor], Story],
    caplog: pytest.LogCaptureFixture,
    note_outcome: Note,
) -> None:
    story = paged_story(vendor)
    story.site.double.faults.append(Fault(on=story.site.lists, times=times, rewrite=Repeated()))
    heard = story.push(story.new_agent({"n_parallel": 1}))
    assert heard.outcome == (Unavailable if vendor == "Label Studio" else expected), heard.said
    check_case(story, heard, "a page repeated" + (", once" if times else ""), caplog, note_outcome)


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("is_pick", [False, True])
@pytest.mark.parametrize("change", ["delete", "label"])
def test_what_changes_while_it_is_listed_costs_no_other_item(
    change: Literal["delete", "label"],
    is_pick: bool,
    vendor: Vendor,
    paged_story: Callable[[Vendor], Story],
    caplog: pytest.LogCaptureFixture,
    note_outcome: Note,
) -> None:
    story = paged_story(vendor)
    site, pages = story.site, list[Request]()
    item_id = site.ids[4] if is_pick else site.ids[8]  # on the first page, which was read then; or of the second
    assert (item_id in story.picks) == is_pick

    def at_the_second_page(request: Request) -> None:
        pages.extend([request] if site.lists(request) else [])
        if len(pages) == 2 and site.lists(request):
            (site.delete if change == "delete" else site.label)(item_id)

    site.double.before_each = at_the_second_page
    heard = story.push(story.new_agent({"n_parallel": 1}))
    assert len(pages) >= 2
    assert heard.outcome == COMPLETE, heard.said
    name = f"{'a pick' if is_pick else 'an item'} {'labeled' if change == 'label' else 'deleted'} while paging"
    check_case(story, heard, name, caplog, note_outcome, gone=[item_id])


@pytest.mark.parametrize("vendor", VENDORS)
def test_rows_that_are_dropped_without_a_word_are_reported(
    vendor: Vendor, make_site: MakeSite, tmp_path: Path, caplog: pytest.LogCaptureFixture, note_outcome: Note
) -> None:
    caplog.set_level(logging.DEBUG)
    site = make_site(vendor)
    story = Story(site, tmp_path / "rounds.sqlite")
    site.drop(story.picks[:2])
    heard = story.push(story.new_agent())
    assert heard.report is not None
    assert set(heard.report.failed) == set(story.picks[:2])
    assert set(heard.report.updated) | set(heard.report.unchanged) == set(story.picks[2:])
    check_case(story, heard, "rows dropped silently", caplog, note_outcome)


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("phase", ["listing", "pushing"])
@pytest.mark.parametrize("status", [302, 307])
def test_a_redirect_to_another_origin_is_not_followed(
    status: int,
    phase: Phase,
    vendor: Vendor,
    make_site: MakeSite,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    note_outcome: Note,
) -> None:
    caplog.set_level(logging.DEBUG)
    site = make_site(vendor)
    story = Story(site, tmp_path / "rounds.sqlite")
    with HttpDouble() as other:
        to = {"Location": f"{other.origin}/elsewhere"}
        on = site.lists if phase == "listing" else site.pushes
        site.double.faults.append(Fault(on=on, times=None, status=status, headers=to))
        heard = story.push(story.new_agent())
        assert other.requests == []
        assert heard.outcome == (INCOMPLETE if phase == "pushing" and vendor != "Label Studio" else Rejected)
        assert other.origin in "".join(heard.said)
    check_case(story, heard, f"{status} to another origin while {phase}", caplog, note_outcome)


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_server_that_is_down_refuses_and_the_next_push_finishes(
    vendor: Vendor, make_site: MakeSite, tmp_path: Path, caplog: pytest.LogCaptureFixture, note_outcome: Note
) -> None:
    caplog.set_level(logging.DEBUG)
    site = make_site(vendor)
    with Gate(site.double.origin) as gate:
        site.front = gate.origin
        story = Story(site, tmp_path / "rounds.sqlite")
        gate.shut()
        heard = story.push(story.new_agent())
        assert heard.outcome == Unavailable
        assert "does not accept connections" in str(heard.error)
        assert "after 3 tries" in str(heard.error)
        gate.open()
        check_case(story, heard, "connection refused while listing", caplog, note_outcome)


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_server_that_goes_down_while_pushing_keeps_the_round(
    vendor: Vendor, make_site: MakeSite, tmp_path: Path, caplog: pytest.LogCaptureFixture, note_outcome: Note
) -> None:
    caplog.set_level(logging.DEBUG)
    site = make_site(vendor)
    with Gate(site.double.origin) as gate:
        site.front = gate.origin
        story = Story(site, tmp_path / "rounds.sqlite")
        site.double.before_each = lambda request: gate.shut() if site.pushes(request) else None
        heard = story.push(story.new_agent())
        assert heard.outcome == Unavailable
        gate.open()
        check_case(story, heard, "connection refused while pushing", caplog, note_outcome)


@pytest.mark.skipif(find_openssl() is None, reason="openssl is not installed")
@pytest.mark.parametrize("vendor", VENDORS)
def test_a_certificate_is_checked_and_a_private_authority_can_be_named(
    vendor: Vendor, make_site: MakeSite, tmp_path: Path, caplog: pytest.LogCaptureFixture, note_outcome: Note
) -> None:
    caplog.set_level(logging.DEBUG)
    site, certificate = make_site(vendor), make_certificate(tmp_path)
    with Gate(site.double.origin, certificate) as gate:
        site.front = gate.origin
        site.trusted = {"ca_file": certificate}
        story = Story(site, tmp_path / "rounds.sqlite")
        assert all(request.headers for request in site.double.requests)
        n_before = len(site.double.requests)
        heard = story.push(story.new_agent({"ca_file": None}))
        assert len(site.double.requests) == n_before
        assert heard.outcome == Unavailable
        assert "its certificate cannot be trusted" in str(heard.error)
        assert "tries" not in str(heard.error)
        check_case(story, heard, "a certificate that nobody signed", caplog, note_outcome)


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_name_that_nobody_knows_is_told(
    vendor: Vendor, make_site: MakeSite, tmp_path: Path, caplog: pytest.LogCaptureFixture, note_outcome: Note
) -> None:
    caplog.set_level(logging.DEBUG)
    site, journal, begun = make_site(vendor), tmp_path / "rounds.sqlite", time.monotonic()
    lost = site.platform(Connection(**FAST), "http://no-such-host.invalid")
    agent = ActiveLearningAgent(lost, journal=journal)
    with pytest.raises(Unavailable, match=r"after 3 tries.*name is not known") as caught:
        agent.query(SamplerConfig(n_samples=2, method="RANDOM"))
    assert not journal.exists()
    assert site.double.requests == []
    said = [*traceback.format_exception(caught.value), repr(caught.value)]
    check_secret(site, said, caplog, journal)
    note_outcome(vendor, "DNS failure", type(caught.value).__name__, 3, time.monotonic() - begun)


@pytest.mark.parametrize("phase", ["listing", "pushing"])
def test_a_token_that_expires_on_the_way_is_renewed(
    phase: Phase,
    behind_faults: LabelStudioServer,
    make_site: MakeSite,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    note_outcome: Note,
) -> None:
    caplog.set_level(logging.DEBUG)
    token = behind_faults.admin.create_access_token()
    site = make_site("Label Studio", key=token)
    story = Story(site, tmp_path / "rounds.sqlite")
    expired = behind_faults.short_lived_token(token, -1.0)
    agent = story.new_agent()
    if phase == "listing":  # the token that the first request is sent with has expired
        fault = Fault(on="POST token/refresh", rewrite=lambda request, body: {"access": expired})
    else:
        fault = Fault(on=site.pushes, status=401, body={"detail": f"{token} has expired"})
    site.double.faults.append(fault)
    heard = story.push(agent)
    assert fault.n_hit == 1
    assert heard.outcome == COMPLETE
    assert len({request.headers["authorization"] for request in site.double.requests if site.lists(request)}) >= 2
    check_case(story, heard, f"a personal token expires while {phase}", caplog, note_outcome)


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_project_of_no_items_has_no_rounds(
    vendor: Vendor, make_site: MakeSite, tmp_path: Path, note_outcome: Note
) -> None:
    site, journal = make_site(vendor, 0), tmp_path / "rounds.sqlite"
    agent = ActiveLearningAgent(site.platform(Connection(**FAST)), journal=journal)
    assert (agent.query_set, agent.unlabeled_set, agent.labeled_set) == ((), (), ())
    with pytest.raises(ValueError, match="there is nothing to pick: of 0 items"):
        agent.query(SamplerConfig(n_samples=1, method="RANDOM"))
    with pytest.raises(NoRoundYet):
        agent.push()
    assert agent.platform.push({"gone.jpg": 0}).declined == {"gone.jpg": "not in the project"}
    assert not journal.exists()
    note_outcome(vendor, "a project of zero items", "nothing to do", 0, 0.0)


@pytest.mark.parametrize("vendor", VENDORS)
def test_after_two_agents_at_once_one_more_push_makes_the_order_right(
    vendor: Vendor, make_site: MakeSite, tmp_path: Path, caplog: pytest.LogCaptureFixture, note_outcome: Note
) -> None:
    caplog.set_level(logging.DEBUG)
    n_items = 12 if vendor == "Label Studio" else 260  # of three batches
    site = make_site(vendor, n_items)
    story = Story(site, tmp_path / "one.sqlite", n_picks=n_items - 4)
    other = ActiveLearningAgent(site.platform(Connection(**FAST)), journal=tmp_path / "other.sqlite")
    story.pick(other, story.picks[::-1], push=False)
    agents, begun = (story.new_agent(), other), time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        reports = [job.result() for job in [pool.submit(agent.push) for agent in agents]]
    assert [report.is_complete for report in reports] == [True, True]
    heard = story.push(story.new_agent())
    assert heard.report is not None
    queue = story.check_report(heard.report, gone=())
    story.check_order(queue, gone=())
    check_secret(site, heard.said, caplog, story.journal)
    note_outcome(vendor, "two agents at once", heard.what, 0, time.monotonic() - begun)


@pytest.mark.parametrize("vendor", DOUBLES)
def test_a_hundred_thousand_items_survive_a_fault_on_the_way(
    vendor: Vendor, make_site: MakeSite, tmp_path: Path, caplog: pytest.LogCaptureFixture, note_outcome: Note
) -> None:
    site = make_site(vendor, 100_000)
    story = Story(site, tmp_path / "rounds.sqlite", n_picks=1000, n_earlier=0)
    caplog.set_level(logging.DEBUG, "al_agent")
    fault = Fault(on=site.pushes, times=None, skip=5, status=503)
    site.double.faults += [Fault(on=site.lists, skip=20, then="cut"), fault]
    heard = story.push(story.new_agent())
    assert fault.n_hit > 0
    assert heard.outcome == INCOMPLETE
    check_case(story, heard, "503 in the middle of 1,000 of 100,000", caplog, note_outcome)
