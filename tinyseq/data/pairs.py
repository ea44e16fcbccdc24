"""Batches of pairs in which no negative is a positive in disguise."""

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinyseq import random
from tinyseq.contracts.pairing import check_count
from tinyseq.errors import DataError

Index = np.ndarray[Any, np.dtype[np.int64]]


class PairBatch(NamedTuple):
    """indices: which of the pairs are in the batch; groups: the group of each, all different."""

    indices: Index
    groups: Index


def duplicate_groups(pairs: Sequence[tuple[Hashable, Hashable]]) -> Index:
    """The group of each pair, from 0 on: pairs that share an item, directly or through others, are in one.

    Being a duplicate is transitive: if a = b and b = c were marked, a and c are duplicates that nobody
    marked. Items are compared by equality, so give texts, or ids that are one for each text.
    """
    parent: dict[Hashable, Hashable] = {}

    def root(item: Hashable) -> Hashable:
        parent.setdefault(item, item)
        while parent[item] != item:
            parent[item] = parent[parent[item]]  # halves the path for the next time
            item = parent[item]
        return item

    for i, pair in enumerate(pairs):
        if isinstance(pair, str | bytes) or len(pair) != 2:
            raise DataError(f"duplicate_groups(): pair {i} is {pair!r}, and a pair has two items.")
        a, b = pair
        parent[root(a)] = root(b)
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(root(a), len(numbers)) for a, _ in pairs], np.int64)


class PairBatches:
    """Batches of duplicate pairs for a loss that takes every other row of the batch for a negative.

    No batch holds two pairs of one group (see `duplicate_groups`), and every pair comes once an epoch.
    There are as few batches as that allows, and their sizes differ by at most one: a group with many pairs
    needs as many batches, which makes all of them smaller than `batch_size`. Iterating draws a new order, all
    at once, from `tinyseq.random.generator()`. Raises DataError without pairs.
    """

    def __init__(self, pairs: Sequence[tuple[Hashable, Hashable]], batch_size: int) -> None:
        check_count("PairBatches", "batch_size", batch_size)
        if not len(pairs):
            raise DataError("PairBatches needs at least one pair.")
        self.groups = duplicate_groups(pairs)
        self._count = max(-(-len(pairs) // batch_size), int(np.bincount(self.groups).max()))

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[PairBatch]:
        rng = random.generator()
        # The groups in random order, the pairs of each side by side: dealt out in turn like cards, no batch
        # gets two of one group, as no group has more pairs than there are batches.
        shuffled = rng.permutation(len(self.groups))
        deck = shuffled[
            np.argsort(rng.permutation(self.groups.max() + 1)[self.groups[shuffled]], kind="stable")
        ]
        dealt = [rng.permutation(deck[start :: len(self)]) for start in rng.permutation(len(self))]
        return iter([PairBatch(indices, self.groups[indices]) for indices in dealt])
