"""Floor 3: what a plugin has to provide, one class for each kind.

`api` is the version of the contract that a class was written for; `version` is the component's own, raised
when saved models of the older one would mean something else.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

import numpy as np

from tinyseq.backend import backend, backend_of
from tinyseq.engine import Tensor, make_tensor
from tinyseq.nn.module import Module

Reduction = Literal["mean", "sum", "none"]


class Cell(Module, ABC):
    """One step of a recurrence: running it over time, ragged batches, stacking and reversing come for free.

    `__init__` sets `input_size` and `output_size`, the widths of what `step` takes and gives.
    """

    api: ClassVar[int] = 1
    version: ClassVar[int] = 1
    input_size: int
    output_size: int

    @abstractmethod
    def initial_state(self, batch_size: int) -> Any:
        """The state before the first step: a NamedTuple of Tensors (batch_size, width), as `self.zeros`."""

    @abstractmethod
    def step(self, x: Tensor, state: Any) -> tuple[Any, Any]:
        """The output and the next state; x: (rows, input_size), output: (rows, output_size).

        Each row is a sequence of its own, and there are fewer rows as sequences end. Nothing is stored on the
        way: whatever the next step needs is in the state.
        """

    def forward(self, x: Tensor, state: Any) -> tuple[Any, Any]:
        """One step, as `cell(x, state)`."""
        return self.step(x, state)

    def zeros(self, batch_size: int, *shape: int) -> Tensor:
        """Zeros (batch_size, *shape) where the cell's Parameters are, in their dtype."""
        like = next(self.parameters(), None)
        home, dtype = (backend(), np.float32) if like is None else (backend_of(like.data), like.dtype)
        return make_tensor(home.asarray(np.zeros((batch_size, *shape), dtype)), None)


class Layer(Module, ABC):
    """Sequences in, Sequences out; a Tensor (batch, time, features) in, a Tensor out.

    A layer with a state also has `initial_state(batch_size)` and `scan(xs, state=None) -> (ys, final state)`,
    each state a NamedTuple or tuple of Tensors (batch, width) in the caller's order. It may have
    `stream(state)` for reading one step at a time; see `tinyseq.sequences.stream`.
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


class Head(Module, ABC):
    """What a model is for: it turns an encoder's features into a loss, into predictions, and into metrics."""

    api: ClassVar[int] = 1
    version: ClassVar[int] = 1

    @abstractmethod
    def loss(self, features: Any, targets: Any) -> Tensor:
        """The scalar to train on."""

    @abstractmethod
    def predict(self, features: Any) -> Any:
        """The answer in the task's own terms."""

    def metrics(self) -> "dict[str, Metric]":
        """Fresh metrics of the task, by name; none by default."""
        return {}


class Metric(ABC):
    """A figure about a whole data set, carried as sums and counts, so that batches of any size add up."""

    @abstractmethod
    def update(self, *args: Any, **kwargs: Any) -> None:
        """Take in one batch."""

    @abstractmethod
    def merge(self, other: Any) -> None:
        """Take in all that another of this kind has seen."""

    @abstractmethod
    def value(self) -> Any:
        """The figure over everything seen so far."""
