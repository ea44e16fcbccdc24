"""Batches of sequences of about the same length, each once an epoch, in a new order every time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Generic, TypeVar

import numpy as np

from tinyseq import random
from tinyseq.errors import ConfigError, DataError

T = TypeVar("T")
Collate = Callable[[list[T]], Any]
"""Makes the batch that a training step takes from the list of its examples."""


class LengthBatches(Generic[T]):
    """Batches of examples in memory, put together by length.

    Steps of a batch in which only the longest sequences go on waste time, so examples are drawn at random
    into pools of `pool` batches, and each pool is cut into batches by length: a larger pool makes batches
    more even and less random. `length` measures an example, by default `len` of it, or of the first part of a
    tuple; `collate` makes a batch, by default a list.
    `places` says which examples, by their place in the data, the batch has that came last.
    Every example comes once an epoch; iterating draws the whole order at once from
    `tinyseq.random.generator()`. Raises DataError without examples.
    """

    def __init__(
        self,
        examples: Sequence[T],
        batch_size: int,
        collate: Collate[T] = list,
        *,
        length: Callable[[T], int] | None = None,
        pool: int = 50,
    ) -> None:
        _check_sizes(batch_size, pool)
        if not len(examples):
            raise DataError("LengthBatches needs at least one example.")
        self.examples = examples
        self.batch_size = batch_size
        self.collate = collate
        self.pool = pool
        self.places: list[int] = []
        self._lengths = np.array([(length or _length)(example) for example in examples])

    def __len__(self) -> int:
        return -(-len(self.examples) // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        rng = random.generator()
        order = rng.permutation(len(self.examples))
        size = self.pool * self.batch_size
        batches = []
        for start in range(0, len(order), size):
            pool = order[start : start + size]
            batches += [pool[cut] for cut in _cut(self._lengths[pool], self.batch_size, rng)]
        return self._batches([batches[i].tolist() for i in rng.permutation(len(batches))])

    def _batches(self, chosen: list[list[int]]) -> Iterator[Any]:
        for places in chosen:
            self.places = places
            yield self.collate([self.examples[i] for i in places])


class StreamedBatches(Generic[T]):
    """Batches from examples that do not fit into memory: one pool of `pool` batches is held at a time.

    `examples` starts anew each time it is iterated, like Records or a list; a pool is the next examples of
    it, in its order, and batches of a pool come in random order. Otherwise as LengthBatches. A file sorted
    by class should be shuffled first, as examples far apart never meet. Iterating draws one number from
    `tinyseq.random.generator()`, which decides the whole epoch.
    """

    def __init__(
        self,
        examples: Iterable[T],
        batch_size: int,
        collate: Collate[T] = list,
        *,
        length: Callable[[T], int] | None = None,
        pool: int = 50,
    ) -> None:
        _check_sizes(batch_size, pool)
        self.examples = examples
        self.batch_size = batch_size
        self.collate = collate
        self.places: list[int] = []
        self.length = length or _length
        self.pool = pool

    def __iter__(self) -> Iterator[Any]:
        return self._batches(np.random.default_rng(random.generator().integers(2**63)))

    def _batches(self, rng: np.random.Generator) -> Iterator[Any]:
        examples, first = iter(self.examples), 0
        while pool := list(islice(examples, self.pool * self.batch_size)):
            lengths = np.array([self.length(example) for example in pool])
            cuts = _cut(lengths, self.batch_size, rng)
            for i in rng.permutation(len(cuts)):
                self.places = [first + k for k in cuts[i].tolist()]
                yield self.collate([pool[k] for k in cuts[i].tolist()])
            first += len(pool)


def _length(example: Any) -> int:
    return len(example[0] if isinstance(example, tuple) else example)


def _cut(lengths: Any, batch_size: int, rng: np.random.Generator) -> list[Any]:
    """Places in `lengths` by batch; which of equal length are together is random, and so is the small one."""
    shuffled = rng.permutation(len(lengths))
    by_length = shuffled[np.argsort(lengths[shuffled], kind="stable")]
    count = -(-len(lengths) // batch_size)
    rest = len(lengths) % batch_size
    starts = np.arange(count) * batch_size
    if rest:
        starts[rng.integers(count) + 1 :] -= batch_size - rest
    return np.split(by_length, starts[1:])


def _check_sizes(batch_size: int, pool: int) -> None:
    if batch_size < 1 or pool < 1:
        raise ConfigError(f"Batches need sizes of 1 or more, got batch_size={batch_size} and pool={pool}.")
