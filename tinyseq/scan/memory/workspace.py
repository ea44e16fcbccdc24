"""Memory for one run of a compiled step, and every slice of it that the loops need, prepared.

A workspace belongs to one run, from its forward pass to the end of its backward pass, and then serves the
next. What a caller receives is never part of one.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, lru_cache, partial
from itertools import pairwise
from typing import Any

import numpy as np

from tinyseq.backend import Array, Words, words_of
from tinyseq.backend.threads import together
from tinyseq.scan.memory.places import Key, Kind, Place, Store

Index = np.ndarray[Any, Any]
ALIGNMENT = 64
PREPARED_STEPS = (
    2048  # beyond, slices are cut while the loop runs: so many would take more memory than the rows
)


class Rows:
    """Which rows each step has, in the order in which the steps are run."""

    def __init__(self, sizes: tuple[int, ...], reverse: bool) -> None:
        self.sizes, self.reverse = sizes, reverse
        self.batch, self.steps, self.total = sizes[0], len(sizes), sum(sizes)
        self.is_dense = sizes[-1] == sizes[0]
        self.offsets = np.array([0, *np.cumsum(sizes)])
        # States: B initial rows, then those of each step; a step reads the block of the one run before it.
        blocks = np.array([0, *(self.batch + self.offsets[:-1])])
        self.state_before = blocks[1:] if reverse else blocks[:-1]
        self.state_after = blocks[:-1] if reverse else blocks[1:]
        self._there: dict[Any, Array] = {}

    def there(self, key: Any, indices: Callable[[], Index], library: Any) -> Array:
        """What `indices` gives, on the device in use, where it is brought once for these rows."""
        home = None if library is np else library.cuda.runtime.getDevice()
        if (key, home) not in self._there:
            self._there[key, home] = library.asarray(indices())
        return self._there[key, home]

    def order(self, backward: bool = False) -> Iterable[int]:
        """The steps in the order of the run, or of its backward pass."""
        return range(self.steps) if self.reverse == backward else range(self.steps - 1, -1, -1)

    @cached_property
    def _edge(self) -> Index:
        """The state rows after each sequence's last step (in packed order)."""
        edge: Index = self.batch + np.asarray(self.offsets)[self.lengths - 1] + np.arange(self.batch)
        return edge

    @cached_property
    def lengths(self) -> Index:
        """The length of each sequence, in packed order."""
        ended = np.diff(self.sizes, append=0)  # how many sequences end after each step, as a negative number
        return np.repeat(np.arange(self.steps, 0, -1), -ended[::-1])

    def ends(self, first: bool) -> slice | Index:
        """The state rows before each sequence's first step of the run, or after its last."""
        if first != self.reverse:
            return slice(0, self.batch)
        return slice(self.total, self.total + self.batch) if self.is_dense else self._edge

    def shares(self, count: int) -> list[tuple[int, int]]:
        """Sequences [start, stop) of each of `count` shares, which are about equal in steps."""
        if count == 1:
            return [(0, self.batch)]
        ends = np.cumsum(self.lengths)  # the steps of the sequences up to each
        cuts = np.searchsorted(ends, ends[-1] * np.arange(1, count) / count) + 1
        edges = [0, *(int(c) for c in np.unique(cuts) if c < self.batch), self.batch]
        return list(pairwise(edges))

    @cached_property
    def shifted(self) -> Index:
        """The state rows that are a step earlier (in reverse: later) than each row."""
        starts = self.state_after if self.reverse else self.state_before
        return np.concatenate([np.arange(s, s + n) for s, n in zip(starts, self.sizes, strict=True)])


@lru_cache(256)
def rows_of(sizes: tuple[int, ...], reverse: bool) -> Rows:
    """Rows for these sizes of steps."""
    return Rows(sizes, reverse)


