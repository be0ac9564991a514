"""Cycles of training, measuring and choosing on a local project, which go on where they were stopped.

A cycle labels the batch that was chosen for it, trains a new network on all that is labeled, measures it, scores the rest of
the pool with it, and chooses the next batch. The folder holds the project with its rounds, `results.csv`, and for each cycle
`network_cycle_N.pt`, `learning_loss_cycle_N.npz` and, for the batch chosen at its end, `priorities_cycle_N.csv`. Each step
looks there whether it is done already, so a run that was stopped at any moment goes on by the same command.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import results
import torch
from arguments import check_started, parse, recipe_of
from task import Recipe, Task
from training import derived_seed, measured, shown, train, uncertainty_scores

from al_agent import ActiveLearningAgent, PlatformLocal, SamplerConfig, Scores
from scorers.files import written_whole
from scorers.learning_loss import LearningLoss, ScorerLearningLoss

_NETWORK, _TRAINING, _START, _BATCH = range(4)  # what a seed is derived for


class Cycles:
    """The cycles of one run in one folder.

    Args:
        task: What is learned.
        recipe: How it is trained, and how much is labeled in a cycle.
        folder: The project's folder, as `check_started` left it.
        method: `learning-loss`, `entropy` or `random`; the last two train the plain network.
        seed: Everything random is derived from it and the cycle's number.
        device: Where the network runs.
    """

    def __init__(self, task: Task, recipe: Recipe, folder: Path, *, method: str, seed: int, device: torch.device) -> None:
        self.task, self.recipe, self.folder = task, recipe, folder
        self.method, self.seed, self.device = method, seed, device
        is_new = not (folder / "al-agent-project.sqlite").exists()
        self.platform = PlatformLocal.create(folder, images=task.item_ids) if is_new else PlatformLocal(folder)
        self.agent = ActiveLearningAgent(self.platform)
        self.results = results.Results(folder / "results.csv")

    def run(self, cycle: int) -> dict[str, float]:
        """Do what is left to do of a cycle, and give its row of results; the cycles before it are done."""
        if not self.agent.history:
            self.agent.query(SamplerConfig(self.recipe.n_start, method="RANDOM", seed=derived_seed(self.seed, _START)))
        if not self.agent.last_round.is_pushed:  # stopped after the batch was noted
            self.agent.push()
        is_last_batch = len(self.agent.history) == cycle + 1
        if is_last_batch:
            self.platform.annotate({item_id: self.task.label(item_id) for item_id in self.agent.added_set})
            self.agent.refresh()
        network, learning_loss = self._trained(cycle)
        if self.task.metric not in self.results[cycle]:
            figures = measured(self.task, network, learning_loss, self.device)
            self.results.note(cycle, n_labeled=len(self.agent.labeled_set), **figures)
        if is_last_batch and self.agent.unlabeled_set:
            self._choose(cycle, network, learning_loss)
        if len(self.agent.history) == cycle + 2 and not self._priorities(cycle).exists():
            self.agent.export(self._priorities(cycle))
        return self.results[cycle]

    def check_rows(self) -> None:
        """Raise if `results.csv` lacks the figures of a cycle whose next batch was chosen, which are noted before that."""
        for cycle in range(len(self.agent.history) - 1):
            if self.task.metric not in self.results[cycle]:
                raise ValueError(
                    f"'{self.folder / 'results.csv'}' has no figures of cycle {cycle}, and the run went on after it; put "
                    "the file back, or choose another --folder"
                )

    def is_done(self, cycle: int) -> bool:
        """Whether nothing is left to do of a cycle."""
        row = self.results[cycle]
        is_all_labeled = row.get("n_labeled") == len(self.task.item_ids)
        return self.task.metric in row and (is_all_labeled or self._priorities(cycle).exists())

    def _trained(self, cycle: int) -> tuple[torch.nn.Module, LearningLoss | None]:
        """The network of a cycle, read from the folder if it was trained before."""
        weights, head = self.folder / f"network_cycle_{cycle}.pt", self.folder / f"learning_loss_cycle_{cycle}.npz"
        torch.manual_seed(derived_seed(self.seed, _NETWORK, cycle))
        network = self.task.network().to(self.device)
        labeled = self.agent.labeled_set
        example = self._inputs(labeled[0])
        if weights.exists():
            network.load_state_dict(torch.load(weights, map_location=self.device, weights_only=True))
            network.eval()
            is_plain = self.method != "learning-loss"
            return network, None if is_plain else LearningLoss.load(head, network, example=example).to(self.device)
        learning_loss = None
        if self.method == "learning-loss":
            recipe = self.recipe
            learning_loss = LearningLoss(
                network,
                layers=list(self.task.layers),
                width=recipe.width,
                grid=recipe.grid,
                detach_from_epoch=recipe.detach_from_epoch,
                example=example,
            ).to(self.device)
        began = time.perf_counter()
        train(
            self.task,
            self.recipe,
            network,
            learning_loss,
            labeled,
            device=self.device,
            seed=derived_seed(self.seed, _TRAINING, cycle),
            what=f"cycle {cycle}, training on {len(labeled):,}",
        )
        seconds = time.perf_counter() - began
        if learning_loss is not None:
            learning_loss.save(head)
        with written_whole(weights) as file:  # last: it says that the training is done
            torch.save(network.state_dict(), file)
        self.results.note(cycle, n_labeled=len(labeled), training_s=round(seconds, 3))
        return network, learning_loss

    def _choose(self, cycle: int, network: torch.nn.Module, learning_loss: LearningLoss | None) -> None:
        """Score the pool, note the next batch as a round, and push it."""
        n_samples = min(self.recipe.n_per_cycle, len(self.agent.unlabeled_set))
        seed = derived_seed(self.seed, _BATCH, cycle)
        began = time.perf_counter()
        scores = self._scores(network, learning_loss)
        self.results.note(cycle, scoring_s=0.0 if scores is None else round(time.perf_counter() - began, 3))
        if scores is None:
            config = SamplerConfig(n_samples, method="RANDOM", seed=seed)
        else:
            options = {"candidate_factor": self.recipe.candidate_factor}
            config = SamplerConfig(n_samples, method="UNCERTAINTY", options=options, seed=seed)
        self.agent.query(config, scores)

    def _scores(self, network: torch.nn.Module, learning_loss: LearningLoss | None) -> Scores | None:
        unlabeled = self.agent.unlabeled_set
        if self.method == "random":
            return None
        if learning_loss is None:
            return uncertainty_scores(self.task, network, unlabeled, self.device)
        return ScorerLearningLoss(learning_loss, shown(self.task, unlabeled, self.device, "scoring")).scores()

    def _priorities(self, cycle: int) -> Path:
        return self.folder / f"priorities_cycle_{cycle}.csv"

    def _inputs(self, item_id: str) -> torch.Tensor:
        _, inputs, _ = next(iter(self.task.batches([item_id], is_training=False)))
        return inputs.to(self.device)


def main(
    make_task: Callable[[argparse.Namespace], Task],
    description: str,
    default_data: str,
    words: Sequence[str] | None = None,
) -> None:
    """Run a task's cycles as the command line says, and print a line for each.

    Args:
        make_task: Gives the task; it reads `data`, `published`, `n_pool`, `n_test` and what else it wants of the arguments.
        description: What `--help` says first.
        default_data: The zip file that is read where no `--data` is given.
        words: The command line; None takes the program's own.
    """
    parser, given = parse(description, default_data, words)
    task = make_task(given)
    recipe = recipe_of(given, task.recipe)
    folder = given.folder or Path(f"learning-loss-{task.name}")
    try:
        check_started(folder, given, task, recipe)
    except ValueError as error:
        parser.error(str(error))
    device = torch.device(given.device)
    if device.type != "cpu":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else CUDA's products differ from run to run
        torch.use_deterministic_algorithms(True, warn_only=True)
    cycles = Cycles(task, recipe, folder, method=given.method, seed=given.seed, device=device)
    try:
        cycles.check_rows()
    except ValueError as error:
        parser.error(str(error))
    print(f"{len(task.item_ids):,} images to choose from, {len(task.test_item_ids):,} to test on; chance ranks 50 % rightly")
    print(results.header(task.metric))
    try:
        for cycle in range(given.cycles + 1):
            row = cycles.results[cycle] if cycles.is_done(cycle) else cycles.run(cycle)
            print(results.line(row, task.metric), flush=True)
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on from here")
    print(f"network, results.csv and the priorities of each cycle are in {folder}")
