"""A shard whose products are computed by torch, on any of its devices; what decides is computed as everywhere."""

from __future__ import annotations

import numpy as np
import torch

from ..distances import Distances, Rows, blocks
from ..pool import Vectors
from .plain import PlainShard
from .rounding import Floats32, half_norms
from .shard import Flags, Frame, Task


class TorchShard(PlainShard):
    """As `PlainShard`; the rows are on the device, in float32 around the middle.

    Products are computed in full float32: the error of TF32 would be larger than what is allowed for.

    Args:
        device: A device of torch, such as `cuda` or `cpu`.

    Raises:
        ValueError: Torch has no such device, or is set to use TF32.
    """

    def __init__(self, task: Task, frame: Frame, *, device: str = "cpu") -> None:
        if torch.backends.cuda.matmul.allow_tf32:
            raise ValueError("torch.backends.cuda.matmul.allow_tf32 is set; distances need full float32: set it to False")
        try:
            self.device = torch.device(device)
            torch.empty(1, device=self.device)
        except (RuntimeError, AssertionError) as error:
            raise ValueError(f"device is {device!r}, and torch says: {str(error).splitlines()[0]}") from error
        n_centers = len(task.start) + task.n_picks
        self.rows_there = torch.empty(task.vectors.shape, dtype=torch.float32, device=self.device)
        self.centers_there = torch.empty((n_centers, task.vectors.shape[1]), dtype=torch.float32, device=self.device)
        self.offsets_there = torch.empty(n_centers, dtype=torch.float32, device=self.device)
        super().__init__(task._replace(is_on_disk=False), frame)  # the rows are on the device in any case

    def _prepare(self) -> None:
        for part in blocks(*self.vectors.shape):
            around = self.rounding.around(self.vectors[part])
            self.half[part] = half_norms(around)
            self.rows_there[part] = torch.from_numpy(around).to(self.device)

    def add(self, points: Vectors, picked: Rows) -> None:
        """Take in new centers, on the device too."""
        first = self.n_centers
        super().add(points, picked)
        added = slice(first, self.n_centers)
        offsets = (self.center_half[added] * (1 - self.rounding.slack)).astype(np.float32)
        self.centers_there[added] = torch.from_numpy(self.around[added]).to(self.device)
        self.offsets_there[added] = torch.from_numpy(offsets).to(self.device)

    def _hold(self, rows: Rows) -> torch.Tensor:
        return self.rows_there[torch.from_numpy(rows).to(self.device)]

    def _shrink(self, held: torch.Tensor, stays: Flags) -> torch.Tensor:
        return held[torch.from_numpy(stays).to(self.device)]

    def _products_with(self, held: torch.Tensor, around: Floats32) -> Distances:
        there = torch.from_numpy(around).to(self.device)
        return np.asarray((held @ there).double().cpu().numpy(), dtype=np.float64)

    def _two_likeliest(self, held: torch.Tensor, first: int, stop: int) -> tuple[Rows, Distances, Distances]:
        products = held @ self.centers_there[first:stop].T - self.offsets_there[first:stop]
        highest, best = products.topk(min(2, stop - first), dim=1)
        values = highest.double().cpu().numpy()
        second = values[:, 1] if stop - first > 1 else np.full(len(values), -np.inf)
        return best[:, 0].cpu().numpy(), values[:, 0], second
