"""Losses and ops at the edge: long sequences in float32, zero vectors, half precision, ignored tags."""

import copy
import itertools
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyseq
from tinyseq import Recurrent, Sequences, Tensor, ops, primitive
from tinyseq.backend.words import UnknownWord
from tinyseq.errors import DataError, GraphError
from tinyseq.nn import Dropout, Embedding, LayerNorm, Linear
from tinyseq.optim import Adagrad, Adam, AdamW, RMSprop

CRF = tinyseq.losses["crf"]


@pytest.mark.parametrize(("steps", "scale"), [(50, 5), (1000, 20), (3000, 20)])
def test_crf_of_a_certain_model_stays_above_zero_and_exact(steps, scale):
    rng, tags = np.random.default_rng(0), 9
    y = rng.integers(tags, size=steps)
    e = rng.standard_normal((steps, tags))
    e[np.arange(steps), y] += scale
    loss = CRF(tags, reduction="none")
    start, transitions, end = (p.numpy().astype(float) for p in (loss.start, loss.transitions, loss.end))
    alpha = start + e[0] - (start[y[0]] + e[0, y[0]])  # in float64, beside the right path
    for t in range(1, steps):
        step = transitions + e[t] - (transitions[y[t - 1], y[t]] + e[t, y[t]])
        alpha = np.logaddexp.reduce(alpha[:, None] + step, axis=0)
    right = float(np.logaddexp.reduce(alpha + end - end[y[-1]]))
    found = loss(Sequences.from_list([e.astype(np.float32)]), Sequences.from_list([y])).item()
    assert found >= 0
    assert found == pytest.approx(right, abs=1e-4 + 1e-4 * right)


@given(lengths=st.lists(st.integers(1, 4), min_size=1, max_size=3), seed=st.integers(0, 2**32 - 1))
def test_crf_leaves_ignored_tags_out(lengths, seed):
    rng = np.random.default_rng(seed)
    loss = CRF(3, ignore_index=-1, reduction="none").to("float64")
    e = [rng.normal(size=(n, 3)) for n in lengths]
    y = [np.where(rng.random(n) < 0.4, -1, rng.integers(0, 3, n)) for n in lengths]
    found = loss(Sequences.from_list(e), Sequences.from_list(y)).numpy()
    start, moves, end = (p.numpy() for p in (loss.start, loss.transitions, loss.end))

    def score(emissions: Any, tags: Any) -> float:
        total = start[tags[0]] + end[tags[-1]] + sum(row[t] for row, t in zip(emissions, tags, strict=True))
        return total + sum(moves[a, b] for a, b in itertools.pairwise(tags))

    for value, emissions, tags in zip(found, e, y, strict=True):
        kept = tags != -1
        if not kept.any():
            assert value == 0
            continue
        rest = emissions[kept]
        paths = [score(rest, path) for path in itertools.product(range(3), repeat=len(rest))]
        assert value == pytest.approx(np.logaddexp.reduce(paths) - score(rest, tags[kept]), abs=1e-9)
    loss.reduction = "mean"
    counted = sum(int((tags != -1).sum()) for tags in y)
    assert loss.weight(Sequences.from_list(y)) == counted
    mean = loss(Sequences.from_list(e), Sequences.from_list(y)).item()
    assert mean == pytest.approx(found.sum() / counted if counted else 0.0)


def test_a_tag_that_counts_for_nothing_is_advised_on():
    with pytest.raises(DataError, match=r"-100 of sequence 0 at step 1 .* say ignore_index or leave it out"):
        CRF(3)(Tensor(np.zeros((1, 3, 3), "f")), Tensor(np.array([[0, -100, 2]])))


@pytest.mark.parametrize("similarity", ["cosine", "negative-euclidean", "dot"])
@pytest.mark.parametrize("name", ["triplet", "mean-closest-triplet", "info-nce"])
def test_a_zero_vector_does_not_drown_the_others(name, similarity):
    a, b = np.random.default_rng(0).standard_normal((2, 4, 8)).astype("f")
    a[0] = 0
    x = Tensor(a, requires_grad=True)
    tinyseq.losses[name](similarity=similarity)(x, Tensor(b)).backward()
    sizes = np.abs(x.grad.numpy()).max(1)
    assert sizes[0] < 100 * max(sizes[1:].max(), 1e-2)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_normalising_a_zero_vector(dtype):
    x = Tensor(np.array([[0, 0], [3, 4]], dtype), requires_grad=True)
    y = ops.l2_normalize(ops.l2_normalize(x))
    np.testing.assert_allclose(y.numpy(), [[0, 0], [0.6, 0.8]], rtol=1e-3)
    y.sum().backward()
    assert np.abs(x.grad.numpy()).max() <= 1


