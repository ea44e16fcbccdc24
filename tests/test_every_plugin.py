"""Every registered component keeps the laws of its kind: those of the conformance kit, with no false alarm.

What is registered must be described here; a test says what was forgotten.
"""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tinyseq_cells.bidirectional import Bidirectional
from tinyseq_cells.deep import Deep
from tinyseq_cells.gru import GRU, GRUState
from tinyseq_cells.lstm import LSTM, LSTMState
from tinyseq_cells.rnn import RNN, RNNState

from tinyseq import nn
from tinyseq.registry import registries
from tinyseq.scan import Recurrent
from tinyseq.sequences import Layout, Sequences
from tinyseq.testing import conformance
from tinyseq.testing.law import laws_of

Array = np.ndarray[Any, Any]
Lengths = tuple[int, ...]


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


def cross_entropy(loss: Any, predictions: Array, targets: Array) -> Any:
    costs, divisor = [], 0.0
    for row, y in zip(predictions.tolist(), targets.tolist(), strict=True):
        if y == loss.ignore_index:
            costs.append(0.0)
            continue
        nats = [math.log(math.fsum(math.exp(v - u) for v in row)) for u in row]
        weights = loss.class_weights or [1.0] * len(row)
        even = math.fsum(w * n for w, n in zip(weights, nats, strict=True)) / len(row)
        costs.append((1 - loss.label_smoothing) * weights[y] * nats[y] + loss.label_smoothing * even)
        divisor += weights[y]
    return {"none": costs, "sum": math.fsum(costs), "mean": math.fsum(costs) / max(divisor, 1e-300)}[
        loss.reduction
    ]


def binary(loss: Any, predictions: Array, targets: Array) -> Any:
    costs = [
        [
            -loss.positive_weight * y * math.log(sigmoid(x)) - (1 - y) * math.log(1 - sigmoid(x))
            for x, y in pairs
        ]
        for pairs in (zip(*rows, strict=True) for rows in zip(predictions, targets, strict=True))
    ]
    return {"none": costs, "sum": np.sum(costs), "mean": np.mean(costs)}[loss.reduction]


def cosine(a: Array, b: Array) -> float:
    return float(a @ b / math.sqrt(float(a @ a) * float(b @ b)))


def triplets(loss: Any, vectors: Array, labels: Array) -> float:
    """The hinge over every triplet, or the closest allowed one, or the mean: by trying all of them."""
    options = loss._init_arguments[1]
    miners = (
        [options.get("miner", "closest-negative")]
        if "Mean" not in type(loss).__name__
        else ["mean", "closest-negative"]
    )
    total, count = 0.0, 0
    for miner in miners:
        pairs = 0
        for a, anchor in enumerate(vectors):
            for p, positive in enumerate(vectors):
                if a == p or labels[a] != labels[p]:
                    continue
                pairs += 1
                s_p = cosine(anchor, positive)
                s_n = [cosine(anchor, other) for n, other in enumerate(vectors) if labels[n] != labels[a]]
                if miner == "closest-negative":
                    s_n = sorted(s for s in s_n if s <= s_p)[-1:]
                elif miner == "mean":
                    s_n = [math.fsum(s_n) / len(s_n)] if s_n else []
                total += math.fsum(max(s - s_p + 0.25, 0.0) for s in s_n)
                count += len(s_n)
        if len(miners) > 1:
            count = pairs
    return total / count if count else 0.0


def labelled(loss: Any, rng: np.random.Generator, lengths: Lengths) -> tuple[Array, Array]:
    rows = sum(lengths)
    return rng.normal(size=(rows, 3)), rng.integers(0, 2, rows)


def shares(loss: Any, rng: np.random.Generator, lengths: Lengths) -> tuple[Array, Array]:
    rows = sum(lengths)
    return rng.normal(size=(rows, 2)), rng.uniform(size=(rows, 2))


def pairs(loss: Any, rng: np.random.Generator, lengths: Lengths) -> tuple[tuple[Array, Array], Array]:
    rows = sum(lengths)
    return (rng.normal(size=(rows, 3)), rng.normal(size=(rows, 3))), rng.integers(0, 2, rows)


