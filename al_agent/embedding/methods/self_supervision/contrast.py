"""The contrastive loss: the two views of an image are each other's nearest."""

from __future__ import annotations

import torch
from torch.nn import functional


def contrast(first: torch.Tensor, second: torch.Tensor, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss of two views of b images, and the share of views whose nearest is the other view of their image.

    With z the 2 b rows divided by their lengths and z' the other view of the same image, the loss is the mean over the rows
    of `-log(exp(z.z' / t) / sum(exp(z.y / t)))`, the sum over all rows y but z itself (NT-Xent). Time and memory O(b²).

    Args:
        first: `(b, d)`, the vectors of one view of each image.
        second: `(b, d)`, those of another.
        temperature: t, above 0.

    Examples:
        >>> loss, share = contrast(torch.eye(4), torch.eye(4), temperature=0.1)
        >>> round(float(loss), 4), float(share)
        (0.0003, 1.0)

    References:
        Chen, Kornblith, Norouzi, Hinton: A simple framework for contrastive learning of visual representations, 2020,
        arXiv:2002.05709.
    """
    rows = functional.normalize(torch.cat([first, second]).float(), dim=1)
    n = len(rows)
    likeness = rows @ rows.T / temperature
    likeness = likeness.masked_fill(torch.eye(n, dtype=torch.bool, device=rows.device), -torch.inf)
    others = torch.arange(n, device=rows.device).roll(n // 2)
    loss = functional.cross_entropy(likeness, others)
    return loss, (likeness.detach().argmax(dim=1) == others).float().mean()
