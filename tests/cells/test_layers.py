"""Bidirectional and Deep: what they are made of, and what they refuse."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tinyseq_cells.bidirectional import Bidirectional
from tinyseq_cells.deep import Deep
from tinyseq_cells.gru import GRU
from tinyseq_cells.lstm import LSTM
from tinyseq_cells.rnn import RNN

from tinyseq import Recurrent, Sequences, Tensor
from tinyseq.errors import ConfigError
from tinyseq.nn import Dropout, LayerNorm, Linear
from tinyseq.scan.state import flatten

lengths = st.lists(st.integers(1, 5), min_size=1, max_size=4)
seeds = st.integers(0, 2**32 - 1)


def drawn(lengths: list[int], seed: int) -> Sequences:
    rng = np.random.default_rng(seed)
    return Sequences.from_list([rng.normal(size=(n, 3)).astype("f") for n in lengths])


def halves(ys: Sequences, width: int) -> tuple[Any, Any]:
    return ys.data.numpy()[:, :width], ys.data.numpy()[:, width:]


@given(lengths, seeds)
def test_bidirectional_is_both_readings_side_by_side(backend: str, lengths: list[int], seed: int) -> None:
    xs, forward, backward = drawn(lengths, seed), LSTM(3, 4), GRU(3, 5)
    ys, (ahead, back) = Bidirectional(forward, backward).scan(xs)
    left, left_state = Recurrent(forward).scan(xs)
    right, right_state = Recurrent(backward).scan(xs.reverse())
    np.testing.assert_array_equal(ys.data.numpy()[:, :4], left.data.numpy())
    np.testing.assert_allclose(ys.data.numpy()[:, 4:], right.reverse().data.numpy(), rtol=1e-5, atol=1e-6)
    for a, b in zip(flatten((ahead, back)), flatten((left_state, right_state)), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6)


@given(lengths, seeds)
def test_swapped_directions_of_reversed_input_give_reversed_output(
    backend: str, lengths: list[int], seed: int
) -> None:
    xs, one, other = drawn(lengths, seed), LSTM(3, 4), LSTM(3, 4)
    ahead, back = halves(Bidirectional(one, other)(xs), 4)
    swapped = Bidirectional(other, one)(xs.reverse()).reverse()
    back_again, ahead_again = halves(swapped, 4)
    np.testing.assert_allclose(ahead, ahead_again, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(back, back_again, rtol=1e-5, atol=1e-6)


def test_the_state_of_each_direction_goes_in_and_comes_out(backend: str) -> None:
    """The final output of a reading is its final state; the initial state reaches its first step."""
    xs, layer = drawn([4, 2], 0), Bidirectional(RNN(3, 4), RNN(3, 5))
    ys, (ahead, back) = layer.scan(xs)
    np.testing.assert_array_equal(ys.last().numpy()[:, :4], ahead.h.numpy())
    np.testing.assert_array_equal(ys.first().numpy()[:, 4:], back.h.numpy())
    first, second = layer.initial_state(2)
    moved, _ = layer.scan(xs, (first, type(second)(second.h + 1)))
    assert not (moved.data.numpy()[:, 4:] == ys.data.numpy()[:, 4:]).any()
    np.testing.assert_array_equal(moved.data.numpy()[:, :4], ys.data.numpy()[:, :4])


def test_bidirectional_takes_any_layer_with_a_state(backend: str) -> None:
    xs, one, other = drawn([4, 2], 0), LSTM(3, 4), LSTM(3, 4)
    wrapped = Bidirectional(Recurrent(one), Recurrent(other))(xs)
    stacked = Bidirectional(Deep(one), Deep(other))
    np.testing.assert_array_equal(wrapped.data.numpy(), Bidirectional(one, other)(xs).data.numpy())
    np.testing.assert_allclose(wrapped.data.numpy(), stacked(xs).data.numpy(), rtol=1e-5, atol=1e-6)
    assert (stacked.input_size, stacked.output_size) == (3, 8)
    paths = [path for path, _ in Bidirectional(one, other).named_parameters()]
    assert paths == [f"{way}_layer.cell.{p}" for way in ("forward", "backward") for p in ("w_x", "w_h", "b")]


def test_deep_is_one_layer_after_the_other(backend: str) -> None:
    xs, below, above = drawn([4, 2], 0), LSTM(3, 4), GRU(4, 4)
    ys, (first, between, second) = Deep(below, LayerNorm(4), above).scan(xs)
    inner, inner_state = Recurrent(below).scan(xs)
    outer, outer_state = Recurrent(above).scan(LayerNorm(4)(inner))
    np.testing.assert_array_equal(ys.data.numpy(), outer.data.numpy())
    assert between == ()
    for a, b in zip(flatten((first, second)), flatten((inner_state, outer_state)), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_residual_layers_add_their_input_except_the_first(backend: str) -> None:
    xs, below, above = drawn([4, 2], 0), LSTM(3, 4), GRU(4, 4)
    ys = Deep(below, above, residual=True)(xs)
    inner = Recurrent(below)(xs)
    np.testing.assert_array_equal(ys.data.numpy(), (inner.data + Recurrent(above)(inner).data).numpy())


def test_deep_knows_its_widths_and_takes_layers_without_any() -> None:
    layer = Deep(LSTM(3, 4), Dropout(0.5), Bidirectional(GRU(4, 2), GRU(4, 2)), Dropout(0.5))
    assert (layer.input_size, layer.output_size) == (3, 4)
    assert [len(flatten(s)) for s in layer.initial_state(2)] == [2, 0, 2, 0]


shared = LSTM(2, 2)


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda: Bidirectional(shared, shared), "was given the same LSTM twice: each direction needs"),
        (lambda: Bidirectional(shared, Recurrent(shared)), "the same LSTM twice"),
        (lambda: Bidirectional(Recurrent(shared), Recurrent(shared)), "the same LSTM twice"),
        (
            lambda: Bidirectional(shared, Recurrent(LSTM(2, 2), reverse=True)),
            r"pass backward=Recurrent\(cell\) without reverse=True",
        ),
        (lambda: Bidirectional(Linear(2, 2), shared), "forward is a Linear"),  # type: ignore[arg-type]
        (lambda: Deep(), "needs at least one layer"),
        (lambda: Deep(LSTM(2, 3), LSTM(4, 3)), "layer 1 takes 4 features, but layer 0 gives 3"),
        (
            lambda: Deep(LSTM(2, 3), LSTM(3, 4), residual=True),
            "layer 1 turns 3 features into 4, but only a layer that keeps their number",
        ),
        (lambda: Deep(LSTM(2, 3)).scan(Tensor(np.ones((1, 2, 2))), ()), "has 1 layers; the state is for 0"),
    ],
)
def test_what_does_not_fit_is_named(attempt: Callable[[], Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        attempt()
