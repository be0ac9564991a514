"""What the learning loss costs: a training step of ResNet-18 with and without it, and scoring beside the plain pass."""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional

from scorers.learning_loss import LearningLoss, ScorerLearningLoss

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tutorials" / "learning_loss"))
from classification import ResNet

BATCH = 128


def seconds(work: Callable[[], object]) -> float:
    """Processor seconds, which other programs on the machine disturb less than those of the wall clock."""
    start = time.process_time()
    work()
    return time.process_time() - start


def in_turns(first: Callable[[], object], second: Callable[[], object], n_turns: int) -> tuple[float, float, float]:
    """Median seconds of both, done in turns, and the median of the ratios of neighbours, second to first."""
    first(), second()
    pairs = []
    for turn in range(n_turns):
        if turn % 2:  # neither profits from always being the later one
            pairs.append((seconds(first), seconds(second)))
        else:
            pairs.append((seconds(second), seconds(first))[::-1])
    columns = list(zip(*pairs))
    return statistics.median(columns[0]), statistics.median(columns[1]), statistics.median(b / a for a, b in pairs)


def training(n_turns: int) -> tuple[float, float, float]:
    images, labels = torch.randn(BATCH, 3, 32, 32), torch.randint(10, (BATCH,))

    def step(is_attached: bool) -> Callable[[], object]:
        network = ResNet()
        learning_loss = LearningLoss(network, ["layer1", "layer2", "layer3", "layer4"]) if is_attached else None
        head = [] if learning_loss is None else list(learning_loss.parameters())
        optimizer = torch.optim.SGD([*network.parameters(), *head], lr=0.1, momentum=0.9, weight_decay=5e-4)

        def work() -> None:
            optimizer.zero_grad()
            losses = functional.cross_entropy(network(images), labels, reduction="none")
            loss = losses.mean() if learning_loss is None else losses.mean() + learning_loss.loss(losses)
            torch.autograd.backward(loss)
            optimizer.step()

        return work

    return in_turns(step(False), step(True), n_turns)


def scoring(n_turns: int) -> tuple[float, float, float]:
    network, plain = ResNet().eval(), ResNet().eval()
    learning_loss = LearningLoss(network, ["layer1", "layer2", "layer3", "layer4"])
    torch.nn.init.normal_(learning_loss.output.weight)  # stands for training, without which scores are warned of
    images = torch.randn(BATCH, 3, 32, 32)
    loader = [([f"{row}.png" for row in range(BATCH)], images)]

    def forward() -> None:
        with torch.no_grad():
            plain(images)

    return in_turns(forward, lambda: ScorerLearningLoss(learning_loss, loader).scores(), n_turns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=9, help="training steps of each")
    parser.add_argument("--scored", type=int, default=79, help="scored batches of each; 79 are 10,000 images")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"torch {torch.__version__}, {arguments.threads} threads, ResNet-18 on 32 x 32 pixels, batches of {BATCH}\n")
    print("| work | without, CPU s | with, CPU s | ratio |\n| --- | --- | --- | --- |")
    without, attached, ratio = training(arguments.turns)
    print(f"| a training step | {without:.3f} | {attached:.3f} | {ratio:.3f} |", flush=True)
    without, attached, ratio = scoring(arguments.scored)
    print(f"| scoring a batch | {without:.3f} | {attached:.3f} | {ratio:.3f} |")


if __name__ == "__main__":
    main()
