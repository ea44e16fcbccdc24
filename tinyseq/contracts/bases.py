"""What a plugin has to provide, one class for each kind.

`api` is the version of the contract that a class was written for; `version` is the component's own, raised
when saved models of the older one would mean something else.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np

from tinyseq.backend import backend, backend_of
from tinyseq.engine import Tensor, make_tensor
from tinyseq.nn.module import Module
from tinyseq.sequences import Sequences

Reduction = Literal["mean", "sum", "none"]


def count_targets(targets: Any) -> int:
    """How many targets there are: one for each element, of Sequences, Tensors, arrays, or lists of them."""
    if isinstance(targets, Sequences):
        return math.prod(targets.data.shape)
    if isinstance(targets, list | tuple):
        return sum(
            count_targets(part) if isinstance(part, Sequences) or np.ndim(part) else 1 for part in targets
        )
    return math.prod(targets.shape if hasattr(targets, "shape") else np.shape(targets))


class Cell(Module, ABC):
    """One step of a recurrence: running it over time, ragged batches, stacking and reversing come for free.

    `__init__` sets `input_size` and `output_size`, the widths of what `step` takes and gives.
    """

    api: ClassVar[int] = 1
    version: ClassVar[int] = 1
    input_size: int
    output_size: int
    runner: "ClassVar[Callable[[Cell], Layer]]"
    """Recurrent, which stands on a floor above and puts itself here."""

    @abstractmethod
    def initial_state(self, batch_size: int) -> Any:
        """The state before the first step: Tensors (batch_size, ...), as `self.zeros`, in a NamedTuple.

        A tuple, a dict or a dataclass of them, nested as one likes, does as well.
        """

    @abstractmethod
    def step(self, x: Tensor, state: Any) -> tuple[Any, Any]:
        """The output and the next state; x: (rows, input_size), output: (rows, output_size).

        Each row is a sequence of its own, and there are fewer rows as sequences end. Nothing is stored on the
        way: whatever the next step needs is in the state.
        """

    def forward(self, x: Tensor, state: Any) -> tuple[Any, Any]:
        """One step, as `cell(x, state)`."""
        return self.step(x, state)

    def as_layer(self) -> "Layer":
        """This cell run along every sequence: `tinyseq.Recurrent(cell)`."""
        return Cell.runner(self)

    def zeros(self, batch_size: int, *shape: int) -> Tensor:
        """Zeros (batch_size, *shape) where the cell's Parameters are, in their dtype."""
        like = next(self.parameters(), None)
        home, dtype = (backend(), np.float32) if like is None else (backend_of(like.data), like.dtype)
        return make_tensor(home.zeros((batch_size, *shape), dtype), None)


class Layer(Module, ABC):
    """Sequences in, Sequences out; a Tensor (batch, time, features) in, a Tensor out.

    A layer with a state also has `initial_state(batch_size)` and `scan(xs, state=None) -> (ys, final state)`,
    each state Tensors (batch, width), in tuples, dicts or dataclasses, in the caller's order. It may have
    `stream(state)` for reading one step at a time; see `tinyseq.sequences.stream`. It may say where its
    features have read their whole sequence: `ends = ((4, "last"), (4, "first"))` for four that read forward
    and four that read backward, or a property; `keeps_ends = True` if they stay where they were.
    """

    api: ClassVar[int] = 1
    version: ClassVar[int] = 1

    @abstractmethod
    def forward(self, xs: Any) -> Any:
        """The features of every step."""


class Loss(Module, ABC):
    """How wrong predictions are, as Sequences or as Tensors.

    `__init__` sets `reduction`: "mean" over what counts, "sum", or "none" for one value for each prediction.
    """

    api: ClassVar[int] = 1
    version: ClassVar[int] = 1
    reduction: Reduction

    @abstractmethod
    def forward(self, predictions: Any, targets: Any) -> Any:
        """The loss of `predictions` against `targets`; a scalar Tensor unless `reduction` is "none"."""

    def weight(self, targets: Any) -> float:
        """What a "mean" over `targets` divides by: how much they count. By default their number.

        Means of several batches, each times its weight, add up to the mean over all of their data, however
        these are cut. A loss that leaves targets out, or weighs them, says so here.
        """
        return count_targets(targets)

    @property
    def is_surprise(self) -> bool:
        """Whether the mean is -log p of the targets, so that its exponential is a perplexity."""
        return False


class Head(Module, ABC):
    """What a model is for: it turns an encoder's features into a loss, into predictions, and into metrics."""

    api: ClassVar[int] = 1
    version: ClassVar[int] = 1
    causal: ClassVar[bool] = False
    """Whether features may only come from a step and those before it, as the next ones are the answer."""

    @abstractmethod
    def loss(self, features: Any, targets: Any) -> Tensor:
        """The scalar to train on."""

    @abstractmethod
    def predict(self, features: Any) -> Any:
        """The answer in the task's own terms."""

    def meet(self, encoder: Any) -> None:
        """Learn where the features come from: a SequenceModel, when it is made, hands over its encoder.

        A head that cannot use it raises ConfigError.
        """

    def metrics(self) -> "dict[str, Metric]":
        """Fresh metrics of the task, by name; none by default."""
        return {}

    def weight(self, targets: Any) -> float:
        """What the loss's mean over `targets` divides by: what `self.criterion`, if it is a Loss, says.

        A head that reduces in another way, or has several losses, says so itself.
        """
        criterion = getattr(self, "criterion", None)
        return criterion.weight(targets) if isinstance(criterion, Loss) else count_targets(targets)


class Metric(ABC):
    """A figure about a whole data set, carried as sums and counts, so that batches of any size add up."""

    higher_is_better: bool = True

    @abstractmethod
    def update(self, *args: Any, **kwargs: Any) -> None:
        """Take in one batch."""

    @abstractmethod
    def merge(self, other: Any) -> None:
        """Take in all that another of this kind has seen."""

    @abstractmethod
    def value(self) -> Any:
        """The figure over everything seen so far."""

    def __repr__(self) -> str:
        value = self.value()
        return f"{type(self).__name__} {f'{value:.4f}' if isinstance(value, float) else value}"
