"""Softmax and its relatives: sums of exponentials that neither overflow nor lose what is small."""

import math
from typing import Any

from tinyseq.backend.blocks import by_rows
from tinyseq.engine import primitive
from tinyseq.errors import DataError, ShapeError
from tinyseq.ops._axes import Axis, axes_of
from tinyseq.ops.half import in_float32
from tinyseq.ops.reduce import is_over_nothing


def _exponentials(xp: Any, x: Any, axis: Axis) -> tuple[Any, Any, Any, Any]:
    """The maximum over `axis`, the same with 0 for infinities, exp(x - that), and the sum, which is not 0.

    It would be only where every x is -inf.
    """
    if is_over_nothing(x, axis):
        top = x.sum(axis=axis, keepdims=True) - math.inf
    else:
        top = xp.stop_gradient(x.max(axis=axis, keepdims=True))
    shift = xp.where(xp.isfinite(top), top, 0)
    e = xp.exp(x - shift)
    total = e.sum(axis=axis, keepdims=True)
    return top, shift, e, xp.maximum(total, 0.5)  # a sum is 0, or at least the exp(0) of the maximum


@primitive
def _logsumexp(xp, x, *, axis, keepdims):
    top, _, e, total = _exponentials(xp, x, axis)
    y = xp.log(total) + top
    few, axes = y.shape, axes_of(len(x.shape), axis)
    shape = few if keepdims else tuple([n for i, n in enumerate(few) if i not in axes])
    return y.reshape(shape), lambda g: (g.reshape(few) / total * e,)


@in_float32
def logsumexp(x: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """log(sum(exp(x))) over `axis` without overflow; -inf, with gradient 0, where all are -inf or none is."""
    return _logsumexp(x, axis=axis, keepdims=keepdims)


@primitive
def _softmax(xp, x, *, axis):
    _, _, e, total = _exponentials(xp, x, axis)
    y = e / total
    return y, lambda g: (y * (g - (g * y).sum(axis=axis, keepdims=True)),)


@in_float32
def softmax(x: Any, axis: Axis = -1) -> Any:
    """exp(x) / sum(exp(x)) along `axis`: positive, summing to 1; all 0 where every element is -inf."""
    return _softmax(x, axis=axis)


@primitive
def _log_softmax(xp, x, *, axis):
    _, shift, _, total = _exponentials(xp, x, axis)
    y = x - shift - xp.log(total)
    return y, lambda g: (g - xp.exp(y) * g.sum(axis=axis, keepdims=True),)


@in_float32
def log_softmax(x: Any, axis: Axis = -1) -> Any:
    """log(softmax(x)) along `axis`, exact where softmax would round to 0."""
    return _log_softmax(x, axis=axis)


@primitive
def _softmax_cross_entropy(xp, logits, targets):
    shape = logits.shape
    if tuple(shape[:-1]) != tuple(targets.shape):
        raise ShapeError(
            f"softmax_cross_entropy() of logits {tuple(shape)} needs targets of shape {tuple(shape[:-1])}, "
            f"one class for each row; got {tuple(targets.shape)}."
        )
    if xp.name == "numpy" and targets.size and not (targets.min() >= 0 and targets.max() < shape[-1]):
        raise DataError(
            f"softmax_cross_entropy() takes targets from 0 to {shape[-1] - 1}, one of {shape[-1]} classes; "
            f"got {targets.min()} to {targets.max()}. The loss CrossEntropy has an ignore_index."
        )

    kernel = getattr(xp, "fused", {}).get("cross_entropy")
    found = None if kernel is None else kernel(logits, targets)
    if found is not None:
        y, slope = found
        return y, lambda g: (slope(g), None)

    def losses(x, t):
        _, shift, _, total = _exponentials(xp, x, -1)
        log_total = xp.log(total)  # kept apart from the maximum, which would round small differences away
        chosen = xp.take_along_axis(x, xp.expand_dims(t, -1), axis=-1)
        return xp.squeeze(log_total - (chosen - shift), -1), shift, log_total

    y, shift, log_total = by_rows(xp, losses, logits, targets)

    def gradient(x, t, shift, log_total, g):
        g = xp.expand_dims(g, -1)
        right = xp.add_along_axis(g, xp.expand_dims(t, -1), axis=len(shape) - 1, size=shape[-1])
        return g * xp.exp(x - shift - log_total) - right

    return y, lambda g: (by_rows(xp, gradient, logits, targets, shift, log_total, g), None)


@in_float32
def softmax_cross_entropy(logits: Any, targets: Any) -> Any:
    """-log softmax(logits)[target] for every row; no matrix of probabilities is kept.

    logits: (..., classes). targets: integers (...) in [0, classes). Result: (...), in nats.
    Raises ShapeError if there is not one target for each row; DataError on NumPy for a target that is no
    class (of a device one would have to wait for the answer: the loss CrossEntropy looks beforehand).
    """
    return _softmax_cross_entropy(logits, targets)