def contrastive(loss: Any, predictions: tuple[Array, Array], targets: Array) -> Any:
    costs = []
    for a, b, y in zip(*predictions, targets, strict=True):
        d = math.dist(a, b)
        costs.append(d * d / 2 if y else max(loss.margin - d, 0) ** 2 / 2)
    return {"none": costs, "mean": math.fsum(costs) / len(costs)}[loss.reduction]


def partners(loss: Any, rng: np.random.Generator, lengths: Lengths) -> tuple[Array, Array]:
    rows = sum(lengths)
    return rng.normal(size=(rows, 3)), rng.normal(size=(rows, 3))


def info_nce(loss: Any, anchors: Array, partners: Array) -> float:
    s = [[cosine(a, b) / loss.temperature for b in partners] for a in anchors]
    n = len(s)
    costs = [math.log(math.fsum(math.exp(v) for v in s[i])) - s[i][i] for i in range(n)]
    if loss.symmetric:
        turned = [math.log(math.fsum(math.exp(s[j][i]) for j in range(n))) - s[i][i] for i in range(n)]
        costs = [(a + b) / 2 for a, b in zip(costs, turned, strict=True)]
    return math.fsum(costs) / (n if loss.reduction == "mean" else 1)


def tagged(loss: Any, rng: np.random.Generator, lengths: Lengths) -> tuple[Sequences, Sequences]:
    layout, total = Layout(lengths), sum(lengths)
    return Sequences(rng.normal(size=(total, 3)), layout), Sequences(rng.integers(0, 3, total), layout)


def crf(loss: Any, emissions: list[Array], tags: list[Array]) -> Any:
    start, end, transitions = loss.start.numpy(), loss.end.numpy(), loss.transitions.numpy()

    def score(scores: Array, path: Any) -> float:
        steps = math.fsum(scores[t, y] for t, y in enumerate(path))
        return float(
            start[path[0]]
            + steps
            + sum(transitions[a, b] for a, b in itertools.pairwise(path))
            + end[path[-1]]
        )

    costs = [
        math.log(
            math.fsum(
                math.exp(score(scores, path)) for path in itertools.product(range(3), repeat=len(scores))
            )
        )
        - score(scores, ys)
        for scores, ys in zip(emissions, tags, strict=True)
    ]
    return {"none": costs, "sum": sum(costs), "mean": sum(costs) / sum(map(len, tags))}[loss.reduction]


