"""A SuperAnnotate project: its items as ours, and ranks as priority scores."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

from ..base import Item, ItemState, PushReport
from ..batches import Sent, account, cut, send_batches, without_the_gone
from ..connection import Connection, checked_flag
from ..failures import origin_of
from ..known import Known, RemoteProject, checked_ranks, push_numbers
from ..paging import read_pages
from ..parallel import in_parallel
from ..progress import bar
from ..secrecy import checked_key
from . import mapping, wire

_ROOT = "root"


class _Place(NamedTuple):
    """Where an item is addressed: by its name within one folder."""

    folder_id: int
    name: str


class PlatformSuperAnnotate(RemoteProject):
    """A project on SuperAnnotate, or some of its folders.

    The names of the statuses come from the project's own workflow: items that have not been started are unlabeled, those
    in quality check or completed are labeled, skipped ones are skipped, all others are locked. Nothing is sent when it is
    made.

    A rank is pushed as the priority score `1,000,000 - rank`; the highest comes first, once the project's settings
    "Priority scores" and "Priority scores task assignment" are on (SuperAnnotate: Setup, Settings, General). No request is
    known that tells whether they are, so a push warns until `is_order_on` says so. Uploading scores needs a team owner, a
    team admin, or a project admin who may. These rules are SuperAnnotate's documentation; the requests are those of its own
    client, and no account was used to check the answers.

    Args:
        project: Name or number of the project.
        folder: Name or number of the folder; None for the root folder; several in a list, whose items have ids with the
            folder's name before theirs.
        api_key: The SDK token or API key; None takes the environment variable `SA_TOKEN`.
        team_id: The team, for a key of an organization; None takes `SA_TEAM_ID`, or the key's own team.
        base_url: Address of the main server; None takes `SA_URL`, or SuperAnnotate's cloud.
        item_url: Address of the item server; None for the cloud's, or with a `base_url` for that one.
        work_management_url: Address of the work-management server, likewise.
        unlabeled: Names of the statuses whose items wait for a label, if not `NotStarted`.
        labeled: Names of those whose items have one, if not `QualityCheck` and `Completed`.
        is_order_on: True if you have seen that the project's priority ordering is on.
        ids: `"name"` for names, `"remote"` for SuperAnnotate's own ids.
        connection: Timeouts, retries, certificates.

    Raises:
        ValueError: An argument makes no sense.
        AuthenticationFailed: There is no key, or it is of another team.

    Examples:
        >>> PlatformSuperAnnotate("street signs", "batch 7", api_key="invented-token=12345")
        PlatformSuperAnnotate('street signs', 'batch 7')
    """

    def __init__(
        self,
        project: str | int,
        folder: str | int | Sequence[str | int] | None = None,
        *,
        api_key: str | None = None,
        team_id: int | str | None = None,
        base_url: str | None = None,
        item_url: str | None = None,
        work_management_url: str | None = None,
        unlabeled: Sequence[str] | None = None,
        labeled: Sequence[str] | None = None,
        is_order_on: bool = False,
        ids: Literal["name", "remote"] = "name",
        connection: Connection | None = None,
    ) -> None:
        given: object = project
        if isinstance(given, bool) or not isinstance(given, str | int) or given == "":
            raise ValueError(f"project is {given!r}; expected its name or number")
        if ids not in ("name", "remote"):
            raise ValueError(f"ids is {ids!r}; expected 'name' or 'remote'")
        for name, names in (("unlabeled", unlabeled), ("labeled", labeled)):
            if isinstance(names, str):
                raise ValueError(f"{name} is the single {names!r}; write [{names!r}]")
        self._folders: tuple[str | int, ...] = (
            (_ROOT,) if folder is None else (folder,) if isinstance(folder, str | int) else tuple(folder)
        )
        if not self._folders or len(set(self._folders)) != len(self._folders):
            raise ValueError(f"folder is {folder!r}; expected each folder once")
        key = checked_key(
            api_key, "SA_TOKEN", os.environ.get("SA_TOKEN"), "SuperAnnotate shows it under Team, API keys or SDK token"
        )
        team = team_id if team_id is not None else os.environ.get("SA_TEAM_ID") or None
        if team is not None and not str(team).isdecimal():
            raise ValueError(f"team_id is {team!r}; expected a number")
        main = base_url or os.environ.get("SA_URL")
        urls = (
            main or wire.MAIN_URL,
            item_url or main or wire.ITEM_URL,
            work_management_url or main or wire.WORK_URL,
        )
        self._connection = Connection() if connection is None else connection
        self._wire = wire.Wire(key, None if team is None else int(team), urls, self._connection)
        self._project, self._folder = project, folder
        self._by_remote_id = ids == "remote"
        self._status_names = (unlabeled, labeled)
        self._is_order_on = checked_flag(is_order_on, "is_order_on")
        self._place_of: dict[str, _Place] = {}
        self._project_id = -1

    @property
    def key(self) -> str:
        """Server, project and folders."""
        host = origin_of(self._wire.main.base_url).partition("://")[2]
        return f"superannotate:{host}/{self._project}/{','.join(map(str, self._folders))}"

    def list_items(self) -> Iterator[Item]:
        """Every item once, folder by folder. One request for every 1,999 items, several at once.

        Raises:
            PlatformError: The list is not complete.
            ValueError: The project's workflow has no statuses of the expected names.
        """
        self._known = None
        known, places = Known('use SuperAnnotate\'s own ids: PlatformSuperAnnotate(..., ids="remote")'), {}
        project = self._wire.project(self._project)
        self._project_id = int(project["id"])
        names = self._wire.status_names(self._project_id, int(project.get("workflow_id") or 0))
        states = mapping.to_states(names, *self._status_names)
        with bar(self._connection, "listing", total=None) as move:
            for name_or_id in self._folders:
                folder = self._wire.folder(self._project_id, name_or_id)
                prefix = folder.name if len(self._folders) > 1 else None
                for row in self._rows(folder.id, move):
                    item = mapping.to_item(row, prefix, states, by_remote_id=self._by_remote_id)
                    known.add(item, mapping.to_score(row))
                    if item.state is ItemState.UNLABELED:
                        places[item.id] = _Place(folder.id, item.name)
                    yield item
        self._known, self._place_of = known, places

    def push(self, ranks: Mapping[str, int], resets: Collection[str] = (), *, verify: bool = False) -> PushReport:
        """Set priority scores, the lowest rank highest, and take others back to 0; only differences are sent.

        Uses what `list_items` found since the last push, or lists first. What the server stored is compared with what was
        sent, name by name.

        Args:
            ranks: Item id to rank from 0 to 999,999.
            resets: Items whose score goes back to 0, unless they have none.
            verify: Read the scores back too, and report as failed what is not as it was sent.

        Raises:
            ValueError: A rank cannot be sent. Nothing is changed then.
            PlatformError: Nothing could be done.
        """
        checked_ranks(ranks)
        known = self._take_known()
        with bar(self._connection, "pushing", total=len(ranks) + len(resets)) as move:
            return push_numbers(
                known,
                ranks,
                resets,
                mapping.to_number,
                partial(self._send, on_rows=move),
                read_back=self._read_back if verify else None,
            )

    def link(self, item: Item) -> str | None:
        """Address of the item in SuperAnnotate's editor; that it opens there is not verified.

        None before the project has been listed, and for servers that are not SuperAnnotate's cloud.
        """
        if self._project_id < 0 or self._wire.main.base_url != wire.MAIN_URL:
            return None
        return wire.item_page(self._wire.team_id, self._project_id, item.remote_id)

    def problems(self) -> tuple[str, ...]:
        """That nobody has said that the project's priority ordering is on."""
        if self._is_order_on:
            return ()
        return (
            "SuperAnnotate gives annotators items by priority score only where the project's settings have Priority scores "
            "and Priority scores task assignment on (Setup, Settings, General), and no request is known that tells; look, "
            "and then pass is_order_on=True",
        )

    def close(self) -> None:
        """Close the kept connections."""
        self._wire.close()

    def _rows(self, folder_id: int, on_rows: Callable[[int], object]) -> Iterator[dict[str, Any]]:
        def page(n_rows: int, start: int) -> dict[str, Any]:
            return self._wire.search(self._project_id, folder_id, limit=n_rows, offset=start)

        def rows(n_rows: int, start: int) -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = (first.pop() if first and start == 0 else page(n_rows, start)).get("data") or []
            return found

        def count() -> int:
            first[:] = [page(wire.PAGE_SIZE, 0)]  # its rows serve as the first page
            return wire.counter(first[0])

        first: list[dict[str, Any]] = []
        return read_pages(
            rows,
            count,
            lambda row: str(row["id"]),
            page_size=wire.PAGE_SIZE,
            n_parallel=self._connection.n_parallel,
            on_rows=on_rows,
        )

    def _send(self, numbers: dict[str, int], *, on_rows: Callable[[int], object]) -> Sent:
        in_folder: dict[int, list[str]] = {}
        for item_id in numbers:
            in_folder.setdefault(self._place_of[item_id].folder_id, []).append(item_id)
        batches = [batch for ids in in_folder.values() for batch in cut(ids, wire.SCORES_PER_CALL)]
        batches.sort(key=lambda batch: -numbers[batch[0]])  # most urgent first, whatever its folder

        def send(batch: Sequence[str]) -> Sent:
            scores = {self._place_of[item_id].name: numbers[item_id] for item_id in batch}
            stored = self._wire.set_scores(self._project_id, self._place_of[batch[0]].folder_id, scores)
            return account(batch, [item_id for item_id in batch if self._place_of[item_id].name in stored])

        attempt = partial(without_the_gone, send, self._read_back)
        return send_batches(batches, attempt, str, n_parallel=self._connection.n_parallel, on_rows=on_rows)

    def _read_back(self, item_ids: Sequence[str]) -> dict[str, float]:
        """The scores that the server has now, without those of items that are gone."""
        id_of = {self._place_of[item_id]: item_id for item_id in item_ids}
        in_folder: dict[int, list[str]] = {}
        for place in id_of:
            in_folder.setdefault(place.folder_id, []).append(place.name)
        questions = [(f, names) for f, all_names in in_folder.items() for names in cut(all_names, wire.NAMES_PER_CALL)]

        def ask(question: tuple[int, Sequence[str]]) -> dict[str, float]:
            folder_id, names = question
            answer = self._wire.search(self._project_id, folder_id, limit=wire.PAGE_SIZE, offset=0, names=names)
            found = ((_Place(folder_id, str(row["name"])), mapping.to_score(row)) for row in answer.get("data") or ())
            return {id_of[place]: score for place, score in found if place in id_of}

        answers = in_parallel(ask, questions, self._connection.n_parallel)
        return {item_id: score for answer in answers for item_id, score in answer.items()}

    def __repr__(self) -> str:
        folder = "" if self._folder is None else f", {self._folder!r}"
        return f"PlatformSuperAnnotate({self._project!r}{folder})"
