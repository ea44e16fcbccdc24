"""NumPy: always there, and the reference for every other backend."""

from typing import Any

import numpy as np

from tinyseq.backend.words import array_words


def _scatter_add(out: Any, index: Any, values: Any) -> None:
    """out[index] += values, where an element that is named n times receives n values."""
    ids = index[0] if isinstance(index, tuple) and len(index) == 1 else index
    if isinstance(ids, np.ndarray) and ids.dtype.kind in "iu" and values.ndim > ids.ndim and ids.size:
        _add_rows(out, ids.reshape(-1), values.reshape(ids.size, *out.shape[1:]))
    else:
        np.add.at(out, index, values)


def _add_rows(out: Any, ids: Any, rows: Any) -> None:
    """Sum the rows of each id, then store it once: 5 to 15 times faster than numpy.add.at on wide rows."""
    ids = np.where(ids < 0, ids + len(out), ids)  # or one row would go by two names
    order = np.argsort(ids, kind="stable")
    ids, rows = ids[order], rows[order]
    starts = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
    ends = np.append(starts[1:], ids.size)
    once = ends - starts == 1
    out[ids[starts[once]]] += rows[starts[once]]
    for start, end in zip(starts[~once].tolist(), ends[~once].tolist(), strict=True):
        out[ids[start]] += rows[start:end].sum(axis=0)


class NumpyBackend:
    """The CPU through NumPy."""

    name = "numpy"
    emitter = "numpy"

    def __init__(self) -> None:
        self.words = array_words("numpy", np, _scatter_add)
        # NumPy answers a full reduction with a scalar, not with a 0-d array; both are arrays to us.
        scalars = (np.bool_, *np.sctypeDict.values())
        self.types: tuple[type, ...] = (
            np.ndarray,
            *{s for s in scalars if issubclass(s, np.number | np.bool_)},
        )

    def asarray(self, values: Any, dtype: Any = None) -> Any:
        """`values` (anything NumPy can read) as an array here; no copy where none is needed."""
        return np.asarray(values, dtype)

    def to_numpy(self, array: Any) -> np.ndarray[Any, Any]:
        """The same values in host memory."""
        return np.asarray(array)

    def synchronize(self) -> None:
        """Wait until the device is done: NumPy always is."""
