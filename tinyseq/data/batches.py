"""Batches of sequences of about the same length, each once an epoch, in a new order every time."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, Generic, TypeVar

import numpy as np

from tinyseq import random
from tinyseq.contracts.pairing import check_count
from tinyseq.errors import DataError, TinyseqError, listed

T = TypeVar("T")
Collate = Callable[[list[T]], Any]
"""Makes the batch that a training step takes from the list of its examples."""


class _Batches(Generic[T]):
    """What both ways to batch are told; see LengthBatches."""

    def __init__(
        self,
        examples: Iterable[T],
        batch_size: int,
        collate: Collate[T] = list,
        *,
        length: Callable[[T], int] | None = None,
        pool: int = 50,
    ) -> None:
        check_count("Batches", "batch_size", batch_size)
        check_count("Batches", "pool", pool)
        self.examples = examples
        self.batch_size = batch_size
        self.collate = collate
        self.length = length or _length
        self.pool = pool
        self.places: list[int] = []

    def _collated(self, places: list[int], examples: list[T]) -> Any:
        """A batch; where that fails, the error names the first example that does not even make one alone."""
        self.places = places
        try:
            return self.collate(examples)
        except Exception as error:
            alone = next((i for i, e in enumerate(examples) if not self._collates(e)), None)
            said = told(places, getattr(error, "at", None) if alone is None else (alone, len(places)))
            if isinstance(error, TinyseqError):
                error.args = (*error.args, said)
            else:  # of the caller's own code
                error.add_note(said)
            raise

    def _collates(self, example: T) -> bool:
        try:
            self.collate([example])
        except Exception:
            return False
        return True


@contextmanager
def examples_named(places: Sequence[int], kind: str = "example", whole: str = "this batch") -> Iterator[None]:
    """Let errors about a batch say which examples of the data it holds, or which one they are about."""
    try:
        yield
    except TinyseqError as error:
        if places:
            error.args = (*error.args, told(places, error.at, kind, whole))
        raise


def told(
    places: Sequence[int], at: tuple[int, int] | None, kind: str = "example", whole: str = "this batch"
) -> str:
    """Which example of the data an error is about, if it knows its place in the batch, or among which."""
    if at is not None and at[1] == len(places):
        return f"Sequence {at[0]} of {whole} is {kind} {places[at[0]]} of the data."
    shown = ", ".join(map(str, places[:8])) + (f" and {len(places) - 8} more" if len(places) > 8 else "")
    return f"{whole.capitalize()} holds {kind}{'' if len(places) == 1 else 's'} {shown} of the data."


class LengthBatches(_Batches[T]):
    """Batches of examples in memory, put together by length.

    Steps of a batch in which only the longest sequences go on waste time, so examples are drawn at random
    into pools of `pool` batches, and each pool is cut into batches by length: a larger pool makes batches
    more even and less random. `length` measures an example, by default `len` of it, or of the first part of a
    tuple; `collate` makes a batch, by default a list. `places` says which examples, by their place in the
    data, or by `numbers` if these are only some of the data, the batch has that came last; errors name them.
    Every example comes once an epoch; iterating draws the whole order at once from
    `tinyseq.random.generator()`. Raises DataError without examples.
    """

    examples: Sequence[T]

    def __init__(
        self,
        examples: Sequence[T],
        batch_size: int,
        collate: Collate[T] = list,
        *,
        length: Callable[[T], int] | None = None,
        pool: int = 50,
        numbers: Sequence[int] | None = None,
    ) -> None:
        if hasattr(examples, "iloc") or isinstance(examples, Mapping) or hasattr(examples, "get_column"):
            raise DataError(
                f"LengthBatches takes a list of examples, not a {type(examples).__name__} of columns: "
                'rows_of(frame, "text", "label") makes one of it.'
            )
        if isinstance(examples, str) or not hasattr(examples, "__getitem__"):
            raise DataError(
                f"LengthBatches takes a list of examples, not a {type(examples).__name__}: StreamedBatches "
                "read what comes one after another."
            )
        super().__init__(examples, batch_size, collate, length=length, pool=pool)
        self.numbers = numbers
        if not len(examples):
            raise DataError("LengthBatches needs at least one example.")
        self._lengths = np.array([self.length(example) for example in examples])

    def __len__(self) -> int:
        return -(-len(self.examples) // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        rng = random.generator()
        order = rng.permutation(len(self.examples))
        size = self.pool * self.batch_size
        batches = []
        for start in range(0, len(order), size):
            pool = order[start : start + size]
            batches += [pool[cut] for cut in _cut_by_length(self._lengths[pool], self.batch_size, rng)]
        return self._batches([batches[i].tolist() for i in rng.permutation(len(batches))])

    def _batches(self, chosen: list[list[int]]) -> Iterator[Any]:
        for places in chosen:
            numbers = places if self.numbers is None else [self.numbers[i] for i in places]
            yield self._collated(numbers, [self.examples[i] for i in places])


class StreamedBatches(_Batches[T]):
    """Batches from examples that do not fit into memory: one pool of `pool` batches is held at a time.

    `examples` starts anew each time it is iterated, like Records or a list; a pool is the next examples of
    it, in its order, and batches of a pool come in random order. Otherwise as LengthBatches. A file sorted
    by class should be shuffled first, as examples far apart never meet. Iterating draws one number from
    `tinyseq.random.generator()`, which decides the whole epoch.
    """

    def __iter__(self) -> Iterator[Any]:
        return self._batches(np.random.default_rng(random.generator().integers(2**63)))

    def _batches(self, rng: np.random.Generator) -> Iterator[Any]:
        examples, first = iter(self.examples), 0
        while pool := list(islice(examples, self.pool * self.batch_size)):
            lengths = np.array([self.length(example) for example in pool])
            cuts = _cut_by_length(lengths, self.batch_size, rng)
            for i in rng.permutation(len(cuts)):
                places = cuts[i].tolist()
                yield self._collated([first + k for k in places], [pool[k] for k in places])
            first += len(pool)


def _length(example: Any) -> int:
    if isinstance(example, Mapping):
        raise DataError(
            f"An example is a dictionary of {listed(example)}, which does not say what is long about it: "
            'pass length=lambda row: len(row["..."]), or take columns with rows_of().'
        )
    return len(example[0] if isinstance(example, tuple) else example)


def _cut_by_length(lengths: Any, batch_size: int, rng: np.random.Generator) -> list[Any]:
    """Places in `lengths` by batch; which of equal length are together is random, and so is the small one."""
    shuffled = rng.permutation(len(lengths))
    by_length = shuffled[np.argsort(lengths[shuffled], kind="stable")]
    count = -(-len(lengths) // batch_size)
    rest = len(lengths) % batch_size
    starts = np.arange(count) * batch_size
    if rest:
        starts[rng.integers(count) + 1 :] -= batch_size - rest
    return np.split(by_length, starts[1:])
