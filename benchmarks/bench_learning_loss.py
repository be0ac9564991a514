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
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_turns(first: Callable[[], object], second: Callable[[], object], n_turns: int) -> tuple[float, float, float]:
    """Median seconds of both, done in turns, and the median of the ratios of neighbours, second to first."""
    first(), second()
    pairs = [(seconds(first), seconds(second)) for _ in range(n_turns)]
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


def scoring(n_images: int, n_turns: int) -> tuple[float, float, float]:
    network = ResNet().eval()
    learning_loss = LearningLoss(network, ["layer1", "layer2", "layer3", "layer4"])
    plain = ResNet().eval()
    images = torch.randn(n_images, 3, 32, 32)
    names = [f"{row}.png" for row in range(n_images)]
    loader = [(names[at : at + BATCH], images[at : at + BATCH]) for at in range(0, n_images, BATCH)]

    def forward() -> None:
        with torch.no_grad():
            torch.cat([plain(batch) for _, batch in loader])

    return in_turns(forward, lambda: ScorerLearningLoss(learning_loss, loader).scores(), n_turns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=9, help="training steps of each")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--scoring-turns", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"torch {torch.__version__}, {arguments.threads} threads, ResNet-18 on 32 x 32 pixels, batches of {BATCH}\n")
    print("| work | without s | with s | ratio |\n| --- | --- | --- | --- |")
    without, attached, ratio = training(arguments.turns)
    print(f"| a training step | {without:.3f} | {attached:.3f} | {ratio:.3f} |", flush=True)
    without, attached, ratio = scoring(arguments.images, arguments.scoring_turns)
    print(f"| scoring {arguments.images:,} images | {without:.1f} | {attached:.1f} | {ratio:.3f} |")


if __name__ == "__main__":
    main()
