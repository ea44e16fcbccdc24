"""A step along ragged sequences equals the same step along each one alone, whatever the step computes."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyseq
from tinyseq import Cell, Recurrent, Sequences, Tensor, ops
from tinyseq.backend import words_of
from tinyseq.errors import ConfigError, ShapeError
from tinyseq.nn import Parameter
from tinyseq.scan.state import flatten, names, rebuild
from tinyseq.testing import check_gradients

lengths = st.lists(st.integers(1, 5), min_size=1, max_size=5)
seeds = st.integers(0, 2**32 - 1)
directions = st.booleans()


class Trace(NamedTuple):
    now: Tensor
    before: Tensor


class Made(Cell):
    """A step that no paper has: two states of different widths, a delay, and an output that is no state."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.input_size, self.output_size = 3, 2
        self.a = Parameter(rng.normal(size=(3, 4)), np.float64)
        self.b = Parameter(0.3 * rng.normal(size=(4, 4)), np.float64)
        self.c = Parameter(rng.normal(size=(2, 4)), np.float64)

    def initial_state(self, batch_size: int) -> Trace:
        return Trace(self.zeros(batch_size, 4), self.zeros(batch_size, 2) + 1)

    def step(self, x: Tensor, state: Trace) -> tuple[Tensor, Trace]:
        now = ops.tanh(x @ self.a + state.now @ self.b + state.before @ self.c)
        return now[:, 1:3] * state.before + x[:, :2], Trace(now, state.now[:, :2])


def drawn(lengths: list[int], seed: int, width: int = 3) -> list[np.ndarray[Any, Any]]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(n, width)) for n in lengths]


def leaf(values: Any) -> Tensor:
    return Tensor(values, requires_grad=True)


def alone(step: Any, x: Tensor, state: Any, reverse: bool) -> tuple[Tensor, Any]:
    """One sequence, one step after the other; x: (length, width), state: (1, width)."""
    outputs = []
    for t in reversed(range(len(x))) if reverse else range(len(x)):
        y, state = step(x[t : t + 1], state)
        outputs.append(y)
    return ops.concatenate(outputs[::-1] if reverse else outputs), state


def assert_same(found: Any, expected: Any) -> None:
    for a, b in zip(flatten(found), flatten(expected), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12, atol=1e-12)


@given(lengths, directions, seeds)
def test_a_batch_equals_each_sequence_alone(
    backend: str, lengths: list[int], reverse: bool, seed: int
) -> None:
    """Outputs, final states, and the gradients of inputs, initial states and parameters."""
    cell, rng = Made(seed), np.random.default_rng(seed)
    rows = drawn(lengths, seed)
    weights = drawn(lengths, seed + 1, 2)
    given, ends = ([rng.normal(size=(len(rows), width)) for width in (4, 2)] for _ in range(2))

    xs, state = [leaf(row) for row in rows], Trace(*map(leaf, given))
    ys, final = tinyseq.scan(cell, Sequences.from_list(xs), state, reverse=reverse)
    loss = (ys.data * Sequences.from_list(weights).data).sum()
    for s, end in zip(final, ends, strict=True):
        loss = loss + (s * Tensor(end)).sum()
    together = tinyseq.grad(loss, [*xs, *state, *cell.parameters()])

    xs, state = [leaf(row) for row in rows], Trace(*map(leaf, given))
    loss = Tensor(0.0, np.float64)
    for i, (x, y) in enumerate(zip(xs, ys.to_list(), strict=True)):
        output, last = alone(cell.step, x, Trace(*(s[i : i + 1] for s in state)), reverse)
        assert_same(y, output)
        assert_same(tuple(s[i : i + 1] for s in final), last)
        loss = loss + (output * Tensor(weights[i])).sum()
        for s, end in zip(last, ends, strict=True):
            loss = loss + (s * Tensor(end[i : i + 1])).sum()
    assert_same(together, tinyseq.grad(loss, [*xs, *state, *cell.parameters()]))


@settings(max_examples=10)
@given(lengths, directions, seeds)
def test_gradients(backend: str, lengths: list[int], reverse: bool, seed: int) -> None:
    """First and second order, against differences."""
    cell = Made(seed)
    layout = Sequences.from_list(drawn(lengths, seed)).layout
    x, s = leaf(np.concatenate(drawn(lengths, seed))), leaf(np.ones((len(lengths), 4)))

    def run() -> list[Tensor]:
        ys, final = tinyseq.scan(cell, Sequences(x, layout), Trace(s, s[:, 1:3]), reverse=reverse)
        return [ys.data, *final]

    check_gradients(run, [x, s, *cell.parameters()], seed=seed)


