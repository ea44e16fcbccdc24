"""Long short-term memory."""

from typing import NamedTuple

import numpy as np

from tinyseq import Cell, Tensor
from tinyseq.nn import Parameter, init
from tinyseq.ops import split
from tinyseq_cells.gates import activation, check_sizes, weights


class LSTMState(NamedTuple):
    """h: the last output, c: the memory; both (batch, hidden_size)."""

    h: Tensor
    c: Tensor


class LSTM(Cell):
    """A memory c that gates write, keep and read; the output is h'.

        i, f, g, o = x w_x + h w_h + b, in four blocks
        c' = gate(f) * c + gate(i) * candidate(g)
        h' = gate(o) * cell_output(c')

    The forget gate at 0 forgets all, at 1 keeps the memory. The input gate at 0 adds nothing, at 1 the whole
    candidate. The output gate at 0 shows nothing, at 1 the whole memory. `forget_bias`, on the forget gate
    only, lets a fresh network remember (Jozefowicz et al., 2015). Peepholes let the gates see the memory:
    p_i * c is added to i, p_f * c to f, p_o * c' to o.

    w_x: (input_size, 4 * hidden_size), w_h: (hidden_size, 4 * hidden_size), b: (4 * hidden_size,), gates in
    the order i, f, g, o; p_i, p_f, p_o: (hidden_size,), 0 at the start. Activations go by name;
    cell_output="linear" reads the memory as it is.
    Sources: Hochreiter and Schmidhuber (1997); forget gate: Gers et al. (2000); all of it, with peepholes:
    Graves (2013), equations 7 to 11.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        forget_bias: float = 1.0,
        peepholes: bool = False,
        gate: str = "sigmoid",
        candidate: str = "tanh",
        cell_output: str = "tanh",
        input_init: str | init.Initializer = "glorot_uniform",
        recurrent_init: str | init.Initializer = "orthogonal",
    ) -> None:
        check_sizes("LSTM", input_size, hidden_size)
        self.input_size = input_size
        self.hidden_size = self.output_size = hidden_size
        self.peepholes = peepholes
        self.gate, self.candidate, self.cell_output = map(activation, (gate, candidate, cell_output))
        self.w_x = weights(input_init, input_size, hidden_size, 4)
        self.w_h = weights(recurrent_init, hidden_size, hidden_size, 4)
        self.b = Parameter(np.repeat([0.0, forget_bias, 0.0, 0.0], hidden_size))
        if peepholes:
            self.p_i, self.p_f, self.p_o = (Parameter(np.zeros(hidden_size)) for _ in range(3))

    def initial_state(self, batch_size: int) -> LSTMState:
        """An empty memory: zeros."""
        return LSTMState(self.zeros(batch_size, self.hidden_size), self.zeros(batch_size, self.hidden_size))

    def step(self, x: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        """One step; x: (rows, input_size)."""
        c = state.c
        i, f, g, o = split(x @ self.w_x + state.h @ self.w_h + self.b, 4, axis=-1)
        if self.peepholes:
            i, f = i + self.p_i * c, f + self.p_f * c
        i, f, g = self.gate(i), self.gate(f), self.candidate(g)
        c = f * c + i * g
        if self.peepholes:
            o = o + self.p_o * c
        o = self.gate(o)
        h = o * self.cell_output(c)
        return h, LSTMState(h, c)
