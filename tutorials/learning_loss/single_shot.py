"""The arithmetic of a single-shot detector: prior boxes, matching, the loss of each image, and the boxes that are found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from scorers.boxes import kept_by_nms

MATCHING_IOU = 0.5
"""Overlap from which a prior answers for an object."""

NEGATIVES_PER_POSITIVE = 3
"""The hardest priors without an object that are trained on beside each one that has an object."""

CENTER_VARIANCE, SIZE_VARIANCE = 0.1, 0.2
"""What the offsets of centers and of the logarithms of sizes are divided by, so that they are of the size of the logits."""


class Outputs(NamedTuple):
    """What a single-shot network says of b images.

    Args:
        offsets: `(b, p, 4)` of each prior, to the center and size of its object as `encode` gives them.
        logits: `(b, p, c + 1)`, the background last.
        priors: `(p, 4)` center x, center y, width, height as fractions of the image.
    """

    offsets: torch.Tensor
    logits: torch.Tensor
    priors: torch.Tensor


def prior_boxes(
    map_sizes: Sequence[tuple[int, int]],
    image_size: tuple[int, int],
    sizes: Sequence[float],
    ratios: Sequence[Sequence[float]],
) -> torch.Tensor:
    """Boxes of fixed shapes around the middle of every cell of every feature map.

    A cell of map k has a square of `sizes[k]`, a square of `sqrt(sizes[k] * sizes[k + 1])`, and for each ratio r of
    `ratios[k]` a box of `sizes[k]` that is r times as wide as high, and one that is r times as high as wide.

    Args:
        map_sizes: Height and width of each of the m feature maps, in cells.
        image_size: Height and width of the network's input, in pixels.
        sizes: m + 1 sides, in pixels of the input.
        ratios: Of each map the ratios above 1.

    Returns:
        `(p, 4)` center x, center y, width, height as fractions of the image; map by map, row by row.

    Raises:
        ValueError: Not one size more than there are maps, or not as many lists of ratios.

    Examples:
        >>> prior_boxes([(1, 2)], (128, 256), sizes=[32, 128], ratios=[[4]])[:4].tolist()
        [[0.25, 0.5, 0.125, 0.25], [0.25, 0.5, 0.25, 0.5], [0.25, 0.5, 0.25, 0.125], [0.25, 0.5, 0.0625, 0.5]]

    References:
        W. Liu, D. Anguelov, D. Erhan, C. Szegedy, S. Reed, C.-Y. Fu and A. C. Berg, SSD, 2016, arXiv:1512.02325.
    """
    if not len(map_sizes) == len(sizes) - 1 == len(ratios):
        raise ValueError(
            f"{len(sizes)} sizes and {len(ratios)} lists of ratios for {len(map_sizes)} feature maps; expected one size "
            "more than there are maps, and a list for each map"
        )
    maps = []
    for (rows, columns), side, next_side, wide in zip(map_sizes, sizes, sizes[1:], ratios):
        between = math.sqrt(side * next_side)
        shapes = [(side, side), (between, between)]
        for ratio in wide:
            longer, shorter = side * math.sqrt(ratio), side / math.sqrt(ratio)
            shapes += [(longer, shorter), (shorter, longer)]
        middle_y, middle_x = torch.meshgrid(
            (torch.arange(rows) + 0.5) / rows, (torch.arange(columns) + 0.5) / columns, indexing="ij"
        )
        middles = torch.stack([middle_x, middle_y], dim=-1).reshape(-1, 1, 2).expand(-1, len(shapes), 2)
        relative = torch.tensor(shapes, dtype=torch.float32) / torch.tensor([image_size[1], image_size[0]])
        maps.append(torch.cat([middles, relative.expand(len(middles), -1, 2)], dim=2).reshape(-1, 4))
    return torch.cat(maps)


def corners(boxes: torch.Tensor) -> torch.Tensor:
    """From center x, center y, width, height to x0, y0, x1, y1; `(..., 4)` both.

    Examples:
        >>> corners(torch.tensor([0.5, 0.5, 0.5, 1.0])).tolist()
        [0.25, 0.0, 0.75, 1.0]
    """
    middle, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([middle - half, middle + half], dim=-1)


def encode(boxes: torch.Tensor, priors: torch.Tensor) -> torch.Tensor:
    """Boxes as seen from their priors: `(center - prior center) / prior size / 0.1` and `log(size / prior size) / 0.2`.

    Args:
        boxes: `(..., 4)` corners.
        priors: `(..., 4)` centers and sizes.

    Examples:
        >>> encode(torch.tensor([0.5, 0.375, 0.75, 0.625]), torch.tensor([0.5, 0.5, 0.25, 0.25])).tolist()
        [5.0, 0.0, 0.0, 0.0]
    """
    middle, size = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
    shift = (middle - priors[..., :2]) / priors[..., 2:] / CENTER_VARIANCE
    return torch.cat([shift, torch.log(size / priors[..., 2:]) / SIZE_VARIANCE], dim=-1)


def decode(offsets: torch.Tensor, priors: torch.Tensor) -> torch.Tensor:
    """The corners that offsets stand for; the inverse of `encode`.

    Examples:
        >>> decode(torch.tensor([5.0, 0.0, 0.0, 0.0]), torch.tensor([0.5, 0.5, 0.25, 0.25])).tolist()
        [0.5, 0.375, 0.75, 0.625]
    """
    middle = priors[..., :2] + offsets[..., :2] * CENTER_VARIANCE * priors[..., 2:]
    return corners(torch.cat([middle, priors[..., 2:] * torch.exp(offsets[..., 2:] * SIZE_VARIANCE)], dim=-1))


def overlaps(boxes: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Intersection over union of every box with every other, `(..., m, 4)` and `(o, 4)` corners to `(..., m, o)`.

    Examples:
        >>> overlaps(torch.tensor([[0.0, 0.0, 0.5, 0.5]]), torch.tensor([[0.0, 0.0, 0.5, 1.0]])).tolist()
        [[0.5]]
    """
    x0, y0, x1, y1 = (boxes[..., [column]] for column in range(4))
    left, top, right, bottom = others.unbind(dim=1)
    width = (torch.minimum(x1, right) - torch.maximum(x0, left)).clamp(min=0)
    height = (torch.minimum(y1, bottom) - torch.maximum(y0, top)).clamp(min=0)
    shared = width * height
    return shared / ((x1 - x0) * (y1 - y0) + (right - left) * (bottom - top) - shared)