@given(lengths, directions, seeds)
def test_the_other_direction_reads_reversed_sequences(
    backend: str, lengths: list[int], reverse: bool, seed: int
) -> None:
    cell, xs = Made(seed), Sequences.from_list(drawn(lengths, seed))
    ys, final = tinyseq.scan(cell, xs, reverse=reverse)
    mirrored, same = tinyseq.scan(cell, xs.reverse(), reverse=not reverse)
    assert_same((ys.data, final), (mirrored.reverse().data, same))


@given(lengths, directions, seeds, st.data())
def test_a_step_sees_its_own_sequence_up_to_itself(
    backend: str, lengths: list[int], reverse: bool, seed: int, data: st.DataObject
) -> None:
    """Causality and independence: one changed input changes nothing before it and in no other sequence."""
    i = data.draw(st.integers(0, len(lengths) - 1))
    t = data.draw(st.integers(0, lengths[i] - 1))
    cell, rows = Made(seed), drawn(lengths, seed)
    before, _ = tinyseq.scan(cell, Sequences.from_list(rows), reverse=reverse)
    rows[i][t] += 1
    after, _ = tinyseq.scan(cell, Sequences.from_list(rows), reverse=reverse)
    for j, (a, b) in enumerate(zip(before.to_list(), after.to_list(), strict=True)):
        changed = np.flatnonzero((a.numpy() != b.numpy()).any(axis=1)).tolist()
        reach = range(t + 1) if reverse else range(t, lengths[j])
        assert set(changed) <= set(reach if j == i else [])
        assert (t in changed) == (j == i)


@given(st.integers(2, 6), st.integers(1, 3), seeds, st.data())
def test_chunks_with_the_state_carried_equal_the_whole(
    backend: str, steps: int, batch: int, seed: int, data: st.DataObject
) -> None:
    """Through the carried state flows the whole gradient; through a detached one nothing."""
    cut = data.draw(st.integers(1, steps - 1))
    cell, x = Made(seed), leaf(np.random.default_rng(seed).normal(size=(batch, steps, 3)))
    whole, end = tinyseq.scan(cell, x)
    first, carried = tinyseq.scan(cell, x[:, :cut])
    second, final = tinyseq.scan(cell, x[:, cut:], carried)
    assert_same((whole, end), (ops.concatenate([first, second], 1), final))
    leaves = [x, *cell.parameters()]
    assert_same(tinyseq.grad(second.sum(), leaves), tinyseq.grad(whole[:, cut:].sum(), leaves))

    _, carried = tinyseq.scan(cell, x[:, :cut])
    assert isinstance(tinyseq.detach(carried), Trace)
    truncated, _ = tinyseq.scan(cell, x[:, cut:], tinyseq.detach(carried))
    assert_same(truncated, second)
    (g,) = tinyseq.grad(truncated.sum(), [x])
    assert not g.numpy()[:, :cut].any()
    assert g.numpy()[:, cut:].any()


def test_tuples_of_inputs_and_outputs_and_nested_states(backend: str) -> None:
    def step(x: Any, state: Any) -> Any:
        value, keep = x
        (total,), count = state
        total = total + value * keep
        return (total, count), ((total,), count + keep)

    values, keeps = [[[1.0], [2.0], [4.0]], [[8.0]]], [[[1.0], [0.0], [1.0]], [[1.0]]]
    start = ((Tensor(np.zeros((2, 1), np.float32)),), Tensor(np.zeros((2, 1), np.float32)))
    (totals, counts), ((total,), count) = tinyseq.scan(
        step, (Sequences.from_list(values), Sequences.from_list(keeps)), start
    )
    assert [t.numpy().ravel().tolist() for t in totals.to_list()] == [[1, 1, 5], [8]]
    assert [c.numpy().ravel().tolist() for c in counts.to_list()] == [[0, 1, 1], [0]]
    assert (total.numpy().ravel().tolist(), count.numpy().ravel().tolist()) == ([5, 8], [2, 1])


@pytest.mark.parametrize("reverse", [False, True])
def test_a_step_without_state(backend: str, reverse: bool) -> None:
    xs = Sequences.from_list([[[1.0], [2.0]], [[3.0]]])
    ys, state = tinyseq.scan(lambda x, state: (2 * x, state), xs, (), reverse=reverse)
    assert state == ()
    np.testing.assert_array_equal(ys.data.numpy(), 2 * xs.data.numpy())


