"""The cycles of the learning-loss tutorial: what they label, keep and print, and how they go on after a stop anywhere."""

from __future__ import annotations

import csv
import doctest
import json
import math
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
import ranking
import torch
from cycles import main
from ranking import ranking_accuracy
from results import Results, header, line
from task import Batch, Recipe, Task
from torch import nn
from training import measured, moved, train

from al_agent import ActiveLearningAgent, PlatformLocal
from scorers.learning_loss import LearningLoss

N_START, N_PER_CYCLE, N_POOL, N_TEST = 6, 4, 30, 12
RECIPE = Recipe(
    n_start=N_START,
    n_per_cycle=N_PER_CYCLE,
    candidate_factor=2,
    epochs=2,
    batch_size=4,
    optimizer="sgd",
    learning_rate=0.05,
    weight_decay=1e-4,
    drop_from_epoch=1,
    detach_from_epoch=1,
    weight=0.5,
    width=4,
    grid=2,
)


class Brightness:
    """How bright are noisy patches? Answers are their means; the noise of a patch grows with its number."""

    name = "brightness"
    layers: Sequence[str] = ("0", "2")
    metric = "error"

    def __init__(self, recipe: Recipe = RECIPE) -> None:
        self.recipe = recipe
        rng = np.random.default_rng(0)
        n_all = N_POOL + N_TEST
        noise = rng.normal(size=(n_all, 3, 6, 6)) * np.linspace(0.1, 2, n_all)[:, None, None, None]
        self.inputs = torch.from_numpy(noise).float()
        self.answers = self.inputs.mean(dim=(1, 2, 3))
        self.names = tuple(f"{'patch' if row < N_POOL else 'test'}_{row:02d}.png" for row in range(n_all))
        self.trained_on: list[tuple[str, ...]] = []

    @property
    def item_ids(self) -> tuple[str, ...]:
        return self.names[:N_POOL]

    @property
    def test_item_ids(self) -> tuple[str, ...]:
        return self.names[N_POOL:]

    def network(self) -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3), nn.Flatten(), nn.Linear(8, 1))

    def batches(self, item_ids: Sequence[str], *, is_training: bool, seed: int = 0) -> Iterator[Batch]:
        rows = [self.names.index(item_id) for item_id in item_ids]
        if is_training:
            self.trained_on.append(tuple(item_ids))
            rows = np.random.default_rng(seed).permutation(rows).tolist()
        for start in range(0, len(rows), self.recipe.batch_size):
            part = rows[start : start + self.recipe.batch_size]
            yield [self.names[row] for row in part], self.inputs[part], self.answers[part]

    def losses(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (outputs.squeeze(1) - targets).square()

    def uncertainties(self, outputs: torch.Tensor) -> torch.Tensor:
        return outputs.squeeze(1).abs()

    @torch.no_grad()
    def measure(self, network: nn.Module, device: torch.device) -> dict[str, float]:
        errors = network(self.inputs[N_POOL:].to(device)).squeeze(1).cpu() - self.answers[N_POOL:]
        return {"error": float(errors.abs().mean()), "largest_error": float(errors.abs().max())}

    def label(self, item_id: str) -> str:
        return f"{self.answers[self.names.index(item_id)]:.6f}"


class AveragedTooEarly(Brightness):
    """Gives the mean of the batch for a loss."""

    def losses(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return super().losses(outputs, targets).mean()


class BrokenAnswer(Brightness):
    """Has no number for one answer."""

    def __init__(self) -> None:
        super().__init__()
        self.answers[3] = math.nan


class State(NamedTuple):
    """All that a run leaves, but for how long it took."""

    batches: list[tuple[str, ...]]
    labels: dict[str, Any]
    rows: list[dict[str, str]]
    files: dict[str, bytes]


def run(folder: Path, *words: str, task: Task | None = None, method: str = "learning-loss") -> Brightness:
    """A run of the command, which gives the task back."""
    data = folder.parent / "data.zip"
    data.write_bytes(b"the answers are made up")
    made = Brightness() if task is None else task
    assert isinstance(made, Brightness)
    main(lambda _: made, "", "nowhere.zip", ["--data", str(data), "--folder", str(folder), "--method", method, *words])
    return made


def state_of(folder: Path) -> State:
    platform = PlatformLocal(folder)
    rows = list(csv.DictReader((folder / "results.csv").read_text().splitlines()))
    return State(
        [one.selection.item_ids for one in ActiveLearningAgent(platform).history],
        platform.labels(),
        [{name: cell for name, cell in row.items() if not name.endswith("_s")} for row in rows],
        {
            path.name: path.read_bytes()
            for path in sorted(folder.glob("*_cycle_*"))
            if path.suffix in {".csv", ".pt", ".npz"}
        },
    )


def test_each_cycle_labels_its_batch_and_leaves_a_row_a_network_and_priorities(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = run(tmp_path / "run", "--cycles", "2")
    state = state_of(tmp_path / "run")
    assert [len(batch) for batch in state.batches] == [N_START, N_PER_CYCLE, N_PER_CYCLE, N_PER_CYCLE]
    assert len({item_id for batch in state.batches for item_id in batch}) == N_START + 3 * N_PER_CYCLE
    answered = {item_id for batch in state.batches[:3] for item_id in batch}
    assert state.labels == {item_id: task.label(item_id) for item_id in task.item_ids if item_id in answered}
    assert [(row["cycle"], row["n_labeled"]) for row in state.rows] == [("0", "6"), ("1", "10"), ("2", "14")]
    assert list(state.files) == [
        f"{name}_cycle_{cycle}{ending}"
        for name, ending in (("learning_loss", ".npz"), ("network", ".pt"), ("priorities", ".csv"))
        for cycle in range(3)
    ]
    for cycle in range(3):
        names = [row["name"] for row in csv.DictReader(state.files[f"priorities_cycle_{cycle}.csv"].decode().splitlines())]
        assert tuple(names) == state.batches[cycle + 1]
    queue = PlatformLocal(tmp_path / "run").next_items(N_PER_CYCLE)
    assert tuple(item.id for item in queue) == state.batches[3]
    printed = capsys.readouterr()
    assert printed.err == ""
    assert max(map(len, printed.out.splitlines()[:-1])) <= 80
    assert printed.out.startswith("30 images to choose from, 12 to test on; chance ranks 50 % rightly\n")


def test_the_batch_is_the_highest_predicted_loss_of_the_network_just_trained(tmp_path: Path) -> None:
    folder, recipe = tmp_path / "run", Recipe(**{**vars(RECIPE), "candidate_factor": 1000})
    task = run(folder, "--cycles", "0", task=Brightness(recipe))
    network = task.network()
    network.load_state_dict(torch.load(folder / "network_cycle_0.pt", weights_only=True))
    learning_loss = LearningLoss.load(folder / "learning_loss_cycle_0.npz", network, example=task.inputs[:1])
    network(task.inputs[:N_POOL])
    predicted = dict(zip(task.item_ids, learning_loss().tolist()))
    start, batch = state_of(folder).batches
    assert batch == tuple(sorted(set(task.item_ids) - set(start), key=lambda item_id: -predicted[item_id])[:N_PER_CYCLE])


def test_a_row_says_how_often_prediction_and_uncertainty_order_two_test_images_rightly(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    task = run(folder, "--cycles", "0")
    network = task.network()
    network.load_state_dict(torch.load(folder / "network_cycle_0.pt", weights_only=True))
    learning_loss = LearningLoss.load(folder / "learning_loss_cycle_0.npz", network, example=task.inputs[:1])
    outputs = network(task.inputs[N_POOL:])
    losses = task.losses(outputs, task.answers[N_POOL:]).detach().numpy()
    row = Results(folder / "results.csv")[0]
    assert row["ranking_accuracy_predicted_loss"] == pytest.approx(all_pairs(learning_loss().detach().numpy(), losses))
    assert row["ranking_accuracy_uncertainty"] == pytest.approx(all_pairs(outputs.abs().detach().numpy()[:, 0], losses))
    assert row["error"] == pytest.approx(float(np.sqrt(losses).mean()), abs=1e-6)


def test_two_runs_with_one_seed_are_the_same_and_another_seed_is_not(tmp_path: Path) -> None:
    for folder, seed in (("one", "7"), ("two", "7"), ("three", "8")):
        run(tmp_path / folder, "--seed", seed)
    assert state_of(tmp_path / "one") == state_of(tmp_path / "two")
    assert state_of(tmp_path / "one").batches[0] != state_of(tmp_path / "three").batches[0]


@pytest.mark.parametrize("method", ["entropy", "random"])
def test_without_learning_loss_the_plain_network_is_trained_from_the_same_start(tmp_path: Path, method: str) -> None:
    task = run(tmp_path / method, method=method)
    run(tmp_path / "learning-loss")
    state, other = state_of(tmp_path / method), state_of(tmp_path / "learning-loss")
    assert state.batches[0] == other.batches[0]
    assert state.batches[1:] != other.batches[1:]
    assert [name for name in state.files if name.endswith(".npz")] == []
    assert [row["ranking_accuracy_predicted_loss"] for row in state.rows] == ["", ""]
    if method == "random":
        return
    network = task.network()
    network.load_state_dict(torch.load(tmp_path / method / "network_cycle_0.pt", weights_only=True))
    uncertain = dict(zip(task.item_ids, task.uncertainties(network(task.inputs[:N_POOL])).tolist()))
    picked = [uncertain[item_id] for item_id in state.batches[1]]
    assert picked == sorted(picked, reverse=True)


def test_a_run_goes_on_to_the_same_end_from_every_state_that_its_folder_was_ever_in(tmp_path: Path) -> None:
    moments = Moments(tmp_path / "run", tmp_path / "moments")
    with moments:
        run(tmp_path / "run", "--cycles", "1")
    end = state_of(tmp_path / "run")
    kinds = set()
    for copy in moments.copies:
        trained = {int(path.stem.rpartition("_")[2]) for path in copy.glob("network_cycle_*.pt")}
        n_rounds = len(ActiveLearningAgent(PlatformLocal(copy)).history) if list(copy.glob("*project.sqlite")) else 0
        kinds.add((len(trained), n_rounds))
        task = run(copy, "--cycles", "1")
        assert state_of(copy) == end
        assert [len(ids) for ids in task.trained_on] == [
            n_labeled
            for cycle, n_labeled in enumerate([N_START, N_START + N_PER_CYCLE])
            for _ in range(RECIPE.epochs)
            if cycle not in trained
        ]
    assert kinds == {(0, 0), (0, 1), (1, 1), (1, 2), (2, 2), (2, 3)}
    assert len(moments.copies) >= 25


def test_a_finished_run_is_printed_again_without_work_and_may_be_made_longer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path / "run", "--cycles", "1")
    before = capsys.readouterr().out
    assert run(tmp_path / "run", "--cycles", "1").trained_on == []
    assert capsys.readouterr().out == before
    longer = run(tmp_path / "run", "--cycles", "2")
    assert [len(ids) for ids in longer.trained_on] == [N_START + 2 * N_PER_CYCLE] * RECIPE.epochs
    run(tmp_path / "whole", "--cycles", "2")
    assert state_of(tmp_path / "run") == state_of(tmp_path / "whole")


def test_the_last_batch_is_what_is_left_and_then_there_is_none(tmp_path: Path) -> None:
    for n_start, n_last in (("28", 2), ("30", 0)):
        run(tmp_path / n_start, "--cycles", "0", "--n-start", n_start)
        assert [len(batch) for batch in state_of(tmp_path / n_start).batches[1:]] == [n_last] * bool(n_last)
        assert run(tmp_path / n_start, "--cycles", "0", "--n-start", n_start).trained_on == []


def test_a_folder_of_a_run_with_other_arguments_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path / "run", "--cycles", "0")
    before = state_of(tmp_path / "run")
    with pytest.raises(SystemExit) as error:
        run(tmp_path / "run", "--cycles", "0", "--seed", "3", "--epochs", "4")
    assert error.value.code == 2
    said = capsys.readouterr().err
    assert "holds a run with other arguments: seed was 0 and is 3; epochs was 2 and is 4; " in said
    assert "choose another --folder" in said
    assert state_of(tmp_path / "run") == before


def test_a_project_that_was_started_elsewhere_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    PlatformLocal.create(tmp_path / "run", images=["mine.png"])
    with pytest.raises(SystemExit):
        run(tmp_path / "run")
    assert "holds a project that was not started here" in capsys.readouterr().err
    assert [item.id for item in PlatformLocal(tmp_path / "run").list_items()] == ["mine.png"]
    assert not (tmp_path / "run" / "arguments.json").exists()


def test_a_run_whose_results_were_lost_is_refused_and_not_measured_anew_with_later_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path / "run")
    (tmp_path / "run" / "results.csv").unlink()
    weights = (tmp_path / "run" / "network_cycle_0.pt").read_bytes()
    with pytest.raises(SystemExit) as error:
        run(tmp_path / "run")
    assert error.value.code == 2
    assert (
        "results.csv' has no figures of cycle 0, and the run went on after it; put the file back" in capsys.readouterr().err
    )
    assert (tmp_path / "run" / "network_cycle_0.pt").read_bytes() == weights
    assert not (tmp_path / "run" / "results.csv").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--cycles", "9"], "9 cycles label 42 images, and the pool has 30; lower --cycles, --n-start or --n-per-cycle"),
        (["--epochs", "0"], "argument --epochs: expected a whole number of 1 or more, got '0'"),
        (["--cycles", "-1"], "argument --cycles: expected a whole number of 0 or more, got '-1'"),
        (["--device", "abacus"], "argument --device: torch cannot use 'abacus' here: "),
        (["--data", "nowhere.zip"], "'nowhere.zip' is not there; give the zip file with --data"),
    ],
)
def test_wrong_words_are_refused_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as error:
        run(tmp_path / "run", *words)
    assert error.value.code == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_other_epochs_move_the_drop_and_the_cut_in_proportion(tmp_path: Path) -> None:
    run(tmp_path / "run", "--cycles", "0", "--epochs", "6")
    noted = json.loads((tmp_path / "run" / "arguments.json").read_text())
    assert (noted["epochs"], noted["drop_from_epoch"], noted["detach_from_epoch"]) == (6, 3, 3)