class Memory:
    """Arrays for a list of stores, carved from one block that only ever grows."""

    def __init__(self, stores: Sequence[Store], words: Words, library: Any) -> None:
        self.stores, self.words, self.library = stores, words, library
        self.block: Array = None
        self.capacity = 0
        self.rows: Rows | None = None
        self.arrays: dict[Store, Array] = {}

    def fit(self, rows: Rows) -> bool:
        """Arrays for these rows; False if they were there already."""
        if self.rows is rows:
            return False
        counts = {
            Kind.GIVEN: rows.total,
            Kind.SEQUENCE: rows.total,
            Kind.STATE: rows.batch + rows.total,
            Kind.CARRY: 2 * rows.batch,
            Kind.STEP: rows.batch,
        }
        shapes = {s: (counts[s.kind], s.width) for s in self.stores}
        sizes = {
            s: -(-n * w * np.dtype(s.dtype).itemsize // ALIGNMENT) * ALIGNMENT for s, (n, w) in shapes.items()
        }
        needed = sum(sizes.values())
        self.arrays = {}
        if self.block is None or needed > self.capacity:
            self.block = None  # give the old one back first
            self.block = self.library.empty(needed + ALIGNMENT, np.uint8)
            self.capacity = needed
        pointer = self.block.data.ptr if hasattr(self.block.data, "ptr") else self.block.ctypes.data
        at = -pointer % ALIGNMENT
        for store, (n, w) in shapes.items():
            used = n * w * np.dtype(store.dtype).itemsize
            self.arrays[store] = self.block[at : at + used].view(store.dtype).reshape(n, w)
            at += sizes[store]
        self.rows = rows
        return True


class Workspace:
    """What the emitted source calls `run`: memory, prepared slices, and the rows of all steps."""

    packs: bool  # whether products are with packed matrices, and loops may be kernels
    pack: Any  # of a matrix that stays the same from step to step, for
    product: Any  # (rows, packed, out)
    shares: list[tuple[int, int]]  # the sequences of each thread, where a loop is a kernel
    _forward: "_Slices"
    _backward: "_Slices"

    def __init__(self, memory: Memory, keys: Sequence[Key]) -> None:
        self.memory, self.keys = memory, keys
        self.words, self.library = memory.words, memory.library
        self.scratch: dict[Store, Array] | None = None  # the arrays that the backward loop slices
        self.all: dict[str, Array] = {}
        self.shifted: dict[str, Array] = {}

    def prepare(self, rows: Rows) -> None:
        """Get ready for a forward pass over these rows."""
        if self.memory.fit(rows):
            self.scratch = None
            self._forward = _Slices(self.keys, rows, self.memory.arrays, rows.order())
        self.rows, self.total = rows, rows.total
        self.all = self._named(self.memory.arrays)
        self.shifted = {}

    def prepare_backward(self, scratch: Memory, keys: Sequence[Key]) -> None:
        """Get ready for the backward pass, with memory for what only it needs."""
        if scratch.fit(self.rows) or self.scratch is not scratch.arrays:
            arrays = {**self.memory.arrays, **scratch.arrays}
            self._backward = _Slices(keys, self.rows, arrays, self.rows.order(backward=True))
            self.scratch = scratch.arrays
        self.all |= self._named(scratch.arrays)

    @staticmethod
    def _named(arrays: dict[Store, Array]) -> dict[str, Array]:
        return {s.name: a for s, a in arrays.items() if s.kind in (Kind.GIVEN, Kind.SEQUENCE, Kind.STATE)}

    # --- what the emitted source says

    def after(self, name: str) -> Array:
        """The states after each step."""
        rows = self.rows
        return self._moved(name) if rows.reverse else self.all[name][rows.batch :]

    def before(self, name: str) -> Array:
        """The states before each step."""
        rows = self.rows
        return self.all[name][rows.batch :] if rows.reverse else self._moved(name)

    def _moved(self, name: str) -> Array:
        if self.rows.is_dense:
            return self.all[name][: self.rows.total]
        if name not in self.shifted:
            index = self.rows.there("shifted", lambda: self.rows.shifted, self.library)
            self.shifted[name] = self.library.take(self.all[name], index, axis=0)
        return self.shifted[name]

    def look_up(self, table: Array, ids: Array, out: Array) -> None:
        """The row of `table` for each id, in `out`; on NumPy, IndexError for an id that it does not have."""
        if self.library is np:
            inside = ids.min() >= 0 and ids.max() < len(table)
            # Clipping is written to `out` directly; with "raise" it would go through a copy.
            np.take(table, ids, axis=0, out=out, mode="clip" if inside else "raise")
        else:
            self.library.take(table, ids, axis=0, out=out)

    def new(self, width: int, dtype: Any) -> Array:
        """A new array for all rows."""
        return self.library.empty((self.total, width), dtype)

    # --- the loops: their slices, step by step, or whole with a table of what to slice

    @property
    def forward_steps(self) -> Iterable[tuple[Array, ...]]:
        """For each step, what the forward loop needs of it."""
        return self._forward.prepared

    @property
    def backward_steps(self) -> Iterable[tuple[Array, ...]]:
        """For each step, what the backward loop needs of it."""
        return self._backward.prepared

    def forward_loop(self, kernel: Any, fixed: Sequence[Array], totals: Sequence[Array]) -> None:
        """Run a kernel that is the forward loop."""
        self._forward.run(kernel, self.shares, fixed, totals)

    def backward_loop(self, kernel: Any, fixed: Sequence[Array], totals: Sequence[Array]) -> None:
        """Run a kernel that is the backward loop."""
        self._backward.run(kernel, self.shares, fixed, totals)

    @property
    def forward_table_there(self) -> Array:
        """forward_table, where the rows are: on the device."""
        return self._forward.table_there

    @property
    def backward_table_there(self) -> Array:
        """As forward_table_there, in the order of the backward loop."""
        return self._backward.table_there

    @property
    def forward_slices(self) -> list[Array]:
        """What forward_table slices."""
        return [array for array, _ in self._forward.sources]

    @property
    def backward_slices(self) -> list[Array]:
        """What backward_table slices."""
        return [array for array, _ in self._backward.sources]


class _Slices:
    """For each step, in order, the slices that its keys ask for."""

    def __init__(
        self, keys: Sequence[Key], rows: Rows, arrays: dict[Store, Array], order: Iterable[int]
    ) -> None:
        self.rows, self.order = rows, order
        self._tables: dict[tuple[int, int], Index] = {}
        self.sources = []
        for place, shape in keys:
            array = arrays[place.store][:, place.start : place.stop]
            if shape != (place.stop - place.start,):
                array = array.reshape(array.shape[0], *shape)
            self.sources.append((array, place))

    @cached_property
    def prepared(self) -> Iterable[tuple[Array, ...]]:
        """The slices, cut before the loop runs unless they are too many."""
        return list(self) if self.rows.steps <= PREPARED_STEPS else self

    @cached_property
    def table(self) -> Index:
        """For each step, its number of rows and the first row of every slice."""
        order, turns = np.asarray(self.order), np.arange(self.rows.steps)
        columns = [np.asarray(self.rows.sizes)[order]]
        columns += [np.asarray(self._first_row(place, order, turns)) for _, place in self.sources]
        return np.stack(np.broadcast_arrays(*columns), axis=1).astype(np.int64)

    def run(
        self, kernel: Any, shares: list[tuple[int, int]], fixed: Sequence[Array], totals: Sequence[Array]
    ) -> None:
        """Run a kernel that is a loop, with one thread for each share of the sequences.

        fixed: what all of them read. totals: what each adds to, added up in the order of the shares.
        """
        arrays = [array for array, _ in self.sources]
        own = [totals, *([np.zeros_like(total) for total in totals] for _ in shares[1:])]
        together(
            [
                partial(kernel, self._table_of(share), *arrays, *fixed, *mine)
                for share, mine in zip(shares, own, strict=True)
            ]
        )
        for mine in own[1:]:
            for total, part in zip(totals, mine, strict=True):
                total += part

    def _table_of(self, share: tuple[int, int]) -> Index:
        """The table for some of the sequences, whose rows stand side by side in every slice."""
        if share not in self._tables:
            start, stop = share
            table = self.table[self.table[:, 0] > start] + start
            table[:, 0] = np.minimum(table[:, 0] - start, stop) - start
            self._tables[share] = table
        return self._tables[share]

    @cached_property
    def table_there(self) -> Array:
        """The table as an array of the library of the rows."""
        columns = tuple([(place.store.kind, place.before) for _, place in self.sources])
        key = ("table", tuple(self.order), columns)
        return self.rows.there(key, lambda: self.table, library_of(self.sources[0][0]))

    def __iter__(self) -> Iterator[tuple[Array, ...]]:
        for turn, t in enumerate(self.order):
            count = self.rows.sizes[t]
            firsts = [(array, self._first_row(place, t, turn)) for array, place in self.sources]
            yield tuple([array[first : first + count] for array, first in firsts])

    def _first_row(self, place: Place, t: Any, turn: Any) -> Any:
        """The first row of a slice at step t, or at each of several."""
        rows, kind = self.rows, place.store.kind
        if kind is Kind.STEP:
            return 0
        if kind is Kind.CARRY:
            return rows.batch * ((turn + (not place.before)) % 2)
        if kind is Kind.STATE:
            return (rows.state_before if place.before else rows.state_after)[t]
        return rows.offsets[t]


class Pool:
    """Objects that are lent to one run at a time; threads may share it."""

    def __init__(self, make: Any) -> None:
        self._make, self._free = make, []  # type: ignore[var-annotated]
        self.keeps = True  # what is given back, for the next run
        self._lock = threading.RLock()  # garbage collection may give a run's back in the middle of `take`

    def take(self, rows: Rows) -> Any:
        """A free one, best one that served the same rows last; or a new one."""
        with self._lock:
            for i, item in enumerate(self._free):
                if item.rows is rows:
                    return self._free.pop(i)
            if self._free:
                return self._free.pop()
        return self._make()

    def give(self, item: Any) -> None:
        """Take back what was lent."""
        with self._lock:
            if self.keeps:
                self._free.append(item)

    def release(self) -> None:
        """Forget what is free now, and what is given back from now on."""
        with self._lock:
            self.keeps = False
            self._free.clear()


def library_of(array: Array) -> Any:
    """The module of an array: numpy or cupy."""
    if words_of(array).name == "numpy":
        return np
    import cupy

    return cupy