def test_sums_in_half_precision():
    half = lambda values: Tensor(np.array(values, "float16"))
    assert ops.mean(half([1.0] * 70_000)).item() == 1
    np.testing.assert_allclose(ops.l2_normalize(half([[300, 400]])).numpy(), [[0.6, 0.8]], rtol=1e-3)
    layer = LayerNorm(4).to("float16")
    np.testing.assert_allclose(
        layer(half([[-300, 300, 300, 300]])).numpy(), [[-1.732, 0.577, 0.577, 0.577]], rtol=1e-2
    )
    assert ops.logsumexp(half([0.0] * 70_000)).item() == pytest.approx(np.log(70_000), rel=1e-3)
    assert ops.softmax(half([1.0] * 70_000)).dtype == np.float16
    for smoothing in (0.0, 0.1):
        scores = Tensor(np.zeros((1, 70_000), "float16"), requires_grad=True)
        loss = tinyseq.losses["cross-entropy"](label_smoothing=smoothing)(scores, np.array([1]))
        assert loss.item() == pytest.approx(np.log(70_000), rel=1e-3)
        loss.backward()
        assert scores.grad.numpy()[0, 1] == pytest.approx(smoothing - 1, rel=1e-3)


@pytest.mark.parametrize("rule", [Adam, AdamW, RMSprop, Adagrad])
def test_rows_that_were_not_looked_up_stay_finite_in_half_precision(rule):
    table = Embedding(4, 2).to("float16")
    optimizer = rule(table, lr=0.01)
    for _ in range(3):
        table.zero_grad()
        table(np.array([0, 1])).sum().backward()
        optimizer.step()
    assert np.isfinite(table.weight.numpy()).all()


def test_a_result_is_not_copied_with_its_tape():
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    for copied in (copy.deepcopy, lambda t: t.__reduce_ex__(4)):
        with pytest.raises(GraphError, match="has the tape behind it"):
            copied(y)
    assert copy.copy(y).source is y.source
    assert copy.deepcopy(x).numpy().tolist() == [1, 2]
    assert copy.deepcopy(y.detach()).numpy().tolist() == [2, 4]
    layer = copy.deepcopy(Linear(2, 2))
    layer(x.reshape(1, 2)).sum().backward()


def test_a_word_that_is_not_on_the_list_is_named():
    @primitive
    def running(xp, x, factor):
        return xp.cumprod(x) * factor, lambda g: (g, None)

    with pytest.raises(UnknownWord, match=r"xp.cumprod is not on the closed list"):
        running(Tensor([1.0, 2.0]), 2.0)


class Noisy(tinyseq.Cell):
    def __init__(self, n: int) -> None:
        self.input_size = self.output_size = n
        self.linear, self.drop = Linear(n, n), Dropout(0.5)

    def initial_state(self, batch_size: int) -> Any:
        return (self.zeros(batch_size, self.output_size),)

    def step(self, x: Any, state: Any) -> Any:
        h = ops.tanh(self.linear(self.drop(x)) + state[0])
        return h, (h,)


def test_a_step_with_dropout_trains_the_same_compiled_and_on_the_tape():
    cell, x = Noisy(3), Tensor(np.ones((2, 4, 3), "f"))
    tinyseq.seed(1)
    trained = Recurrent(cell)(x)
    tinyseq.seed(1)
    np.testing.assert_array_equal(trained.numpy(), Recurrent(cell, compiled=False)(x).numpy())
    trained.sum().backward()
    assert np.abs(cell.linear.weight.grad.numpy()).max() > 0
    tinyseq.seed(1)
    np.testing.assert_allclose(Recurrent(cell, compiled=True)(x).numpy(), trained.numpy(), rtol=1e-6)
    rows = []
    for _ in range(2):  # a stream has masks of its own, which the seed decides as well
        tinyseq.seed(1)
        streamed = Recurrent(cell).stream(cell.initial_state(2))
        rows.append(np.stack([streamed(x[:, t]).numpy() for t in range(4)]))
    np.testing.assert_array_equal(*rows)
    assert np.ptp(rows[0], axis=1).max() > 0  # each sequence its own
    cell.eval()
    np.testing.assert_allclose(
        Recurrent(cell, compiled=True)(x).numpy(), Recurrent(cell, compiled=False)(x).numpy(), rtol=1e-6
    )


def test_the_backend_in_use_reaches_threads(cupy):
    def seen() -> str:
        found: list[str] = []
        thread = threading.Thread(target=lambda: found.append(type(Tensor([1.0]).data).__module__))
        thread.start()
        thread.join()
        return found[0].partition(".")[0]

    before = seen()
    with tinyseq.use("cupy"):
        assert seen() == before, "with is for this thread"
    switched = tinyseq.use("cupy")
    try:
        assert seen() == "cupy"
    finally:
        switched.__enter__()
        switched.__exit__(None, None, None)
    assert seen() == before
