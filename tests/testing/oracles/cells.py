"""One step of each cell for one row, and position-wise layers for one sequence."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from tinyseq_cells.gru import GRU, GRUState
from tinyseq_cells.lstm import LSTM, LSTMState
from tinyseq_cells.rnn import RNN, RNNState

from tinyseq import nn

Array = np.ndarray[Any, Any]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def linear(x: float) -> float:
    return x


ACTIVATIONS: dict[str, Callable[[float], float]] = {
    "tanh": math.tanh, "relu": lambda x: max(x, 0.0), "sigmoid": sigmoid, "linear": linear,
    "softplus": lambda x: math.log1p(math.exp(x)), "hard_sigmoid": lambda x: min(max(x / 6 + 0.5, 0), 1),
}  # fmt: skip


def option(cell: Any, name: str, default: str) -> str:
    """What a cell was made with; its attributes are its own business."""
    return str(cell._init_arguments[1].get(name, default))


def product(vector: Array, matrix: Any, column: int) -> float:
    """One entry of vector @ matrix, number by number."""
    return math.fsum(float(v) * float(row[column]) for v, row in zip(vector, matrix.numpy(), strict=True))


def rnn(cell: RNN, x: Array, state: RNNState) -> tuple[list[float], RNNState]:
    act = ACTIVATIONS[option(cell, "activation", "tanh")]
    h = [
        act(product(x, cell.w_x, j) + product(state.h, cell.w_h, j) + float(cell.b.numpy()[j]))
        for j in range(cell.output_size)
    ]
    return h, RNNState(np.array(h))


def gru(cell: GRU, x: Array, state: GRUState) -> tuple[list[float], GRUState]:
    n, h, b = cell.output_size, state.h, cell.b.numpy()
    r = [sigmoid(product(x, cell.w_x, j) + product(h, cell.w_h, j) + b[j]) for j in range(n)]
    z = [sigmoid(product(x, cell.w_x, n + j) + product(h, cell.w_h, n + j) + b[n + j]) for j in range(n)]
    new = []
    for j in range(n):
        if cell.reset == "before":
            recurrent = product(np.array([r[k] * h[k] for k in range(n)]), cell.w_h, 2 * n + j)
        else:
            recurrent = r[j] * (product(h, cell.w_h, 2 * n + j) + cell.b_h.numpy()[j])
        candidate = math.tanh(product(x, cell.w_x, 2 * n + j) + recurrent + b[2 * n + j])
        new.append((1 - z[j]) * h[j] + z[j] * candidate)
    return new, GRUState(np.array(new))


def lstm(cell: LSTM, x: Array, state: LSTMState) -> tuple[list[float], LSTMState]:
    n, b = cell.output_size, cell.b.numpy()
    gate = ACTIVATIONS[option(cell, "gate", "sigmoid")]
    candidate = ACTIVATIONS[option(cell, "candidate", "tanh")]
    shown = ACTIVATIONS[option(cell, "cell_output", "tanh")]
    hs, cs = [], []
    for j in range(n):
        i, f, g, o = (
            product(x, cell.w_x, k * n + j) + product(state.h, cell.w_h, k * n + j) + b[k * n + j]
            for k in range(4)
        )
        if cell.peepholes:
            i += cell.p_i.numpy()[j] * state.c[j]
            f += cell.p_f.numpy()[j] * state.c[j]
        c = gate(f) * state.c[j] + gate(i) * candidate(g)
        if cell.peepholes:
            o += cell.p_o.numpy()[j] * c
        cs.append(c)
        hs.append(gate(o) * shown(c))
    return hs, LSTMState(np.array(hs), np.array(cs))


def affine(layer: nn.Linear, xs: Array) -> list[list[float]]:
    bias = np.zeros(layer.output_size) if layer.bias is None else layer.bias.numpy()
    return [[product(x, layer.weight, j) + bias[j] for j in range(layer.output_size)] for x in xs]


def normal(layer: nn.LayerNorm, xs: Array) -> list[list[float]]:
    rows = []
    for x in xs.tolist():
        mean = math.fsum(x) / len(x)
        deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in x) / len(x) + layer.eps)
        weight, bias = layer.weight.numpy(), layer.bias.numpy()
        rows.append([(v - mean) / deviation * weight[j] + bias[j] for j, v in enumerate(x)])
    return rows
