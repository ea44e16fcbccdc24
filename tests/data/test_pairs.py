"""Pair batches: groups against the transitive closure, and no batch with two pairs of one group."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyseq
from tinyseq.data import PairBatches, duplicate_groups
from tinyseq.errors import ConfigError, DataError

pairs_of_ids = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=25)


def closure(pairs: list[tuple[int, int]]) -> set[tuple[int, int]]:
    """All pairs of items that are duplicates, by adding what follows until nothing does."""
    known = {(a, b) for a, b in pairs} | {(b, a) for a, b in pairs} | {(a, a) for pair in pairs for a in pair}
    while True:
        more = {(a, d) for a, b in known for c, d in known if b == c} - known
        if not more:
            return known
        known |= more


@given(pairs=pairs_of_ids)
def test_groups_are_the_transitive_closure(pairs: list[tuple[int, int]]) -> None:
    groups, duplicates = duplicate_groups(pairs), closure(pairs)
    for i, (a, _) in enumerate(pairs):
        for j, (b, _) in enumerate(pairs):
            assert (groups[i] == groups[j]) == ((a, b) in duplicates)
    assert sorted(set(groups.tolist())) == list(range(groups.max() + 1))


@given(pairs=pairs_of_ids, batch_size=st.integers(1, 8), seed=st.integers(0, 2**32 - 1))
def test_every_pair_once_and_no_group_twice_in_a_batch(
    pairs: list[tuple[int, int]], batch_size: int, seed: int
) -> None:
    tinyseq.seed(seed)
    batches, duplicates = PairBatches(pairs, batch_size), closure(pairs)
    for _ in range(2):
        epoch = list(batches)
        assert sorted(i for batch in epoch for i in batch.indices.tolist()) == list(range(len(pairs)))
        for batch in epoch:
            items = [pairs[i] for i in batch.indices]
            for i, first in enumerate(items):
                for second in items[i + 1 :]:
                    assert not any((a, b) in duplicates for a in first for b in second)
            assert np.array_equal(batch.groups, batches.groups[batch.indices])
        sizes = [len(batch.indices) for batch in epoch]
        assert max(sizes) <= batch_size
        assert max(sizes) - min(sizes) <= 1
        # no fewer batches would do
        assert (
            len(epoch) == len(batches) == max(-(-len(pairs) // batch_size), np.bincount(batches.groups).max())
        )


def test_every_epoch_has_its_own_order_which_a_seed_repeats() -> None:
    batches = PairBatches([(i, i + 100) for i in range(40)], 8)

    def epoch() -> list[list[int]]:
        return [batch.indices.tolist() for batch in batches]

    tinyseq.seed(1)
    first, second = epoch(), epoch()
    assert first != second
    assert {frozenset(batch) for batch in first} != {frozenset(batch) for batch in second}
    tinyseq.seed(1)
    assert epoch() == first


def test_an_order_is_drawn_when_the_epoch_begins() -> None:
    """What training draws meanwhile does not disturb it: a resumed epoch skips what was done."""
    batches = PairBatches([(i, i + 100) for i in range(40)], 8)

    def epoch(draws: bool) -> list[list[int]]:
        tinyseq.seed(7)
        found = []
        for batch in batches:
            found.append(batch.indices.tolist())
            if draws:
                tinyseq.random.generator().random()
        return found

    assert epoch(True) == epoch(False)


def test_texts_and_long_chains() -> None:
    assert duplicate_groups([("a", "b"), ("c", "d"), ("d", "a"), ("e", "e")]).tolist() == [0, 0, 0, 1]
    chain = [(i, i + 1) for i in range(50_000)]
    assert not duplicate_groups(chain).any()
    assert not duplicate_groups(chain[::-1]).any()


def test_requests_that_make_no_sense() -> None:
    with pytest.raises(DataError, match="at least one pair"):
        PairBatches([], 4)
    with pytest.raises(ConfigError, match="batch_size is a whole number, 1 or more, not 0"):
        PairBatches([(1, 2)], 0)
