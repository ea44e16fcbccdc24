"""A node while it is computed: its inputs, its attributes, and how much it may still make."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinyseq.engine import Tensor, make_tensor
from tinyseq.errors import DataError

Array = np.ndarray[Any, Any]
Run = Callable[[Any, Sequence[Tensor]], list[Tensor]]
"""run(graph, inputs) -> outputs, for the body of a loop, which sees the values around it."""


class Budget:
    """What one call of a graph may compute: as much as its inputs and weights give cause for.

    So no small file asks for all memory, or all time; what is large itself may make what is large.
    """

    def __init__(self, given: int, held: int) -> None:
        self.nodes = 25_000 + 1_000 * given
        self.values = 2**25 + 10_000 * (given + held)

    def count(self, nodes: int, values: int = 0) -> None:
        """Take what a node makes. Raises DataError where nothing is left."""
        self.nodes -= nodes
        self.values -= values
        if self.nodes < 0 or self.values < 0:
            what = "nodes" if self.nodes < 0 else "values"
            raise DataError(f"The graph makes more {what} than its inputs and weights give cause for.")


class Call:
    """One node, with its inputs in order (None for those left out)."""

    def __init__(
        self,
        op: str,
        inputs: list[Tensor | None],
        attributes: dict[str, Any],
        outputs: int,
        run: Run,
        budget: Budget,
    ) -> None:
        self.op, self.inputs, self.attributes, self.outputs, self.run = op, inputs, attributes, outputs, run
        self.budget = budget

    def __getitem__(self, k: int) -> Tensor:
        """Input k. Raises DataError where it was left out."""
        found = self.get(k)
        if found is None:
            raise DataError(f"{self.op} needs input {k}.")
        return found

    def get(self, k: int) -> Tensor | None:
        """Input k, or None."""
        return self.inputs[k] if k < len(self.inputs) else None

    @property
    def all(self) -> list[Tensor]:
        """All inputs, none of them left out."""
        return [self[k] for k in range(len(self.inputs))]

    def attr(self, name: str, default: Any = None) -> Any:
        """An attribute; text as str."""
        value = self.attributes.get(name, default)
        return value.decode(errors="replace") if isinstance(value, bytes) else value

    def ints(self, k: int) -> list[int]:
        """The integers of input k, a list of them or one."""
        values = self[k].numpy()
        if values.dtype.kind not in "iu" or values.ndim > 1:
            raise DataError(f"{self.op} needs a list of integers as input {k}, not {values.dtype}.")
        found: list[int] = values.reshape(-1).tolist()
        return found

    def axes(self, k: int, name: str = "axes") -> tuple[int, ...] | None:
        """Axes from input k, or from the attribute that older graphs have; None for neither."""
        if self.get(k) is not None:
            return tuple(self.ints(k))
        given = self.attr(name)
        return None if given is None else tuple(int(a) for a in given)

    def bounded(self, shape: Sequence[int]) -> tuple[int, ...]:
        """A shape to be made. Raises DataError for one that is none, or more than the call may make."""
        if any(n < 0 for n in shape) or math.prod(shape) > self.budget.values:
            raise DataError(f"{self.op} would make the shape {tuple(shape)[:8]}: more than is left to make.")
        return tuple(shape)


def constant(array: Any) -> Tensor:
    """An array as a constant, in its own dtype."""
    return make_tensor(np.asarray(array), None)


def axis_of(call: Call, default: int, ndim: int) -> int:
    """The attribute axis, counted from the front."""
    axis = int(call.attr("axis", default))
    if not -ndim <= axis < max(ndim, 1):
        raise DataError(f"{call.op} has no axis {axis} among {ndim}.")
    return axis % ndim if ndim else 0
