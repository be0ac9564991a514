"""A user's network with the layers of learning loss, or of discriminative selection, under SuperAnnotate's names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch

from samplers.sampler import checked_count
from scorers.learning_loss import LearningLoss
from scorers.networks.head import predicted_from
from scorers.networks.parts import like
from scorers.networks.pooling import pooled
from scorers.networks.taps import LayerTaps, keeping, tensors_in

from .methods import COUNTS, FEATURES, announced_values, channel_counts, n_values, vectors_of


class ActiveLearning(torch.nn.Module):
    """A network with a head that predicts the loss of each image: `outputs, loss_pred = net(inputs)`.

    The head is that of `scorers.learning_loss.LearningLoss`: each feature map is averaged to a grid, then
    `ReLU(Linear(fc_width))`; all of them side by side give one number by another linear layer. The parameters are called
    `base_model.*`, `fc.N.*` and `loss_pred.*`, as in checkpoints of the published code, and are drawn in its order. New
    programs use `LearningLoss` itself, which leaves the network as it is; `as_learning_loss` leads there.

    Args:
        base_model: The network. Without `layers` it has `get_active_learning_feature_channel_counts()`, the channels of its
            features, and `get_active_learning_features()`, the features of the last pass `(b, c, h, w)`, nested or not.
        global_avg_pool_size: Cells on each side of a feature map.
        fc_width: Of each feature's layer.
        layers: Names of parts to read instead, as `base_model.named_modules()` has them; the methods are not needed.
        example: With `layers`, a batch of inputs for the pass that finds the channels. None tries zeros.

    Raises:
        ValueError: Neither methods nor layers; at `forward`, features of other channels than were announced.
        RuntimeError: At `forward`, inside of `DataParallel` with `layers`; put it around the network instead.

    Examples:
        >>> net = ActiveLearning(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU()), layers=["1"])
        >>> outputs, loss_pred = net(torch.zeros(5, 3, 8, 8))
        >>> loss_pred.shape, [name for name, _ in net.named_parameters()][2:4]
        (torch.Size([5, 1]), ['fc.0.weight', 'fc.0.bias'])

    References:
        D. Yoo and I. S. Kweon, 2019, arXiv:1905.03677.
    """

    _taps: LayerTaps | None

    def __init__(
        self,
        base_model: torch.nn.Module,
        global_avg_pool_size: int = 1,
        fc_width: int = 128,
        *,
        layers: Sequence[str] | None = None,
        example: Any = None,
    ) -> None:
        super().__init__()
        self._grid = checked_count(global_avg_pool_size, "global_avg_pool_size")
        self._width = checked_count(fc_width, "fc_width")
        self._layers, self._example, self._taps = layers, example, None
        if layers is None:
            self._widths = [count * self._grid**2 for count in channel_counts(base_model)]
        elif not isinstance(base_model, torch.nn.Module):
            raise ValueError(f"base_model is {type(base_model).__name__}; expected a torch.nn.Module")
        elif isinstance(layers, str) or not layers:
            raise ValueError(f"layers is {layers!r}; expected names of the network's parts, such as ['layer1', 'layer2']")
        else:
            self._taps = LayerTaps(base_model, layers, self._kept, example)
            self._widths = list(self._taps.widths)
        self.base_model = base_model
        device = like(base_model).device
        self.fc = torch.nn.ModuleList(torch.nn.Linear(one, self._width, device=device) for one in self._widths)
        self.loss_pred = torch.nn.Linear(len(self._widths) * self._width, 1, device=device)
        self._drawn = self.loss_pred.weight.detach().clone()

    @property
    def is_trained(self) -> bool:
        """Whether the head has other weights than it was made with; an untrained head gives random scores."""
        return not torch.equal(self._drawn.cpu(), self.loss_pred.weight.detach().to("cpu", self._drawn.dtype))

    def forward(self, x: Any, detach_lp: bool = False) -> tuple[Any, torch.Tensor]:
        """What the network gives, and the predicted losses `(b, 1)`.

        Args:
            x: The network's input.
            detach_lp: Let no gradient of the predictions flow into the network, as the paper does in the last 40% of the
                epochs.
        """
        if self._layers is not None:
            self._attach(self._layers)
        outputs = self.base_model(x)
        values = (one.detach() if detach_lp else one for one in self._features())
        return outputs, predicted_from(values, self.fc, self.loss_pred)

    def optim_parameters(self) -> Iterator[Any]:
        """What an optimizer is given: the network's own `optim_parameters()`, or all of its, and then the head's."""
        own = getattr(self.base_model, "optim_parameters", self.base_model.parameters)
        head = [*self.fc.parameters(), *self.loss_pred.parameters()]
        is_grouped = False
        for one in own():
            is_grouped = isinstance(one, Mapping)
            yield one
        yield from [{"params": head}] if is_grouped else head

    def as_learning_loss(self, *, example: Any = None) -> LearningLoss:
        """This head as a `LearningLoss` on `base_model`, of the same weights: what trains one trains the other.

        Args:
            example: A batch of inputs for a dry pass. None takes that of the constructor, or tries zeros.

        Raises:
            ValueError: The network cannot be tried without `example`, or gives other features than were announced.
        """
        tried = self._example if example is None else example
        head = LearningLoss(self.base_model, self._layers, width=self._width, grid=self._grid, example=tried)
        found = [one.in_features for one in head.taps]
        if found != self._widths:
            head.remove()
            raise ValueError(f"the features have {found} values, and the head was made for {self._widths}")
        head.taps, head.output, head._drawn = self.fc, self.loss_pred, self._drawn
        return head

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_taps": None}  # hooks do not go along with a copy, which attaches its own

    def _attach(self, layers: Sequence[str]) -> None:
        if getattr(self, "_is_replica", False):
            raise RuntimeError(
                "ActiveLearning(net, layers=[...]) cannot be inside of DataParallel; put that around the network alone, "
                "ActiveLearning(DataParallel(net), layers=[...]), or write the two methods of the network"
            )
        if self._taps is None:
            self._taps = LayerTaps(self.base_model, layers, self._kept, self._example)

    def _features(self) -> list[torch.Tensor]:
        if self._taps is not None:
            return self._taps.take()
        given = list(tensors_in(getattr(self.base_model, FEATURES)()))
        kept = [self._kept(one, FEATURES) for one in given if one.ndim > 1]
        if [one.shape[1] for one in kept] != self._widths or len({len(one) for one in kept}) > 1:
            announced = [one // self._grid**2 for one in self._widths]
            raise ValueError(
                f"{COUNTS} announces {announced}, and {FEATURES} gave "
                f"{', '.join(str(tuple(one.shape)) for one in given) or 'no tensor of floats'}; expected a tensor "
                "(b, c, h, w) for each c announced, in this order"
            )
        return kept

    def _kept(self, features: torch.Tensor, name: str) -> torch.Tensor:
        try:
            return pooled(features, grid=self._grid)
        except ValueError as error:
            raise keeping(name, error) from error


class DiscriminativeActiveLearning(torch.nn.Module):
    """A network with a classifier of labeled and unlabeled images: `outputs, labeled_unlabeled_predictions = net(inputs)`.

    Column 0 of the logits `(b, 2)` is unlabeled, column 1 labeled. The parameters are called as in checkpoints of the
    published code. `choose_new_labeled_indices` neither reads nor trains this classifier: it trains a new one for each part
    of a batch, on features of the network that it computes once.

    Args:
        base_model: The network, with `get_discriminative_al_features()`: the features of the last pass `(b, ...)`, nested or
            not. None: the classifier is called with features `(b, ...)`.
        input_shapes: Shapes of the features, without b. None asks `base_model.get_discriminative_al_layer_shapes()`.

    Raises:
        ValueError: No shapes; at `forward`, features of other sizes.

    Examples:
        >>> DiscriminativeActiveLearning(None, [[512]])(torch.zeros(3, 512))[1].shape
        torch.Size([3, 2])

    References:
        D. Gissin and S. Shalev-Shwartz, Discriminative Active Learning, 2019, arXiv:1907.06347.
    """

    def __init__(self, base_model: torch.nn.Module | None, input_shapes: Iterable[Any] | None = None) -> None:
        super().__init__()
        n_inputs = announced_values(base_model) if input_shapes is None else n_values(input_shapes)
        width = 20 if n_inputs < 30 else 256 if n_inputs <= 512 else 512
        self.base_model = base_model
        device = None if base_model is None else like(base_model).device
        self.fc1 = torch.nn.Linear(n_inputs, width, device=device)
        self.fc2 = torch.nn.Linear(width, width, device=device)
        self.fc3 = torch.nn.Linear(width, width, device=device)
        self.out = torch.nn.Linear(width, 2, device=device)
        relu = torch.nn.ReLU()
        self.sequential = torch.nn.Sequential(self.fc1, relu, self.fc2, relu, self.fc3, relu, self.out)

    def forward(self, x: Any) -> tuple[Any, torch.Tensor]:
        """What the network gives, and the logits `(b, 2)` of unlabeled and labeled."""
        if self.base_model is None:
            outputs, features = x, x.flatten(1)
        else:
            outputs = self.base_model(x)
            features = vectors_of(self.base_model)
        if features.shape[1] != self.fc1.in_features:
            raise ValueError(
                f"the features have {features.shape[1]:,} values for each image, and {self.fc1.in_features:,} were announced"
            )
        return outputs, self.sequential(features)

    def reset_al_layers(self) -> None:
        """Draw the classifier's weights anew."""
        for layer in (self.fc1, self.fc2, self.fc3, self.out):
            layer.reset_parameters()

    def freeze_main_layers(self, requires_grad: bool) -> None:
        """Say whether the network learns: False freezes it, True lets it learn again."""
        if self.base_model is not None:
            self.base_model.requires_grad_(requires_grad)
