"""The sequences of a batch dealt out to processes, without overlap and without loss."""

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyseq.backend import to_numpy
from tinyseq.engine import Tensor
from tinyseq.errors import ConfigError
from tinyseq.sequences import Sequences


def dealt(count: int, rank: int, size: int) -> list[int]:
    """Which of `count` sequences are those of `rank`: 0 1 1 0 0 1 1 0 ... for two processes.

    To and fro, because sequences of a batch often stand in the order of their lengths: no rank gets the
    longer of every pair. The lengths themselves decide nothing, so that the windows of a stream stay with the
    process that has its state.
    """
    return [i for i in range(count) if min(i % (2 * size), 2 * size - 1 - i % (2 * size)) == rank]


def share_of(batch: Any, rank: int, size: int) -> Any:
    """The part of a batch that is dealt to `rank`, made as the whole one is; None if it gets no sequence.

    batch: Sequences, arrays and Tensors (batch, ...), lists of an item for each sequence, or tuples of these.
    Raises ConfigError for anything else.
    """
    places = dealt(count_of(batch), rank, size)
    return _selected(batch, places, count_of(batch)) if places else None


def count_of(batch: Any) -> int:
    """How many sequences a batch has. Raises ConfigError if nothing says so."""
    counts = _counts(batch)
    if len(set(counts)) != 1:
        said = f"parts of {' and '.join(map(str, counts))}" if counts else type(batch).__name__
        raise ConfigError(
            "Processes share a batch by its sequences, so it is Sequences, arrays or lists with one item for "
            f"each sequence, or tuples of these; this one is {said}."
        )
    return counts[0]


def fingerprint(batch: Any) -> int:
    """A number that tells batches apart, of host data; data on a device are told apart by shape alone."""
    if isinstance(batch, dict):
        return fingerprint([[str(key), value] for key, value in batch.items()])
    if isinstance(batch, tuple | list):
        return zlib.crc32(repr([fingerprint(part) for part in batch]).encode())
    if isinstance(batch, Sequences):
        return zlib.crc32(repr(batch.lengths).encode(), fingerprint(batch.data))
    array = batch.data if isinstance(batch, Tensor) else batch
    if isinstance(array, np.ndarray):
        return zlib.crc32(np.ascontiguousarray(array).tobytes(), zlib.crc32(repr(array.shape).encode()))
    known = getattr(
        array, "shape", array if isinstance(array, str | bytes | int | float | None) else type(array)
    )
    return zlib.crc32(repr(known).encode())


def merged_rows(parts: Sequence[list[Any]], size: int) -> list[np.ndarray[Any, Any]]:
    """Arrays with a row for each sequence of a batch, from those that each process has of its share."""
    some = [part for part in parts if part]
    if not some:
        return []
    count = sum(len(part[0]) for part in some)
    whole = [np.empty((count, *leaf.shape[1:]), leaf.dtype) for leaf in some[0]]
    for rank, part in enumerate(parts):
        for leaf, rows in zip(whole, part, strict=False):
            leaf[dealt(count, rank, size)] = to_numpy(rows)
    return whole


def _counts(batch: Any) -> list[int]:
    if isinstance(batch, tuple):
        return [count for part in batch for count in _counts(part)]
    if isinstance(batch, Sequences):
        return [batch.batch_size]
    if isinstance(batch, list) or np.ndim(getattr(batch, "data", batch)):
        return [len(batch)]
    return []


def _selected(batch: Any, places: list[int], count: int) -> Any:
    if isinstance(batch, tuple):
        parts = [_selected(part, places, count) for part in batch]
        return type(batch)(*parts) if hasattr(batch, "_fields") else tuple(parts)
    if isinstance(batch, Sequences):
        return batch.select(places)
    return [batch[i] for i in places] if isinstance(batch, list) else batch[places]
