"""A linear-chain conditional random field: tags that depend on their neighbours."""

from typing import Any, NamedTuple

import numpy as np

from tinyseq import ops, scan
from tinyseq.backend import to_numpy
from tinyseq.contracts import Loss, Reduction
from tinyseq.engine import Tensor
from tinyseq.errors import ConfigError, NonFiniteError, ShapeError
from tinyseq.nn import Parameter, init
from tinyseq.pairing import beside, check_classes, check_reduction, paired
from tinyseq.sequences import Sequences, like, packed


class _Forward(NamedTuple):
    """alpha: log of the summed exp(score) of all tag paths up to a step, by last tag; ahead: by next tag."""

    ahead: Tensor
    alpha: Tensor


class CRF(Loss):
    """-log p(tags | emissions), where the probability of a path of tags grows with its score.

        score = start[y_1] + sum_t emissions[t, y_t] + sum_t>1 transitions[y_(t-1), y_t] + end[y_T]
        p = exp(score) / sum of exp(score) over all paths

    predictions: emissions, (steps, tags) for each sequence; targets: tags, integers (steps,); both
    Sequences, or Tensors (batch, time, ...). "mean" is over all steps, as for a cross-entropy; "none" gives
    one value for each sequence. transitions: (tags, tags), from row to column; start, end: (tags,). Source:
    Lafferty, McCallum and Pereira (2001); the recursions in Rabiner (1989), section III.
    """

    def __init__(self, tags: int, *, reduction: Reduction = "mean") -> None:
        if tags < 1:
            raise ConfigError(f"CRF needs one tag or more, not {tags}.")
        self.tags = tags
        self.transitions = Parameter(init.uniform((tags, tags)))
        self.start = Parameter(init.uniform((tags,)))
        self.end = Parameter(init.uniform((tags,)))
        self.reduction = check_reduction("CRF", reduction)

    def forward(self, predictions: Any, targets: Any) -> Any:
        """The negative log-likelihood, reduced."""
        emissions = self._emissions(predictions)
        losses = -self.log_likelihood(emissions, packed(targets))
        if self.reduction == "none":
            return losses
        total = losses.sum()
        return total if self.reduction == "sum" else total * (1 / emissions.layout.total)

    def log_likelihood(self, emissions: Sequences, tags: Sequences) -> Tensor:
        """log p(tags | emissions) of each sequence: (batch,)."""
        paired("CRF", emissions, tags)
        return self.score(emissions, tags) - self.log_partition(emissions)

    def score(self, emissions: Sequences, tags: Sequences) -> Tensor:
        """The score of one path of tags for each sequence: (batch,)."""
        check_classes("CRF", tags, self.tags, None)
        layout, now = emissions.layout, tags.data
        first = ops.take(self.start, now[: layout.batch], axis=0)
        # the row before row r of step t is the same sequence's in step t - 1, sizes[t - 1] rows earlier
        sizes = np.asarray(layout.sizes)
        before = np.arange(layout.batch, layout.total) - np.repeat(sizes[:-1], sizes[1:])
        from_tag = ops.take(now, beside(now, before), axis=0)
        steps = ops.take(self.transitions.reshape(-1), from_tag * self.tags + now[layout.batch :], axis=0)
        chosen = ops.take_along_axis(emissions.data, ops.expand_dims(now, 1), axis=1).reshape(-1)
        scores = chosen + ops.concatenate([first, steps])
        total: Tensor = emissions.with_data(scores).sum() + ops.take(self.end, tags.last(), axis=0)
        return total

    def log_partition(self, emissions: Sequences) -> Tensor:
        """log of the sum of exp(score) over all paths, for each sequence: (batch,)."""

        def step(x: Tensor, state: _Forward) -> tuple[Tensor, _Forward]:
            alpha = state.ahead + x
            ahead = ops.logsumexp(ops.expand_dims(alpha, 2) + self.transitions, axis=1)
            return alpha, _Forward(ahead, alpha)

        start = ops.broadcast_to(self.start, (emissions.batch_size, self.tags))
        _, final = scan(step, emissions, _Forward(start, start))
        log_z: Tensor = ops.logsumexp(final.alpha + self.end, axis=1)
        return log_z

    def decode(self, predictions: Any) -> Any:
        """The likeliest tags of each sequence, integers, by the Viterbi algorithm; of equal paths any one.

        Raises NonFiniteError, naming the sequence, where no path is possible.
        """
        emissions = self._emissions(predictions)
        sizes, offsets = emissions.layout.sizes, emissions.layout.offsets
        rows = to_numpy(emissions.data.data)
        transitions, end = self.transitions.numpy(), self.end.numpy()
        best = self.start.numpy() + rows[: sizes[0]]  # of all paths that end in each tag
        last = np.empty(sizes[0], np.int64)  # the last tag of each sequence, longest sequence first
        scores = np.empty(sizes[0], rows.dtype)  # of each sequence's best path
        back = []  # for each step but the first, where the best path to each tag comes from
        for n, offset in zip(sizes[1:], offsets[1:], strict=True):
            last[n : len(best)] = (best[n:] + end).argmax(1)
            scores[n : len(best)] = (best[n:] + end).max(1)
            paths = best[:n, :, None] + transitions
            back.append(paths.argmax(1))
            best = paths.max(1) + rows[offset : offset + n]
        last[: len(best)] = (best + end).argmax(1)
        scores[: len(best)] = (best + end).max(1)
        impossible = np.flatnonzero(~np.isfinite(scores))
        if impossible.size:
            raise NonFiniteError(
                f"CRF: no path of tags is possible for sequence {emissions.layout.order[impossible[0]]}, as "
                "its emissions or the transitions are NaN, inf, or -inf for each of them."
            )
        tags = np.empty(len(rows), np.int64)
        for t in reversed(range(len(sizes))):
            n = sizes[t]
            tags[offsets[t] : offsets[t] + n] = last[:n]
            if t:
                last[:n] = back[t - 1][np.arange(n), last[:n]]
        return like(predictions, emissions.with_data(beside(emissions.data, tags)))

    def _emissions(self, predictions: Any) -> Sequences:
        emissions = packed(predictions)
        if emissions.data.ndim != 2 or emissions.data.shape[1] != self.tags:
            raise ShapeError(
                f"CRF({self.tags}) takes one score for each tag at each step; got shape "
                f"{emissions.data.shape[1:]} at each step."
            )
        return emissions
