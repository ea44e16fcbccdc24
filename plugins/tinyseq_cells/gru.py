"""The gated recurrent unit, with the reset gate at either place."""

from typing import Literal, NamedTuple

import numpy as np

from tinyseq import Cell, Tensor
from tinyseq.errors import ConfigError
from tinyseq.nn import Parameter, init
from tinyseq.ops import sigmoid, split, tanh
from tinyseq_cells.gates import check_sizes, weights


class GRUState(NamedTuple):
    """h: the last output, (batch, hidden_size)."""

    h: Tensor


class GRU(Cell):
    """A state that two gates, reset r and update z, rewrite by parts; the output is the new state h'.

        r = sigmoid(x w_x[r] + h w_h[r] + b[r])
        z = sigmoid(x w_x[z] + h w_h[z] + b[z])
        n = tanh(x w_x[n] + (r * h) w_h[n] + b[n])             reset="before" the recurrent product
        n = tanh(x w_x[n] + r * (h w_h[n] + b_h) + b[n])       reset="after" it
        h' = (1 - z) * h + z * n

    The reset (relevance) gate at 0 leaves the previous state out of the candidate n, at 1 lets all of it in.
    The update gate at 0 keeps the previous state, at 1 takes the candidate. (PyTorch's z is 1 - z here.)

    w_x: (input_size, 3 * hidden_size), w_h: (hidden_size, 3 * hidden_size), b: (3 * hidden_size,), gates in
    the order r, z, n; with reset="after" also b_h: (hidden_size,).
    Sources: "before": Cho et al. (2014), equations 5 to 8, but z as in Chung et al. (2014), section 3.2;
    "after": the form of cuDNN and PyTorch, with one recurrent product instead of two.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        reset: Literal["before", "after"] = "before",
        input_init: str | init.Initializer = "glorot_uniform",
        recurrent_init: str | init.Initializer = "orthogonal",
    ) -> None:
        check_sizes("GRU", input_size, hidden_size)
        if reset not in ("before", "after"):
            raise ConfigError(
                f"GRU(reset={reset!r}): the reset gate acts 'before' the recurrent product or 'after' it."
            )
        self.input_size = input_size
        self.hidden_size = self.output_size = hidden_size
        self.reset = reset
        self.w_x = weights(input_init, input_size, hidden_size, 3)
        self.w_h = weights(recurrent_init, hidden_size, hidden_size, 3)
        self.b = Parameter(np.zeros(3 * hidden_size))
        if reset == "after":
            self.b_h = Parameter(np.zeros(hidden_size))

    def initial_state(self, batch_size: int) -> GRUState:
        """Nothing seen yet: zeros."""
        return GRUState(self.zeros(batch_size, self.hidden_size))

    def step(self, x: Tensor, state: GRUState) -> tuple[Tensor, GRUState]:
        """One step; x: (rows, input_size)."""
        h, size = state.h, self.hidden_size
        x_r, x_z, x_n = split(x @ self.w_x + self.b, 3, axis=-1)
        if self.reset == "after":
            h_r, h_z, h_n = split(h @ self.w_h, 3, axis=-1)
            r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
            n = tanh(x_n + r * (h_n + self.b_h))
        else:
            w_rz, w_n = split(self.w_h, [2 * size], axis=-1)
            h_r, h_z = split(h @ w_rz, 2, axis=-1)
            r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
            n = tanh(x_n + (r * h) @ w_n)
        h = (1 - z) * h + z * n
        return h, GRUState(h)
