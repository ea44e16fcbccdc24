"""Metrics are figures about a data set, whatever batches it came in."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyseq
from tinyseq import Tensor
from tinyseq.errors import ConfigError, DataError, ShapeError
from tinyseq.evaluation import Accuracy, Perplexity
from tinyseq.sequences import Sequences

PAD = -1


@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=8),
    classes=st.integers(1, 6),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_split_padding_and_order_gives_the_same_figures(
    backend: str, lengths: list[int], classes: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    scores = [3 * rng.normal(size=(n, classes)) for n in lengths]
    targets = [rng.integers(0, classes, n) for n in lengths]
    # the definition, token by token
    rows = [(row, int(y)) for s, t in zip(scores, targets, strict=True) for row, y in zip(s, t, strict=True)]
    nats = math.fsum(math.log(math.fsum(math.exp(v - row[y]) for v in row)) for row, y in rows)
    perplexity = math.exp(nats / len(rows))
    accuracy = sum(int(np.argmax(row)) == y for row, y in rows) / len(rows)

    def seen(batches: list[tuple[Any, Any]]) -> tuple[Perplexity, Accuracy]:
        figures = Perplexity(ignore_index=PAD), Accuracy(ignore_index=PAD)
        for batch in batches:
            for figure in figures:
                figure.update(*batch)
        return figures

    shuffled = rng.permutation(len(lengths))
    cut = int(rng.integers(1, len(lengths) + 1))
    parts = [part for part in (shuffled[:cut], shuffled[cut:]) if len(part)]
    padded = (
        np.zeros((len(lengths), max(lengths) + 2, classes)),
        np.full((len(lengths), max(lengths) + 2), PAD),
    )
    for i, n in enumerate(lengths):
        padded[0][i, :n], padded[1][i, :n] = scores[i], targets[i]
    ways = [
        seen([(Sequences.from_list(scores), Sequences.from_list(targets))]),
        seen([(Tensor(s), Tensor(t)) for s, t in zip(scores, targets, strict=True)]),
        seen([tuple(Sequences.from_list([x[i] for i in part]) for x in (scores, targets)) for part in parts]),
        seen([padded]),
    ]
    merged = seen([(scores[0], targets[0])])
    for mine, theirs in zip(merged, seen(list(zip(scores, targets, strict=True))[1:]), strict=True):
        mine.merge(theirs)  # type: ignore[arg-type]
    for figures in [*ways, merged]:
        assert figures[0].value() == pytest.approx(perplexity, rel=1e-12)
        assert figures[0].count == len(rows)
        assert figures[1].value() == accuracy


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize("classes", [1, 2, 65, 1_000])
def test_a_uniform_model_has_as_many_choices_as_symbols(
    backend: str, dtype: str, classes: int, offset: float
) -> None:
    perplexity = Perplexity("char")
    for rows in (1, 7, 64):
        scores = tinyseq.ops.log_softmax(Tensor(np.full((rows, classes), offset), dtype))
        perplexity.update(scores, np.arange(rows) % classes)
    assert perplexity.value() == pytest.approx(classes, rel=1e-12)


def test_a_certain_model_has_one_choice_and_a_wrong_one_infinitely_many() -> None:
    perplexity = Perplexity()
    perplexity.update(Tensor([[1e4, -1e4], [-1e4, 1e4]]), np.array([0, 1]))
    assert perplexity.value() == 1
    perplexity.update(Tensor([[1e4, -1e4]]), np.array([1]))
    assert perplexity.value() == math.inf


def test_accuracy_takes_scores_or_classes() -> None:
    accuracy = Accuracy()
    accuracy.update(Tensor([[0.1, 0.9], [0.5, 0.5]]), np.array([1, 1]))  # of equal scores the first counts
    assert (accuracy.correct, accuracy.count) == (1, 2)
    accuracy.update(np.array([3, 4]), np.array([3, 3]))
    assert accuracy.value() == 0.5
    with pytest.raises(ShapeError, match=r"predictions of shape \(2, 3\) do not fit targets of shape \(3,\)"):
        accuracy.update(Tensor(np.zeros((2, 3))), np.zeros(3, int))


def test_nothing_seen_is_not_a_number() -> None:
    for metric in (Perplexity(ignore_index=PAD), Accuracy(ignore_index=PAD)):
        metric.update(Tensor(np.zeros((2, 3))), np.full(2, PAD))
        assert math.isnan(metric.value())


def test_no_tape_is_written() -> None:
    leaf = Tensor([[1.0, 2.0]], requires_grad=True)
    perplexity = Perplexity()
    perplexity.update(leaf * 2, np.array([0]))
    assert isinstance(perplexity.nats, float)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ConfigError, match="per word cannot be merged into one per char"):
        Perplexity("char").merge(Perplexity("word"))
    with pytest.raises(DataError, match="Perplexity: the target 3 at position 0 is none of the 3 classes"):
        Perplexity().update(Tensor(np.zeros((1, 3))), np.array([3]))
    xs, ys = (Sequences.from_list([np.zeros((n, 2), "f4")]) for n in (2, 3))
    with pytest.raises(ShapeError, match="lengths 2, targets 3"):
        Accuracy().update(xs, ys)


def test_figures_say_what_they_are() -> None:
    perplexity, accuracy = Perplexity("char"), Accuracy()
    for metric in (perplexity, accuracy):
        metric.update(Tensor(np.zeros((1000, 4))), np.arange(1000) % 4)
    assert repr(perplexity) == "perplexity 4 per char (1,000 chars)"
    assert repr(accuracy) == "accuracy 0.2500 (250 of 1,000)"
