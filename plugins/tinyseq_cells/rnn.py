"""The simple recurrent network."""

from typing import NamedTuple

import numpy as np

from tinyseq import Cell, Tensor
from tinyseq.nn import Parameter, init
from tinyseq_cells.gates import activation as activation_named
from tinyseq_cells.gates import check_sizes, weights


class RNNState(NamedTuple):
    """h: the last output, (batch, hidden_size)."""

    h: Tensor


class RNN(Cell):
    """h' = activation(x w_x + h w_h + b); the output is h'.

    w_x: (input_size, hidden_size), w_h: (hidden_size, hidden_size), b: (hidden_size,).
    With activation="relu" and recurrent_init="identity" it is the IRNN, which starts by keeping what it sees.
    Sources: Elman (1990); IRNN: Le, Jaitly and Hinton (2015).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        activation: str = "tanh",
        input_init: str | init.Initializer = "glorot_uniform",
        recurrent_init: str | init.Initializer = "orthogonal",
    ) -> None:
        check_sizes("RNN", input_size, hidden_size)
        self.input_size = input_size
        self.hidden_size = self.output_size = hidden_size
        self.activation = activation_named(activation)
        self.w_x = weights(input_init, input_size, hidden_size, 1)
        self.w_h = weights(recurrent_init, hidden_size, hidden_size, 1)
        self.b = Parameter(np.zeros(hidden_size))

    def initial_state(self, batch_size: int) -> RNNState:
        """Nothing seen yet: zeros."""
        return RNNState(self.zeros(batch_size, self.hidden_size))

    def step(self, x: Tensor, state: RNNState) -> tuple[Tensor, RNNState]:
        """One step; x: (rows, input_size)."""
        h = self.activation(x @ self.w_x + state.h @ self.w_h + self.b)
        return h, RNNState(h)
