"""Matrix products and lengths of vectors."""

import math
from typing import Any

from tinyseq.engine import primitive
from tinyseq.ops.half import in_float32
from tinyseq.ops.pointwise import sqrt, square, where
from tinyseq.ops.reduce import sum


@primitive
def matmul(xp, a, b):
    """a @ b as in NumPy: matrices, stacks of matrices, and vectors at either side."""
    if len(a.shape) == 2 and len(b.shape) == 2:
        return xp.matmul(a, b), lambda g: (
            lambda: xp.matmul(g, xp.swapaxes(b, 0, 1)),
            lambda: xp.matmul(xp.swapaxes(a, 0, 1), g),
        )
    if len(a.shape) > 2 and len(b.shape) == 2:  # one matrix for all: one large product, not many small ones
        flat = a.reshape((math.prod(a.shape[:-1]), a.shape[-1]))
        rows, out = a.shape, (*a.shape[:-1], b.shape[-1])

        def shared(g):
            g = g.reshape((flat.shape[0], out[-1]))
            return (
                lambda: xp.matmul(g, xp.swapaxes(b, 0, 1)).reshape(rows),
                lambda: xp.matmul(xp.swapaxes(flat, 0, 1), g),
            )

        return xp.matmul(flat, b).reshape(out), shared
    y = a @ b
    left, right = len(a.shape) == 1, len(b.shape) == 1
    shape_a, shape_b = a.shape, b.shape
    a = xp.expand_dims(a, 0) if left else a
    b = xp.expand_dims(b, 1) if right else b

    def pullback(g):
        g = xp.expand_dims(g, -1) if right else g
        g = xp.expand_dims(g, -2) if left else g

        def to_a():
            got = g @ xp.swapaxes(b, -1, -2)
            return _summed(got).reshape(shape_a) if left else got

        def to_b():
            got = xp.swapaxes(a, -1, -2) @ g
            return _summed(got).reshape(shape_b) if right else got

        return to_a, to_b

    return y, pullback


def _summed(g: Any) -> Any:
    """The gradient of a vector that a whole stack of matrices was multiplied with."""
    extra = len(g.shape) - 2
    return g.sum(axis=tuple(range(extra))) if extra else g


@in_float32
def l2_normalize(x: Any, axis: int = -1, eps: float = 1e-12) -> Any:
    """x / |x| along `axis`; a vector no longer than `eps` stays as it is, so that zero stays zero.

    Its gradient is then that of x itself, of the size of all others: divided by eps it would drown them.
    """
    squares = sum(square(x), axis, keepdims=True)
    return x / sqrt(where(squares > eps * eps, squares, 1))
