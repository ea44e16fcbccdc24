"""What the planted components are made of: a right cell of each size, to be spoilt in one place."""

from typing import Any, NamedTuple

import numpy as np

from tinyseq import Tensor, ops
from tinyseq.contracts import Cell
from tinyseq.nn import Parameter, init


class State(NamedTuple):
    h: Tensor


class LongState(NamedTuple):
    h: Tensor
    c: Tensor


class Plain(Cell):
    """h' = tanh(x w_x + h w_h + b)."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        self.input_size, self.output_size = input_size, hidden_size
        self.w_x = Parameter(init.glorot_uniform((input_size, hidden_size)))
        self.w_h = Parameter(init.orthogonal((hidden_size, hidden_size)))
        self.b = Parameter(init.zeros((hidden_size,)))

    def initial_state(self, batch_size: int) -> State:
        return State(self.zeros(batch_size, self.output_size))

    def before(self, x: Tensor, h: Tensor) -> Tensor:
        return x @ self.w_x + h @ self.w_h + self.b

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        h: Tensor = ops.tanh(self.before(x, state.h))
        return h, State(h)


class Gated(Cell):
    """An LSTM whose forget gate has 1 added to it: gates in the order i, f, g, o."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        self.input_size, self.output_size = input_size, hidden_size
        self.w_x = Parameter(init.glorot_uniform((input_size, 4 * hidden_size)))
        self.w_h = Parameter(init.glorot_uniform((hidden_size, 4 * hidden_size)))
        self.b = Parameter(init.zeros((4 * hidden_size,)))

    def initial_state(self, batch_size: int) -> LongState:
        return LongState(self.zeros(batch_size, self.output_size), self.zeros(batch_size, self.output_size))

    def gates(self, x: Tensor, state: LongState) -> list[Tensor]:
        i, f, g, o = ops.split(x @ self.w_x + state.h @ self.w_h + self.b, 4, axis=-1)
        return [i, f + 1, g, o]

    def step(self, x: Tensor, state: LongState) -> tuple[Tensor, LongState]:
        i, f, g, o = self.gates(x, state)
        c = ops.sigmoid(f) * state.c + ops.sigmoid(i) * ops.tanh(g)
        h = ops.sigmoid(o) * ops.tanh(c)
        return h, LongState(h, c)


def gated_formula(cell: Gated, x: Any, state: LongState) -> tuple[Any, LongState]:
    """One row of `Gated` in NumPy."""
    z = x @ cell.w_x.numpy() + state.h @ cell.w_h.numpy() + cell.b.numpy()
    n = cell.output_size
    i, f, g, o = (z[k * n : (k + 1) * n] for k in range(4))
    c = state.c / (1 + np.exp(-(f + 1))) + np.tanh(g) / (1 + np.exp(-i))
    h = np.tanh(c) / (1 + np.exp(-o))
    return h, LongState(h, c)
