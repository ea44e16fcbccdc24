"""Outcomes and measures."""

import numpy as np
import pytest
from tinyseq_cells.rnn import RNN
from tinyseq_heads.classifier import Classifier

import tinyseq
from tinyseq import Sequences
from tinyseq.nn import Dropout, Embedding, SequenceModel, Sequential
from tinyseq.training import Outcome, measure


def test_better_than_the_baseline() -> None:
    assert Outcome("gru", "accuracy", 0.8, 0.7).beats_baseline
    assert not Outcome("gru", "accuracy", 0.7, 0.7).beats_baseline
    assert Outcome("gru", "perplexity", 3, 4, lower_is_better=True).beats_baseline
    assert not Outcome("gru", "perplexity", 4, 3, lower_is_better=True).beats_baseline
    assert str(Outcome("gru", "accuracy", 0.8, 0.7)) == "gru: accuracy 0.8000 (baseline 0.7000)"


def test_metrics_over_all_batches_without_dropout() -> None:
    tinyseq.seed(0)
    encoder = Sequential(Dropout(0.9), tinyseq.Recurrent(RNN(3, 4)))
    model = SequenceModel(Embedding(5, 3), encoder, Classifier(4, 2))
    xs = [np.array(ids) for ids in ([1, 2], [3], [4, 0, 1], [2], [2, 2], [0])]
    ys = np.array([0, 1, 0, 1, 1, 0])
    batches = [
        (Sequences.from_list(xs[i : i + size]), ys[i : i + size]) for i, size in ((0, 1), (1, 3), (4, 2))
    ]
    drawn = tinyseq.random.get_state()
    found = measure(model, batches)
    assert tinyseq.random.get_state() == drawn
    with model.evaluating():
        predicted = [model.predict(Sequences.from_list([x])).numpy()[0].argmax() for x in xs]
    assert found["accuracy"].value() == pytest.approx((predicted == ys).mean())
    assert model.training
    assert model.head.projection.weight.grad is None
