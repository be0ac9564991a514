"""Every platform keeps the same promises."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import pytest
from kili_double import KiliDouble
from label_studio_server import LabelStudioServer
from superannotate_double import SuperAnnotateDouble

from al_agent import PlatformKili, PlatformLabelStudio, PlatformLocal, PlatformSuperAnnotate
from al_agent.testing import PlatformContract, ProjectUnderTest


class Local:
    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.folder = folder
        PlatformLocal.create(folder, images=names)

    def open(self) -> PlatformLocal:
        return PlatformLocal(self.folder)

    def served(self, n_items: int) -> list[str]:
        return [item.id for item in self.open().next_items(n_items)]

    def annotate(self, item_id: str) -> None:
        self.open().annotate({item_id: "cat"})

    def remove(self, item_id: str) -> None:
        self.open().remove_images([item_id])


class TestLocal(PlatformContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "project"

    @contextlib.contextmanager
    def make_project(self, names: Sequence[str]) -> Iterator[ProjectUnderTest]:
        yield Local(self.folder, names)


class Kili:
    def __init__(self, double: KiliDouble, names: Sequence[str]) -> None:
        self.double = double
        self.name_of = dict(zip(double.add_assets(names), names))

    def open(self) -> PlatformKili:
        return PlatformKili("clproject000", api_key="kili-test-key", base_url=self.double.url)

    def served(self, n_items: int) -> list[str]:
        return [self.name_of[asset_id] for asset_id in self.double.queue()[:n_items]]

    def annotate(self, item_id: str) -> None:
        self.double.label(item_id)

    def remove(self, item_id: str) -> None:
        self.double.delete(item_id)


class TestKiliWithSteps(PlatformContract):
    workflow: Literal["V1", "V2", "V3"] = "V2"

    @contextlib.contextmanager
    def make_project(self, names: Sequence[str]) -> Iterator[ProjectUnderTest]:
        with KiliDouble(workflow=self.workflow, steps=("Label",)) as double:
            yield Kili(double, names)


class TestKiliWithGroups(TestKiliWithSteps):
    workflow: Literal["V1", "V2", "V3"] = "V3"


class TestKiliWithoutSteps(TestKiliWithSteps):
    workflow: Literal["V1", "V2", "V3"] = "V1"


class SuperAnnotate:
    def __init__(self, double: SuperAnnotateDouble, names: Sequence[str]) -> None:
        self.double = double
        double.add_items("root", names)

    def open(self) -> PlatformSuperAnnotate:
        return PlatformSuperAnnotate("proj", api_key="test-owner=12345", base_url=self.double.url, is_order_on=True)

    def served(self, n_items: int) -> list[str]:
        return self.double.queue()[:n_items]

    def annotate(self, item_id: str) -> None:
        self.double.set_status("root", [item_id], "Completed")

    def remove(self, item_id: str) -> None:
        self.double.delete("root", [item_id])


class TestSuperAnnotate(PlatformContract):
    @contextlib.contextmanager
    def make_project(self, names: Sequence[str]) -> Iterator[ProjectUnderTest]:
        with SuperAnnotateDouble() as double:
            yield SuperAnnotate(double, names)


_ANNOTATORS: list[str] = []


def annotators(server: LabelStudioServer, n_annotators: int) -> list[str]:
    """Tokens of so many annotators, invited once for all tests."""
    while len(_ANNOTATORS) < n_annotators:
        _ANNOTATORS.append(server.admin.invite(f"annotator-{len(_ANNOTATORS)}@example.com"))
    return _ANNOTATORS[:n_annotators]


class LabelStudio:
    """A project on the real server; what it gives to annotators is asked for in order, without taking it."""

    def __init__(self, server: LabelStudioServer, names: Sequence[str]) -> None:
        self.server = server
        self.project_id = server.admin.create_project("contract", "choices")
        self.task_of = dict(zip(names, server.admin.import_tasks(self.project_id, list(names))))

    def open(self) -> PlatformLabelStudio:
        return PlatformLabelStudio(self.server.url, self.project_id, api_key=self.server.token)

    def served(self, n_items: int) -> list[str]:
        """By asking for the next task, each time as another annotator, who holds it from then on."""
        name_of = {task_id: name for name, task_id in self.task_of.items()}
        served: list[str] = []
        for token in annotators(self.server, n_items):
            task = self.server.admin.next_task(self.project_id, token)
            assert task is not None
            served.append(name_of[task["id"]])
        return served

    def annotate(self, item_id: str) -> None:
        self.server.admin.annotate(self.task_of[item_id])

    def remove(self, item_id: str) -> None:
        self.server.admin.delete_task(self.task_of[item_id])


class TestLabelStudio(PlatformContract):
    @pytest.fixture(autouse=True)
    def _server(self, label_studio_server: LabelStudioServer) -> None:
        self.server = label_studio_server

    @contextlib.contextmanager
    def make_project(self, names: Sequence[str]) -> Iterator[ProjectUnderTest]:
        yield LabelStudio(self.server, names)
