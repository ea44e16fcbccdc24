"""The two cells of the extended LSTM: one with exponential gates, one with a matrix for its memory."""

from typing import NamedTuple

import numpy as np

from tinyseq import Cell, Tensor
from tinyseq.nn import Parameter, init
from tinyseq.ops import abs as absolute
from tinyseq.ops import clip, exp, expand_dims, maximum, sigmoid, softplus, split, tanh
from tinyseq_cells.gates import check_sizes, weights

NOTHING = -1e4
"""Stands for log 0: so far below any gate that its exponential is 0, and yet a number to subtract."""


class SLSTMState(NamedTuple):
    """h: the last output, c: the memory, n: the logarithm of its normaliser; each (batch, hidden_size)."""

    h: Tensor
    c: Tensor
    n: Tensor


class SLSTM(Cell):
    """An LSTM whose input gate is an exponential, so that what comes late can outweigh all that was before.

        z, o = tanh(x w[z] + h r[z] + b[z]), sigmoid(x w[o] + h r[o] + b[o])
        i, f = exp(x w[i] + h r[i] + b[i]), sigmoid(x w[f] + h r[f] + b[f])
        C' = f C + i z,    N' = f N + i,    h' = o C' / N'

    Kept are c = C / N and n = log N, in which the same is a mean that a gate moves and no exponential grows:

        w = i / N' = sigmoid(log i - log f - n),    c' = (1 - w) c + w z,    h' = o c'

    w: (input_size, 4 * hidden_size), r: (hidden_size, 4 * hidden_size), b: (4 * hidden_size,), gates in the
    order z, i, f, o. Source: Beck et al. (2024), "xLSTM", equations 8 to 14, with one head.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        forget_bias: float = 1.0,
        input_init: str | init.Initializer = "glorot_uniform",
        recurrent_init: str | init.Initializer = "orthogonal",
    ) -> None:
        check_sizes("SLSTM", input_size, hidden_size)
        self.input_size = input_size
        self.hidden_size = self.output_size = hidden_size
        self.w = weights(input_init, input_size, hidden_size, 4)
        self.r = weights(recurrent_init, hidden_size, hidden_size, 4)
        self.b = Parameter(np.repeat([0.0, 0.0, forget_bias, 0.0], hidden_size))

    def initial_state(self, batch_size: int) -> SLSTMState:
        """An empty memory, whose normaliser is 0."""
        empty = self.zeros(batch_size, self.hidden_size)
        return SLSTMState(empty, empty, empty + NOTHING)

    def step(self, x: Tensor, state: SLSTMState) -> tuple[Tensor, SLSTMState]:
        """One step; x: (rows, input_size)."""
        z, i, f, o = split(x @ self.w + state.h @ self.r + self.b, 4, axis=-1)
        before = state.n - softplus(-f)  # log(f N)
        w = sigmoid(i - before)
        z, o = tanh(z), sigmoid(o)
        c = (1 - w) * state.c + w * z
        n = i + softplus(before - i)
        h = o * c
        return h, SLSTMState(h, c, n)


class MLSTMState(NamedTuple):
    """c: the memory, n: its normaliser, both divided by exp(m).

    c: (batch, hidden_size, hidden_size), n: (batch, hidden_size), m: (batch, 1).
    """

    c: Tensor
    n: Tensor
    m: Tensor


class MLSTM(Cell):
    """A memory of pairs: a matrix C to which the value v is written under the key k, and read by a query q.

        q, k, v = x w[q] + b[q], (x w[k] + b[k]) / sqrt(hidden_size), x w[v] + b[v]
        i, f = exp(x w_if[i] + b_if[i]), sigmoid(x w_if[f] + b_if[f]), one number each
        C' = f C + i v k^T,    n' = f n + i k
        h = sigmoid(x w[o] + b[o]) * C' q / max(|n' . q|, 1)

    C and n are kept divided by exp(m), where m is the largest exponent so far, so that none grows.
    w: (input_size, 4 * hidden_size), b: (4 * hidden_size,), in the order q, k, v, o; w_if: (input_size, 2),
    b_if: (2,). Source: Beck et al. (2024), "xLSTM", equations 15 to 27, with one head.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        forget_bias: float = 3.0,
        input_init: str | init.Initializer = "glorot_uniform",
    ) -> None:
        check_sizes("MLSTM", input_size, hidden_size)
        self.input_size = input_size
        self.hidden_size = self.output_size = hidden_size
        self.w = weights(input_init, input_size, hidden_size, 4)
        self.b = Parameter(np.zeros(4 * hidden_size))
        self.w_if = weights(input_init, input_size, 2, 1)
        self.b_if = Parameter(np.array([0.0, forget_bias]))

    def initial_state(self, batch_size: int) -> MLSTMState:
        """Nothing written yet."""
        row = self.zeros(batch_size, self.hidden_size)
        return MLSTMState(
            self.zeros(batch_size, self.hidden_size, self.hidden_size), row, row[:, :1] + NOTHING
        )

    def step(self, x: Tensor, state: MLSTMState) -> tuple[Tensor, MLSTMState]:
        """One step; x: (rows, input_size)."""
        q, k, v, o = split(x @ self.w + self.b, 4, axis=-1)
        k = k * self.hidden_size**-0.5
        i, f = split(x @ self.w_if + self.b_if, 2, axis=-1)
        before = state.m - softplus(-f)  # log f, and the exponent that the memory was divided by
        m = maximum(before, i)
        kept, new = exp(before - m), exp(i - m)
        c = expand_dims(kept, 2) * state.c + expand_dims(new * v, 2) * expand_dims(k, 1)
        n = kept * state.n + new * k
        read = (c * expand_dims(q, 1)).sum(axis=-1)
        match = (n * q).sum(axis=-1, keepdims=True)
        one = exp(clip(-m, -80, 80))  # 1 divided by exp(m) as well, within what floats can hold
        h = sigmoid(o) * read / maximum(absolute(match), one)
        return h, MLSTMState(c, n, m)