def test_a_stop_by_the_keyboard_says_how_to_go_on(tmp_path: Path) -> None:
    class Stopped(Brightness):
        def measure(self, network: nn.Module, device: torch.device) -> dict[str, float]:
            raise KeyboardInterrupt

    with pytest.raises(SystemExit) as error:
        run(tmp_path / "run", task=Stopped())
    assert error.value.code == "stopped; the same command goes on from here"


def test_the_learning_rate_is_a_tenth_from_the_epoch_of_the_drop_on() -> None:
    class Slope(Brightness):
        """A loss that falls by 1 for each 1 that the weight grows, whatever the image; Adam then steps by its rate."""

        def losses(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            return -outputs

    class Weight(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.weight.expand(len(x))

    recipe = {**vars(RECIPE), "optimizer": "adam", "weight_decay": 0.0, "learning_rate": 0.5, "epochs": 5}
    task, network = Slope(), Weight()
    settings = Recipe(**{**recipe, "drop_from_epoch": 3})
    train(task, settings, network, None, task.item_ids[:4], device=torch.device("cpu"), seed=0)
    assert network.weight.item() == pytest.approx(3 * 0.5 + 2 * 0.05, abs=1e-4)
    assert not network.training


def test_the_ranking_loss_is_weighed_and_stops_shaping_the_network_at_the_cut() -> None:
    def weights(weight: float, detach_from_epoch: int) -> torch.Tensor:
        torch.manual_seed(0)
        task = Brightness()
        network = task.network()
        learning_loss = LearningLoss(
            network, layers=["0"], width=4, detach_from_epoch=detach_from_epoch, example=task.inputs[:1]
        )
        recipe = Recipe(**{**vars(RECIPE), "weight": weight, "detach_from_epoch": detach_from_epoch})
        train(task, recipe, network, learning_loss, task.item_ids, device=torch.device("cpu"), seed=0)
        return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])

    plain = weights(weight=0.0, detach_from_epoch=9)
    assert torch.equal(weights(weight=1.0, detach_from_epoch=0), plain)
    shaped = [(weights(weight=weight, detach_from_epoch=9) - plain).norm() for weight in (0.1, 1.0)]
    assert 0 < shaped[0] < shaped[1]


