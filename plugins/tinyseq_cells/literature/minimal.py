"""Gates that see the input alone, so that all of them are known before the sequence is walked."""

from typing import NamedTuple

import numpy as np

from tinyseq import Cell, Tensor
from tinyseq.nn import Parameter, init
from tinyseq.ops import sigmoid, softplus, split, tanh
from tinyseq_cells.gates import check_sizes, weights


class HiddenState(NamedTuple):
    """h: the last output, (batch, hidden_size)."""

    h: Tensor


class MinGRU(Cell):
    """A GRU without reset gate, whose update gate z and candidate n depend on the input alone.

        z = sigmoid(x w[z] + b[z])
        n = x w[n] + b[n]
        h' = (1 - z) * h + z * n

    w: (input_size, 2 * hidden_size), b: (2 * hidden_size,), in the order z, n.
    Source: Feng et al. (2024), "Were RNNs all we needed?", section 3.1.
    """

    def __init__(
        self, input_size: int, hidden_size: int, *, input_init: str | init.Initializer = "glorot_uniform"
    ) -> None:
        check_sizes("MinGRU", input_size, hidden_size)
        self.input_size = input_size
        self.hidden_size = self.output_size = hidden_size
        self.w = weights(input_init, input_size, hidden_size, 2)
        self.b = Parameter(np.zeros(2 * hidden_size))

    def initial_state(self, batch_size: int) -> HiddenState:
        """Nothing seen yet: zeros."""
        return HiddenState(self.zeros(batch_size, self.hidden_size))

    def step(self, x: Tensor, state: HiddenState) -> tuple[Tensor, HiddenState]:
        """One step; x: (rows, input_size)."""
        z, n = split(x @ self.w + self.b, 2, axis=-1)
        z = sigmoid(z)
        h = (1 - z) * state.h + z * n
        return h, HiddenState(h)


class MinLSTM(Cell):
    """An LSTM whose gates depend on the input alone, with forget and input gate scaled to sum to 1.

        f, i = sigmoid(x w[f] + b[f]), sigmoid(x w[i] + b[i])
        n = x w[n] + b[n]
        h' = (f * h + i * n) / (f + i)

    w: (input_size, 3 * hidden_size), b: (3 * hidden_size,), in the order f, i, n.
    Source: Feng et al. (2024), "Were RNNs all we needed?", section 3.2.
    """

    def __init__(
        self, input_size: int, hidden_size: int, *, input_init: str | init.Initializer = "glorot_uniform"
    ) -> None:
        check_sizes("MinLSTM", input_size, hidden_size)
        self.input_size = input_size
        self.hidden_size = self.output_size = hidden_size
        self.w = weights(input_init, input_size, hidden_size, 3)
        self.b = Parameter(np.zeros(3 * hidden_size))

    def initial_state(self, batch_size: int) -> HiddenState:
        """Nothing seen yet: zeros."""
        return HiddenState(self.zeros(batch_size, self.hidden_size))

    def step(self, x: Tensor, state: HiddenState) -> tuple[Tensor, HiddenState]:
        """One step; x: (rows, input_size)."""
        f, i, n = split(x @ self.w + self.b, 3, axis=-1)
        kept = sigmoid(
            softplus(-i) - softplus(-f)
        )  # f / (f + i), also where both gates are too small for floats
        h = kept * state.h + (1 - kept) * n
        return h, HiddenState(h)


class MinimalRNN(Cell):
    """A state that moves towards the encoded input z by as much as one gate u says.

        z = tanh(x w_x + b_z)
        u = sigmoid(h w_h + z w_z + b_u)
        h' = u * h + (1 - u) * z

    w_x: (input_size, hidden_size); w_h, w_z: (hidden_size, hidden_size); b_z, b_u: (hidden_size,).
    Source: Chen (2017), "MinimalRNN", section 3.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        input_init: str | init.Initializer = "glorot_uniform",
        recurrent_init: str | init.Initializer = "orthogonal",
    ) -> None:
        check_sizes("MinimalRNN", input_size, hidden_size)
        self.input_size = input_size
        self.hidden_size = self.output_size = hidden_size
        self.w_x = weights(input_init, input_size, hidden_size, 1)
        self.w_h, self.w_z = (weights(recurrent_init, hidden_size, hidden_size, 1) for _ in range(2))
        self.b_z, self.b_u = (Parameter(np.zeros(hidden_size)) for _ in range(2))

    def initial_state(self, batch_size: int) -> HiddenState:
        """Nothing seen yet: zeros."""
        return HiddenState(self.zeros(batch_size, self.hidden_size))

    def step(self, x: Tensor, state: HiddenState) -> tuple[Tensor, HiddenState]:
        """One step; x: (rows, input_size)."""
        h = state.h
        z = tanh(x @ self.w_x + self.b_z)
        u = sigmoid(h @ self.w_h + z @ self.w_z + self.b_u)
        h = u * h + (1 - u) * z
        return h, HiddenState(h)
