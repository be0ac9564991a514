"""A Ray cluster picks what one machine picks, to the last tie, and whatever happens to its workers."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from al_agent import ClusterError
from al_agent.engine import RayEngine
from samplers import LocalEngine, Pool, SamplerCoral, SamplerCoreset
from samplers.centers.engine import run
from samplers.centers.shard import Frame, Goal, Task
from samplers.centers.walk import Crew, Inner, Interrupted, Walked
from samplers.distances import UnitRows, unit_rows

ray = pytest.importorskip("ray", reason='Ray is not installed: pip install "al-agent[ray]"')

NUMPY = LocalEngine(kernels="numpy")
TWO = RayEngine(n_workers=2, kernels="numpy")
EUCLIDEAN = Goal()
NONE = np.empty(0, dtype=np.int64)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Two processors on this machine."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        yield
        ray.shutdown()


class Watched:
    """An engine whose crew can be looked at while it works."""

    def __init__(self, engine: RayEngine) -> None:
        self.engine = engine
        self.crew: Any = None

    @contextmanager
    def open(self, task: Task, frame: Frame) -> Iterator[tuple[Crew, Inner]]:
        with self.engine.open(task, frame) as (crew, inner):
            self.crew = crew
            yield crew, inner


def task_of(
    vectors: Any, n_picks: int, *, start: Any = NONE, weights: Any = None, goal: Goal = EUCLIDEAN, is_on_disk: bool = False
) -> Task:
    is_open = np.ones(len(vectors), dtype=bool)
    is_open[start] = False
    return Task(vectors, is_open, weights, goal, np.asarray(start, dtype=np.int64), n_picks, is_on_disk)


def assert_same(walked: Walked, expected: Walked) -> None:
    for ours, theirs in zip(walked, expected):
        np.testing.assert_array_equal(ours, theirs)


def gaussian(n: int, d: int) -> Any:
    return np.random.default_rng(0).standard_normal((n, d), dtype=np.float32)


def grid(n: int) -> Any:
    """Integers: ties everywhere, and each point about four times."""
    return np.random.default_rng(1).integers(0, 30, (n, 2)).astype(np.float64)


def half_zero(n: int) -> Any:
    weights = np.random.default_rng(2).random(n)
    weights[::2] = 0
    return weights


TASKS: dict[str, Callable[[], Task]] = {
    "many epochs": lambda: task_of(gaussian(6000, 24), 700),
    "ties, duplicates and a tail of them": lambda: task_of(grid(2000) + 10_000, 1990, start=[3]),
    "all rows equal": lambda: task_of(np.ones((50, 3)), 50),
    "weights, and a tail without": lambda: task_of(gaussian(2000, 8), 1500, weights=half_zero(2000)),
    "min_distance stops": lambda: task_of(grid(2000), 1000, start=[3], goal=Goal(min_distance=4.5)),
    "min_distance and no weight": lambda: task_of(
        grid(2000), 900, start=[3], goal=Goal(min_distance=1.0), weights=half_zero(2000)
    ),
    "weights that are all there is": lambda: task_of(
        gaussian(1000, 4), 300, goal=Goal(min_distance=0.5, is_flat=True), weights=half_zero(1000)
    ),
    "cosine": lambda: task_of(unit_rows(gaussian(3000, 16)), 300, goal=Goal(is_cosine=True)),
    "labeled in bulk": lambda: task_of(gaussian(6000, 16), 200, start=np.arange(0, 6000, 2)),
    "half precision": lambda: task_of(gaussian(1500, 8).astype(np.float16), 200),
    "fewer rows than workers": lambda: task_of(np.array([[2.0]]), 1),
}


@pytest.mark.parametrize("what", TASKS)
def test_two_workers_pick_what_one_machine_picks(what: str, cluster: None) -> None:
    task = TASKS[what]()
    assert_same(run(task, TWO, lambda _: None), run(task, NUMPY, lambda _: None))


def test_workers_with_compiled_kernels_pick_the_same_in_few_rounds(cluster: None) -> None:
    pytest.importorskip("numba")
    task = TASKS["many epochs"]()
    watched = Watched(RayEngine(n_workers=2, kernels="numba"))
    assert_same(run(task, watched, lambda _: None), run(task, NUMPY, lambda _: None))
    assert 5 < watched.crew.n_rounds < 100  # for 700 picks
    assert watched.crew.n_bytes > 0


class Shrink:
    """A rule: each pick halves the worth of rows of its kind, and closes the next row."""

    def __init__(self, n: int) -> None:
        self.kinds, self.is_closed = np.arange(n) % 3, np.zeros(n, dtype=bool)
        self.counts = np.zeros(3)

    def mark(self) -> None:
        pass

    def factors(self, rows: Any) -> Any:
        return 0.5 ** self.counts[self.kinds[rows]]

    def rise(self) -> float:
        return 1.0

    def may_pick(self, rows: Any) -> Any:
        return ~self.is_closed[rows]

    def add(self, row: int) -> None:
        self.counts[self.kinds[row]] += 1
        self.is_closed[(row + 1) % len(self.kinds)] = True


def test_rules_hold_across_workers(cluster: None) -> None:
    task = task_of(gaussian(900, 6), 40)
    assert_same(run(task, TWO, lambda _: None, Shrink(900)), run(task, NUMPY, lambda _: None, Shrink(900)))


@pytest.mark.parametrize("is_cosine", [False, True])
@pytest.mark.parametrize("is_gone", [False, True])
def test_rows_on_disk_are_mapped_by_workers_or_sent(is_cosine: bool, is_gone: bool, tmp_path: Path, cluster: None) -> None:
    np.save(tmp_path / "vectors.npy", gaussian(3050, 8))
    on_disk = np.load(tmp_path / "vectors.npy", mmap_mode="r")[50:]
    vectors: Any = UnitRows(on_disk) if is_cosine else on_disk
    task = task_of(vectors, 250, goal=Goal(is_cosine), is_on_disk=True)
    in_memory = task_of(unit_rows(on_disk) if is_cosine else np.array(on_disk), 250, goal=Goal(is_cosine))
    if is_gone:
        (tmp_path / "vectors.npy").unlink()
    watched = Watched(TWO)
    sends_points: list[bool] = []

    def look(_: int) -> None:
        if not sends_points:
            actors = [member.actor for member in watched.crew.members]
            sends_points.extend(ray.get([actor.__ray_call__.remote(lambda worker: worker.sends_points) for actor in actors]))

    assert_same(run(task, watched, look), run(in_memory, NUMPY, lambda _: None))
    assert sends_points == [not is_gone] * 2


def kill_actor(actor: Any) -> None:
    ray.kill(actor)


def kill_process(actor: Any) -> None:
    os.kill(ray.get(actor.__ray_call__.remote(lambda _: os.getpid())), signal.SIGKILL)


@pytest.mark.parametrize(
    ("what", "kill"),
    [
        ("many epochs", kill_process),
        ("weights, and a tail without", kill_actor),
        ("min_distance and no weight", kill_process),
    ],
)
def test_a_lost_worker_is_replaced_and_the_picks_stay(what: str, kill: Callable[[Any], None], cluster: None) -> None:
    task, watched = TASKS[what](), Watched(TWO)
    n_made = [0]

    def die_twice(n: int) -> None:
        before, n_made[0] = n_made[0], n_made[0] + n
        for worker, at in ((0, 20), (1, 400)):
            if before < at <= n_made[0]:
                kill(watched.crew.members[worker].actor)

    with pytest.warns(RuntimeWarning, match=r"worker [12] of 2, with [\d,]+ rows, was lost and is replaced") as seen:
        walked = run(task, watched, die_twice)
    assert_same(walked, run(task, NUMPY, lambda _: None))
    assert [member.n_losses for member in watched.crew.members] == [1, 1 if len(walked.rows) > 400 else 0]
    assert len([w for w in seen if w.category is RuntimeWarning]) == sum(m.n_losses for m in watched.crew.members)


def test_rows_that_are_lost_again_and_again_end_in_an_error(cluster: None) -> None:
    watched = Watched(TWO)
    with (
        pytest.warns(RuntimeWarning, match="worker 2 of 2"),
        pytest.raises(ClusterError, match=r"worker 2 of 2, with 3,000 rows, was lost 4 times.*use more machines"),
    ):
        run(task_of(gaussian(6000, 24), 3000), watched, lambda _: ray.kill(watched.crew.members[1].actor))


def test_an_interruption_gives_the_picks_so_far_and_lets_the_workers_go(cluster: None) -> None:
    task, watched = TASKS["many epochs"](), Watched(TWO)
    n_made = [0]

    def interrupt(n: int) -> None:
        n_made[0] += n
        if n_made[0] > 100:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        run(task, watched, interrupt)
    rows = caught.value.walked.rows
    np.testing.assert_array_equal(rows, run(task, NUMPY, lambda _: None).rows[: len(rows)])
    assert len(rows) > 100
    with pytest.raises(ray.exceptions.RayActorError):
        ray.get(watched.crew.members[0].actor.about.remote())
    assert ray.is_initialized()  # it was there before


def test_samplers_take_the_engine_and_small_pools_one_worker(cluster: None) -> None:
    scores = np.random.default_rng(5).random(400)
    pool = Pool(tuple(map(str, range(400))), np.arange(400) < 20, scores=scores, vectors=gaussian(400, 5))
    for ours, theirs in (
        (SamplerCoreset(metric="cosine", engine=RayEngine()), SamplerCoreset(metric="cosine")),
        (SamplerCoral(engine=TWO), SamplerCoral()),
    ):
        batch, expected = ours.select(pool, 60), theirs.select(pool, 60)
        assert (batch.item_ids, batch.reasons) == (expected.item_ids, expected.reasons)
        np.testing.assert_array_equal(batch.gains, expected.gains)


def test_more_workers_than_processors_are_refused_in_seconds(cluster: None) -> None:
    engine = RayEngine(n_workers=3, start_s=3)
    with pytest.raises(
        ClusterError, match=r"[0-2] of 3 workers started within 3 s; the cluster has 2 processors, and 1 for each"
    ):
        run(task_of(gaussian(100, 3), 5), engine, lambda _: None)


_ALONE = """
import signal, sys, time, warnings
import numpy as np
from al_agent import ClusterError
from al_agent.engine import RayEngine
from samplers import Pool, SamplerCoreset
assert "ray" not in sys.modules
vectors = np.random.default_rng(0).standard_normal((300, 4))
pool = Pool(tuple(map(str, range(300))), vectors=vectors)
began = time.monotonic()
for address in sys.argv[1:]:
    try:
        SamplerCoreset(engine=RayEngine(address=address)).select(pool, 20)
    except ClusterError as error:
        print(error)
