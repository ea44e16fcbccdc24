"""What each component is tried on: every offer of tinyseq's own entry points, by kind and name."""

from typing import Any

import numpy as np
from tinyseq_cells.bidirectional import Bidirectional
from tinyseq_cells.deep import Deep
from tinyseq_cells.gru import GRU
from tinyseq_cells.lstm import LSTM
from tinyseq_cells.rnn import RNN
from tinyseq_cells.wrappers import LearnedStart, RecurrentDropout, WeightDrop, Zoneout
from tinyseq_heads.penalty import ActivationPenalty

from oracles import cells, losses, metrics
from oracles.batches import (
    classified,
    described,
    head_for,
    heard,
    ids,
    labelled,
    nn_head,
    number,
    numbers,
    paired,
    spelled,
    tied_model,
    token_ids,
    translated,
    writing,
)
from tinyseq import nn
from tinyseq.registry import registries
from tinyseq.scan import Recurrent

NAMES = ("O", "B-X", "I-X", "B-Y", "I-Y")
SIZES: dict[str, Any] = {"input_size": 3, "hidden_size": 5}
ONE_UNIT: dict[str, Any] = {"input_size": 2, "hidden_size": 1}


def some_ids(layer: Any, rng: np.random.Generator, rows: int) -> np.ndarray:
    return rng.integers(0, 6, rows)


