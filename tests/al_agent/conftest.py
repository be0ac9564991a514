"""Projects to run rounds on, and a platform whose network fails on demand."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from al_agent import Embeddings, Item, ItemState, PlatformLocal, PushReport, Scores, Unavailable


@dataclass
class RemotePlatform:
    """A remote project in memory: sends items one by one, and breaks after as many as it is told to."""

    items: dict[str, Item]
    key: str = "remote:project-1"
    home: Path | None = None
    breaks_after: int | None = None
    raises: bool = True
    sent: list[str] = field(default_factory=list)

    def list_items(self) -> Iterable[Item]:
        return list(self.items.values())

    def push(self, ranks: Mapping[str, int], resets: Collection[str] = ()) -> PushReport:
        updated: list[str] = []
        unchanged: list[str] = []
        taken_back: list[str] = []
        for number, item_id in enumerate(ranks):
            if self.breaks_after is not None and len(updated) == self.breaks_after:
                if self.raises:
                    raise Unavailable("no answer after 60 s")
                return PushReport(tuple(updated), tuple(unchanged), {}, {item_id: "no answer"}, tuple(ranks)[number + 1 :])
            if self.items[item_id].priority == ranks[item_id]:
                unchanged.append(item_id)
                continue
            self.items[item_id] = self.items[item_id]._replace(priority=ranks[item_id])
            self.sent.append(item_id)
            updated.append(item_id)
        for item_id in resets:
            self.items[item_id] = self.items[item_id]._replace(priority=None)
            taken_back.append(item_id)
        return PushReport(tuple(updated), tuple(unchanged), taken_back=tuple(taken_back))

    def set_state(self, item_id: str, state: ItemState) -> None:
        self.items[item_id] = self.items[item_id]._replace(state=state)


@pytest.fixture
def make_remote() -> Callable[[int], RemotePlatform]:
    def make(n_items: int) -> RemotePlatform:
        ids = [f"img_{number:02d}.jpg" for number in range(n_items)]
        return RemotePlatform({i: Item(i, f"remote-{i}", i, ItemState.UNLABELED) for i in ids})

    return make


@pytest.fixture
def make_local(tmp_path: Path) -> Callable[[int], PlatformLocal]:
    def make(n_items: int) -> PlatformLocal:
        return PlatformLocal.create(tmp_path / "project", images=[f"img_{number:02d}.jpg" for number in range(n_items)])

    return make


@pytest.fixture
def rising_scores() -> Callable[[Iterable[str]], Scores]:
    """Scores 0, 1, 2, ... in the order of the ids."""

    def make(item_ids: Iterable[str]) -> Scores:
        ids = tuple(item_ids)
        return Scores(ids, {"uncertainty": np.arange(len(ids), dtype=float)})

    return make


@pytest.fixture
def line_embeddings() -> Callable[[Iterable[str]], Embeddings]:
    """Items on a line at 0, 1, 4, 9, ..."""

    def make(item_ids: Iterable[str]) -> Embeddings:
        ids = tuple(item_ids)
        return Embeddings(ids, np.arange(len(ids), dtype=float)[:, None] ** 2)

    return make
