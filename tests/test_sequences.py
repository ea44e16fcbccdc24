"""Packed batches against nested loops over rows, and their gradients against differences."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyseq import Sequences, Tensor
from tinyseq.errors import DataError, ShapeError
from tinyseq.sequences import Layout, concatenate_features, like, packed
from tinyseq.testing import check_gradients

Rows = list[np.ndarray[Any, Any]]

lengths = st.lists(st.integers(1, 6), min_size=1, max_size=6)
seeds = st.integers(0, 2**32 - 1)
features = st.sampled_from([(), (1,), (3,), (2, 2)])


def drawn(lengths: list[int], features: tuple[int, ...], seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(n, *features)) for n in lengths]


def packed_by_hand(rows: Rows) -> list[Any]:
    """Step by step, and within a step from the longest sequence to the shortest."""
    order = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
    longest = max(map(len, rows))
    return [rows[i][t] for t in range(longest) for i in order if t < len(rows[i])]


@given(lengths)
def test_the_layout_is_what_nested_loops_say(lengths: list[int]) -> None:
    layout = Layout(lengths)
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    cells = [(i, t) for t in range(max(lengths)) for i in order if t < lengths[i]]
    assert layout.lengths == tuple(lengths)
    assert layout.order == tuple(order)
    assert layout.sizes == tuple(sum(n > t for n in lengths) for t in range(max(lengths)))
    assert layout.offsets == tuple(
        next(r for r, c in enumerate(cells) if c[1] == t) for t in range(max(lengths))
    )
    assert (layout.batch, layout.steps, layout.total) == (len(lengths), max(lengths), sum(lengths))
    assert [layout.locate(row) for row in range(layout.total)] == cells
    assert layout.is_dense == (len(set(lengths)) == 1)
    assert layout.is_ordered == (order == sorted(order))
    numbers = [*layout.lengths, *layout.order, *layout.sizes, *layout.offsets, layout.total]
    assert {type(n) for n in numbers} == {int}


@given(lengths=lengths, features=features, seed=seeds, data=st.data())
def test_selected_sequences_are_a_batch_of_their_own(
    lengths: list[int], features: tuple[int, ...], seed: int, data: st.DataObject
) -> None:
    rows = drawn(lengths, features, seed)
    places = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=8))
    found = Sequences.from_list(rows).select(places)
    wanted = [rows[i] for i in places]
    assert found.lengths == tuple(map(len, wanted))
    np.testing.assert_array_equal(found.data.numpy(), packed_by_hand(wanted))


def test_nothing_selected_is_no_batch() -> None:
    with pytest.raises(DataError, match="at least one sequence"):
        Sequences.from_list([[1.0, 2.0]]).select([])


def test_the_example_of_the_documentation() -> None:
    layout = Layout([3, 5, 2])
    assert (layout.order, layout.sizes, layout.offsets) == ((1, 0, 2), (3, 3, 2, 1, 1), (0, 3, 6, 8, 9))


def test_ties_keep_the_callers_order() -> None:
    """In a batch large enough for a sort that is not stable to show."""
    lengths = [i % 3 + 1 for i in range(200)]
    assert Layout(lengths).order == tuple(sorted(range(200), key=lambda i: -lengths[i]))


@given(lengths, features, seeds)
def test_every_arrangement_equals_a_loop_over_the_sequences(
    backend: str, lengths: list[int], features: tuple[int, ...], seed: int
) -> None:
    rows = drawn(lengths, features, seed)
    xs = Sequences.from_list(rows)
    np.testing.assert_array_equal(xs.data.numpy(), np.stack(packed_by_hand(rows)))
    for back, row in zip(xs.to_list(), rows, strict=True):
        np.testing.assert_array_equal(back.numpy(), row)
    for back, row in zip(xs.reverse().to_list(), rows, strict=True):
        np.testing.assert_array_equal(back.numpy(), row[::-1])
    padded = xs.to_padded(-7.5).numpy()
    for i, row in enumerate(rows):
        np.testing.assert_array_equal(padded[i, : len(row)], row)
        assert (padded[i, len(row) :] == -7.5).all()
    assert padded.shape[1] == max(lengths)


@given(lengths, features, st.integers(0, 2), seeds)
def test_padding_is_read_away(
    backend: str, lengths: list[int], features: tuple[int, ...], spare: int, seed: int
) -> None:
    rows = drawn(lengths, features, seed)
    padded = np.full((len(rows), max(lengths) + spare, *features), np.nan)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = row
    expected = Sequences.from_list(rows)
    for given_as in (padded, Tensor(padded)):
        xs = Sequences.from_padded(given_as, lengths)
        np.testing.assert_array_equal(xs.data.numpy(), expected.data.numpy())
        assert xs.layout == expected.layout


@pytest.mark.parametrize(
    ("reduction", "oracle"),
    [
        ("first", lambda row: row[0]),
        ("last", lambda row: row[-1]),
        ("sum", lambda row: row.sum(0)),
        ("mean", lambda row: row.mean(0)),
        ("max", lambda row: row.max(0)),
    ],
)
@given(lengths=lengths, features=features, seed=seeds)
def test_one_row_for_each_sequence(
    backend: str,
    reduction: str,
    oracle: Callable[[Any], Any],
    lengths: list[int],
    features: tuple[int, ...],
    seed: int,
) -> None:
    rows = drawn(lengths, features, seed)
    found = getattr(Sequences.from_list(rows), reduction)()
    np.testing.assert_allclose(found.numpy(), np.stack([oracle(row) for row in rows]), rtol=1e-13, atol=1e-13)


@given(lengths, seeds)
def test_spread_repeats_the_row_of_each_sequence(backend: str, lengths: list[int], seed: int) -> None:
    rows = drawn(lengths, (2,), seed)
    xs = Sequences.from_list(rows)
    vectors = np.random.default_rng(seed).normal(size=(len(rows), 3))
    spread = xs.with_data(xs.spread(Tensor(vectors)))
    for i, part in enumerate(spread.to_list()):
        np.testing.assert_array_equal(part.numpy(), np.repeat(vectors[i : i + 1], lengths[i], axis=0))


METHODS: dict[str, Callable[[Sequences], Any]] = {
    "to_list": lambda xs: xs.to_list(),
    "some of to_list": lambda xs: xs.to_list()[::2],
    "to_padded": lambda xs: xs.to_padded(3.0),
    "reverse": lambda xs: xs.reverse().data,
    "first": lambda xs: xs.first(),
    "last": lambda xs: xs.last(),
    "sum": lambda xs: xs.sum(),
    "mean": lambda xs: xs.mean(),
    "max": lambda xs: xs.max(),
    "spread": lambda xs: xs.spread(xs.last()),
    "from_padded": lambda xs: Sequences.from_padded(xs.to_padded(), xs.lengths).data,
    "from_list": lambda xs: Sequences.from_list(xs.to_list()).data,
    "map": lambda xs: xs.map(lambda x: x * x).data,
    "features": lambda xs: concatenate_features([xs, xs.map(lambda x: x * x)]).data,
}


@pytest.mark.parametrize("name", METHODS)
@settings(max_examples=10)
@given(lengths=lengths, seed=seeds)
def test_gradients(backend: str, name: str, lengths: list[int], seed: int) -> None:
    """First and second order; squared first, so that the second derivative of a linear method is not zero."""
    layout = Layout(lengths)
    apart = np.random.default_rng(seed).permutation(layout.total * 2).reshape(-1, 2) * 0.1 + 0.1
    x = Tensor(apart, requires_grad=True)  # no two values are so near that a difference could swap a maximum
    check_gradients(lambda: METHODS[name](Sequences(x * x, layout)), [x], seed=seed)


def test_equal_lengths_need_no_index(backend: str) -> None:
    xs = Sequences.from_padded(Tensor(np.ones((3, 4, 2)), requires_grad=True))
    for method in METHODS.values():
        method(xs)
    maps = {name for name, value in vars(Layout).items() if isinstance(value, cached_property)}
    assert not maps.intersection(vars(xs.layout))


def test_a_plain_tensor_goes_in_and_comes_out(backend: str) -> None:
    x = Tensor(np.arange(24.0).reshape(2, 3, 4))
    batch = packed(x)
    assert batch.lengths == (3, 3)
    np.testing.assert_array_equal(like(x, batch).numpy(), x.numpy())
    assert packed(batch) is batch
    assert like(batch, batch) is batch
    with pytest.raises(TypeError, match=r"Sequences or a Tensor \(batch, time, ...\), not list"):
        packed([1, 2])


def test_ids_know_their_range_without_padding(backend: str) -> None:
    xs = Sequences.from_padded(np.array([[4, 2, -1], [9, -1, -1]]), [2, 1])
    assert xs.id_range == (2, 9)
    assert Sequences.from_list([[1, 5], [3]]).id_range == (1, 5)
    assert xs.with_data(xs.data + 1).id_range == (3, 10)
    with pytest.raises(DataError, match="Only integer data have a range of ids; these are float32"):
        _ = Sequences.from_list([[1.5]]).id_range


def test_dtypes_are_those_of_tensors(backend: str) -> None:
    assert Sequences.from_list([[1.0, 2.0]]).dtype == np.float32
    assert Sequences.from_list([np.ones(2)]).dtype == np.float64
    assert Sequences.from_list([[1, 2], [3]]).dtype.kind == "i"
    assert Sequences.from_list([[1.0], [2.0, 3.0]]).mean().dtype == np.float32
    assert Sequences.from_list([[3], [1, 2]]).max().numpy().tolist() == [3, 2]


def test_batches_are_described_in_a_line(backend: str) -> None:
    xs = Sequences.from_list([np.ones((2, 3)), np.ones((5, 3))])
    assert repr(xs) == "Sequences(2 of length 2 to 5, data (7, 3) float64)"
    assert repr(Layout([1] * 9)) == "Layout([1, 1, 1, 1, 1, 1, 1, 1, ...])"
    assert (len(xs), xs.batch_size, xs.lengths) == (2, 2, (2, 5))


def test_detached_sequences_take_no_gradient(backend: str) -> None:
    xs = Sequences.from_padded(Tensor(np.ones((2, 2, 1)), requires_grad=True))
    assert xs.data.requires_grad
    assert not xs.detach().data.requires_grad


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Layout([]), DataError, "needs at least one sequence; this one has none"),
        (
            lambda: Layout([2, 1, 4, 0]),
            DataError,
            "sequence 3 has length 0; every sequence needs at least one",
        ),
        (lambda: Layout([1.5]), DataError, r"one integer for each sequence; got float64 of shape \(1,\)"),
        (lambda: Layout(np.ones((2, 2), int)), DataError, r"got int64 of shape \(2, 2\)"),
        (lambda: Sequences.from_list([[1, 2], []]), DataError, "sequence 1 has length 0"),
        (
            lambda: Sequences.from_list([np.ones((2, 3)), np.ones((2, 4))]),
            ShapeError,
            r"sequence 1 has shape \(2, 4\), sequence 0 has \(2, 3\): each must be \(length, ...\)",
        ),
        (
            lambda: Sequences.from_padded(np.ones((2, 3, 4)), [1, 2, 3]),
            ShapeError,
            r"the padded array has shape \(2, 3, 4\), lengths has 3 entries",
        ),
        (
            lambda: Sequences.from_padded(np.ones((2, 3)), [1, 5]),
            ShapeError,
            r"sequence 1 has length 5, but the padded array of shape \(2, 3\) has 3 steps",
        ),
        (
            lambda: Sequences.from_padded(np.ones(3), [3]),
            ShapeError,
            r"\(batch, time, ...\); got shape \(3,\)",
        ),
        (
            lambda: Sequences(np.ones((4, 2)), Layout([2, 3])),
            ShapeError,
            r"data of shape \(4, 2\) does not fit sequences that have 5 steps in all",
        ),
        (
            lambda: Sequences.from_list([[1.0, 2.0]]).spread(Tensor(np.ones((2, 1)))),
            ShapeError,
            r"one row for each of 1 sequences; got shape \(2, 1\)",
        ),
        (
            lambda: concatenate_features(
                [Sequences.from_list([[[1.0]]]), Sequences.from_list([[[1.0], [2.0]]])]
            ),
            ShapeError,
            r"part 1 has lengths \[2\], part 0 has \[1\]",
        ),
    ],
)
def test_what_does_not_fit_is_named(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("lengths", [(2, 1), (2, 2)])
def test_columns_of_tables_are_sequences(lengths: tuple[int, ...]) -> None:
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    for kind in (pd.Series, pl.Series):
        rows = [np.arange(n) + 10 * n + 0.5 for n in lengths]
        found = Sequences.from_list([kind(row) for row in rows])
        assert found.data.dtype == np.float64  # as of an array
        assert all(np.array_equal(a.numpy(), b) for a, b in zip(found.to_list(), rows, strict=True))


def test_a_mask_is_not_lost() -> None:
    masked = np.ma.masked_array([1.0, 2.0], [False, True])
    for make in (lambda: Sequences.from_list([masked]), lambda: Sequences.from_padded(masked[None])):
        with pytest.raises(DataError, match="would lose its mask, of 1 values"):
            make()
