"""NumPy: always there, and the reference for every other backend."""

from typing import Any

import numpy as np

from tinyseq.backend.words import array_words


def _scatter_add(out: Any, index: Any, values: Any) -> None:
    """out[index] += values, where an element that is named n times receives n values."""
    rows = index[0] if isinstance(index, tuple) and len(index) == 1 else index
    if out.ndim > 1 and isinstance(rows, np.ndarray) and rows.dtype.kind in "iu" and len(out):
        # Number by number is 4 times faster than by rows: NumPy's fast path is for one-dimensional indices.
        width = out[0].size
        index = (rows.astype(np.intp).reshape(-1, 1) * width + np.arange(width)).reshape(-1)
        out, values = out.reshape(-1), values.reshape(-1)
    np.add.at(out, index, values)


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
