"""What a platform promises, as tests: listing, direction, differences, resuming, taking back, true reports."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest

from scorers import Scores

from ..agent import ActiveLearningAgent
from ..config import SamplerConfig
from ..platforms.base import ItemState, LinksItems, ListsStates, Platform, PushReport


class ProjectUnderTest(Protocol):
    """A project on a server made for tests, and the hands of an annotator in it."""

    def open(self) -> Platform:
        """A connector to the project, as a new process would make it."""
        ...

    def served(self, n_items: int) -> list[str]:
        """Ids of the next items that annotators get, first one first: from the server itself, not from the connector.

        Where the server cannot be asked, the ids by its stored priorities, the highest first.
        """
        ...

    def annotate(self, item_id: str) -> None:
        """Label an item."""
        ...

    def remove(self, item_id: str) -> None:
        """Take an item out of the project."""
        ...


class PlatformContract:
    """Tests of a platform; a subclass named `Test...` says how a project is made.

    Examples:
        ::

            class TestMine(PlatformContract):
                def make_project(self, names):
                    return MyServer(names)  # a context manager that gives a ProjectUnderTest
    """

    names: Sequence[str] = (
        *(f"img_{number:02d}.jpg" for number in range(9)),
        "two words.jpg",
        "straße 東.jpg",
        "quote'\".jpg",
    )
    """Names of the items that a test's project has."""

    def make_project(self, names: Sequence[str]) -> AbstractContextManager[ProjectUnderTest]:
        """A new project with unlabeled items of these names, which are their ids too."""
        raise NotImplementedError("say how a project for the tests is made")

    @pytest.fixture
    def project(self) -> Iterator[ProjectUnderTest]:
        """The project of one test."""
        with self.make_project(self.names) as project:
            yield project

    def test_every_item_is_listed_once_in_the_same_order(self, project: ProjectUnderTest) -> None:
        first = [item.id for item in project.open().list_items()]
        assert sorted(first) == sorted(self.names)
        assert [item.id for item in project.open().list_items()] == first

    def test_states_that_are_told_alone_are_those_of_the_items(self, project: ProjectUnderTest) -> None:
        platform = project.open()
        if isinstance(platform, ListsStates):
            for change in (lambda _: None, project.annotate, project.remove):
                change(self.names[1])
                ids, states = platform.list_states()
                assert list(zip(ids, states)) == [(item.id, item.state) for item in platform.list_items()]

    def test_links_are_addresses_of_one_item_each_where_the_platform_has_them(self, project: ProjectUnderTest) -> None:
        platform = project.open()
        if not isinstance(platform, LinksItems):
            pytest.skip("the platform has no links to its items")
        links = [link for item in platform.list_items() if (link := platform.link(item)) is not None]
        assert len(set(links)) == len(links)
        assert all(re.fullmatch(r"https?://[!-~]+", link) for link in links), "a link is no http or https address"

    def test_new_items_are_unlabeled_and_without_a_rank(self, project: ProjectUnderTest) -> None:
        assert {(item.state, item.priority) for item in project.open().list_items()} == {(ItemState.UNLABELED, None)}

    def test_the_key_is_the_same_in_every_process(self, project: ProjectUnderTest) -> None:
        assert project.open().key == project.open().key != ""

    def test_rank_0_is_served_first(self, project: ProjectUnderTest) -> None:
        wanted = _shuffled(self.names)[:6]
        report = project.open().push(_ranks(wanted))
        assert _sorted(report) == {"updated": sorted(wanted)}
        assert project.served(6) == wanted

    def test_the_order_of_the_mapping_does_not_matter(self, project: ProjectUnderTest) -> None:
        wanted = _shuffled(self.names)[:4]
        project.open().push({item_id: rank for rank, item_id in reversed(list(enumerate(wanted)))})
        assert project.served(4) == wanted

    def test_ranks_may_have_gaps(self, project: ProjectUnderTest) -> None:
        wanted = _shuffled(self.names)[:3]
        project.open().push({item_id: 100 * place for place, item_id in enumerate(wanted)})
        assert project.served(3) == wanted

    def test_the_same_push_again_changes_nothing(self, project: ProjectUnderTest) -> None:
        wanted = _shuffled(self.names)[:5]
        platform = project.open()
        platform.push(_ranks(wanted))
        assert _sorted(platform.push(_ranks(wanted))) == {"unchanged": sorted(wanted)}
        assert _sorted(project.open().push(_ranks(wanted))) == {"unchanged": sorted(wanted)}

    def test_a_push_that_was_cut_short_is_finished_by_another_process(self, project: ProjectUnderTest) -> None:
        wanted = _shuffled(self.names)[:6]
        project.open().push(_ranks(wanted[:4]))
        assert _sorted(project.open().push(_ranks(wanted))) == {
            "unchanged": sorted(wanted[:4]),
            "updated": sorted(wanted[4:]),
        }
        assert project.served(6) == wanted

    def test_a_new_batch_outranks_an_old_one_and_takes_it_back(self, project: ProjectUnderTest) -> None:
        ids = _shuffled(self.names)
        old, new = ids[:4], [*ids[4:7], ids[1]]
        project.open().push(_ranks(old))
        report = project.open().push(_ranks(new), [item_id for item_id in old if item_id not in new])
        assert sorted(report.taken_back) == sorted({*old} - {*new})
        assert sorted(report.updated) == sorted(new)
        assert project.served(4) == new

    def test_taking_back_what_has_no_rank_does_nothing(self, project: ProjectUnderTest) -> None:
        assert _sorted(project.open().push({}, list(self.names[:3]))) == {}

    def test_a_boost_can_be_taken_back_without_a_new_one(self, project: ProjectUnderTest) -> None:
        platform = project.open()
        platform.push(_ranks(self.names[:2]))
        assert _sorted(platform.push({}, list(self.names[:2]))) == {"taken_back": sorted(self.names[:2])}
        assert {item.priority for item in project.open().list_items()} == {None}

    def test_an_empty_push_does_nothing(self, project: ProjectUnderTest) -> None:
        assert _sorted(project.open().push({})) == {}

    def test_a_labeled_item_is_listed_so_and_declined(self, project: ProjectUnderTest) -> None:
        labeled, *others = _shuffled(self.names)[:4]
        project.annotate(labeled)
        platform = project.open()
        states = {item.id: item.state for item in platform.list_items()}
        assert [item_id for item_id, state in states.items() if state is ItemState.LABELED] == [labeled]
        report = platform.push(_ranks([labeled, *others]))
        assert _sorted(report) == {"declined": [labeled], "updated": sorted(others)}
        assert project.served(3) == others

    def test_an_unknown_item_is_declined_and_the_others_are_done(self, project: ProjectUnderTest) -> None:
        wanted = _shuffled(self.names)[:3]
        report = project.open().push(_ranks([wanted[0], "no such item.jpg", *wanted[1:]]))
        assert _sorted(report) == {"declined": ["no such item.jpg"], "updated": sorted(wanted)}
        assert project.served(3) == wanted

    def test_an_item_that_goes_after_the_listing_is_declined(self, project: ProjectUnderTest) -> None:
        gone, *others = _shuffled(self.names)[:4]
        platform = project.open()
        list(platform.list_items())
        project.remove(gone)
        report = platform.push(_ranks([gone, *others]))
        assert _sorted(report) == {"declined": [gone], "updated": sorted(others)}
        assert project.served(3) == others

    def test_ranks_that_make_no_sense_are_refused_before_anything_is_changed(self, project: ProjectUnderTest) -> None:
        ranks: Any
        for ranks in ({self.names[0]: 0, self.names[1]: -1}, {self.names[0]: 0.5}, {self.names[0]: "first"}):
            with pytest.raises(ValueError):
                project.open().push(ranks)
        assert {item.priority for item in project.open().list_items()} == {None}

    def test_what_was_stored_can_be_read_back_where_the_platform_says_so(self, project: ProjectUnderTest) -> None:
        platform: Any = project.open()
        if "verify" not in inspect.signature(platform.push).parameters:
            pytest.skip("the platform does not read back")
        wanted = _shuffled(self.names)[:5]
        assert _sorted(platform.push(_ranks(wanted), verify=True)) == {"updated": sorted(wanted)}
        assert _sorted(platform.push(_ranks(wanted[1:]), wanted[:1], verify=True))["taken_back"] == wanted[:1]

    def test_a_whole_round_keeps_the_sets_true(self, project: ProjectUnderTest, tmp_path: Path) -> None:
        agent = ActiveLearningAgent(project.open(), journal=tmp_path / "journal.sqlite")
        batch = agent.query(SamplerConfig(4, method="UNCERTAINTY"), _scores(agent.query_set))
        assert project.served(4) == list(batch.item_ids)
        for item_id in batch.item_ids:
            project.annotate(item_id)
        again = ActiveLearningAgent(project.open(), journal=tmp_path / "journal.sqlite")
        assert sorted(again.labeled_set) == sorted(batch.item_ids)
        assert sorted([*again.labeled_set, *again.unlabeled_set]) == sorted(self.names)
        assert again.added_set == batch.item_ids
        second = again.query(SamplerConfig(4, method="UNCERTAINTY"), _scores(again.query_set))
        assert not {*second.item_ids} & {*again.labeled_set}
        assert project.served(4) == list(second.item_ids)
        assert again.last_round.is_pushed


def _ranks(item_ids: Sequence[str]) -> dict[str, int]:
    return {item_id: rank for rank, item_id in enumerate(item_ids)}


def _shuffled(names: Sequence[str]) -> list[str]:
    return [names[row] for row in np.random.default_rng(7).permutation(len(names))]


def _scores(item_ids: Sequence[str]) -> Scores:
    return Scores(tuple(item_ids), {"uncertainty": np.random.default_rng(3).permutation(len(item_ids)).astype(float)})


def _sorted(report: PushReport) -> dict[str, list[str]]:
    """The ids under each heading that has any; no id may stand under two."""
    headings = {
        name: sorted(getattr(report, name))
        for name in ("updated", "unchanged", "declined", "failed", "not_sent", "taken_back")
        if getattr(report, name)
    }
    ids = [item_id for those in headings.values() for item_id in those]
    assert len(set(ids)) == len(ids), f"an id stands under two headings: {report}"
    assert report.is_complete == (not {"failed", "not_sent"} & headings.keys())
    return headings
