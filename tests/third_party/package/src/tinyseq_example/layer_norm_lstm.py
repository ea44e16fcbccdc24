"""An LSTM whose sums are normalised."""

from typing import NamedTuple

import numpy as np

from tinyseq import Cell, Tensor
from tinyseq.nn import Parameter, init
from tinyseq.ops import layer_norm, sigmoid, split, tanh


class LayerNormLSTMState(NamedTuple):
    """h: the last output, c: the memory; both (batch, hidden_size)."""

    h: Tensor
    c: Tensor


class LayerNormLSTM(Cell):
    """Layer normalisation of the input's part, of the recurrent part, and of the memory that is shown.

        i, f, g, o = LN(x w_x; gain_x, b_x) + LN(h w_h; gain_h, b_h), in four blocks
        c' = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h' = sigmoid(o) * tanh(LN(c'; gain_c, b_c))

    Each normalisation is over all features of a row. Source: Ba, Kiros and Hinton (2016), equations 20 to 22.
    """

    api = 1
    version = 1

    def __init__(self, input_size: int, hidden_size: int, *, forget_bias: float = 1.0) -> None:
        self.input_size = input_size
        self.hidden_size = self.output_size = hidden_size
        gates = 4 * hidden_size
        self.w_x = Parameter(init.glorot_uniform((input_size, gates)))
        self.w_h = Parameter(init.glorot_uniform((hidden_size, gates)))
        self.gain_x, self.gain_h = Parameter(init.ones((gates,))), Parameter(init.ones((gates,)))
        self.b_x = Parameter(np.repeat([0.0, forget_bias, 0.0, 0.0], hidden_size))
        self.b_h = Parameter(init.zeros((gates,)))
        self.gain_c, self.b_c = Parameter(init.ones((hidden_size,))), Parameter(init.zeros((hidden_size,)))

    def initial_state(self, batch_size: int) -> LayerNormLSTMState:
        """An empty memory: zeros."""
        h, c = (self.zeros(batch_size, self.hidden_size) for _ in range(2))
        return LayerNormLSTMState(h, c)

    def step(self, x: Tensor, state: LayerNormLSTMState) -> tuple[Tensor, LayerNormLSTMState]:
        """One step; x: (rows, input_size)."""
        from_x = layer_norm(x @ self.w_x, self.gain_x, self.b_x)
        from_h = layer_norm(state.h @ self.w_h, self.gain_h, self.b_h)
        i, f, g, o = split(from_x + from_h, 4, axis=-1)
        c = sigmoid(f) * state.c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(layer_norm(c, self.gain_c, self.b_c))
        return h, LayerNormLSTMState(h, c)
