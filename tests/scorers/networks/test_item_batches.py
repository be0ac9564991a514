"""Batches keep the ids of their items, in any form that loaders give, and go through a network that is left as it was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
)

from scorers.networks.batches import item_batches, outputs_of

IDS = [f"img_{row}.jpg" for row in range(5)]
IMAGES = torch.arange(10.0).reshape(5, 2)


class Named(Dataset[Any]):
    """Five items, each as a dataset of that form gives it."""

    def __init__(self, form: str = "id first") -> None:
        self.form = form

    def __len__(self) -> int:
        return 5

    def __getitem__(self, row: int) -> Any:
        item_id, image = IDS[row], IMAGES[row]
        return {
            "id first": (item_id, image),
            "id last": (image, item_id),
            "id and label": (item_id, image, row),
            "id in the middle": (image, item_id, row),
            "by name": {"item_ids": item_id, "images": image, "scale": torch.tensor(2.0)},
        }[self.form]


class Stream(IterableDataset[Any]):
    """The images one after the other."""

    def __iter__(self) -> Iterator[Any]:
        yield from IMAGES


class Double(nn.Module):
    """Twice the images, and what else it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(2.0))
        self.seen: list[bool] = []

    def forward(self, images: Tensor, scale: Tensor | None = None) -> Tensor:
        self.seen.append(self.training)
        return images * self.factor * (1 if scale is None else scale[:, None])


def ids_and_outputs(loader: Iterable[Any], **options: Any) -> tuple[list[str], list[list[float]]]:
    ids: list[str] = []
    rows: list[list[float]] = []
    for batch, outputs in outputs_of(Double().eval(), loader, **options):
        ids += batch.item_ids
        rows += outputs.tolist()
    return ids, rows


EXPECTED = (IDS, (IMAGES * 2).tolist())


# --- ids that travel with the batch ----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["id first", "id last", "id and label", "id in the middle"])
def test_ids_are_found_wherever_the_dataset_puts_them(form: str) -> None:
    assert ids_and_outputs(DataLoader(Named(form), batch_size=2)) == EXPECTED


def test_what_has_a_name_reaches_the_network_by_name() -> None:
    ids, rows = ids_and_outputs(DataLoader(Named("by name"), batch_size=2))
    assert (ids, rows) == (IDS, (IMAGES * 4).tolist())


def test_ids_stay_with_their_images_when_the_loader_shuffles() -> None:
    loader = DataLoader(Named(), batch_size=2, shuffle=True, generator=torch.Generator().manual_seed(0))
    ids, rows = ids_and_outputs(loader)
    assert ids != IDS
    assert dict(zip(ids, rows)) == dict(zip(*EXPECTED))


def test_a_reader_reads_batches_of_any_form() -> None:
    loader = [{"meta": {"names": IDS}, "pixels": [IMAGES]}]
    assert ids_and_outputs(loader, read=lambda batch: (batch["meta"]["names"], batch["pixels"][0])) == EXPECTED
    by_name = ids_and_outputs(loader, read=lambda batch: (batch["meta"]["names"], {"images": batch["pixels"][0]}))
    assert by_name == EXPECTED


def test_a_list_of_images_of_several_sizes_is_one_argument() -> None:
    images = [torch.ones(3, 4, 4), torch.ones(3, 6, 5)]
    ((ids, args, kwargs),) = item_batches([(("a", "b"), images, [{"boxes": torch.ones(1, 4)}])])
    assert ids == ("a", "b")
    assert args == (images,)
    assert kwargs == {}


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (IMAGES, "batch 0 is of type Tensor and holds no item ids, which are texts .*; let the dataset return"),
        ([IMAGES, torch.zeros(5)], "batch 0 is a list of Tensor, Tensor and holds no item ids"),
        (("a.png", IMAGES), "batch 0 is a tuple of str, Tensor and holds no item ids"),
        (([], IMAGES), "batch 0 is a tuple of list, Tensor and holds no item ids"),
        ((["a", "b"],), "batch 0 is a tuple of list and holds no item ids"),
        ((), "batch 0 is a tuple of nothing and holds no item ids"),
        ({"images": IMAGES}, "batch 0 is a dictionary of 'images' and holds no item ids.*under 'item_ids'"),
        ((IDS, IMAGES, ["cat"] * 5), "batch 0 holds 2 lists of strings; pass read="),
        ((["a", "a"], IMAGES), "1 item ids stand more than once, the first is 'a'"),
        ({"item_ids": [1, 2], "images": IMAGES}, r"item_ids\[0\] is 1 of type int; ids are strings"),
        ({"item_ids": "a.png", "images": IMAGES}, "item_ids is the single string 'a.png'"),
    ],
)
def test_batches_without_clear_ids_are_refused(batch: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list(item_batches([batch]))


def test_the_message_counts_batches() -> None:
    stream = item_batches([(["a"], IMAGES[:1]), IMAGES])
    assert next(stream).item_ids == ("a",)
    with pytest.raises(ValueError, match="batch 1 is of type Tensor"):
        next(stream)


# --- ids in the order of the loader ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "loader",
    [
        DataLoader(TensorDataset(IMAGES), batch_size=2),
        DataLoader(TensorDataset(IMAGES, torch.zeros(5)), batch_size=5),
        DataLoader(TensorDataset(IMAGES), batch_sampler=BatchSampler(SequentialSampler(IMAGES), 3, drop_last=False)),
        DataLoader(Subset(TensorDataset(IMAGES), [0, 1, 2, 3, 4]), batch_size=4),
        DataLoader(Stream(), batch_size=2),
        [IMAGES[:4], IMAGES[4:]],
        [{"images": IMAGES, "scale": None}],
    ],
)
def test_ids_may_be_given_in_the_order_of_the_loader(loader: Any) -> None:
    assert ids_and_outputs(loader, item_ids=IDS) == EXPECTED
    assert ids_and_outputs(loader, item_ids=iter(IDS)) == EXPECTED


