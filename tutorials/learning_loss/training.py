"""A task's network trained on what is labeled, with or without a loss prediction, and asked about other images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from ranking import ranking_accuracy
from results import BY_PREDICTION, BY_UNCERTAINTY
from task import Batch, Recipe, Task
from tqdm import tqdm

from al_agent import Scores
from scorers.learning_loss import LearningLoss
from scorers.networks.parts import mapped_tensors


def derived_seed(*numbers: int) -> int:
    """A seed of its own for each tuple of as many numbers, such as the run's seed, the cycle and the epoch."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def moved(targets: Any, device: torch.device) -> Any:
    """Targets on a device, whatever tuples, lists and dictionaries their tensors are in."""
    return mapped_tensors(targets, lambda tensor: tensor.to(device))


def train(
    task: Task,
    recipe: Recipe,
    network: torch.nn.Module,
    learning_loss: LearningLoss | None,
    item_ids: Sequence[str],
    *,
    device: torch.device,
    seed: int,
    what: str = "training",
) -> None:
    """Train a network on labeled images: the mean of their losses plus `weight` times the ranking loss.

    Args:
        task: Gives the batches and the losses.
        recipe: Epochs, optimizer, learning rate, its drop, and the weight of the ranking loss.
        network: On the device; it is left in evaluation mode.
        learning_loss: The loss prediction, trained along; None trains the plain network.
        item_ids: The labeled images.
        device: Where the network is.
        seed: Of the batches of all epochs.
        what: Written beside the progress bar.

    Raises:
        ValueError: The task's losses are not one for each image.
        FloatingPointError: A loss is not finite.
    """
    parameters = [*network.parameters(), *(() if learning_loss is None else learning_loss.parameters())]
    optimizer = _optimizer(recipe, parameters)
    network.train()
    with tqdm(total=recipe.epochs * len(item_ids), desc=what, unit=" images", disable=None, leave=False) as bar:
        for epoch in range(recipe.epochs):
            if epoch == recipe.drop_from_epoch:
                for group in optimizer.param_groups:
                    group["lr"] *= 0.1
            if learning_loss is not None:
                learning_loss.start_epoch(epoch)
            for ids, inputs, targets in task.batches(item_ids, is_training=True, seed=derived_seed(seed, epoch)):
                losses = task.losses(network(inputs.to(device)), moved(targets, device))
                _check(losses, ids, epoch)
                total = losses.mean()
                if learning_loss is not None:
                    total = total + recipe.weight * learning_loss.loss(losses)
                optimizer.zero_grad()
                total.backward()  # type: ignore[no-untyped-call]  # torch has no types here
                optimizer.step()
                bar.update(len(ids))
    network.eval()


def _optimizer(recipe: Recipe, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    rate, decay = recipe.learning_rate, recipe.weight_decay
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=rate, momentum=0.9, weight_decay=decay)
    if recipe.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=rate, weight_decay=decay)
    return torch.optim.RMSprop(parameters, lr=rate, weight_decay=decay)


def _check(losses: torch.Tensor, ids: Sequence[str], epoch: int) -> None:
    if losses.shape != (len(ids),):
        raise ValueError(f"the losses of a batch have the shape {tuple(losses.shape)}; expected one an image, ({len(ids)},)")
    if not losses.isfinite().all():
        row = int(losses.isfinite().logical_not().nonzero()[0])
        raise FloatingPointError(
            f"the loss of {ids[row]!r} is {losses[row].item()} in epoch {epoch}; lower the recipe's learning rate"
        )


def shown(task: Task, item_ids: Sequence[str], device: torch.device, what: str) -> Iterator[Batch]:
    """Batches of images as they are, on the device, behind a progress bar."""
    with tqdm(total=len(item_ids), desc=what, unit=" images", disable=None, leave=False) as bar:
        for ids, inputs, targets in task.batches(item_ids, is_training=False):
            yield ids, inputs.to(device), targets
            bar.update(len(ids))


@torch.no_grad()
def uncertainty_scores(task: Task, network: torch.nn.Module, item_ids: Sequence[str], device: torch.device) -> Scores:
    """The task's own uncertainty of images, in evaluation mode; their targets are not looked at."""
    network.eval()
    ids: list[str] = []
    parts = []
    for names, inputs, _ in shown(task, item_ids, device, "scoring"):
        ids += names
        parts.append(task.uncertainties(network(inputs)).cpu().numpy())
    return Scores(ids, {"uncertainty": np.concatenate(parts)})


@torch.no_grad()
def measured(
    task: Task, network: torch.nn.Module, learning_loss: LearningLoss | None, device: torch.device
) -> dict[str, float]:
    """The task's figures on the test images, and how well their losses are ranked by prediction and by uncertainty."""
    network.eval()
    losses, uncertainties, predicted = [], [], []
    for _, inputs, targets in shown(task, task.test_item_ids, device, "testing"):
        outputs = network(inputs)
        if learning_loss is not None:
            predicted.append(learning_loss().cpu().numpy())
        losses.append(task.losses(outputs, moved(targets, device)).cpu().numpy())
        uncertainties.append(task.uncertainties(outputs).cpu().numpy())
    true = np.concatenate(losses)
    figures = {name: float(value) for name, value in task.measure(network, device).items()}
    figures[BY_UNCERTAINTY] = ranking_accuracy(np.concatenate(uncertainties), true)
    if predicted:
        figures[BY_PREDICTION] = ranking_accuracy(np.concatenate(predicted), true)
    return figures
