"""Ordered neurons: a memory in which what lasts longest stands on one side."""

from typing import NamedTuple

import numpy as np

from tinyseq import Cell, Tensor
from tinyseq.errors import ConfigError
from tinyseq.nn import Parameter, init
from tinyseq.ops import cumsum, repeat, sigmoid, softmax, split, tanh
from tinyseq_cells.gates import check_sizes, weights


class ONLSTMState(NamedTuple):
    """h: the last output, c: the memory; both (batch, hidden_size)."""

    h: Tensor
    c: Tensor


class ONLSTM(Cell):
    """An LSTM whose neurons are ordered by how long they keep what they hold.

        i, f, g, o = x w_x + h w_h + b, in four blocks; master_f, master_i = x w_x + h w_h + b, in two more
        forget = cumsum(softmax(master_f)), write = 1 - cumsum(softmax(master_i)), both
        both = forget * write
        c' = (sigmoid(f) * both + forget - both) * c + (sigmoid(i) * both + write - both) * tanh(g)
        h' = sigmoid(o) * tanh(c')

    The master gates rise and fall along the neurons: above where `forget` rises everything is kept, below
    where `write` falls everything is written anew. Each of them serves `chunk` neurons.

    w_x: (input_size, 4 * hidden_size + 2 * hidden_size / chunk), w_h and b alike, gates in the order i, f, g,
    o, master_f, master_i. Source: Shen et al. (2019), "Ordered neurons", equations 9 to 14.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        chunk: int = 1,
        input_init: str | init.Initializer = "glorot_uniform",
        recurrent_init: str | init.Initializer = "orthogonal",
    ) -> None:
        check_sizes("ONLSTM", input_size, hidden_size)
        if chunk < 1 or hidden_size % chunk or hidden_size // chunk < 2:
            raise ConfigError(
                f"ONLSTM(chunk={chunk}): it must divide the hidden size, {hidden_size}, into 2 or more, as "
                "one alone has no order."
            )
        self.input_size, self.chunk = input_size, chunk
        self.hidden_size = self.output_size = hidden_size
        masters = hidden_size // chunk

        def drawn(how: str | init.Initializer, inputs: int) -> Parameter:
            parts = weights(how, inputs, hidden_size, 4), weights(how, inputs, masters, 2)
            return Parameter(np.concatenate([part.numpy() for part in parts], axis=1))

        self.w_x = drawn(input_init, input_size)
        self.w_h = drawn(recurrent_init, hidden_size)
        self.b = Parameter(np.zeros(4 * hidden_size + 2 * masters))

    def initial_state(self, batch_size: int) -> ONLSTMState:
        """An empty memory: zeros."""
        zeros = self.zeros(batch_size, self.hidden_size)
        return ONLSTMState(zeros, zeros)

    def step(self, x: Tensor, state: ONLSTMState) -> tuple[Tensor, ONLSTMState]:
        """One step; x: (rows, input_size)."""
        n, m = self.hidden_size, self.hidden_size // self.chunk
        z = x @ self.w_x + state.h @ self.w_h + self.b
        i, f, g, o, master_f, master_i = split(z, [n, 2 * n, 3 * n, 4 * n, 4 * n + m], axis=-1)
        forget = cumsum(softmax(master_f), axis=-1)
        write = 1 - cumsum(softmax(master_i), axis=-1)
        if self.chunk > 1:
            forget, write = repeat(forget, self.chunk, axis=-1), repeat(write, self.chunk, axis=-1)
        both = forget * write
        keep = sigmoid(f) * both + (forget - both)
        take = sigmoid(i) * both + (write - both)
        c = keep * state.c + take * tanh(g)
        h = sigmoid(o) * tanh(c)
        return h, ONLSTMState(h, c)