@pytest.mark.parametrize(
    ("loader", "name"),
    [
        (DataLoader(TensorDataset(IMAGES), batch_size=2, shuffle=True), "RandomSampler"),
        (DataLoader(TensorDataset(IMAGES), sampler=SubsetRandomSampler(range(5))), "SubsetRandomSampler"),
        (
            DataLoader(TensorDataset(IMAGES), batch_sampler=BatchSampler(SubsetRandomSampler(range(5)), 2, True)),
            "SubsetRandom",
        ),
        (DataLoader(TensorDataset(IMAGES), batch_sampler=[[4, 3], [2, 1], [0]]), "list"),
        (DataLoader(TensorDataset(IMAGES), batch_size=None, shuffle=True), "RandomSampler"),
    ],
)
def test_a_loader_in_another_order_cannot_be_matched(loader: Any, name: str) -> None:
    with pytest.raises(ValueError, match=f"draws its items by {name}.*shuffle=False"):
        next(item_batches(loader, item_ids=IDS))


@pytest.mark.parametrize(
    ("loader", "ids", "message"),
    [
        (
            DataLoader(TensorDataset(IMAGES), batch_size=2),
            IDS[:4],
            "gives more items than the 4 item_ids; give the ids of all",
        ),
        (DataLoader(TensorDataset(IMAGES), batch_size=2), [*IDS, "b", "c"], "5 items for 7 item_ids; .* without one is 'b'"),
        (
            DataLoader(TensorDataset(IMAGES), batch_size=2, drop_last=True),
            IDS,
            "4 items for 5 item_ids; .*'img_4.jpg'.*drop",
        ),
        ([], IDS, "0 items for 5 item_ids"),
        ([("a", IMAGES)], IDS, "batch 0 is a tuple of str, Tensor; expected inputs with a row for each item"),
        ([IMAGES[0, 0]], IDS, "batch 0 is of type Tensor; expected inputs"),
        ([{"scale": 1}], IDS, "batch 0 is a dictionary of 'scale'"),
        ([IMAGES], ["a", "a"], "item ids stand more than once"),
    ],
)
def test_as_many_ids_as_items_are_needed(loader: Any, ids: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list(item_batches(loader, item_ids=ids))


def test_ids_of_two_sources_are_refused() -> None:
    with pytest.raises(ValueError, match="both item_ids and read are given"):
        next(item_batches([IMAGES], item_ids=IDS, read=lambda batch: (IDS, batch)))


# --- through a network -----------------------------------------------------------------------------------------------


def test_a_batch_is_read_when_it_is_needed_and_not_before() -> None:
    asked = []

    def loader() -> Iterator[Any]:
        for row in range(3):
            asked.append(row)
            yield [IDS[row]], IMAGES[row : row + 1]

    stream = outputs_of(Double().eval(), loader())
    assert asked == []
    next(stream)
    assert asked == [0]


def test_outputs_have_no_gradients_and_modes_are_put_back_between_batches() -> None:
    network = nn.Sequential(Double(), nn.BatchNorm1d(2)).train()
    network[1].eval()
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.warns(UserWarning, match="Sequential is in training mode; it is scored in evaluation mode and put back"):
        for _, outputs in outputs_of(network, DataLoader(Named(), batch_size=2)):
            assert not outputs.requires_grad
            assert torch.is_grad_enabled()
            assert [part.training for part in network.modules()] == [True, True, False]
    first = network[0]
    assert isinstance(first, Double)
    assert first.seen == [False] * 3
    assert all(torch.equal(state[name], tensor) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_floats_are_given_in_the_precision_of_the_network_and_whole_numbers_stay(dtype: torch.dtype) -> None:
    given: list[torch.dtype] = []

    class Watching(Double):
        def forward(self, images: Any, scale: Any = None) -> Tensor:
            given.extend((images[0].dtype, images[1]["index"].dtype, scale.dtype))
            result: Tensor = images[0]
            return result

    images = (IMAGES.double(), {"index": torch.arange(5), "name": "x"})
    loader = [{"item_ids": IDS, "images": images, "scale": torch.ones(5, dtype=torch.bool)}]
    ((batch, _),) = outputs_of(Watching().eval().to(dtype), loader)
    assert given == [dtype, torch.int64, torch.bool]
    assert batch.kwargs["images"][1]["name"] == "x"
    assert images[0].dtype == torch.float64


def test_what_runs_in_place_of_the_network_gets_the_batch_as_the_network_would() -> None:
    network = Double().eval().double()
    found = [
        (batch.item_ids, outputs)
        for batch, outputs in outputs_of(
            network, [(IDS, IMAGES)], run=lambda batch: (batch.args[0].dtype, network.training, torch.is_grad_enabled())
        )
    ]
    assert found == [(tuple(IDS), (torch.float64, False, False))]


def test_modes_are_put_back_when_the_network_fails() -> None:
    network = nn.Sequential(nn.Linear(3, 2), nn.Dropout())
    with pytest.warns(UserWarning, match="in training mode"), pytest.raises(RuntimeError, match="mat1 and mat2"):
        list(outputs_of(network, [(IDS, IMAGES)]))
    assert all(part.training for part in network.modules())
    assert torch.is_grad_enabled()
