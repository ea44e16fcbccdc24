"""ONNX's losses: the negative log-likelihood, and cross-entropy, of classes on axis 1."""

from typing import Any

import numpy as np

from tinyseq import ops
from tinyseq.errors import DataError
from tinyseq.interop.onnx.reading.call import Call, constant


def negative_log_likelihood(c: Call) -> Any:
    """-input[target], weighed, reduced."""
    return _loss(c, c[0])


def softmax_cross_entropy(c: Call) -> Any:
    """The same of scores, through a softmax; the log-probabilities as a second output."""
    log_p = ops.log_softmax(c[0], axis=1)
    return (_loss(c, log_p), log_p)[: c.outputs]


def _loss(c: Call, log_p: Any) -> Any:
    target, ignored = c[1].numpy(), c.attr("ignore_index")
    classes = log_p.shape[1]
    if target.shape != (log_p.shape[0], *log_p.shape[2:]):
        raise DataError(f"{c.op} of shape {log_p.shape} takes no targets of shape {target.shape}.")
    counts = np.ones(target.shape, bool) if ignored is None else target != ignored
    if not ((target >= 0) & (target < classes))[counts].all():
        raise DataError(f"{c.op} has a target that is none of its {classes} classes.")
    index = np.where(counts, target, 0)
    chosen = ops.squeeze(ops.take_along_axis(log_p, constant(index[:, None].astype(np.int64)), axis=1), 1)
    weights: Any = constant(counts.astype(log_p.dtype))
    given = c.get(2)
    if given is not None:
        weights = weights * ops.take(given, constant(index.astype(np.int64)), axis=0)
    losses = ops.where(constant(counts), -chosen * weights, 0.0)
    reduction = c.attr("reduction", "mean")
    if reduction == "none":
        return losses
    if reduction not in ("mean", "sum"):
        raise DataError(f"{c.op} has no reduction {reduction!r}.")
    return losses.sum() if reduction == "sum" else losses.sum() / weights.sum()
