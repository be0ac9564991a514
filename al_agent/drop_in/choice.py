"""Which images to label next, by the arguments of SuperAnnotate's function."""

from __future__ import annotations

import json
import operator
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from samplers.discriminative import SamplerDiscriminative
from samplers.pool import Pool
from samplers.sampler import checked_count
from scorers.learning_loss import PredictedLosses
from scorers.networks.batches import ItemBatch, outputs_of
from scorers.networks.parts import evaluating, like, unwrapped

from .methods import SHAPES, announced_values, vectors_of, with_vectors
from .networks import ActiveLearning

RandomState = np.random.RandomState | np.random.Generator
Values = npt.NDArray[np.float64]

_CANDIDATES_PER_PICK = 10  # as published: the paper's 10,000 for 1,000


def choose_new_labeled_indices(
    net: torch.nn.Module | None,
    complete_trainset_no_augmentation: Any,
    cycle: int,
    rand_state: RandomState,
    labeled_idx: Sequence[int],
    unlabeled_idx: list[int],
    device: torch.device | str,
    images_per_cycle: int,
    use_loss_prediction_al: bool,
    use_discriminative_al: bool,
    input_pickle_file: str | os.PathLike[str] | None = None,
    *,
    batch_size: int = 64,
    num_workers: int = 0,
) -> tuple[list[int], Values | None]:
    """Choose images to label next; they are taken out of `unlabeled_idx`, and `labeled_idx` stays as it is.

    Cycle 0 is drawn at random. Later, loss prediction scores ten times as many images as are asked for, drawn at random, and
    takes those of the highest predicted loss; discriminative selection is `samplers.SamplerDiscriminative` on the network's
    features, which are computed once. Without either images are drawn at random, or read from a file. Draws of a
    `RandomState` are those of the published code.

    The network runs in evaluation mode without gradients, and modes are put back. After an error both lists are as before.

    Args:
        net: The network that was trained on `labeled_idx`, which gives `(outputs, loss_pred)`, or has discriminative
            features. At random it may be None.
        complete_trainset_no_augmentation: Gives `(image, ...)` for an index. Images are collated by torch; what comes after
            them is not looked at.
        cycle: Number of the cycle, from 0.
        rand_state: Where randomness comes from.
        labeled_idx: Indices of the labeled images.
        unlabeled_idx: Indices of those that can be chosen.
        device: Where the network is, and discriminators are trained.
        images_per_cycle: Number of images to choose.
        use_loss_prediction_al: Choose by predicted loss.
        use_discriminative_al: Choose what is unlike the labeled images.
        input_pickle_file: A JSON file of a list of indices for each cycle, such as `json.dump` writes of what this function
            gave. It is used from cycle 0 on. Pickles are refused, as they can run any program.
        batch_size: Images at a time.
        num_workers: Processes that load images beside this one; 0 loads them here.

    Returns:
        The indices, best first, and in the same order their predicted losses, or their probabilities of being unlabeled,
        which come from ten classifiers and fall within each; None where images were not scored.

    Raises:
        ValueError: An index that stands twice, is in both lists or out of range; fewer images than asked for; two ways to
            choose at once; a network on another device, or that gives no predicted losses, or some that are not finite.

    Warns:
        UserWarning: The head has never been trained, or the classifiers were weak.

    Examples:
        >>> unlabeled = [0, 1, 2, 3, 4]
        >>> choose_new_labeled_indices(None, "abcde", 0, np.random.RandomState(0), [], unlabeled, "cpu", 2, False, False)
        ([2, 0], None)
        >>> unlabeled
        [1, 3, 4]

    References:
        D. Yoo and I. S. Kweon, 2019, arXiv:1905.03677; D. Gissin and S. Shalev-Shwartz, 2019, arXiv:1907.06347.
    """
    n_images = checked_count(images_per_cycle, "images_per_cycle")
    labeled, unlabeled = _checked_indices(labeled_idx, unlabeled_idx, complete_trainset_no_augmentation)
    ways = {"use_loss_prediction_al": use_loss_prediction_al, "use_discriminative_al": use_discriminative_al}
    for name, flag in ways.items():
        if not isinstance(flag, bool | np.bool_):
            raise ValueError(f"{name} is {flag!r}; expected True or False, and argparse's type=bool makes True of 'False'")
    given = [name for name, flag in ways.items() if flag] + ["input_pickle_file"] * (input_pickle_file is not None)
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} are given, and each is a way to choose; keep one")
    (number,) = _whole_numbers([cycle], "cycle")
    checked_count(batch_size, "batch_size")
    if not isinstance(rand_state, np.random.RandomState | np.random.Generator):
        raise ValueError(
            f"rand_state is {type(rand_state).__name__}; expected numpy.random.RandomState(seed) or default_rng(seed)"
        )
    if input_pickle_file is not None:
        chosen, values = _listed(input_pickle_file, number, unlabeled), None
    elif n_images > len(unlabeled):
        raise ValueError(f"images_per_cycle is {n_images:,}, and {len(unlabeled):,} are in unlabeled_idx; ask for no more")
    elif number == 0 or not given:
        chosen, values = rand_state.choice(unlabeled, n_images, replace=False).tolist(), None
    else:
        run = _Run(_checked_network(net, device, number), complete_trainset_no_augmentation, batch_size, num_workers)
        with evaluating(run.network):
            if use_loss_prediction_al:
                chosen, values = _of_highest_loss(run, unlabeled, n_images, rand_state)
            else:
                chosen, values = _unlike_labeled(run, labeled, unlabeled, n_images, rand_state, device)
    taken = set(chosen)
    unlabeled_idx[:] = [index for index in unlabeled_idx if index not in taken]
    return chosen, values