# What each component is tried on: every offer of tinyseq's own entry points, by kind and name.
DESCRIBED: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("cell", "rnn"): [
        {
            "cases": [SIZES, {**ONE_UNIT, "activation": "relu", "recurrent_init": "identity"}],
            "reference": cells.rnn,
        }
    ],
    ("cell", "gru"): [{"cases": [SIZES, {**SIZES, "reset": "after"}, ONE_UNIT], "reference": cells.gru}],
    ("cell", "lstm"): [
        {
            "cases": [
                SIZES,
                {**SIZES, "peepholes": True},
                {**ONE_UNIT, "gate": "hard_sigmoid", "candidate": "softplus", "cell_output": "linear"},
            ],
            "reference": cells.lstm,
        }
    ],
    **{  # their papers' equations are the reference in tests/cells/test_literature.py
        ("cell", name): [{"cases": [SIZES, ONE_UNIT]}]
        for name in ("lru", "m-lstm", "min-gru", "min-lstm", "minimal-rnn", "qrnn", "s-lstm", "sru")
    },
    ("cell", "on-lstm"): [
        {
            "cases": [
                SIZES,
                {"input_size": 3, "hidden_size": 4, "chunk": 2},
                {"input_size": 1, "hidden_size": 2},
            ]
        }
    ],
    ("cell", "ind-rnn"): [{"cases": [{**SIZES, "activation": "tanh"}, ONE_UNIT]}],
    ("wrapper", "weight-drop"): [
        {"cases": [lambda: WeightDrop(LSTM(3, 4), p=0.4), lambda: WeightDrop(GRU(2, 3), ["w_x", "w_h"])]}
    ],
    ("wrapper", "learned-start"): [{"cases": [lambda: LearnedStart(LSTM(3, 4))]}],
    ("wrapper", "zoneout"): [
        {
            "cases": [
                lambda: Zoneout(RNN(3, 4), 0.4),
                lambda: Zoneout(LSTM(3, 4), {"h": 0.05, "c": 0.5}),
                lambda: Zoneout(WeightDrop(LSTM(2, 3))),
            ]
        }
    ],
    ("wrapper", "recurrent-dropout"): [
        {"cases": [lambda: RecurrentDropout(LSTM(3, 4)), lambda: RecurrentDropout(RNN(2, 3), 0.5)]}
    ],
    ("layer", "variational-dropout"): [
        {"cases": [{"p": 0.5}], "inputs": 3, "context": "position", "reference": lambda layer, xs: xs}
    ],
    ("layer", "highway"): [
        {"cases": [{"size": 3}], "inputs": 3, "context": "position"},
        {"cases": [lambda: nn.Highway(3, Recurrent(GRU(3, 3)))], "inputs": 3, "context": "past"},
    ],
    ("layer", "concatenate"): [
        {
            "cases": [lambda: nn.Concatenate(nn.Sequential(), Recurrent(GRU(3, 2)))],
            "inputs": 3,
            "context": "past",
        }
    ],
    ("layer", "convolution"): [
        {"cases": [{"input_size": 3, "output_size": 2}, (2, 3, 4)], "context": "both"},
        {"cases": [{"input_size": 3, "output_size": 2, "causal": True}], "context": "past"},
    ],
    ("layer", "multi-head-attention"): [
        {"cases": [{"size": 4, "heads": 2}], "context": "both"},
        {"cases": [{"size": 4, "heads": 2, "causal": True}], "context": "past"},
    ],
    ("layer", "word-dropout"): [{"cases": [{"p": 0.5}], "inputs": some_ids, "context": "position"}],
    ("layer", "embedding-dropout"): [
        {
            "cases": [lambda: nn.EmbeddingDropout(nn.Embedding(6, 2), 0.3)],
            "inputs": ids,
            "context": "position",
            "reference": lambda layer, xs: layer.weight.numpy()[xs],
        }
    ],
    ("layer", "linear"): [
        {
            "cases": [
                {"input_size": 3, "output_size": 2},
                {"input_size": 1, "output_size": 2, "bias": False},
            ],
            "context": "position",
            "reference": cells.affine,
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
    ("layer", "token-features"): [
        {
            "cases": [
                lambda: nn.TokenFeatures(nn.Embedding(6, 2), nn.Embedding(4, 1), nn.Embedding(5, 2)),
                lambda: nn.TokenFeatures(
                    nn.Embedding(6, 2),
                    nn.Embedding(4, 1),
                    nn.Embedding(5, 2),
                    Recurrent(GRU(2, 3)),
                    pooling="last",
                ),
                lambda: nn.TokenFeatures(
                    nn.Embedding(6, 2),
                    nn.Embedding(4, 1),
                    nn.Embedding(5, 2),
                    Bidirectional(LSTM(2, 3), LSTM(2, 3)),
                    pooling="ends",
                ),
                lambda: nn.TokenFeatures(
                    nn.Embedding(6, 2), nn.Embedding(4, 1), nn.Embedding(5, 2), nn.Convolution(2, 3)
                ),
            ],
            "inputs": spelled,
            "context": "position",
        }
    ],
    ("layer", "dropout"): [
        {"cases": [{"p": 0.5}], "inputs": 3, "context": "position", "reference": lambda layer, xs: xs}
    ],
    ("layer", "layer-norm"): [
        {"cases": [{"size": 4}], "inputs": 4, "context": "position", "reference": cells.normal}
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
            "reference": losses.cross_entropy,
            "ignored": lambda loss: loss.ignore_index,
        }
    ],
    ("loss", "binary-cross-entropy"): [
        {
            "cases": [{}, {"reduction": "none"}, {"positive_weight": 3.0, "reduction": "sum"}],
            "inputs": losses.shares,
            "reference": losses.binary,
        }
    ],
    ("loss", "ctc"): [
        {
            "cases": [{}, {"reduction": "none"}, {"reduction": "sum"}],
            "inputs": losses.spoken,
            "reference": losses.ctc,
        }
    ],
    ("loss", "crf"): [
        {"cases": [(3,), {"tags": 3, "reduction": "none"}], "inputs": losses.tagged, "reference": losses.crf}
    ],
    ("loss", "contrastive"): [
        {
            "cases": [{}, {"margin": 3.0, "reduction": "none"}],
            "inputs": losses.pairs,
            "reference": losses.contrastive,
        }
    ],
    ("loss", "info-nce"): [
        {
            "cases": [{"temperature": 0.5}, {"temperature": 0.5, "symmetric": True, "reduction": "sum"}],
            "inputs": losses.partners,
            "mines": True,
            "reference": losses.info_nce,
            "skip": {"M1": "its targets are partners, not labels: every row is its own"},
        }
    ],
    ("loss", "squared-error"): [
        {
            "cases": [{}, {"reduction": "sum"}],
            "inputs": losses.measured,
            "reference": lambda loss, x, y: {"mean": np.mean, "sum": np.sum}[loss.reduction]((x - y) ** 2),
        }
    ],
    ("loss", "triplet"): [
        {
            "cases": [{"miner": "all"}, {"miner": "closest-negative"}],
            "inputs": losses.labelled,
            "mines": True,
            "reference": losses.triplets,
        }
    ],
    ("loss", "mean-closest-triplet"): [
        {"cases": [{}], "inputs": losses.labelled, "mines": True, "reference": losses.triplets}
    ],
    ("head", "language-model"): [
        {"cases": [{"input_size": 3, "vocabulary_size": 5}], "inputs": 5},
        {"cases": [lambda: head_for(6, tied=nn.Embedding(6, 3))], "inputs": 6},
    ],
    ("head", "classifier"): [
        {
            "cases": [
                {"input_size": 3, "classes": 4},
                *({"input_size": 3, "classes": 4, "pooling": how} for how in ("mean", "max", "attention")),
            ],
            "inputs": classified,
        }
    ],
    ("head", "regressor"): [
        {"cases": [(3, 2)], "inputs": numbers},
        {"cases": [{"input_size": 3, "outputs": 2, "pooling": "mean", "init": "normal"}], "inputs": number},
    ],
    ("head", "tagger"): [
        {
            "cases": [{"input_size": 3, "tags": 5, "names": NAMES, "scheme": "IOB2"}],
            "inputs": 5,
        },
        {
            "cases": [lambda: registries["head"]["tagger"](3, 4, loss=registries["loss"]["crf"](4))],
            "inputs": 4,
        },
    ],
    ("head", "ctc"): [{"cases": [{"input_size": 3, "classes": 3}], "inputs": heard}],
    ("head", "activation-penalty"): [
        {"cases": [lambda: ActivationPenalty(head_for(5), dropout=0.3)], "inputs": 5},
    ],
    ("head", "multi-label"): [{"cases": [{"input_size": 3, "labels": 4}], "inputs": labelled}],
    ("head", "decoder"): [
        {
            "cases": [
                writing(2),
                writing(2, attention="dot"),
                writing(5, attention="general", condition="input", pooling="mean"),
                writing(8, attention="additive", attend="before", condition="both"),
            ],
            "inputs": translated,
        }
    ],
    ("head", "generator"): [
        {
            "cases": [
                lambda: registries["head"]["generator"](3, 4, LSTM(5, 3), end=0, max_length=3),
                lambda: registries["head"]["generator"](
                    3, 4, GRU(2, 3), end=0, max_length=3, condition="state"
                ),
            ],
            "inputs": described,
        }
    ],
    ("head", "siamese"): [
        {
            "cases": [{"input_size": 3}, {"input_size": 3, "embedding_size": 2}],
            "inputs": paired,
            "mines": True,
        }
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
    ("metric", "perplexity"): [
        {"cases": [{}, {"unit": "word"}], "inputs": metrics.scored, "reference": metrics.perplexity},
        {"cases": [{"ignore_index": -1}], "inputs": metrics.scored, "ignored": -1},
    ],
    ("metric", "accuracy"): [
        {"cases": [{}], "inputs": metrics.scored, "reference": metrics.accuracy},
        {"cases": [{"ignore_index": -1}], "inputs": metrics.scored, "ignored": -1},
    ],
    ("metric", "macro-f1"): [
        {"cases": [{"classes": 4}], "inputs": metrics.scored, "reference": metrics.macro_f1},
        {"cases": [{"classes": 4, "ignore_index": -1}], "inputs": metrics.scored, "ignored": -1},
    ],
    ("metric", "span-f1"): [
        {"cases": [{"tags": NAMES}, {"tags": NAMES, "mode": "strict"}], "inputs": metrics.tags}
    ],
    ("metric", "error-rate"): [{"cases": [{}], "inputs": metrics.words, "reference": metrics.error_rate}],
    ("metric", "bleu"): [{"cases": [{}], "inputs": metrics.tokens}],
    ("metric", "exact-match"): [{"cases": [{}], "inputs": metrics.words, "reference": metrics.exact_match}],
    ("metric", "auc"): [{"cases": [{}], "inputs": metrics.graded, "reference": metrics.auc}],
    ("metric", "binary-nats"): [{"cases": [{}], "inputs": metrics.answers, "reference": metrics.binary_nats}],
    ("metric", "recall-at-k"): [
        {"cases": [{}, {"k": 2}], "inputs": metrics.scored, "reference": metrics.recall}
    ],
    **{
        ("optimizer", name): [{"cases": [{"lr": 0.02}]}]
        for name in ("adagrad", "adam", "adamw", "rmsprop", "sgd")
    },
    **{
        ("initializer", name): [{"cases": [{}]}]
        for name in (
            "glorot_uniform",
            "identity",
            "normal",
            "ones",
            "orthogonal",
            "uniform",
            "unit_rows",
            "zeros",
        )
    },
}
