"""CTC against all paths, one by one."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tinyseq_losses.ctc import CTC

from tinyseq import Tensor
from tinyseq.errors import ConfigError, DataError, ShapeError
from tinyseq.sequences import Sequences
from tinyseq.testing import check_gradients


def reads_as(path: tuple[int, ...], blank: int) -> tuple[int, ...]:
    return tuple(label for label, _ in itertools.groupby(path) if label != blank)


def brute_force(scores: Any, labels: Any, blank: int) -> float:
    """-log of the sum of the probabilities of all paths that read as the labels."""
    log_p = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    classes, steps = scores.shape[1], range(len(scores))
    total = sum(
        np.exp(sum(log_p[t, path[t]] for t in steps))
        for path in itertools.product(range(classes), repeat=len(scores))
        if reads_as(path, blank) == tuple(labels)
    )
    return float(-np.log(total))


@st.composite
def problems(draw: st.DrawFn) -> dict[str, Any]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    classes, blank = 3, draw(st.integers(0, 2))
    batch = []
    for steps in draw(st.lists(st.integers(1, 5), min_size=1, max_size=3)):
        path = tuple(rng.integers(0, classes, steps).tolist())  # its labels can be read in that many steps
        batch.append((2 * rng.normal(size=(steps, classes)), np.array(reads_as(path, blank), np.int64)))
    return {"batch": batch, "blank": blank}


@given(problem=problems())
def test_equals_brute_force(backend: str, problem: dict[str, Any]) -> None:
    batch, blank = problem["batch"], problem["blank"]
    expected = [brute_force(scores, labels, blank) for scores, labels in batch]
    xs = Sequences.from_list([scores for scores, _ in batch])
    labels = [labels for _, labels in batch]
    for reduction, value in (
        ("none", expected),
        ("sum", np.sum(expected)),
        ("mean", np.sum(expected) / sum(max(1, len(s)) for s in labels)),
    ):
        got = CTC(blank=blank, reduction=reduction)(xs, labels)  # type: ignore[arg-type]
        np.testing.assert_allclose(got.numpy(), value, rtol=1e-10, atol=1e-12)


@given(problem=problems(), seed=st.integers(0, 2**32 - 1))
def test_first_and_second_derivatives(problem: dict[str, Any], seed: int) -> None:
    xs = Sequences.from_list([scores for scores, _ in problem["batch"]])
    leaf = Tensor(xs.data.numpy(), requires_grad=True)
    loss = CTC(blank=problem["blank"])
    labels = [labels for _, labels in problem["batch"]]
    check_gradients(lambda: loss(xs.with_data(leaf), labels), [leaf], seed=seed, tolerance=1e-6)


@given(steps=st.integers(1, 4), seed=st.integers(0, 2**32 - 1))
def test_probabilities_of_all_labellings_sum_to_one(steps: int, seed: int) -> None:
    scores = np.random.default_rng(seed).normal(size=(steps, 3))
    readings = sorted({reads_as(path, 0) for path in itertools.product(range(3), repeat=steps)})
    xs = Sequences.from_list([scores] * len(readings))
    losses = CTC(reduction="none")(xs, readings).numpy()
    assert np.exp(-losses).sum() == pytest.approx(1, rel=1e-10)


def test_padded_batches_and_packed_labels_give_the_same(backend: str) -> None:
    scores = np.random.default_rng(0).normal(size=(2, 5, 4))
    labels = [np.array([1, 1]), np.array([3, 2, 1])]
    loss = CTC()(Sequences.from_padded(scores), labels).item()
    assert CTC()(Tensor(scores), Sequences.from_list(labels)).item() == pytest.approx(loss, rel=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_scores_stay_finite(backend: str, dtype: str) -> None:
    values = np.full((3, 6, 3), -1e4)
    values[0, :, 0] = 1e4  # certain blanks, where labels are wanted
    values[1, :, 1] = 1e4  # one certain label
    leaf = Tensor(values, dtype, requires_grad=True)
    losses = CTC(reduction="none")(leaf, [[1, 2], [1], []])
    np.testing.assert_allclose(losses.numpy()[:2], [4e4, 0], rtol=1e-3)
    losses.sum().backward()
    assert np.isfinite(losses.numpy()).all()
    assert leaf.grad is not None
    assert np.isfinite(leaf.grad.numpy()).all()


def test_best_path_decoding(backend: str) -> None:
    paths = [[0, 1, 1, 0, 1, 2, 2], [0, 0, 0], [2, 1], [1, 1, 1, 0]]
    xs = Sequences.from_list([np.eye(3, dtype="f4")[path] for path in paths])
    assert [labels.tolist() for labels in CTC().decode(xs)] == [[1, 1, 2], [], [2, 1], [1]]
    assert [labels.tolist() for labels in CTC(blank=1).decode(xs)] == [[0, 0, 2], [0], [2], [0]]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([[1, 1], [1]], r"sequence 0 has 2 steps, but its 2 labels, 1 of them repeated, need at least 3"),
        ([[1], [1, 2, 0]], "label 2 of sequence 1 is 0: labels are classes 0..2 other than the blank, 0"),
        ([[1], [3]], "label 0 of sequence 1 is 3"),
        ([[1], [-1]], "label 0 of sequence 1 is -1"),
        ([[1]], "there are 2 sequences, but labels for 1"),
        ([[1], [0.5]], "the labels of sequence 1 are float64"),
    ],
)
def test_labels_that_cannot_be_read_are_refused(labels: Any, message: str) -> None:
    xs = Sequences.from_list([np.zeros((2, 3)), np.zeros((5, 3))])
    with pytest.raises(DataError, match=message):
        CTC()(xs, labels)


def test_requests_that_make_no_sense() -> None:
    with pytest.raises(ConfigError, match="blank is the number of a class, 0 or more, not -1"):
        CTC(blank=-1)
    with pytest.raises(ShapeError, match=r"CTC\(blank=3\) takes a score for each class.* got shape \(3,\)"):
        CTC(blank=3)(Tensor(np.zeros((1, 4, 3))), [[1]])
