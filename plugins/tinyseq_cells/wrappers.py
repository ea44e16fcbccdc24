"""Cells made of another cell: the same formula with noise in training, or from another start."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tinyseq import Cell, Tensor, no_grad, noise, ops
from tinyseq.errors import ConfigError, near
from tinyseq.nn import Module, Parameter
from tinyseq.nn.regularize import check_rate
from tinyseq.scan.state import flatten, names, rebuild


class Wrapped(Cell):
    """A cell with the sizes and the initial state of the one inside."""

    def __init__(self, cell: Cell) -> None:
        if not isinstance(cell, Cell):
            raise ConfigError(f"{type(self).__name__} takes a Cell, not {type(cell).__name__}.")
        self.cell = cell
        self.input_size, self.output_size = cell.input_size, cell.output_size

    def initial_state(self, batch_size: int) -> Any:
        """The state of the cell inside."""
        return self.cell.initial_state(batch_size)


class WeightDrop(Wrapped):
    """`cell` without some of its connections: single weights are zero during a whole scan.

    In training each value of the Parameters named is zero with probability p, the others are scaled by
    1 / (1 - p); the mask is drawn once for a batch, so that all steps see the same network. In evaluation
    nothing happens. Sources: Wan et al. (2013); Merity et al. (2018), section 2, for recurrent weights.
    """

    def __init__(self, cell: Cell, weights: Sequence[str] = ("w_h",), p: float = 0.5) -> None:
        super().__init__(cell)
        check_rate("WeightDrop", p)
        self.weights, self.p = tuple(weights), p
        known = dict(cell.named_parameters())
        for name in self.weights:
            if name not in known:
                raise ConfigError(
                    f"WeightDrop: {type(cell).__name__} has no Parameter {name!r}; it has "
                    f"{', '.join(known)}.{near(name, known)}"
                )

    def step(self, x: Tensor, state: Any) -> tuple[Any, Any]:
        """One step of the cell; x: (rows, input_size)."""
        cell: Any = self.cell
        if self.training and self.p > 0:
            for name in self.weights:
                cell = _changed(cell, name.split("."), self._dropped)
        result: tuple[Any, Any] = cell.step(x, state)
        return result

    def _dropped(self, weight: Tensor) -> Tensor:
        return weight * noise.mask(weight, self.p, kept=1 / (1 - self.p), per="scan")


class Zoneout(Wrapped):
    """`cell` whose units keep their state from one step to the next, at random.

        s' = m * new + (1 - m) * s, with m = 0 with probability p, for every unit of every step

    In evaluation m is its expectation, 1 - p. Where the cell's output is one of its new states, as h is, so
    is that of this. p: one probability for all states, or a dict of them by the state's name; states that it
    leaves out, and those that are no floats, are as the cell makes them. Source: Krueger et al. (2017),
    equations 3 to 5.
    """

    def __init__(self, cell: Cell, p: float | Mapping[str, float] = 0.1) -> None:
        super().__init__(cell)
        self.p = p
        called = names(cell.initial_state(1), "state")
        rates = dict.fromkeys(called, p) if not isinstance(p, Mapping) else {f"state.{k}": p[k] for k in p}
        for name, rate in rates.items():
            check_rate("Zoneout", rate)
            if name not in called:
                short = [c.removeprefix("state.") for c in called]
                raise ConfigError(
                    f"Zoneout: the state of {type(cell).__name__} has no part "
                    f"{name.removeprefix('state.')!r}; its parts are {', '.join(short)}."
                )
        self.rates = [float(rates.get(name, 0.0)) for name in called]

    def step(self, x: Tensor, state: Any) -> tuple[Any, Any]:
        """One step of the cell; x: (rows, input_size)."""
        output, new = self.cell.step(x, state)
        mixed = [self._mixed(*part) for part in zip(flatten(state), flatten(new), self.rates, strict=True)]
        instead = {id(a): b for a, b in zip(flatten(new), mixed, strict=True)}
        outputs = [instead.get(id(y), y) for y in flatten(output)]
        return rebuild(output, iter(outputs)), rebuild(new, iter(mixed))

    def _mixed(self, before: Tensor, after: Tensor, p: float) -> Tensor:
        if p == 0 or after.dtype.kind != "f":
            return after
        moves = noise.mask(after, p) if self.training else 1 - p
        return moves * after + (1 - moves) * before


class LearnedStart(Wrapped):
    """`cell` whose state before the first step is learnt: one Parameter for each part of it, from its values.

    Parts that are no floats stay as they are. Source: Hinton's lectures on neural networks (2012), 7b.
    """

    def __init__(self, cell: Cell) -> None:
        super().__init__(cell)
        self.start = [
            Parameter(leaf.numpy(), leaf.dtype) if leaf.dtype.kind == "f" else None
            for leaf in flatten(cell.initial_state(1))
        ]

    def initial_state(self, batch_size: int) -> Any:
        """The learnt state, for every sequence."""
        state = self.cell.initial_state(batch_size)
        pairs = zip(flatten(state), self.start, strict=True)
        leaves = [leaf if start is None else ops.broadcast_to(start, leaf.shape) for leaf, start in pairs]
        return rebuild(state, iter(leaves))

    def step(self, x: Tensor, state: Any) -> tuple[Any, Any]:
        """One step of the cell; x: (rows, input_size)."""
        return self.cell.step(x, state)


class RecurrentDropout(Wrapped):
    """`cell` that reads a state through a mask, one for each sequence and the same at all of its steps.

    In training a unit of the named states is zero with probability p wherever the step reads it, the others
    are scaled by 1 / (1 - p); in evaluation nothing happens. That is right where the step reads the state
    through products with weights alone, as h in an RNN and an LSTM. A GRU also hands h on, which would be
    scaled at every step: such a cell is refused. Source: Gal and Ghahramani (2016), equation 7.
    """

    def __init__(self, cell: Cell, p: float = 0.25, states: Sequence[str] = ("h",)) -> None:
        super().__init__(cell)
        check_rate("RecurrentDropout", p)
        self.p, self.states = p, tuple(states)
        called = [name.removeprefix("state.") for name in names(cell.initial_state(1), "state")]
        for name in self.states:
            if name not in called:
                raise ConfigError(
                    f"RecurrentDropout: the state of {type(cell).__name__} has no part {name!r}; its parts "
                    f"are {', '.join(called)}."
                )
        self.reads = [name in self.states for name in called]
        if self._hands_on():
            raise ConfigError(
                f"RecurrentDropout: {type(cell).__name__} hands {', '.join(self.states)} on past its "
                "weights, which a mask would scale at every step: use WeightDrop or Zoneout, or put "
                "VariationalDropout into the products of the step."
            )

    def _hands_on(self) -> bool:
        """Whether the states reach the next ones when all weights are zero."""
        cell = copy.deepcopy(self.cell).eval()
        for parameter in cell.parameters():
            if parameter.ndim > 1:
                parameter.data[...] = 0
                parameter.changed()
        with no_grad():
            start = cell.initial_state(1)
            x = cell.zeros(1, cell.input_size)
            given = [
                [
                    leaf + value if read else leaf
                    for leaf, read in zip(flatten(start), self.reads, strict=True)
                ]
                for value in (0.0, 1.0)
            ]
            found = [cell.step(x, rebuild(start, iter(leaves)))[1] for leaves in given]
        pairs = zip(*map(flatten, found), strict=True)
        return any((a.numpy() != b.numpy()).any() for a, b in pairs)

    def step(self, x: Tensor, state: Any) -> tuple[Any, Any]:
        """One step of the cell; x: (rows, input_size)."""
        if self.training and self.p > 0:
            leaves = zip(flatten(state), self.reads, strict=True)
            state = rebuild(state, iter([self._masked(leaf) if read else leaf for leaf, read in leaves]))
        return self.cell.step(x, state)

    def _masked(self, leaf: Tensor) -> Tensor:
        return leaf * noise.mask(leaf, self.p, kept=1 / (1 - self.p), per="sequence")


def _changed(value: Any, keys: list[str], change: Callable[[Tensor], Tensor]) -> Any:
    """`value`, a module or what it holds, with another Tensor at a path; nothing is changed in place."""
    if not keys:
        return change(value)
    key, *rest = keys
    if isinstance(value, Module):
        clone = object.__new__(type(value))
        vars(clone).update(vars(value))
        vars(clone)[key] = _changed(vars(value)[key], rest, change)
        return clone
    if isinstance(value, dict):
        return {k: _changed(v, rest, change) if str(k) == key else v for k, v in value.items()}
    return type(value)([_changed(v, rest, change) if str(i) == key else v for i, v in enumerate(value)])