class _Run(NamedTuple):
    """A network, and how images are given to it."""

    network: torch.nn.Module
    dataset: Any
    batch_size: int
    num_workers: int

    def over(self, indices: Sequence[int]) -> Iterator[tuple[ItemBatch, Any]]:
        """Each batch of these images with what the network gives, without gradients."""
        loader = torch.utils.data.DataLoader(
            _Images(self.dataset, indices),
            batch_size=self.batch_size,
            num_workers=self.num_workers,
            generator=torch.Generator(),  # else torch's own is drawn from
        )
        return outputs_of(self.network, loader)


class _Images(torch.utils.data.Dataset[tuple[str, Any]]):
    """Some images of a data set, each with its index as its id, and nothing of what comes after the image."""

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, place: int) -> tuple[str, Any]:
        index = self.indices[place]
        item = self.dataset[index]
        return str(index), item[0] if isinstance(item, list | tuple) else item


def _of_highest_loss(run: _Run, unlabeled: list[int], n_images: int, rand_state: RandomState) -> tuple[list[int], Values]:
    inner = unwrapped(run.network)
    if isinstance(inner, ActiveLearning) and not inner.is_trained:
        warnings.warn(
            "the head of net has the weights that it was made with, so its choice is random; choose with the network of the "
            "last cycle, trained, before you make a new one",
            stacklevel=3,
        )
    n_candidates = min(_CANDIDATES_PER_PICK * n_images, len(unlabeled))
    candidates: list[int] = rand_state.choice(unlabeled, n_candidates, replace=False).tolist()
    found: dict[str, float] = {}
    for batch, outputs in run.over(candidates):
        predicted = outputs[1] if isinstance(outputs, list | tuple) and len(outputs) == 2 else None
        n = len(batch.item_ids)
        if not isinstance(predicted, torch.Tensor) or predicted.shape not in ((n, 1), (n,)):
            got = tuple(predicted.shape) if isinstance(predicted, torch.Tensor) else f"a {type(outputs).__name__}"
            raise ValueError(
                f"net gives {got} for {n:,} images; expected (outputs, loss_pred) of ActiveLearning, with loss_pred (b, 1)"
            )
        losses = PredictedLosses(batch.item_ids, predicted.reshape(-1).double().cpu().numpy()).losses
        found.update(zip(batch.item_ids, losses.tolist()))
    place = {index: number for number, index in enumerate(unlabeled)}
    chosen = sorted(candidates, key=lambda index: (-found[str(index)], place[index]))[:n_images]
    return chosen, np.array([found[str(index)] for index in chosen])


