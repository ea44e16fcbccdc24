"""NumPy: always there, and the reference for every other backend."""

from typing import Any

import numpy as np

from tinyseq.backend.error_function import erf
from tinyseq.backend.words import array_words
from tinyseq.errors import BackendError, DataError

MANY = 4000  # numbers for each row of the result, from which a call for each row pays


def _scatter_add(out: Any, index: Any, values: Any) -> None:
    """out[index] += values, where an element that is named n times receives n values."""
    rows = index[0] if isinstance(index, tuple) and len(index) == 1 else index
    if out.ndim > 1 and isinstance(rows, np.ndarray) and rows.dtype.kind in "iu" and len(out):
        width = out[0].size
        if rows.size * width > MANY * min(len(out), rows.size) and rows.min() >= 0:
            _add_sums(out.reshape(-1, width), rows.reshape(-1), values.reshape(-1, width))
            return
        # Number by number is 4 times faster than by rows: NumPy's fast path is for one-dimensional indices.
        index = (rows.astype(np.intp).reshape(-1, 1) * width + np.arange(width)).reshape(-1)
        out, values = out.reshape(-1), values.reshape(-1)
    np.add.at(out, index, values)


def _add_sums(out: Any, rows: Any, values: Any) -> None:
    """The same for many values to few rows of `out`, a view: those of each row are summed in one call."""
    order = np.argsort(rows, kind="stable")
    sorted_rows = rows[order]
    cuts = np.flatnonzero(np.diff(sorted_rows)) + 1
    for part in np.split(order, cuts):
        out[rows[part[0]]] += np.add.reduce(values[part], axis=0, dtype=out.dtype)


def _argsort(x: Any, axis: int) -> Any:
    """Equal elements in their order, on every machine."""
    return np.argsort(x, axis=axis, kind="stable")


class NumpyBackend:
    """The CPU through NumPy."""

    name = "numpy"
    emitter = "numpy"

    def __init__(self) -> None:
        self.words = array_words("numpy", np, _scatter_add, erf=erf, argsort=_argsort)
        # NumPy answers a full reduction with a scalar, not with a 0-d array; both are arrays to us.
        scalars = (np.bool_, *np.sctypeDict.values())
        self.types: tuple[type, ...] = (
            np.ndarray,
            *{s for s in scalars if issubclass(s, np.number | np.bool_)},
        )

    def asarray(self, values: Any, dtype: Any = None) -> Any:
        """`values` (anything NumPy can read) as an array here; no copy where none is needed.

        Raises DataError for a masked array with something masked, whose mask would be lost.
        """
        if type(values) is not np.ndarray and np.ma.isMaskedArray(values) and np.ma.is_masked(values):
            raise DataError(
                f"A masked array would lose its mask, of {int(np.sum(values.mask))} values: give "
                "filled(value) of it, or what is not masked."
            )
        return np.asarray(values, dtype)

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """New zeros."""
        return np.zeros(shape, dtype)

    def to_numpy(self, array: Any) -> np.ndarray[Any, Any]:
        """The same values in host memory."""
        return np.asarray(array)

    def devices(self) -> list[str]:
        """The CPU alone."""
        return ["the CPU"]

    def select(self, device: int) -> int:
        """Refused, but for the CPU itself, number 0."""
        if device != 0:
            raise BackendError(f"NumPy computes on the CPU, device 0; there is no device {device}.")
        return 0

    def synchronize(self) -> None:
        """Wait until the device is done: NumPy always is."""
