"""A Label Studio project: its tasks as items, and ranks as prediction scores under uncertainty sampling."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from ...errors import PlatformError, Rejected
from ..base import Guess, Item, PushReport
from ..connection import Connection, checked_flag
from ..known import Known, RemoteProject, checked_ranks
from ..progress import bar
from ..secrecy import checked_key
from . import mapping, settings, wire
from .imports import import_missing
from .tasks import Tasks
from .versions import SAME, VersionPlan, plan

_MOST_SURPLUS = 100  # predictions that stand twice do no harm to the order, and are removed one by one


class PlatformLabelStudio(RemoteProject):
    """A project on Label Studio 1.x, community edition or enterprise.

    Label Studio has no priorities. It has predictions with a score, and a sampling method that gives annotators the task
    with the lowest score first. A push therefore imports one prediction for each picked task, under a model version of ours
    (such as `al-agent-2026-11-21-032630-627015`), and sets the project to `Uncertainty sampling` with that version. Then
    "Label All Tasks" gives the batch in its order, before all other tasks. Labels, tasks and other people's predictions are
    not touched, and the next task is never asked for, since that would reserve it.

    Only one model version's predictions are shown to annotators. So that pre-annotations stay visible, the regions of the
    project's own version travel in ours for the picked tasks; or give your own with `preannotations`. The project's earlier
    `sampling` and `model_version` are kept on this machine before they are changed, and `restore` puts them back.

    Measured on the community edition 1.23 with SQLite. Order with PostgreSQL, and with the enterprise edition, is not
    verified.

    Args:
        url: Address of the server; None takes the environment variable `LABEL_STUDIO_URL`.
        project_id: Number of the project, as in its address.
        api_key: Legacy token or personal access token; None takes the environment variable `LABEL_STUDIO_API_KEY`.
        ids: What makes an item's id: `"name"` the image's file name, `"path"` its path in the address, `"remote"` the
            task's number, `"data.FIELD"` a field of the task's data.
        tab: Title of a Data Manager tab that shows the batch in order, made or changed by every push; None for no tab.
        change_settings: False leaves the project's settings alone: predictions are imported, and serving them in order is
            up to you.
        base_url: Another word for url.
        connection: Timeouts, retries, certificates.

    Raises:
        ValueError: An argument makes no sense.
        AuthenticationFailed: There is no key.

    Examples:
        >>> PlatformLabelStudio("https://labels.example.com", 7, api_key="0123456789abcdef0123456789abcdef01234567")
        PlatformLabelStudio('https://labels.example.com', 7)
    """

    def __init__(
        self,
        url: str | None = None,
        project_id: int | str | None = None,
        *,
        api_key: str | None = None,
        ids: str = "name",
        tab: str | None = None,
        change_settings: bool = True,
        base_url: str | None = None,
        connection: Connection | None = None,
    ) -> None:
        address = url or base_url or os.environ.get("LABEL_STUDIO_URL")
        if not address:
            raise ValueError("there is no address: pass url=, such as http://localhost:8080, or set LABEL_STUDIO_URL")
        if isinstance(project_id, bool) or not str(project_id).isdecimal():
            raise ValueError(f"project_id is {project_id!r}; expected the number in the project's address")
        if ids not in ("name", "path", "remote") and not str(ids).startswith("data."):
            raise ValueError(f"ids is {ids!r}; expected 'name', 'path', 'remote' or 'data.FIELD'")
        title: object = tab
        if title is not None and not (isinstance(title, str) and title.strip()):
            raise ValueError(f"tab is {title!r}; expected a title, or None")
        where = "Label Studio shows it under Account & Settings"
        key = checked_key(api_key, "LABEL_STUDIO_API_KEY", os.environ.get("LABEL_STUDIO_API_KEY"), where)
        self._connection = Connection() if connection is None else connection
        self._project_id = int(str(project_id))
        self._wire = wire.Wire(address, key, self._project_id, self._connection)
        self._ids, self._tab = ids, tab
        self._change_settings = checked_flag(change_settings, "change_settings")
        self._media_field: str | None = None
        self._tasks = Tasks(self._wire, lambda row: mapping.to_task(row, self._ids, self._media_field))

    @property
    def key(self) -> str:
        """Server and project."""
        return f"label-studio:{self._wire.http.base_url.partition('://')[2].lower()}/{self._project_id}"

    def list_items(self) -> Iterator[Item]:
        """Every task once, in order of the task numbers; the second time, only tasks that changed are asked for.

        Raises:
            PlatformError: The list is not complete, or a task has no name.
        """
        self._known = None
        known = Known('use task numbers or paths: PlatformLabelStudio(..., ids="remote") or ids="path"')
        project = self._wire.project()
        self._media_field = mapping.media_field(project)
        total = int(project.get("task_number") or 0)
        with bar(self._connection, "listing", total) as move:
            tasks = self._tasks.read(project, move)
        version = project.get("model_version")
        ranks = self._ranks_in(str(version)) if mapping.is_ours(version) else {}
        for task_id, task in tasks.items():
            item = mapping.to_item(task_id, task, ranks.get(task_id), self._wire.http.origin)
            known.add(item)
            yield item
        self._known = known

    def push(
        self,
        ranks: Mapping[str, int],
        resets: Collection[str] = (),
        *,
        verify: bool = False,
        preannotations: Mapping[str, Sequence[Guess]] | None = None,
    ) -> PushReport:
        """Put items at the head of the labeling stream, the lowest rank first; only what is missing is sent.

        Uses what `list_items` found since the last push, or lists first. Time on the server is proportional to the tasks of
        the project and to the batch: about 15 s for 20,000.

        Args:
            ranks: Item id to rank from 0 to 999,999.
            resets: Items whose boost is to be taken back; a new batch takes back all that is not in it.
            verify: Read the scores and the settings back, and report as failed what is not as it was sent.
            preannotations: Item id to guesses that annotators are shown.

        Raises:
            ValueError: A rank or a guess cannot be sent. Nothing is changed then.
            PlatformError: Nothing could be done.
        """
        checked_ranks(ranks)
        known = self._take_known()
        rankable, declined = known.sort_out(ranks)
        task_of = {item_id: int(known.remote_id[item_id]) for item_id in rankable}
        project = self._wire.project()
        results = {
            task_of[item_id]: mapping.to_result(project, item_id, guesses)
            for item_id, guesses in (preannotations or {}).items()
            if item_id in task_of
        }
        scores = {task_of[item_id]: mapping.to_score(ranks[item_id]) for item_id in rankable}
        open_tasks = {int(remote_id) for item_id, remote_id in known.remote_id.items() if known.why_not(item_id) is None}
        own = self._own_settings(project)
        own_version = None if own is None else own["model_version"]

        def look() -> VersionPlan:
            return plan(scores, results, self._predictions(), open_tasks, own_version)

        first = look()
        back = {i: int(known.remote_id[i]) for i in resets if i not in ranks and i in known.remote_id}
        shown = "" if self._change_settings else str(project.get("model_version") or "")
        if not rankable:
            taken_back = first.taken_back(back, shown)
            if taken_back and self._change_settings:
                self.restore()
            elif taken_back:
                for version in first.held.keys() - {shown}:
                    self._wire.delete_version(version)
            return PushReport(declined=declined, taken_back=taken_back)

        with bar(self._connection, "pushing", total=len(first.missing)) as move:
            todo, sent = import_missing(self._wire, first, look, move)
        stored = {*todo.stored, *map(int, sent.done)}
        if not stored and sent.error is not None:
            raise sent.error
        failed = {int(task): why for task, why in sent.failed.items() if int(task) not in stored}
        is_served = not stored or self._serve(project, todo, failed, stored)
        if verify and stored and is_served:
            failed |= self._differences(todo, {task: scores[task] for task in stored})
        shown = todo.version if self._change_settings else shown
        item_of = {task_id: item_id for item_id, task_id in task_of.items()}
        done = stored - failed.keys()
        return PushReport(
            updated=tuple(i for i in rankable if task_of[i] in done and task_of[i] not in first.stored),
            unchanged=tuple(i for i in rankable if task_of[i] in done and task_of[i] in first.stored),
            declined={**declined, **{item_of[int(task)]: why for task, why in sent.declined.items()}},
            failed={i: failed[task_of[i]] for i in rankable if task_of[i] in failed},
            not_sent=tuple(item_of[int(task)] for task in sent.not_sent if int(task) not in stored),
            taken_back=todo.taken_back(back, shown) if stored and is_served else (),
        )

    def check_guesses(self, guesses: Mapping[str, Sequence[Guess]]) -> None:
        """Check, before a round is noted, that annotators can be shown these guesses.

        Args:
            guesses: Item id to guesses.

        Raises:
            ValueError: The project's label configuration has no place for one of them.
            PlatformError: The project cannot be read.
        """
        project = self._wire.project()
        for item_id, of_item in guesses.items():
            mapping.to_result(project, item_id, of_item)

    def restore(self) -> dict[str, str]:
        """Put the project's own `sampling` and `model_version` back, and remove our predictions.

        Returns:
            The settings that the project has now. Where nothing was kept on this machine, they are Label Studio's defaults:
            sequential sampling, and no model version.

        Raises:
            PlatformError: The server did not do it; it may be repeated.
        """
        project = self._wire.project()
        own = self._own_settings(project) or {"sampling": mapping.SEQUENTIAL, "model_version": ""}
        try:
            self._wire.change_project(own)
        except Rejected:  # its model version is gone
            own["model_version"] = ""
            self._wire.change_project(own)
        for version in self._wire.versions():
            if mapping.is_ours(version):
                self._wire.delete_version(version)
        settings.forget(self.key)
        return own

    def next_items(self, n_items: int) -> list[Item]:
        """The next items of the batch that was pushed last; after them, Label Studio gives the other tasks at random."""
        project = self._wire.project()
        version = project.get("model_version")
        if not mapping.is_ours(version) or n_items < 1:
            return []
        self._media_field = mapping.media_field(project)
        rows = self._wire.queue(str(version), n_items)
        return [self._item(row) for row in rows]

    def link(self, item: Item) -> str:
        """Address of the item's task in the project's Data Manager."""
        return wire.task_page(self._wire.http.base_url, self._project_id, item.remote_id)

    def problems(self) -> tuple[str, ...]:
        """Settings of the project that keep annotators from getting the batch in its order."""
        project = self._wire.project()
        found = []
        latest = max(filter(mapping.is_ours, self._wire.versions()), default=None)
        if not self._change_settings and latest is not None and project.get("model_version") != latest:
            found.append(
                f"set the project to {mapping.UNCERTAINTY} and its model version to {latest}, for it serves another"
            )
        elif not mapping.is_ours(project.get("model_version")):
            found.append("the project shows no model version of al-agent: no batch is served; push one")
        elif project.get("sampling") != mapping.UNCERTAINTY:
            found.append(
                f"the project's sampling is {project.get('sampling')!r}; set it to {mapping.UNCERTAINTY!r}, or push"
            )
        if int(project.get("maximum_annotations") or 1) > 1:
            found.append(
                f"every task gets {project['maximum_annotations']} annotations: tasks that others have begun come before "
                "the batch"
            )
            if project.get("show_overlap_first"):
                found.append("tasks with overlap come before all others: switch off 'show tasks with overlap first'")
        if project.get("show_collab_predictions") is False:
            found.append("the project does not show predictions to annotators: pre-annotations are hidden")
        return tuple(found)

    def close(self) -> None:
        """Close the kept connections."""
        self._wire.http.close()

    def _item(self, row: Mapping[str, Any]) -> Item:
        task = mapping.to_task(row, self._ids, self._media_field)
        return mapping.to_item(int(row["id"]), task, mapping.to_rank(row["predictions_score"]), self._wire.http.origin)

    def _ranks_in(self, version: str) -> dict[int, int]:
        """Rank of the open tasks of a version of ours, in one request of as many tasks as it has predictions."""
        n_tasks = self._wire.versions().get(version, 0)
        rows = self._wire.queue(version, n_tasks) if n_tasks else []
        return {int(row["id"]): mapping.to_rank(row["predictions_score"]) for row in rows}

    def _own_settings(self, project: Mapping[str, Any]) -> dict[str, str] | None:
        """The user's settings: those that the project has, or those kept here when ours took their place; else None."""
        return settings.saved(self.key) if mapping.is_ours(project.get("model_version")) else mapping.to_settings(project)

    def _predictions(self) -> list[dict[str, Any]]:
        return self._wire.predictions() if any(self._wire.versions().values()) else []

    def _serve(self, project: Mapping[str, Any], todo: VersionPlan, failed: dict[int, str], stored: Collection[int]) -> bool:
        """Let the project give out the version, and clean up after earlier ones; whether it is given out."""
        wanted = {"sampling": mapping.UNCERTAINTY, "model_version": todo.version}
        try:
            if self._change_settings and any(project.get(name) != value for name, value in wanted.items()):
                if not mapping.is_ours(project.get("model_version")):
                    settings.save(self.key, mapping.to_settings(project))
                self._wire.change_project(wanted)
        except PlatformError as error:
            failed.update(dict.fromkeys(stored, f"its score is stored, and not served yet: {error}"))
            return False
        # the order is right already; what does not succeed now is done by the next push
        if self._tab is not None:
            with contextlib.suppress(PlatformError):
                self._wire.show_tab(self._tab, todo.version)
        for version in todo.stale:
            if self._change_settings or project.get("model_version") != version:
                with contextlib.suppress(PlatformError):
                    self._wire.delete_version(version)
        with contextlib.suppress(PlatformError):
            for prediction_id in todo.surplus[:_MOST_SURPLUS]:
                self._wire.delete_prediction(prediction_id)
        return True

    def _differences(self, todo: VersionPlan, wanted: Mapping[int, float]) -> dict[int, str]:
        """Why the server does not serve what was sent, task by task."""
        try:
            project, scores = self._wire.project(), self._wire.scores(todo.version)
        except PlatformError as error:
            return dict.fromkeys(wanted, f"it is stored, and could not be read back: {error}")
        if self._change_settings and project.get("model_version") != todo.version:
            return dict.fromkeys(wanted, f"the project shows the model version {project.get('model_version')!r} now")
        if self._change_settings and project.get("sampling") != mapping.UNCERTAINTY:
            return dict.fromkeys(wanted, f"the project's sampling is {project.get('sampling')!r} now")
        return {
            task: f"the server has the score {scores.get(task)} where {score} was sent"
            for task, score in wanted.items()
            if abs(scores.get(task, -1.0) - score) > SAME
        }

    def __repr__(self) -> str:
        return f"PlatformLabelStudio({self._wire.http.base_url!r}, {self._project_id})"
