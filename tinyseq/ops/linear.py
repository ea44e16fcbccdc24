"""Matrix products and lengths of vectors."""

import math
from collections.abc import Sequence
from operator import index
from typing import Any

from tinyseq.engine import primitive
from tinyseq.errors import ShapeError
from tinyseq.ops._axes import Axis, axes_of
from tinyseq.ops.half import in_float32
from tinyseq.ops.pointwise import abs, astype, multiply, not_equal, power, sqrt, square, where
from tinyseq.ops.reduce import max, min, root, sum
from tinyseq.ops.shape import reshape, transpose


@primitive
def matmul(xp, a, b):
    """a @ b as in NumPy: matrices, stacks of matrices, and vectors at either side."""
    if len(a.shape) == 2 and len(b.shape) == 2:
        return xp.matmul(a, b), lambda g: (
            lambda: xp.matmul(g, xp.swapaxes(b, 0, 1)),
            lambda: xp.matmul(xp.swapaxes(a, 0, 1), g),
        )
    if len(a.shape) > 2 and len(b.shape) == 2:  # one matrix for all
        lead = tuple(range(len(a.shape) - 1))
        return xp.matmul(a, b), lambda g: (
            lambda: xp.matmul(g, xp.swapaxes(b, 0, 1)),
            lambda: xp.tensordot(a, g, (lead, lead)),
        )
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


def outer(a: Any, b: Any) -> Any:
    """Every element of a times every element of b, both flattened: (size of a, size of b)."""
    return multiply(reshape(a, (-1, 1)), reshape(b, (1, -1)))


def tensordot(a: Any, b: Any, axes: int | Sequence[Any] = 2) -> Any:
    """The sum of products over the last `axes` axes of a and the first of b, or over two lists of axes.

    Raises ShapeError where the lengths of those axes differ.
    """
    if isinstance(axes, int):
        left, right = tuple(range(len(a.shape) - axes, len(a.shape))), tuple(range(axes))
    else:
        left, right = (tuple([index(i) for i in ([e] if hasattr(e, "__index__") else e)]) for e in axes)
    left, right = axes_of(len(a.shape), left), axes_of(len(b.shape), right)
    if [a.shape[i] for i in left] != [b.shape[i] for i in right]:
        raise ShapeError(
            f"tensordot() of shapes {tuple(a.shape)}, {tuple(b.shape)} cannot sum over axes {left} and "
            f"{right}: their lengths differ."
        )
    rows = [i for i in range(len(a.shape)) if i not in left]
    columns = [i for i in range(len(b.shape)) if i not in right]
    shape = [a.shape[i] for i in rows], [b.shape[i] for i in columns]
    length = math.prod([a.shape[i] for i in left])
    flat_a = reshape(transpose(a, [*rows, *left]), (_size(shape[0]), length))
    flat_b = reshape(transpose(b, [*right, *columns]), (length, _size(shape[1])))
    return reshape(matmul(flat_a, flat_b), [*shape[0], *shape[1]])


def _size(shape: list[Any]) -> Any:
    return shape[0] if len(shape) == 1 else math.prod(shape)  # which is no number while a step is traced


@in_float32
def norm(x: Any, ord: Any = None, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """The length of vectors along `axis`, or of matrices along two: numpy.linalg.norm.

    ord of vectors: None or 2 (Euclidean), any other number p for sum(|x|**p) ** (1 / p), inf and -inf for the
    largest and smallest |x|, 0 for how many are not 0. Of matrices: None or "fro" for the root of the sum of
    squares, 1, -1, inf and -inf for the largest or smallest sum of a column's or a row's |x|. Without `axis`,
    of the flattened x, or of x itself if `ord` is given. The gradient at length 0 is 0.
    Raises ShapeError for an `ord` that such axes have not.
    """
    ndim = len(x.shape)
    if axis is None and ord is None:
        axes = axes_of(ndim, None)
        return root(sum(square(abs(x)), axes, keepdims=keepdims))
    axes = axes_of(ndim, axis)
    if len(axes) == 1 and not isinstance(ord, str):
        return _norm_of_vectors(x, 2 if ord is None else ord, axes, keepdims)
    if len(axes) == 2 and ord in (None, "fro"):
        return root(sum(square(x), axes, keepdims=keepdims))
    if len(axes) == 2 and ord in (1, -1, math.inf, -math.inf):
        inner, outer = axes if ord in (1, -1) else axes[::-1]
        extreme = max if ord > 0 else min
        found = extreme(sum(abs(x), inner, keepdims=True), outer, keepdims=True)
        return found if keepdims else reshape(found, [n for i, n in enumerate(x.shape) if i not in axes])
    raise ShapeError(
        f"norm(ord={ord!r}) of shape {tuple(x.shape)} over axis {axis}: vectors (one axis) take numbers, "
        "matrices (two axes) take None, 'fro', 1, -1, inf, -inf."
    )


def _norm_of_vectors(x: Any, p: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    if p == 0:
        count = not_equal(x, 0)
        return sum(
            astype(count, dtype=x.dtype if x.dtype.kind == "f" else "float64"), axes, keepdims=keepdims
        )
    if p in (math.inf, -math.inf):
        return (max if p > 0 else min)(abs(x), axes, keepdims=keepdims)
    if p == 1:
        return sum(abs(x), axes, keepdims=keepdims)
    if p == 2:
        return root(sum(square(x), axes, keepdims=keepdims))
    total = sum(power(abs(x), p), axes, keepdims=keepdims)
    empty = total == 0  # there, the slope of the root is infinite
    return where(empty, 0, power(where(empty, 1, total), 1 / p))


@in_float32
def l2_normalize(x: Any, axis: int = -1, eps: float = 1e-12) -> Any:
    """x / |x| along `axis`; a vector no longer than `eps` stays as it is, so that zero stays zero.

    Its gradient is then that of x itself, of the size of all others: divided by eps it would drown them.
    """
    squares = sum(square(x), axis, keepdims=True)
    return x / sqrt(where(squares > eps * eps, squares, 1))