import ray
assert time.monotonic() - began < 60 and not ray.is_initialized()
try:
    SamplerCoreset(engine=RayEngine(2)).select(pool, 20, on_pick=lambda n: 1 / ray.is_initialized() / 0)
except ZeroDivisionError:
    print("stopped", ray.is_initialized(), signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
"""


def test_a_cluster_that_is_not_there_is_named_and_one_started_here_is_stopped(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = f"127.0.0.1:{closed.getsockname()[1]}"
    with socket.create_server(("127.0.0.1", 0)) as web:
        thread = threading.Thread(target=_answer_as_web, args=(web,))
        thread.start()
        another = f"127.0.0.1:{web.getsockname()[1]}"
        surroundings = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
        done = subprocess.run(
            [sys.executable, "-c", _ALONE, nobody, another], capture_output=True, text=True, timeout=180, check=False,
            env=surroundings,
        )  # fmt: skip
        thread.join()
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"no Ray cluster answers at {nobody}: [Errno 111]") and "`ray start --head`" in lines[0]
    assert lines[1].startswith(f"what answers at {another} is no Ray cluster; start it with") and lines[2:] == [
        "stopped False True"
    ]
    assert "Traceback" not in done.stderr and "INFO" not in done.stderr


def _answer_as_web(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(100)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_workers": 0}, "n_workers is 0; expected a whole number of at least 1"),
        ({"threads_per_worker": 1.5}, "threads_per_worker is 1.5; expected a whole number"),
        ({"rows_per_worker": True}, "rows_per_worker is True; expected a whole number"),
        ({"kernels": "torch"}, "kernels is 'torch'; expected one of auto, numpy, numba"),
        ({"address": "head"}, "address is 'head'; expected host:port"),
        ({"address": "head:70000"}, "address is 'head:70000'; expected host:port"),
        ({"start_s": 0}, "start_s is 0; expected a number of seconds above 0"),
    ],
)
def test_options_out_of_range_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RayEngine(**options)


def test_without_ray_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r'pip install "al-agent\[ray\]"'):
        RayEngine()