def spoken(loss: Any, rng: np.random.Generator, lengths: Lengths) -> tuple[Sequences, Sequences]:
    """Labels for half of the steps, so that equal neighbours fit in as well."""
    scores = Sequences(rng.normal(size=(sum(lengths), 3)), Layout(lengths))
    return scores, Sequences.from_list([rng.integers(1, 3, (n + 1) // 2) for n in lengths])


def ctc(loss: Any, scores: list[Array], labels: list[Array]) -> Any:
    def reads(path: tuple[int, ...]) -> list[int]:
        return [label for label, _ in itertools.groupby(path) if label != loss.blank]

    costs = []
    for rows, wanted in zip(scores, labels, strict=True):
        p = [[math.exp(v) / math.fsum(math.exp(u) for u in row) for v in row] for row in rows.tolist()]
        paths = itertools.product(range(3), repeat=len(p))
        found = [path for path in paths if reads(path) == wanted.tolist()]
        costs.append(-math.log(math.fsum(math.prod(p[t][y] for t, y in enumerate(path)) for path in found)))
    return {"none": costs, "sum": sum(costs), "mean": sum(costs) / sum(map(len, labels))}[loss.reduction]


def ids(layer: Any, rng: np.random.Generator, rows: int) -> Array:
    return rng.integers(0, layer.num_embeddings, rows)


def scored(metric: Any, rng: np.random.Generator, rows: int) -> tuple[Array, Array]:
    return rng.normal(size=(rows, 4)), rng.integers(0, 4, rows)


def perplexity(metric: Any, batches: list[tuple[Array, Array]]) -> float:
    nats = [
        math.log(math.fsum(math.exp(v - row[y]) for v in row))
        for scores, ys in batches
        for row, y in zip(scores, ys, strict=True)
    ]
    return math.exp(math.fsum(nats) / len(nats))


def accuracy(metric: Any, batches: list[tuple[Array, Array]]) -> float:
    hits = [int(np.argmax(row)) == y for scores, ys in batches for row, y in zip(scores, ys, strict=True)]
    return sum(hits) / len(hits)


def token_ids(model: Any, rng: np.random.Generator, lengths: Lengths) -> tuple[Sequences, Sequences]:
    layout, total = Layout(lengths), sum(lengths)
    return Sequences(rng.integers(0, 6, total), layout), Sequences(rng.integers(0, 6, total), layout)


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


def head_for(vocabulary: int, **options: Any) -> Any:
    return registries["head"]["language-model"](3, vocabulary, **options)


def tied_model() -> nn.SequenceModel:
    embed = nn.Embedding(6, 3)
    return nn.SequenceModel(embed, Recurrent(LSTM(3, 3)), head_for(6, tied=embed))


SIZES: dict[str, Any] = {"input_size": 3, "hidden_size": 5}
ONE_UNIT: dict[str, Any] = {"input_size": 2, "hidden_size": 1}

# What each component is tried on: every offer of tinyseq's own entry points, by kind and name.
DESCRIBED: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("cell", "rnn"): [
        {"cases": [SIZES, {**ONE_UNIT, "activation": "relu", "recurrent_init": "identity"}], "reference": rnn}
    ],
    ("cell", "gru"): [{"cases": [SIZES, {**SIZES, "reset": "after"}, ONE_UNIT], "reference": gru}],
    ("cell", "lstm"): [
        {
            "cases": [
                SIZES,
                {**SIZES, "peepholes": True},
                {**ONE_UNIT, "gate": "hard_sigmoid", "candidate": "softplus", "cell_output": "linear"},
            ],
            "reference": lstm,
        }
    ],
    ("layer", "linear"): [
        {
            "cases": [
                {"input_size": 3, "output_size": 2},
                {"input_size": 1, "output_size": 2, "bias": False},
            ],
            "context": "position",
            "reference": affine,
        }
    ],
    ("layer", "embedding"): [
        {
            "cases": [{"num_embeddings": 6, "embedding_size": 2}],
            "inputs": ids,
            "context": "position",
            "reference": lambda layer, xs: layer.weight.numpy()[xs],
        }
    ],
    ("layer", "dropout"): [
        {"cases": [{"p": 0.5}], "inputs": 3, "context": "position", "reference": lambda layer, xs: xs}
    ],
    ("layer", "layer-norm"): [
        {"cases": [{"size": 4}], "inputs": 4, "context": "position", "reference": normal}
    ],
    ("layer", "sequential"): [
        {
            "cases": [lambda: nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.3), nn.LayerNorm(4))],
            "inputs": 3,
            "context": "position",
        },
        {
            "cases": [lambda: nn.Sequential(nn.Linear(3, 4), Recurrent(GRU(4, 2)))],
            "inputs": 3,
            "context": "past",
        },
    ],
    ("layer", "residual"): [
        {"cases": [lambda: nn.Residual(nn.Linear(3, 3))], "inputs": 3, "context": "position"},
        {"cases": [lambda: nn.Residual(Recurrent(RNN(3, 3)))], "inputs": 3, "context": "past"},
    ],
    ("layer", "recurrent"): [
        {"cases": [lambda: Recurrent(GRU(3, 2))]},
        {"cases": [lambda: Recurrent(LSTM(3, 2), reverse=True)], "context": "future"},
    ],
    ("layer", "bidirectional"): [
        {"cases": [lambda: Bidirectional(LSTM(3, 2), GRU(3, 2))], "context": "halves"},
        {"cases": [lambda: Bidirectional(Deep(RNN(3, 2)), Deep(RNN(3, 2)))], "context": "halves"},
    ],
    ("layer", "deep"): [
        {"cases": [lambda: Deep(GRU(3, 4), nn.Linear(4, 4), LSTM(4, 4), residual=True)]},
        {"cases": [lambda: Deep(Bidirectional(RNN(3, 2), RNN(3, 2)), GRU(4, 3))], "context": "both"},
    ],
    ("loss", "cross-entropy"): [
        {
            "cases": [
                {},
                {"reduction": "none"},
                {"reduction": "sum", "label_smoothing": 0.1, "class_weights": (0.5, 1.0, 2.0, 1.5)},
                {"ignore_index": -100, "class_weights": (0.5, 1.0, 2.0, 1.5)},
                {"ignore_index": 0, "label_smoothing": 0.2},
            ],
            "reference": cross_entropy,
            "ignored": lambda loss: loss.ignore_index,
        }
    ],
    ("loss", "binary-cross-entropy"): [
        {
            "cases": [{}, {"reduction": "none"}, {"positive_weight": 3.0, "reduction": "sum"}],
            "inputs": shares,
            "reference": binary,
        }
    ],
    ("loss", "ctc"): [
        {"cases": [{}, {"reduction": "none"}, {"reduction": "sum"}], "inputs": spoken, "reference": ctc}
    ],
    ("loss", "crf"): [
        {"cases": [(3,), {"tags": 3, "reduction": "none"}], "inputs": tagged, "reference": crf}
    ],
    ("loss", "contrastive"): [
        {"cases": [{}, {"margin": 3.0, "reduction": "none"}], "inputs": pairs, "reference": contrastive}
    ],
    ("loss", "info-nce"): [
        {
            "cases": [{"temperature": 0.5}, {"temperature": 0.5, "symmetric": True, "reduction": "sum"}],
            "inputs": partners,
            "mines": True,
            "reference": info_nce,
            "skip": {"M1": "its targets are partners, not labels: every row is its own"},
        }
    ],
    ("loss", "triplet"): [
        {
            "cases": [{"miner": "all"}, {"miner": "closest-negative"}],
            "inputs": labelled,
            "mines": True,
            "reference": triplets,
        }
    ],
    ("loss", "mean-closest-triplet"): [
        {"cases": [{}], "inputs": labelled, "mines": True, "reference": triplets}
    ],
    ("head", "language-model"): [
        {"cases": [{"input_size": 3, "vocabulary_size": 5}], "inputs": 5},
        {"cases": [lambda: head_for(6, tied=nn.Embedding(6, 3))], "inputs": 6},
    ],
    ("model", "sequence-model"): [
        {
            "cases": [
                lambda: nn.SequenceModel(nn.Embedding(6, 3), Recurrent(GRU(3, 4)), nn_head(4)),
                tied_model,
            ],
            "inputs": token_ids,
        }
    ],
    ("metric", "perplexity"): [{"cases": [{}, {"unit": "word"}], "inputs": scored, "reference": perplexity}],
    ("metric", "accuracy"): [{"cases": [{}], "inputs": scored, "reference": accuracy}],
    **{
        ("optimizer", name): [{"cases": [{"lr": 0.02}]}]
        for name in ("adagrad", "adam", "adamw", "rmsprop", "sgd")
    },
    **{
        ("initializer", name): [{"cases": [{}]}]
        for name in ("glorot_uniform", "identity", "normal", "ones", "orthogonal", "uniform", "zeros")
    },
}


