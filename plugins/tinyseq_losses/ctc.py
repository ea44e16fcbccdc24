"""Connectionist temporal classification: labels in order, wherever in time each one is."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from tinyseq import ops, primitive, scan
from tinyseq.backend import to_numpy
from tinyseq.contracts import Loss, Reduction
from tinyseq.contracts.pairing import beside, check_id, check_reduction
from tinyseq.engine import Tensor
from tinyseq.errors import DataError, NonFiniteError, ShapeError
from tinyseq.sequences import Sequences, packed

Labels = np.ndarray[Any, Any]

NEVER = -1e30  # the log of a probability of 0 that can be subtracted from itself


class _Paths(NamedTuple):
    """alpha: log-probability of all paths so far, by place among labels and blanks; skip: see _advance."""

    alpha: Tensor
    skip: Tensor


class CTC(Loss):
    """-log of the probability of all paths that read as the labels once repeats, then blanks, are dropped.

    predictions: unnormalised scores, (steps, classes) for each sequence, as Sequences or a Tensor (batch,
    time, classes); class `blank` stands for no label. targets: the labels of each sequence, as Sequences or
    as a list of integer sequences, which may be empty. "mean" divides by the number of labels in the batch
    (1 for a sequence without any), which unlike a mean over sequences adds up; "none" gives one value for
    each sequence.

    A sequence whose scores of -inf leave no path costs infinity, and has no gradient. Raises DataError for a
    label that is no class or the blank, and where a sequence has fewer steps than its labels need: one for
    each, and one between equal neighbours. With `zero_infinity` (as in PyTorch) both kinds of sequences cost
    nothing, for data of which some cannot be read; their labels are counted by "mean" all the same.
    Source: Graves et al. (2006), section 4.1.
    """

    def __init__(self, *, blank: int = 0, reduction: Reduction = "mean", zero_infinity: bool = False) -> None:
        self.zero_infinity = zero_infinity
        self.blank = check_id("CTC", "blank", blank)
        self.reduction = check_reduction("CTC", reduction)

    def forward(self, predictions: Any, targets: Any) -> Any:
        """The negative log-likelihood, reduced."""
        scores = self._scores(predictions)
        labels = _labels(targets)
        self._check(scores, labels)
        losses = -self._log_likelihood(scores, labels)
        impossible = to_numpy(losses.data) > -NEVER / 2
        if impossible.any():
            instead = beside(
                losses, np.full(len(labels), 0.0 if self.zero_infinity else np.inf), losses.dtype
            )
            losses = ops.where(beside(losses, impossible), instead, losses)
        if self.reduction == "none":
            return losses
        total = losses.sum()
        return total if self.reduction == "sum" else total * (1 / self.weight(labels))

    def weight(self, targets: Any) -> float:
        """The number of labels; a sequence without any counts as one, for its silence is judged as well."""
        return sum(max(1, len(sequence)) for sequence in _labels(targets))

    def _log_likelihood(self, scores: Sequences, labels: list[Labels]) -> Tensor:
        """log p(labels | scores) of each sequence: (batch,)."""
        layout, dtype = scores.layout, scores.dtype
        # the labels with a blank before, between and after them
        lengths = np.array([2 * len(sequence) + 1 for sequence in labels])
        positions = np.full((layout.batch, lengths.max()), self.blank)
        for row, sequence in zip(positions, labels, strict=True):
            row[1 : 2 * len(sequence) : 2] = sequence
        skip = np.full(positions.shape, NEVER)
        skip[:, 2:][(positions[:, 2:] != self.blank) & (positions[:, 2:] != positions[:, :-2])] = 0
        alpha = np.full(positions.shape, NEVER)
        alpha[:, 0] = 0

        log_p = ops.log_softmax(scores.data)
        chosen = ops.take_along_axis(log_p, beside(log_p, positions[layout.owners]), axis=1)
        if not (to_numpy(chosen.data) > NEVER).all():  # -inf cannot be subtracted from itself; NaN stays
            at_all = beside(log_p, to_numpy(chosen.data) != -np.inf)
            never = beside(log_p, np.full(chosen.shape, NEVER), dtype)
            chosen = ops.where(at_all, chosen, never)
        before = _Paths(beside(log_p, alpha, dtype), beside(log_p, skip, dtype))
        _, after = scan(
            lambda x, paths: (x, paths._replace(alpha=_advance(paths.alpha, paths.skip, x))),
            scores.with_data(chosen),
            before,
            compiled=False,  # the number of positions changes from batch to batch, and compiling takes longer
        )
        ends = np.stack(
            [lengths - 1, np.maximum(lengths - 2, 0)], axis=1
        )  # on the last blank or the last label
        finals = ops.take_along_axis(after.alpha, beside(log_p, ends), axis=1)
        blank_only = np.stack([np.zeros(len(lengths)), np.where(lengths == 1, NEVER, 0)], axis=1)
        likelihood: Tensor = ops.logsumexp(finals + beside(log_p, blank_only, dtype), axis=1)
        return likelihood

    def decode(self, predictions: Any) -> list[Labels]:
        """The labels that the likeliest path of each sequence reads as (Graves et al., 2006: best path)."""
        scores = self._scores(predictions)
        wrong = np.flatnonzero(~np.isfinite(to_numpy(ops.max(scores.data, axis=1).data)))
        if wrong.size:
            sequence, step = scores.layout.locate(wrong[0])
            raise NonFiniteError(
                f"CTC: no class is possible for sequence {sequence} at step {step}: its scores are NaN, inf "
                "or all -inf.",
                "Find their origin with tinyseq.detect_anomaly().",
            ).about(sequence, scores.batch_size)
        best = scores.with_data(ops.argmax(scores.data, axis=1)).to_list()
        paths = [to_numpy(path.data) for path in best]
        return [
            path[np.r_[True, path[1:] != path[:-1]] & (path != self.blank)].astype(np.int64) for path in paths
        ]

    def _scores(self, predictions: Any) -> Sequences:
        scores = packed(predictions)
        if scores.data.ndim != 2 or scores.data.shape[1] <= self.blank:
            raise ShapeError(
                f"CTC(blank={self.blank}) takes a score for each class, the blank among them, at each "
                f"step; got shape {scores.data.shape[1:]} at each step."
            )
        return scores

    def _check(self, scores: Sequences, labels: list[Labels]) -> None:
        """Raise DataError, naming the sequence, for labels that no path can read as."""
        if len(labels) != scores.batch_size:
            raise DataError(f"CTC: there are {scores.batch_size} sequences, but labels for {len(labels)}.")
        classes = scores.data.shape[1]
        for i, (sequence, steps) in enumerate(zip(labels, scores.lengths, strict=True)):
            wrong = (sequence < 0) | (sequence >= classes) | (sequence == self.blank)
            if wrong.any():
                at = int(wrong.argmax())
                raise DataError(
                    f"CTC: label {at} of sequence {i} is {sequence[at]}: labels are classes "
                    f"0..{classes - 1} other than the blank, {self.blank}."
                ).about(i, len(labels))
            repeats = sum(a == b for a, b in pairwise(sequence.tolist()))
            if steps < len(sequence) + repeats and not self.zero_infinity:
                raise DataError(
                    f"CTC: sequence {i} has {steps} steps, but its {len(sequence)} labels, {repeats} of "
                    f"them repeated, need at least {len(sequence) + repeats}: drop it, shorten the steps "
                    "less, or let such sequences cost nothing with zero_infinity=True."
                ).about(i, len(labels))


@primitive
def _advance(xp: Any, alpha: Any, skip: Any, x: Any) -> Any:
    """The log-probabilities of paths one step later: each stays, moves by one, or by two where `skip` is 0.

    alpha, skip, x: (rows, positions); x is what each position's class costs at this step.
    """
    size = alpha.shape[1]

    def part(values: Any, a: int, b: int) -> Any:
        return xp.getitem(values, index=(slice(None), slice(a, b)))

    zero = xp.zeros_like(part(alpha, 0, 1))
    padded = xp.concatenate([zero + NEVER, zero + NEVER, alpha], axis=1)
    one, two = part(padded, 1, size + 1), part(padded, 0, size) + skip
    top = xp.stop_gradient(xp.maximum(xp.maximum(alpha, one), two))
    y = xp.log(xp.exp(alpha - top) + xp.exp(one - top) + xp.exp(two - top)) + top

    def pullback(g: Any) -> Any:
        by_one, by_two = (xp.concatenate([g * xp.exp(v - y), zero, zero], axis=1) for v in (one, two))
        back = g * xp.exp(alpha - y) + part(by_one, 1, size + 1) + part(by_two, 2, size + 2)
        return back, None, g

    return y + x, pullback


def _labels(targets: Any) -> list[Labels]:
    """The labels of each sequence, as integers on the host."""
    given: Sequence[Any] = targets.to_list() if isinstance(targets, Sequences) else targets
    labels = [to_numpy(t.data) if isinstance(t, Tensor) else np.asarray(t) for t in given]
    labels = [sequence.astype(np.int64) if sequence.size == 0 else sequence for sequence in labels]
    for i, sequence in enumerate(labels):
        if sequence.ndim != 1 or sequence.dtype.kind not in "iu":
            raise DataError(
                f"CTC: the labels of sequence {i} are {sequence.dtype} of shape {sequence.shape}: give "
                "integers, one after another."
            ).about(i, len(labels))
    return labels
