"""Learning loss on human pose: of which people would a network find the joints worst?

Every person is one item: the crop around their box. A small network in the manner of HRNet, of three resolutions that
exchange what they see, gives one heat map for each joint, trained from nothing on crops of 96 x 96 pixels, with the loss of
each person on its own. PCK is the share of labeled joints that are found within 0.2 torsos; PCKh and average precision by
pycocotools stand beside it. From the root of the repository, in a few minutes on two processor cores:

    pip install "al-agent[torch]" pycocotools
    python tutorials/learning_loss/pose.py --data people.zip

`--data` is a zip of `images/` and a COCO `person_keypoints.json`: the 17 joints of COCO, the 14 of Leeds Sports Pose, or
others of them. 100 people are tested on, a quarter at most, drawn by a fixed seed. With few people, say how many to label by
`--n-start` and `--n-per-cycle`. The first 400 people of Leeds Sports Pose Extended were used to write this; no licence is
stated for them, so that they are not shown. Athletes upside down are hard: of 150 of them a PCK of about 0.17 is learned,
where the mean pose of the pool, put into each box, has 0.06.

`--published` takes HRNet-W32 on crops of 256 x 192 and the schedule of SuperAnnotate's code: 5,000 people at first and 5,000
more in each cycle, chosen among 25,000, 100 epochs of Adam. It differs: the weights are random, where that starts from HRNet
trained on ImageNet; a person's loss is the mean over the labeled joints, where that divides by all, which ranks people low
for being labeled little; people are not cut to half their body in training, nor is a mirrored view averaged in testing. Do
not expect its figures.

References:
    D. Yoo and I. S. Kweon, Learning Loss for Active Learning, 2019, arXiv:1905.03677; K. Sun, B. Xiao, D. Liu and J. Wang,
    Deep High-Resolution Representation Learning for Human Pose Estimation, 2019, arXiv:1902.09212; S. Johnson and
    M. Everingham, Learning Effective Human Pose Estimation from Inaccurate Annotation, CVPR 2011.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from high_resolution_network import STRIDE, HighResolutionNetwork
from people import Floats, People, heatmaps_of, inverse, placed, placement_of
from pose_metrics import figures_of, positions_of, torso_of
from task import Recipe

from scorers.heatmaps import normalised_entropy

Targets = tuple[torch.Tensor, torch.Tensor]
"""Heat maps `(b, k, h, w)`, and `(b, k)`: 1 where the joint is labeled and inside the crop, else 0."""

TEST_SEED = 0  # of the people to test on, the same in every run


@dataclass(frozen=True)
class Design:
    """A network, what it sees, and how it is trained.

    Args:
        recipe: The schedule.
        make: A new network for k joints.
        size: Height and width of the crops in pixels.
        sigma: Of the bumps, in pixels of the heat maps.
        scale: In training a person is made up to this share larger or smaller.
        degrees: In training a person is turned by up to this.
        n_test: People to test on.
    """

    recipe: Recipe
    make: Callable[[int], HighResolutionNetwork]
    size: tuple[int, int]
    sigma: float
    scale: float
    degrees: float
    n_test: int


SMALL = Design(
    Recipe(
        n_start=150,
        n_per_cycle=50,
        candidate_factor=5,
        epochs=50,
        batch_size=8,
        optimizer="adam",
        learning_rate=2e-3,
        weight_decay=0.0,
        drop_from_epoch=42,
        detach_from_epoch=37,
        weight=1e-4,
    ),
    lambda k: HighResolutionNetwork(k, widths=(16, 24, 32), stem=16, n_bottlenecks=1, n_modules=(1, 1), n_blocks=2),
    size=(96, 96),
    sigma=1.5,  # 1 would be in proportion to HRNet's; the wider bumps are learned sooner
    scale=0.25,
    degrees=30.0,
    n_test=100,
)
PUBLISHED = Design(
    Recipe(
        n_start=5000,
        n_per_cycle=5000,
        candidate_factor=5,
        epochs=100,
        batch_size=64,
        optimizer="adam",
        learning_rate=1e-3,
        weight_decay=0.0,  # its settings say 1e-4, which its code does not hand to Adam
        drop_from_epoch=100,  # its first drop is at 170, after the end
        detach_from_epoch=75,
        weight=1e-4,
    ),
    HighResolutionNetwork,
    size=(256, 192),
    sigma=2.0,
    scale=0.35,
    degrees=45.0,
    n_test=5000,
)


class Pose:
    """The joints of people in photos.

    Args:
        people: Pixels and joints.
        design: `SMALL` or `PUBLISHED`.
        n_pool: At most this many people in the pool, the first; None takes all.
        n_test: At most this many people to test on.

    Raises:
        ValueError: Nobody to test on has a torso, as `torso_of` measures it.
    """

    name = "pose"
    metric = "pck"

    def __init__(self, people: People, design: Design, *, n_pool: int | None = None, n_test: int | None = None) -> None:
        self.people, self.design = people, design
        self.recipe = design.recipe
        with torch.device("meta"):  # names alone, without weights
            self.layers: Sequence[str] = self.network().taps
        pool, self._test = people.split(design.n_test, TEST_SEED)
        self._pool, self._test = pool[:n_pool], self._test[:n_test]
        if not any(np.isfinite(torso_of(people.by_id[name], people.joint_names)) for name in self._test):
            raise ValueError(
                f"of {len(self._test)} people to test on nobody has a shoulder and the other side's hip labeled, and PCK is "
                "measured by that length; expected at least one, give more people or others"
            )

    @property
    def item_ids(self) -> tuple[str, ...]:
        """The pool that batches are chosen from."""
        return self._pool

    @property
    def test_item_ids(self) -> tuple[str, ...]:
        """People that are never trained on, on photos of their own."""
        return self._test

    def network(self) -> HighResolutionNetwork:
        """A new network, its weights drawn from torch's generator."""
        return self.design.make(len(self.people.joint_names))

    def batches(
        self, item_ids: Sequence[str], *, is_training: bool, seed: int = 0
    ) -> Iterator[tuple[list[str], torch.Tensor, Targets]]:
        """Crops with values from -2 to 2: shuffled, mirrored, turned and scaled by the seed for training."""
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(item_ids)) if is_training else np.arange(len(item_ids))
        n = self.recipe.batch_size
        for start in range(0, len(order), n):
            names = [item_ids[place] for place in order[start : start + n]]
            items = [self._item(name, rng if is_training else None) for name in names]
            crops, heatmaps, weights = (torch.from_numpy(np.stack(parts)) for parts in zip(*items))
            yield names, crops.permute(0, 3, 1, 2).float() / 63.75 - 2, (heatmaps.float(), weights.float())

    def _item(self, item_id: str, rng: np.random.Generator | None) -> tuple[npt.NDArray[np.uint8], Floats, Floats]:
        """Pixels `(h, w, 3)`, heat maps `(k, h / 4, w / 4)` and weights `(k,)` of a person, changed where there is a rng."""
        person, (h, w) = self.people.by_id[item_id], self.design.size
        is_flipped = False
        if rng is None:
            placement = self.placement(item_id)
        else:
            is_flipped = bool(rng.random() < 0.5)
            scale = float((1 + self.design.scale) ** rng.uniform(-1, 1))
            degrees = float(rng.uniform(-self.design.degrees, self.design.degrees))
            placement = placement_of(person.box_xywh, (h, w), scale=scale, degrees=degrees, is_flipped=is_flipped)
        points, weights = placed(person.joints, placement), person.is_labeled.astype(np.float64)
        if is_flipped:  # the mirrored left ankle is a right one
            points, weights = points[self.people.swaps], weights[self.people.swaps]
        weights *= ((points >= 0) & (points < [w, h])).all(axis=1)
        heatmaps = heatmaps_of(points / STRIDE, (h // STRIDE, w // STRIDE), self.design.sigma)
        return self.people.crop(item_id, placement, (h, w)), heatmaps, weights

    def placement(self, item_id: str) -> Floats:
        """The matrix `(2, 3)` from the photo to the crop that the network is shown outside of training."""
        return placement_of(self.people.by_id[item_id].box_xywh, self.design.size)

    def losses(self, outputs: torch.Tensor, targets: Targets) -> torch.Tensor:
        """`heatmap_losses` of each person."""
        return heatmap_losses(outputs, *targets)

    def uncertainties(self, outputs: torch.Tensor) -> torch.Tensor:
        """The mean over joints of a map's normalised entropy, the map cut to [0, 1] and taken as a distribution."""
        b, k, h, w = outputs.shape
        heights = outputs.detach().clamp(0, 1).reshape(b * k, h, w).cpu().numpy().astype(np.float64)
        return torch.from_numpy(normalised_entropy(heights).reshape(b, k).mean(axis=1))

    @torch.no_grad()
    def predict(
        self, network: torch.nn.Module, item_ids: Sequence[str], device: torch.device
    ) -> tuple[list[Floats], list[float]]:
        """Joints `(k, 2)` of each person in pixels of the photo, and the mean height of their peaks."""
        was_training = network.training
        network.eval()
        joints, confidences = [], []
        for names, inputs, _ in self.batches(item_ids, is_training=False):
            for name, heatmaps in zip(names, network(inputs.to(device)).double().cpu().numpy()):
                points, heights = positions_of(heatmaps)
                joints.append(placed(points * STRIDE, inverse(self.placement(name))))
                confidences.append(float(heights.mean()))
        network.train(was_training)
        return joints, confidences

    def measure(self, network: torch.nn.Module, device: torch.device) -> Mapping[str, float]:
        """PCK and PCKh, in [0, 1], AP and AP50 on the test set."""
        joints, confidences = self.predict(network, self._test, device)
        return figures_of([self.people.by_id[name] for name in self._test], joints, confidences, self.people.joint_names)

    def label(self, item_id: str) -> str:
        """Each labeled joint with its place in pixels."""
        person = self.people.by_id[item_id]
        found = zip(self.people.joint_names, person.keypoints, person.is_labeled)
        return ", ".join(f"{name} {x:g} {y:g}" for name, (x, y, _), is_labeled in found if is_labeled)


def heatmap_losses(outputs: torch.Tensor, heatmaps: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Half the squared error of each person, mean over the pixels of a map and over the joints that count.

    `l = 1 / (2 sum_j w_j) sum_j w_j mean_p (m_jp - t_jp)^2`, 0 of a person without a joint that counts. It is of the order
    of 0.001, which is why the ranking loss, of the order of 1, has the weight 1e-4.

    Args:
        outputs: `(b, k, h, w)` maps of the network.
        heatmaps: `(b, k, h, w)` maps that are wanted.
        weights: `(b, k)` 1 for joints that count, else 0.

    Returns:
        `(b,)`.

    Examples:
        >>> heatmap_losses(torch.zeros(2, 1, 1, 4), torch.ones(2, 1, 1, 4), torch.tensor([[1.0], [0.0]])).tolist()
        [0.5, 0.0]
    """
    errors = (outputs - heatmaps).square().mean(dim=(2, 3)) / 2
    return (errors * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


def make_task(arguments: argparse.Namespace) -> Pose:
    """The task that the command line asks for."""
    design = PUBLISHED if arguments.published else SMALL
    return Pose(People(arguments.data), design, n_pool=arguments.n_pool, n_test=arguments.n_test)


if __name__ == "__main__":
    from cycles import main

    main(make_task, __doc__ or "", "people.zip")