@pytest.mark.parametrize("reverse", [False, True])
def test_the_work_grows_with_the_steps_not_with_their_square(
    monkeypatch: pytest.MonkeyPatch, reverse: bool
) -> None:
    """Elements copied by the tape, forward and backward, for each step of a ragged batch."""
    words, copied = words_of(np.zeros(1)), 0

    def counting(function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **options: Any) -> Any:
            nonlocal copied
            result = function(*args, **options)
            copied += result.size
            return result

        return counted

    for word in ("place", "concatenate", "add_at", "take", "zeros_like"):
        monkeypatch.setattr(words, word, counting(getattr(words, word)))

    def cost(steps: int) -> float:
        nonlocal copied
        copied = 0
        xs = Sequences.from_list([leaf(np.ones((steps // 2, 1))), leaf(np.ones((steps, 1)))])
        start = leaf(np.zeros((2, 1)))
        ys, final = tinyseq.scan(lambda x, s: (s + x, s + x), xs, start, reverse=reverse)
        (ys.data.sum() + final.sum()).backward()
        return copied / steps

    assert cost(400) < 1.2 * cost(100)


def test_recurrent_is_the_cell_as_a_layer(backend: str) -> None:
    cell, xs = Made(), Sequences.from_list(drawn([2, 4], 0))
    layer = Recurrent(cell, reverse=True)
    assert (layer.input_size, layer.output_size) == (3, 2)
    expected = tinyseq.scan(cell, xs, reverse=True)
    assert_same(layer(xs).data, expected[0].data)
    assert_same(layer.scan(xs, layer.initial_state(2))[1], expected[1])
    assert [path for path, _ in layer.named_parameters()] == ["cell.a", "cell.b", "cell.c"]
    plain = layer(Tensor(np.ones((2, 4, 3))))
    assert isinstance(plain, Tensor)
    assert plain.shape == (2, 4, 2)


def test_zeros_are_where_the_parameters_are(backend: str) -> None:
    cell = Made()
    for dtype in ("float32", "float64"):
        state = cell.to(dtype).initial_state(3)
        assert (state.now.shape, state.now.dtype) == ((3, 4), np.dtype(dtype))
    assert words_of(state.now.data).name == backend
    with tinyseq.use("numpy"):
        assert words_of(cell.initial_state(1).now.data).name == backend


def test_trees_are_rebuilt_as_they_were() -> None:
    tree = (Trace(1, 2), (), (3, (4,)))  # type: ignore[arg-type]
    assert flatten(tree) == [1, 2, 3, 4]
    assert names(tree, "state") == ["state.0.now", "state.0.before", "state.2.0", "state.2.1.0"]
    same = rebuild(tree, iter(flatten(tree)))
    assert same == tree
    assert type(same[0]) is Trace


X = np.ones((2, 3, 3))


@pytest.mark.parametrize(
    ("attempt", "error", "message"),
    [
        (
            lambda: tinyseq.scan(Made(), Tensor(np.ones((2, 3, 5)))),
            ShapeError,
            r"Made takes 3 features at each step; these inputs have shape \(5,\) at each step",
        ),
        (
            lambda: tinyseq.scan(Made(), Tensor(X), Made().initial_state(3)),
            ShapeError,
            r"state.now has shape \(3, 4\), but there are 2 sequences: each needs a row",
        ),
        (
            lambda: tinyseq.scan(Made(), Tensor(X), Trace(np.ones((2, 4)), None)),  # type: ignore[arg-type]
            TypeError,
            r"state.now must be a Tensor \(batch, width\), not ndarray",
        ),
        (lambda: tinyseq.scan(lambda x, s: (x, s), Tensor(X)), TypeError, r"scan\(step, xs, state\)"),
        (
            lambda: tinyseq.scan(lambda x, s: x, Tensor(X), ()),
            TypeError,
            r"must return \(output, state\); it returned \((2|rows), 3\)",
        ),
        (
            lambda: tinyseq.scan(lambda x, s: (x.sum(0), s), Tensor(X), ()),
            ShapeError,
            r"one output row for each of (2|rows) rows; it returned \(3,\)",
        ),
        (
            lambda: tinyseq.scan(lambda x, s: (x, s[:, :1]), Tensor(X), Tensor(np.ones((2, 2)))),
            ShapeError,
            r"a state like the one it was given: state \((2|rows), 2\), not state \((2|rows), 1\)",
        ),
        (
            lambda: tinyseq.scan(
                lambda x, s: (x[0], s), (Sequences.from_list([[1.0]]), Sequences.from_list([[1.0, 2.0]])), ()
            ),
            ShapeError,
            r"inputs of equal lengths; got \[1\] and \[2\]",
        ),
        (lambda: tinyseq.scan(Made(), X), TypeError, r"Expected Sequences or a Tensor .*, not ndarray"),
        (lambda: Recurrent(Recurrent(Made())), ConfigError, "takes a Cell, .* not Recurrent"),  # type: ignore[arg-type]
    ],
)
def test_what_does_not_fit_is_named(attempt: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        attempt()