def matched(targets: torch.Tensor, priors: torch.Tensor) -> torch.Tensor:
    """The object that each prior answers for: the one it overlaps most, from an IoU of 0.5 on.

    The prior that overlaps an object most answers for it whatever the overlap; for the last object if it is the best of
    several.

    Args:
        targets: `(b, m, 5)` corners and label of each object, label -1 in rows that only fill up.
        priors: `(p, 4)`.

    Returns:
        `(b, p)` rows of the targets, -1 for background.
    """
    is_object = targets[..., 4] >= 0
    if not targets.shape[1]:
        return torch.full((len(targets), len(priors)), -1, dtype=torch.long, device=targets.device)
    shared = overlaps(targets[..., :4], corners(priors)).masked_fill(~is_object[..., None], -1.0)
    overlap, row = shared.max(dim=1)
    row = row.masked_fill(overlap < MATCHING_IOU, -1)
    best_prior = shared.argmax(dim=2)
    for number in range(targets.shape[1]):
        images = is_object[:, number].nonzero()[:, 0]
        row[images, best_prior[images, number]] = number
    return row


def image_losses(outputs: Outputs, targets: torch.Tensor) -> torch.Tensor:
    """The loss of each image: smooth L1 of the offsets plus cross-entropy of the classes, over its own number of positives.

    With N priors that answer for an object, `(sum over these of smooth L1 + sum over these and the 3 N other priors of the
    largest cross-entropy) / N`. In an image without objects N counts as 1, so that what is seen there by mistake costs, too.

    Args:
        outputs: Of b images.
        targets: `(b, m, 5)` corners and label of each object, label -1 in rows that only fill up.

    Returns:
        `(b,)` losses.

    References:
        W. Liu et al., 2016, arXiv:1512.02325, whose loss is 0 where there is no object, and whose published programs divide
        by the positives of the whole batch.
    """
    offsets, logits, priors = outputs
    targets = targets.to(logits.device)
    row = matched(targets, priors)
    is_positive = row >= 0
    n_positive = is_positive.sum(dim=1).clamp(min=1)

    background = logits.shape[2] - 1
    labels = torch.full_like(row, background)
    image, prior = is_positive.nonzero(as_tuple=True)
    objects = targets[image, row[image, prior]]
    labels[image, prior] = objects[:, 4].long()
    entropy = functional.cross_entropy(logits.transpose(1, 2), labels, reduction="none")

    hardness = entropy.detach().masked_fill(is_positive, -1.0)
    place = hardness.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    is_counted = is_positive | (place < NEGATIVES_PER_POSITIVE * n_positive[:, None])

    distance = functional.smooth_l1_loss(offsets[image, prior], encode(objects[:, :4], priors[prior]), reduction="none")
    place_losses = torch.zeros_like(entropy).index_put((image, prior), distance.sum(dim=1))
    return (place_losses + entropy * is_counted).sum(dim=1) / n_positive


