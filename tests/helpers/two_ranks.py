"""One of two processes that train a network and its learning loss together: `python two_ranks.py RANK FILE OUTPUT`."""

from __future__ import annotations

import datetime
import os
import sys

import torch
from torch.nn.parallel import DistributedDataParallel

from scorers.learning_loss import LearningLoss, LossPredictionLoss
from scorers.networks.batches import outputs_of


def make() -> tuple[torch.nn.Sequential, LearningLoss]:
    """The same network and head in each process."""
    torch.manual_seed(4)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(inplace=True), torch.nn.Conv2d(4, 3, 3)
    )
    return network, LearningLoss(network, layers=["0", "2", "3"], width=5, grid=2)


def images_of(rank: int) -> torch.Tensor:
    """The part of the batch that a process has."""
    return torch.randn(6, 2, 9, 9, generator=torch.Generator().manual_seed(rank))


def losses_of(outputs: torch.Tensor) -> torch.Tensor:
    """A loss for each image."""
    return outputs.square().mean(dim=(1, 2, 3))


def gradients_of(network: torch.nn.Module, head: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The gradients of both by name."""
    named = [(f"network.{name}", one) for name, one in network.named_parameters()]
    named += [(f"head.{name}", one) for name, one in head.named_parameters()]
    return {name: one.grad for name, one in named if one.grad is not None}


def main(rank: int, store: str, output: str) -> None:
    """Train a step, then score in the first process alone."""
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.set_num_threads(1)
    wait = datetime.timedelta(seconds=60)
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2, timeout=wait)
    network, head = make()
    together, head_together = DistributedDataParallel(network), DistributedDataParallel(head)
    losses = losses_of(together(images_of(rank)))
    (losses.mean() + LossPredictionLoss()(head_together(), losses)).backward()
    saved: dict[str, object] = {"gradients": gradients_of(network, head)}
    if rank == 0:
        together.eval()
        ((_, scored),) = outputs_of(together, [([str(row) for row in range(6)], images_of(0))])
        saved["outputs"] = scored
        saved["predicted"] = head().detach()
    torch.save(saved, output)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
