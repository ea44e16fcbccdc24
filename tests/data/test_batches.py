"""Batches by length: every example once an epoch, seeded, even, and never all in memory."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyseq
from tinyseq.data import LengthBatches, StreamedBatches
from tinyseq.errors import ConfigError, DataError

examples = st.lists(st.integers(1, 12), min_size=1, max_size=60).map(
    lambda lengths: [(i, [0] * n) for i, n in enumerate(lengths)]
)


def by_length(example: tuple[int, list[int]]) -> int:
    return len(example[1])


@pytest.mark.parametrize("kind", [LengthBatches, StreamedBatches])
@given(data=examples, batch_size=st.integers(1, 7), pool=st.integers(1, 4), seed=st.integers(0, 2**32 - 1))
def test_every_example_comes_once_an_epoch(
    kind: Any, data: list[Any], batch_size: int, pool: int, seed: int
) -> None:
    tinyseq.seed(seed)
    batches = kind(data, batch_size, length=by_length, pool=pool)
    for _ in range(2):
        epoch = list(batches)
        assert sorted(i for batch in epoch for i, _ in batch) == list(range(len(data)))
        assert len(epoch) == -(-len(data) // batch_size)  # no more batches than needed
        assert max(map(len, epoch)) <= batch_size
    if kind is LengthBatches:
        assert len(batches) == len(epoch)


@given(data=examples, batch_size=st.integers(1, 7))
def test_one_pool_is_perfectly_sorted(data: list[Any], batch_size: int) -> None:
    """Batches of one pool do not overlap in length."""
    epoch = list(LengthBatches(data, batch_size, length=by_length, pool=len(data)))
    spans = sorted((min(map(by_length, batch)), max(map(by_length, batch))) for batch in epoch)
    assert all(high <= low for (_, high), (low, _) in pairwise(spans))


def test_any_batch_may_be_the_one_that_is_not_full() -> None:
    """Were it always the longest sequences, they would weigh more than others."""
    data = [(i, [0] * (i + 1)) for i in range(10)]
    batches = LengthBatches(data, 4, length=by_length)
    tinyseq.seed(0)
    small = {min(i for i, _ in batch) for _ in range(40) for batch in batches if len(batch) == 2}
    assert small == {0, 4, 8}


@pytest.mark.parametrize("kind", [LengthBatches, StreamedBatches])
def test_orders_differ_and_a_seed_repeats_them(kind: Any) -> None:
    data = [(i, [0] * (1 + i % 5)) for i in range(100)]
    batches = kind(data, 8, length=by_length, pool=3)

    def epoch() -> list[list[int]]:
        return [[i for i, _ in batch] for batch in batches]

    tinyseq.seed(3)
    first, second = epoch(), epoch()
    assert first != second
    assert {frozenset(batch) for batch in first} != {frozenset(batch) for batch in second}
    tinyseq.seed(3)
    assert epoch() == first


@pytest.mark.parametrize("kind", [LengthBatches, StreamedBatches])
def test_an_order_is_drawn_when_the_epoch_begins(kind: Any) -> None:
    """What training draws meanwhile does not disturb it: a resumed epoch skips what was done."""
    data = list(range(50))

    def epoch(draws: bool) -> list[list[int]]:
        tinyseq.seed(7)
        found = []
        for batch in kind(data, 4, length=lambda _: 1, pool=2):
            found.append(batch)
            if draws:
                tinyseq.random.generator().random()
        return found

    assert epoch(True) == epoch(False)


def test_a_stream_is_read_a_pool_at_a_time_and_anew_every_epoch() -> None:
    taken = 0

    class Stream:
        def __iter__(self) -> Iterator[list[int]]:
            nonlocal taken
            for i in range(100):
                taken += 1
                yield [i]

    batches = StreamedBatches(Stream(), 5, pool=2)
    iterator = iter(batches)
    next(iterator)
    assert taken == 10
    assert sum(len(batch) for batch in batches) == 100


def test_lengths_are_those_of_the_first_part_and_a_batch_is_what_collate_makes() -> None:
    data = [("a" * n, "label") for n in (3, 1, 2, 3, 1, 2)]
    batches = LengthBatches(data, 2, lambda batch: {len(words) for words, _ in batch})
    assert sorted(map(sorted, batches)) == [[1], [2], [3]]
    assert sorted(map(sorted, LengthBatches(["a", "bb", "c", "dd"], 2))) == [["a", "c"], ["bb", "dd"]]


def test_requests_that_make_no_sense() -> None:
    with pytest.raises(DataError, match="at least one example"):
        LengthBatches([], 2)
    for kind in (LengthBatches, StreamedBatches):
        with pytest.raises(ConfigError, match="batch_size is a whole number, 1 or more, not 0"):
            kind(["a"], 0)
        with pytest.raises(ConfigError, match="pool is a whole number, 1 or more, not 0"):
            kind(["a"], 2, pool=0)


@pytest.mark.parametrize("kind", [LengthBatches, StreamedBatches])
@given(data=examples, batch_size=st.integers(1, 7), pool=st.integers(1, 4), seed=st.integers(0, 2**32 - 1))
def test_places_tell_which_examples_the_last_batch_has(
    kind: Any, data: list[Any], batch_size: int, pool: int, seed: int
) -> None:
    tinyseq.seed(seed)
    batches = kind(data, batch_size, length=by_length, pool=pool)
    for batch in batches:
        assert [data[i] for i in batches.places] == batch