@dataclass(frozen=True)
class Found:
    """The boxes found in b images, image by image, as flat arrays.

    Args:
        boxes: `(k, 4)` corners as fractions of the image, in `[0, 1]`.
        scores: `(k,)` probability of the label.
        labels: `(k,)` classes.
        offsets: `(b + 1,)`, the boxes of image i are `offsets[i]:offsets[i + 1]`.
        probabilities: `(k, c + 1)` distribution over the classes, the background last.
    """

    boxes: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float64]


def found_boxes(outputs: Outputs, *, min_score: float = 0.01, nms_iou: float = 0.45, n_most: int = 200) -> Found:
    """Boxes of every class above a score, after non-maximum suppression class by class.

    Args:
        outputs: Of b images.
        min_score: Least probability of a class.
        nms_iou: Overlap with a stronger box of the same class above which a box is dropped.
        n_most: The strongest boxes kept, of each image and class before the suppression and of each image after it.

    References:
        The values are those of W. Liu et al., 2016, arXiv:1512.02325.
    """
    with torch.no_grad():
        probabilities = outputs.logits.softmax(dim=2)
        strengths = probabilities[..., :-1].transpose(1, 2)
        top, prior = strengths.topk(min(n_most, strengths.shape[2]), dim=2)
        image, label, place = (top >= min_score).nonzero(as_tuple=True)
        prior = prior[image, label, place]
        boxes = decode(outputs.offsets[image, prior], outputs.priors[prior]).clamp(0, 1)
        rows = probabilities[image, prior]
    tensors = (boxes.double(), top[image, label, place].double(), label, image, rows.double())
    corner_rows, scores, labels, images, distributions = (each.cpu().numpy() for each in tensors)
    n_images = len(outputs.logits)
    offsets = _starts(images, n_images)
    kept = np.flatnonzero(kept_by_nms(corner_rows, scores, labels, offsets, iou_threshold=nms_iou))
    kept = kept[np.lexsort((-scores[kept], images[kept]))]
    rank = np.arange(len(kept)) - _starts(images[kept], n_images)[images[kept]]
    kept = kept[rank < n_most]
    return Found(corner_rows[kept], scores[kept], labels[kept], _starts(images[kept], n_images), distributions[kept])


def _starts(images: npt.NDArray[np.int64], n_images: int) -> npt.NDArray[np.int64]:
    return np.searchsorted(images, np.arange(n_images + 1))
