"""The components that were added to the skeleton keep the laws of their kinds."""

import math

import numpy as np
from tinyseq_example.focal import FocalLoss
from tinyseq_example.layer_norm_lstm import LayerNormLSTM, LayerNormLSTMState
from tinyseq_example.mixture import MixtureOfSoftmaxes

from tinyseq.testing import conformance


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def normalised(x, gain, bias):
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5) * gain.numpy() + bias.numpy()


def lstm(cell, x, state):
    gates = normalised(x @ cell.w_x.numpy(), cell.gain_x, cell.b_x)
    gates = gates + normalised(state.h @ cell.w_h.numpy(), cell.gain_h, cell.b_h)
    i, f, g, o = np.split(gates, 4)
    c = sigmoid(f) * state.c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(normalised(c, cell.gain_c, cell.b_c))
    return h, LayerNormLSTMState(h, c)


def focal(loss, predictions, targets):
    costs = []
    for row, y in zip(predictions.tolist(), targets.tolist(), strict=True):
        p = math.exp(row[y]) / math.fsum(map(math.exp, row))
        costs.append(-((1 - p) ** loss.gamma) * math.log(p))
    return {"none": costs, "sum": math.fsum(costs), "mean": math.fsum(costs) / len(costs)}[loss.reduction]


test_layer_norm_lstm = conformance(
    LayerNormLSTM, cases=[{"input_size": 3, "hidden_size": 4, "forget_bias": 0.5}], reference=lstm
)
test_focal = conformance(
    FocalLoss, cases=[{}, {"gamma": 1.5, "reduction": "none"}], inputs=4, reference=focal
)
test_mixture = conformance(
    MixtureOfSoftmaxes,
    cases=[lambda: MixtureOfSoftmaxes(3, 5, softmaxes=2, loss=FocalLoss(gamma=1.0))],
    inputs=5,
)