@pytest.mark.parametrize(
    ("task", "kind", "said"),
    [
        (AveragedTooEarly(), ValueError, r"have the shape \(\); expected one an image, \(4,\)"),
        (BrokenAnswer(), FloatingPointError, r"the loss of 'patch_03.png' is nan in epoch 0; lower the recipe's"),
    ],
)
def test_losses_that_are_no_number_for_each_image_are_refused(task: Brightness, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        train(task, RECIPE, task.network(), None, task.item_ids[:4], device=torch.device("cpu"), seed=0)


def test_measuring_asks_for_no_prediction_where_there_is_none() -> None:
    task = Brightness()
    figures = measured(task, task.network(), None, torch.device("cpu"))
    assert list(figures) == ["error", "largest_error", "ranking_accuracy_uncertainty"]


def test_targets_keep_the_kinds_of_what_they_are_in() -> None:
    class Boxes(NamedTuple):
        corners: torch.Tensor
        names: list[str]

    targets = {"boxes": (Boxes(torch.zeros(2), ["cat"]), [torch.ones(1)]), "n": 3}
    found = moved(targets, torch.device("meta"))
    assert found["boxes"][0].corners.device.type == "meta"
    assert found["boxes"][1][0].device.type == "meta"
    assert (type(found["boxes"][0]), found["boxes"][0].names, found["n"]) == (Boxes, ["cat"], 3)


@pytest.mark.parametrize("n_values", [2, 3, 1000])
@pytest.mark.parametrize("n_images", [2, 32, 33, 65, 150])
def test_ranking_accuracy_is_that_of_all_pairs(n_images: int, n_values: int) -> None:
    rng = np.random.default_rng(n_images + n_values)
    predicted, losses = rng.integers(0, n_values, n_images), rng.integers(0, n_values, n_images)
    losses[:2] = 0, 1
    assert ranking_accuracy(predicted, losses) == pytest.approx(all_pairs(predicted, losses), abs=1e-12)


def test_ranking_accuracy_has_no_value_for_equal_losses_and_refuses_what_has_no_order() -> None:
    assert math.isnan(ranking_accuracy([1.0, 2.0], [5.0, 5.0]))
    with pytest.raises(ValueError, match=r"predicted is \(3,\) and losses is \(2,\); expected \(n,\) twice"):
        ranking_accuracy([1.0, 2.0, 3.0], [1.0, 2.0])
    with pytest.raises(ValueError, match=r"image 1 has the prediction nan and the loss 2\.0; NaN has no order"):
        ranking_accuracy([1.0, math.nan], [1.0, 2.0])


def test_the_examples_of_the_ranking_accuracy_are_right() -> None:
    found = doctest.testmod(ranking)
    assert (found.failed, found.attempted) == (0, 3)


def test_a_line_of_the_table_has_units_under_its_header() -> None:
    row = {"cycle": 3, "n_labeled": 4000, "accuracy": 0.71239, "ranking_accuracy_predicted_loss": 0.687}
    assert header("accuracy").splitlines()[1].split("  ")[0] == "cycle"
    shown = line({**row, "training_s": 81.26}, "accuracy")
    assert shown.split() == ["3", "4,000", "0.7124", "68.7", "%", "-", "81.3", "s", "-"]
    assert len(header("accuracy").splitlines()[1]) == len(shown)


def all_pairs(predicted: npt.NDArray[Any], losses: npt.NDArray[Any]) -> float:
    """Every pair by itself."""
    points = [
        1.0
        if (predicted[one] - predicted[two]) * (losses[one] - losses[two]) > 0
        else 0.5 * (predicted[one] == predicted[two])
        for one in range(len(losses))
        for two in range(one)
        if losses[one] != losses[two]
    ]
    return float(np.mean(points))


class Moments:
    """Copies of a folder in every state of a run: whenever a function of ours is entered or left, and a file is another.

    States within a transaction are left out: that SQLite comes back from those is tested with the database.
    """

    _OURS = ("cycles.py", "arguments.py", "results.py", "agent.py", "journal.py", "database.py", "platform.py", "files.py")

    def __init__(self, folder: Path, to: Path) -> None:
        self._folder, self._to = folder, to
        self._seen: list[tuple[str, int]] = []
        self._last: dict[str, bytes] = {}
        self.copies: list[Path] = []

    def __enter__(self) -> None:
        sys.setprofile(self._look)

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _look(self, frame: FrameType, event: str, _: object) -> None:
        if event not in {"call", "return"} or not frame.f_code.co_filename.endswith(self._OURS) or not self._folder.exists():
            return
        files = sorted(self._folder.iterdir())
        seen = [(path.name, path.stat().st_mtime_ns) for path in files]
        if seen == self._seen or any(path.name.endswith((".part", "-wal", "-shm")) for path in files):
            return
        self._seen, now = seen, {path.name: path.read_bytes() for path in files}
        if now != self._last:
            self._last = now
            self.copies.append(self._to / f"{len(self.copies):03d}")
            shutil.copytree(self._folder, self.copies[-1])
