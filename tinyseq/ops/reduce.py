"""Fewer elements out than in: sums, extremes, softmax and its relatives."""

from typing import Any

from tinyseq.engine import primitive
from tinyseq.errors import ShapeError
from tinyseq.ops.pointwise import square

Axis = int | tuple[int, ...] | None


def kept(shape: tuple[int, ...], axis: Axis) -> tuple[int, ...]:
    """`shape` after a reduction over `axis` with keepdims=True."""
    axes = (
        {a % len(shape) for a in ((axis,) if isinstance(axis, int) else axis)} if axis is not None else None
    )
    return tuple([1 if axes is None or i in axes else n for i, n in enumerate(shape)])


def dropped(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """`shape` without `axis`."""
    axis %= len(shape)
    return shape[:axis] + shape[axis + 1 :]


@primitive
def _sum(xp, x, *, axis, keepdims):
    shape = x.shape
    return x.sum(axis=axis, keepdims=keepdims), lambda g: (
        xp.broadcast_to(g.reshape(kept(shape, axis)), shape),
    )


def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Sum over `axis` (all by default)."""
    return _sum(x, axis=axis, keepdims=keepdims)


@primitive
def _mean(xp, x, *, axis, keepdims):
    shape, few = x.shape, kept(x.shape, axis)
    count = 1
    for n, m in zip(shape, few, strict=True):
        count = (
            count if n is m else count * n
        )  # reduced axes only: a trace does not know how many rows there are
    scale = 1.0 / count if count else float("nan")
    return x.sum(axis=axis, keepdims=keepdims) * scale, lambda g: (
        xp.broadcast_to((g * scale).reshape(few), shape),
    )


def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Arithmetic mean over `axis` (all by default); NaN over nothing."""
    return _mean(x, axis=axis, keepdims=keepdims)


def var(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Variance over `axis` (all by default): the mean squared distance from the mean, as numpy.var (ddof 0)."""
    return mean(square(x - mean(x, axis, keepdims=True)), axis, keepdims)


@primitive
def _max(xp, x, *, axis, keepdims):
    y = x.max(axis=axis, keepdims=keepdims)
    return y, lambda g: (_to_extremes(xp, x, y, g, axis),)


def max(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Largest element over `axis` (all by default); equal ones share the gradient."""
    return _max(x, axis=axis, keepdims=keepdims)


@primitive
def _min(xp, x, *, axis, keepdims):
    y = -(-x).max(axis=axis, keepdims=keepdims)
    return y, lambda g: (_to_extremes(xp, x, y, g, axis),)


def min(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Smallest element over `axis` (all by default); equal ones share the gradient."""
    return _min(x, axis=axis, keepdims=keepdims)


def _to_extremes(xp: Any, x: Any, y: Any, g: Any, axis: Axis) -> Any:
    few = kept(x.shape, axis)
    chosen = xp.equal(x, y.reshape(few))
    share = g.reshape(few) / xp.where(chosen, xp.ones_like(x), 0).sum(axis=axis, keepdims=True)
    return xp.where(chosen, share, 0)


@primitive
def _argmax(xp, x, *, axis):
    return xp.argmax(x, axis=axis), None


def argmax(x: Any, axis: int | None = None) -> Any:
    """Index of the (first) largest element along `axis`, or in the flattened array."""
    return _argmax(x, axis=axis)


@primitive
def _argmin(xp, x, *, axis):
    return xp.argmin(x, axis=axis), None


def argmin(x: Any, axis: int | None = None) -> Any:
    """Index of the (first) smallest element along `axis`, or in the flattened array."""
    return _argmin(x, axis=axis)


def _shift(xp: Any, x: Any, axis: Axis) -> Any:
    """The maximum over `axis`, as a constant that is safe to subtract: 0 where it is infinite."""
    top = xp.stop_gradient(x.max(axis=axis, keepdims=True))
    return xp.where(xp.isfinite(top), top, 0)


@primitive
def _logsumexp(xp, x, *, axis, keepdims):
    top = _shift(xp, x, axis)
    y = xp.log(xp.exp(x - top).sum(axis=axis, keepdims=True)) + top
    few = y.shape
    dims = (
        few if keepdims else tuple([n for n, m in zip(x.shape, _marks(x.shape, axis), strict=True) if not m])
    )

    def pullback(g):
        return (g.reshape(few) * xp.exp(x - xp.where(xp.isfinite(y), y, 0)),)

    return y.reshape(dims), pullback


def _marks(shape: tuple[int, ...], axis: Axis) -> list[bool]:
    axes = (
        range(len(shape))
        if axis is None
        else [a % len(shape) for a in ((axis,) if isinstance(axis, int) else axis)]
    )
    return [i in axes for i in range(len(shape))]


def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """log(sum(exp(x))) over `axis` without overflow; -inf, with gradient 0, where every element is -inf."""
    return _logsumexp(x, axis=axis, keepdims=keepdims)


@primitive
def _softmax(xp, x, *, axis):
    e = xp.exp(x - _shift(xp, x, axis))
    y = e / e.sum(axis=axis, keepdims=True)
    return y, lambda g: (y * (g - (g * y).sum(axis=axis, keepdims=True)),)


def softmax(x: Any, axis: int = -1) -> Any:
    """exp(x) / sum(exp(x)) along `axis`: positive, summing to 1."""
    return _softmax(x, axis=axis)


@primitive
def _log_softmax(xp, x, *, axis):
    z = x - _shift(xp, x, axis)
    y = z - xp.log(xp.exp(z).sum(axis=axis, keepdims=True))
    return y, lambda g: (g - xp.exp(y) * g.sum(axis=axis, keepdims=True),)


def log_softmax(x: Any, axis: int = -1) -> Any:
    """log(softmax(x)) along `axis`, exact where softmax would round to 0."""
    return _log_softmax(x, axis=axis)


@primitive
def _softmax_cross_entropy(xp, logits, targets):
    top = _shift(xp, logits, -1)
    z = logits - top  # top + log_sum would round away the small differences between large logits
    log_sum = xp.log(xp.exp(z).sum(axis=-1, keepdims=True))
    at = xp.expand_dims(targets, -1)
    size = logits.shape[-1]
    y = xp.squeeze(log_sum - xp.take_along_axis(z, at, axis=-1), -1)

    def pullback(g):
        g = xp.expand_dims(g, -1)
        return g * xp.exp(logits - top - log_sum) - xp.add_along_axis(g, at, axis=g.ndim - 1, size=size), None

    return y, pullback


def softmax_cross_entropy(logits: Any, targets: Any) -> Any:
    """-log softmax(logits)[target] for every row; no matrix of probabilities is kept.

    logits: (..., classes); targets: integers (...), in [0, classes), not checked here. Result: (...), in nats.
    """
    if tuple(logits.shape[:-1]) != tuple(targets.shape):
        raise ShapeError(
            f"softmax_cross_entropy() of logits {tuple(logits.shape)} needs targets of shape "
            f"{tuple(logits.shape[:-1])}, one class for each row; got {tuple(targets.shape)}."
        )
    return _softmax_cross_entropy(logits, targets)