def nn_head(width: int) -> Any:
    return registries["head"]["language-model"](width, 6)


def ours(kind: str) -> list[str]:
    return [r.name for r in registries[kind].records() if r.distribution.startswith("tinyseq ")]


for (kind, name), declarations in DESCRIBED.items():
    for number, declared in enumerate(declarations):
        component = registries[kind][name]
        globals()[f"test_{kind}_{name}_{number}"] = conformance(component, kind=kind, **declared)


@pytest.mark.parametrize(
    "kind", ["cell", "layer", "loss", "head", "model", "metric", "optimizer", "initializer"]
)
def test_every_registered_component_is_described_here(kind: str) -> None:
    assert sorted(ours(kind)) == sorted(name for k, name in DESCRIBED if k == kind)


@pytest.mark.parametrize("kind", ["cell", "layer", "loss", "head", "model", "metric"])
def test_every_law_of_every_kind_is_tried_on_some_component(kind: str) -> None:
    from tinyseq.testing.subject import Declared, Subject

    tried = set()
    for (k, name), declarations in DESCRIBED.items():
        for declared in declarations if k == kind else ():
            options = {key: value for key, value in declared.items() if key != "cases"}
            subject = Subject(registries[kind][name], declared["cases"][0], Declared(kind, **options))
            tried |= {law.id for law in laws_of(kind) if not law.exempt(subject)}
    assert tried >= {law.id for law in laws_of(kind)}
