"""Recurrences element by element: no product with a matrix stands between one step and the next."""

import math
from typing import NamedTuple

import numpy as np

from tinyseq import Cell, Tensor
from tinyseq.nn import Parameter, init
from tinyseq.ops import sigmoid, split, tanh
from tinyseq_cells.gates import activation as activation_named
from tinyseq_cells.gates import check_sizes, weights


class IndRNNState(NamedTuple):
    """h: the last output, (batch, hidden_size)."""

    h: Tensor


class IndRNN(Cell):
    """Neurons that each remember only themselves: h' = activation(x w_x + u * h + b).

    w_x: (input_size, hidden_size), u and b: (hidden_size,); u is drawn between 0 and 1, so that some neurons
    start with a long memory and some with a short one.
    Source: Li et al. (2018), "Independently recurrent neural network", equation 2.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        activation: str = "relu",
        input_init: str | init.Initializer = "glorot_uniform",
    ) -> None:
        check_sizes("IndRNN", input_size, hidden_size)
        self.activation = activation_named(activation)
        self.input_size = input_size
        self.hidden_size = self.output_size = hidden_size
        self.w_x = weights(input_init, input_size, hidden_size, 1)
        self.u = Parameter(init.uniform((hidden_size,), low=0.0, high=1.0))
        self.b = Parameter(np.zeros(hidden_size))

    def initial_state(self, batch_size: int) -> IndRNNState:
        """Nothing seen yet: zeros."""
        return IndRNNState(self.zeros(batch_size, self.hidden_size))

    def step(self, x: Tensor, state: IndRNNState) -> tuple[Tensor, IndRNNState]:
        """One step; x: (rows, input_size)."""
        h = self.activation(x @ self.w_x + self.u * state.h + self.b)
        return h, IndRNNState(h)


class SRUState(NamedTuple):
    """c: the memory, (batch, hidden_size)."""

    c: Tensor


class SRU(Cell):
    """The simple recurrent unit: a memory c behind a forget gate f, and a highway past it behind a gate r.

        f = sigmoid(x w[f] + v_f * c + b_f)
        r = sigmoid(x w[r] + v_r * c + b_r)
        c' = f * c + (1 - f) * (x w[n])
        h = r * c' + (1 - r) * alpha * (x w[s])

    The highway carries x itself, without w[s], where x is as wide as the memory. alpha = sqrt(1 + 2 exp(b)),
    for the b_r = b of the start, keeps the variance of deep stacks.

    w: (input_size, 3 or 4 * hidden_size), in the order n, f, r, s; v_f, v_r, b_f, b_r: (hidden_size,).
    Source: Lei et al. (2018), "Simple recurrent units for highly parallelizable recurrence", section 3.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        highway_bias: float = 0.0,
        input_init: str | init.Initializer = "glorot_uniform",
    ) -> None:
        check_sizes("SRU", input_size, hidden_size)
        self.input_size = input_size
        self.hidden_size = self.output_size = hidden_size
        self.alpha = math.sqrt(1 + 2 * math.exp(highway_bias))
        self.w = weights(input_init, input_size, hidden_size, 3 if input_size == hidden_size else 4)
        self.v_f, self.v_r = (Parameter(np.zeros(hidden_size)) for _ in range(2))
        self.b_f = Parameter(np.zeros(hidden_size))
        self.b_r = Parameter(np.full(hidden_size, highway_bias))

    def initial_state(self, batch_size: int) -> SRUState:
        """An empty memory: zeros."""
        return SRUState(self.zeros(batch_size, self.hidden_size))

    def step(self, x: Tensor, state: SRUState) -> tuple[Tensor, SRUState]:
        """One step; x: (rows, input_size)."""
        c = state.c
        if self.input_size == self.hidden_size:
            n, f, r = split(x @ self.w, 3, axis=-1)
            skip = x
        else:
            n, f, r, skip = split(x @ self.w, 4, axis=-1)
        f = sigmoid(f + self.v_f * c + self.b_f)
        r = sigmoid(r + self.v_r * c + self.b_r)
        c = f * c + (1 - f) * n
        h = r * c + (1 - r) * self.alpha * skip
        return h, SRUState(c)


class QRNNState(NamedTuple):
    """c: the memory, (batch, hidden_size); x: the last input, (batch, input_size)."""

    c: Tensor
    x: Tensor


class QRNN(Cell):
    """A quasi-recurrent network: convolutions over two steps, x and the one before it, and fo-pooling.

        n = tanh(x_prev w_prev[n] + x w[n] + b[n])
        f = sigmoid(x_prev w_prev[f] + x w[f] + b[f])
        o = sigmoid(x_prev w_prev[o] + x w[o] + b[o])
        c' = f * c + (1 - f) * n
        h = o * c'

    w_prev, w: (input_size, 3 * hidden_size), b: (3 * hidden_size,), in the order n, f, o.
    Source: Bradbury et al. (2017), "Quasi-recurrent neural networks", sections 2 and 2.1.
    """

    def __init__(
        self, input_size: int, hidden_size: int, *, input_init: str | init.Initializer = "glorot_uniform"
    ) -> None:
        check_sizes("QRNN", input_size, hidden_size)
        self.input_size = input_size
        self.hidden_size = self.output_size = hidden_size
        self.w_prev = weights(input_init, input_size, hidden_size, 3)
        self.w = weights(input_init, input_size, hidden_size, 3)
        self.b = Parameter(np.zeros(3 * hidden_size))

    def initial_state(self, batch_size: int) -> QRNNState:
        """An empty memory, and nothing read: zeros."""
        return QRNNState(self.zeros(batch_size, self.hidden_size), self.zeros(batch_size, self.input_size))

    def step(self, x: Tensor, state: QRNNState) -> tuple[Tensor, QRNNState]:
        """One step; x: (rows, input_size)."""
        n, f, o = split(state.x @ self.w_prev + x @ self.w + self.b, 3, axis=-1)
        n, f, o = tanh(n), sigmoid(f), sigmoid(o)
        c = f * state.c + (1 - f) * n
        h = o * c
        return h, QRNNState(c, x)