def _unlike_labeled(
    run: _Run, labeled: list[int], unlabeled: list[int], n_images: int, rand_state: RandomState, device: torch.device | str
) -> tuple[list[int], Values]:
    if not labeled:
        raise ValueError(
            "labeled_idx is empty, and discriminative selection compares with labeled images; begin with cycle 0"
        )
    network = with_vectors(run.network)
    expected = announced_values(network) if hasattr(network, SHAPES) else None
    ids: list[str] = []
    parts = []
    for batch, _ in run._replace(network=network).over([*labeled, *unlabeled]):
        part = vectors_of(network).detach()
        if part.shape != (n := len(batch.item_ids), expected or part.shape[1]):
            raise ValueError(
                f"the discriminative features of {n:,} images have shape {tuple(part.shape)}; expected ({n}, "
                f"{expected or part.shape[1]}), as {SHAPES} announces"
            )
        ids += batch.item_ids
        parts.append(part.float().cpu().numpy())
    pool = Pool(ids, np.arange(len(ids)) < len(labeled), vectors=np.concatenate(parts))
    seed = rand_state if isinstance(rand_state, np.random.Generator) else int(rand_state.randint(2**31 - 1))
    selection = SamplerDiscriminative(device=str(device)).select(pool, n_images, seed=seed)
    if selection.note:
        warnings.warn(selection.note, stacklevel=3)
    return [int(item_id) for item_id in selection.item_ids], np.array(selection.gains)


def _listed(path: str | os.PathLike[str], cycle: int, unlabeled: list[int]) -> list[int]:
    where = repr(os.fspath(path))
    if Path(path).suffix.lower() != ".json":
        raise ValueError(
            f"{where} is not a .json file, and pickles are refused, as they can run any program. Where you trust it: "
            "lists = pickle.loads(Path(old).read_bytes())[0]; "
            "Path(new).write_text(json.dumps([[int(index) for index in one] for one in lists]))"
        )
    try:
        lists = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{where} is not a JSON file") from error
    if not isinstance(lists, list) or not all(isinstance(one, list) for one in lists):
        raise ValueError(f"{where} is no list of lists; expected the indices of each cycle: [[5, 2], [7, 1]]")
    if cycle >= len(lists):
        raise ValueError(f"{where} has lists for {len(lists)} cycles, and cycle {cycle} is asked for")
    chosen = _whole_numbers(lists[cycle], f"list {cycle} of {where}")
    known = set(unlabeled)
    if missing := [index for index in chosen if index not in known]:
        raise ValueError(f"list {cycle} of {where} has index {missing[0]}, which is not in unlabeled_idx")
    return chosen


def _checked_indices(labeled_idx: Iterable[int], unlabeled_idx: object, dataset: Any) -> tuple[list[int], list[int]]:
    if not isinstance(unlabeled_idx, list):
        raise ValueError(f"unlabeled_idx is of type {type(unlabeled_idx).__name__}; expected a list, as it is changed")
    labeled, unlabeled = _whole_numbers(labeled_idx, "labeled_idx"), _whole_numbers(unlabeled_idx, "unlabeled_idx")
    if both := set(labeled).intersection(unlabeled):
        raise ValueError(f"{len(both):,} indices are in labeled_idx and in unlabeled_idx, the first is {min(both)}")
    length: Callable[[], int] | None = getattr(dataset, "__len__", None)
    if length is not None and (most := max([*labeled, *unlabeled], default=-1)) >= length():
        raise ValueError(f"index {most} is out of range: the data set has {length():,} images")
    return labeled, unlabeled


def _whole_numbers(values: Iterable[Any], name: str) -> list[int]:
    numbers: list[int] = []
    for value in values:
        try:
            number = -1 if isinstance(value, bool | np.bool_) else operator.index(value)
        except TypeError:
            number = -1
        if number < 0:
            raise ValueError(f"{name} holds {value!r}; expected whole numbers from 0")
        numbers.append(number)
    if len(set(numbers)) < len(numbers):
        seen: set[int] = set()
        first = next(number for number in numbers if number in seen or seen.add(number))  # type: ignore[func-returns-value]
        raise ValueError(f"{name} holds {first} twice; give each index once")
    return numbers


def _checked_network(net: object, device: torch.device | str, cycle: int) -> torch.nn.Module:
    if not isinstance(net, torch.nn.Module):
        raise ValueError(f"net is {type(net).__name__}; expected at cycle {cycle} the network trained in the cycle before")
    try:
        wanted = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device is {device!r}; expected the name of a device of torch, such as 'cpu' or 'cuda'") from error
    found = like(net).device
    if found.type != wanted.type or (None not in (found.index, wanted.index) and found.index != wanted.index):
        raise ValueError(f"device is '{wanted}', and net is on '{found}'; move it there: net.to('{wanted}')")
    return net
