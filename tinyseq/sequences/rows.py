"""Rows that move from one arrangement to another: by gathers, whose gradients are the inverse gathers."""

from typing import Any

import numpy as np

from tinyseq.backend import Array, backend, words_of
from tinyseq.engine import Tensor, primitive

Index = np.ndarray[Any, Any]


class RowMap:
    """A one-to-one map between the rows of two arrays; a row without a partner is left out, or becomes zeros.

    `index[j]` is the row of the first array (of `rows`) that becomes row j of the second, or `rows` for none;
    `inverse` says the same the other way round.
    """

    def __init__(self, index: Index, rows: int) -> None:
        self.index = index
        self.inverse = np.full(rows, len(index), np.int64)
        matched = index < rows
        self.inverse[index[matched]] = np.flatnonzero(matched)
        count = int(matched.sum())
        self.gaps = (
            count < len(index),
            count < rows,
        )  # rows without a partner: in the second array, in the first
        self._elsewhere: dict[str, tuple[Array, Array]] = {}

    def __call__(self, x: Any) -> Any:
        """The second array from the first (Tensor or array), differentiably."""
        index, inverse = self.beside(x)
        return _rearrange(x, index, inverse, gaps=self.gaps)

    def back(self, y: Any) -> Any:
        """The first array from the second."""
        index, inverse = self.beside(y)
        return _rearrange(y, inverse, index, gaps=self.gaps[::-1])

    def beside(self, x: Any) -> tuple[Array, Array]:
        """`index` and `inverse` on the backend that x is on."""
        name = words_of(x.data if isinstance(x, Tensor) else x).name
        if name == "numpy":
            return self.index, self.inverse
        if name not in self._elsewhere:
            move = backend(name).asarray
            self._elsewhere[name] = move(self.index), move(self.inverse)
        return self._elsewhere[name]


@primitive
def _rearrange(xp, x, index, inverse, *, gaps):  # type: ignore[no-untyped-def]
    """Row index[j] of x for every j; the pullback is the same gather with `inverse`."""
    there, back = gaps
    return _picked(xp, x, index, there), lambda g: (_picked(xp, g, inverse, back), None, None)


def _picked(xp: Any, x: Any, index: Array, gaps: bool) -> Any:
    if gaps:  # one row past the end stands for "no row"
        x = xp.concatenate([x, xp.zeros_like(xp.getitem(x, index=slice(0, 1)))], axis=0)
    return xp.take(x, index, axis=0)
