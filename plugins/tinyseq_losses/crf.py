"""A linear-chain conditional random field: tags that depend on their neighbours."""

from typing import Any, NamedTuple

import numpy as np

from tinyseq import ops, scan
from tinyseq.backend import to_numpy
from tinyseq.contracts import Loss, Reduction
from tinyseq.contracts.pairing import beside, check_classes, check_ignored, check_reduction, paired
from tinyseq.engine import Tensor, vjp
from tinyseq.errors import ConfigError, NonFiniteError, ShapeError
from tinyseq.evaluation.schemes import Moves
from tinyseq.nn import Parameter, init
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
    one value for each sequence. Steps whose tag is `ignore_index`, such as the later pieces of a word, are
    left out as if they were not there: the tags before and after them are neighbours.

    transitions: (tags, tags), from row to column; start, end: (tags,). Source: Lafferty, McCallum and Pereira
    (2001); the recursions in Rabiner (1989), section III.
    """

    def __init__(self, tags: int, *, ignore_index: int | None = None, reduction: Reduction = "mean") -> None:
        if tags < 1:
            raise ConfigError(f"CRF needs one tag or more, not {tags}.")
        self.tags = tags
        self.ignore_index = check_ignored("CRF", ignore_index)
        self.transitions = Parameter(init.uniform((tags, tags)))
        self.start = Parameter(init.uniform((tags,)))
        self.end = Parameter(init.uniform((tags,)))
        self.reduction = check_reduction("CRF", reduction)
        self.legal: Moves | None = None

    def constrain(self, legal: Moves) -> None:
        """Decode nothing but what is `legal`, as a Tagger knows from the scheme of its tags; losses stay."""
        self.legal = legal

    def path_scores(self) -> dict[str, np.ndarray[Any, Any]]:
        """transitions, start and end, as decoding takes them: -inf for what is not legal."""
        scores = {name: getattr(self, name).numpy() for name in ("transitions", "start", "end")}
        if self.legal is None:
            return scores
        return {
            name: np.where(getattr(self.legal, name), values, values.dtype.type(-np.inf))
            for name, values in scores.items()
        }

    def forward(self, predictions: Any, targets: Any) -> Any:
        """The negative log-likelihood, reduced."""
        emissions, tags = self._emissions(predictions), packed(targets)
        paired("CRF", emissions, tags)
        left: Any = None
        if self.ignore_index is not None:
            check_classes("CRF", tags, self.tags, self.ignore_index)  # while sequences have their numbers
            emissions, tags, left = self._counted(emissions, tags)
        batch = emissions.batch_size if left is None else packed(predictions).batch_size
        if left is not None and not len(left):
            losses = emissions.sum().sum(axis=1) * 0
        else:
            losses = -self.log_likelihood(emissions, tags)
        if self.reduction == "none":
            whole = left is None or len(losses) == batch
            return losses if whole else ops.add_at(losses, beside(losses, left), axis=0, size=batch)
        total = losses.sum()
        return total if self.reduction == "sum" else total * (1 / emissions.layout.total)

    def weight(self, targets: Any) -> float:
        """The number of steps whose tag is not ignored."""
        tags = packed(targets).data.numpy()
        return int(tags.size if self.ignore_index is None else (tags != self.ignore_index).sum())

    def _counted(self, emissions: Sequences, tags: Sequences) -> tuple[Sequences, Sequences, Any]:
        """Without the steps whose tag is ignored; and which sequences have any left."""
        rows = [tag.numpy() for tag in tags.to_list()]
        places = [np.flatnonzero(row != self.ignore_index) for row in rows]
        left = np.array([i for i, place in enumerate(places) if len(place)], np.int64)
        if sum(map(len, places)) == tags.layout.total or not len(left):
            return emissions, tags, left
        steps = emissions.to_list()
        kept = Sequences.from_list([ops.take(steps[i], places[i], axis=0) for i in left])
        return kept, Sequences.from_list([rows[i][places[i]] for i in left]), left

    def log_likelihood(self, emissions: Sequences, tags: Sequences) -> Tensor:
        """log p(tags | emissions) of each sequence: (batch,)."""
        paired("CRF", emissions, tags)
        layout = emissions.layout
        chosen, moves = self._scores(emissions, tags)
        first = np.arange(layout.total) < layout.batch
        # Of everything that leads to a step, what leads to the right tag is taken away first: what is left
        # for the right path is 0 exactly, so the loss is never below 0, and small numbers are added up
        # however long the sequence. Two large sums would differ by less than float32 can tell.
        x = ops.concatenate(
            [emissions.data - chosen, moves, beside(moves, first[:, None], moves.dtype)], axis=1
        )
        n = self.tags

        def step(x: Tensor, state: tuple[Tensor]) -> tuple[Tensor, tuple[Tensor]]:
            before, move = ops.expand_dims(state[0], 2), ops.expand_dims(x[:, n : n + 1], 2)
            ahead = ops.logsumexp(before + (self.transitions - move), axis=1)
            alpha = ops.where(x[:, n + 1 :] > 0, self.start - x[:, n : n + 1], ahead) + x[:, :n]
            return alpha, (alpha,)

        zeros = beside(moves, np.zeros((layout.batch, n)), moves.dtype)
        _, (alpha,) = scan(step, emissions.with_data(x), (zeros,))
        last = ops.expand_dims(ops.take(self.end, tags.last(), axis=0), 1)
        likelihood: Tensor = -ops.logsumexp(alpha + (self.end - last), axis=1)
        return likelihood

    def score(self, emissions: Sequences, tags: Sequences) -> Tensor:
        """The score of one path of tags for each sequence: (batch,)."""
        chosen, moves = self._scores(emissions, tags)
        scores = emissions.with_data((chosen + moves).reshape(-1))
        total: Tensor = scores.sum() + ops.take(self.end, tags.last(), axis=0)
        return total

    def _scores(self, emissions: Sequences, tags: Sequences) -> tuple[Tensor, Tensor]:
        """What the emission of each step, and the move to its tag, add to the score of a path: (rows, 1)."""
        check_classes("CRF", tags, self.tags, None)
        # of 64 bits, as the place of a move in the table is the square of a tag
        layout, now = emissions.layout, tags.data.astype("int64")
        first = ops.take(self.start, now[: layout.batch], axis=0)
        # the row before row r of step t is the same sequence's in step t - 1, sizes[t - 1] rows earlier
        sizes = np.asarray(layout.sizes)
        before = np.arange(layout.batch, layout.total) - np.repeat(sizes[:-1], sizes[1:])
        from_tag = ops.take(now, beside(now, before), axis=0)
        steps = ops.take(self.transitions.reshape(-1), from_tag * self.tags + now[layout.batch :], axis=0)
        chosen = ops.take_along_axis(emissions.data, ops.expand_dims(now, 1), axis=1)
        return chosen, ops.expand_dims(ops.concatenate([first, steps]), 1)

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

        After `constrain`, the likeliest of the legal ones.

        Raises NonFiniteError, naming the sequence, where no path is possible.
        """
        emissions = self._emissions(predictions)
        sizes, offsets = emissions.layout.sizes, emissions.layout.offsets
        rows = to_numpy(emissions.data.data)
        transitions, start, end = self.path_scores().values()
        best = start + rows[: sizes[0]]  # of all paths that end in each tag
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
            sequence = emissions.layout.order[impossible[0]]
            raise NonFiniteError(
                f"CRF: no path of tags is possible for sequence {sequence}, as its emissions or the "
                "transitions are NaN, inf, or -inf for each of them."
            ).about(sequence, emissions.batch_size)
        tags = np.empty(len(rows), np.int64)
        for t in reversed(range(len(sizes))):
            n = sizes[t]
            tags[offsets[t] : offsets[t] + n] = last[:n]
            if t:
                last[:n] = back[t - 1][np.arange(n), last[:n]]
        return like(predictions, emissions.with_data(beside(emissions.data, tags)))

    def marginals(self, predictions: Any) -> Sequences:
        """The probability of each tag at each step, whatever the others are: (steps, tags).

        They are the derivatives of log_partition with respect to the emissions.
        """
        emissions = self._emissions(predictions)
        _, pullback = vjp(lambda x: self.log_partition(emissions.with_data(x)).sum(), emissions.data)
        return emissions.with_data(pullback(1.0)[0])

    def _emissions(self, predictions: Any) -> Sequences:
        emissions = packed(predictions)
        if emissions.data.ndim != 2 or emissions.data.shape[1] != self.tags:
            raise ShapeError(
                f"CRF({self.tags}) takes one score for each tag at each step; got shape "
                f"{emissions.data.shape[1:]} at each step."
            )
        dtype = (
            self.transitions.dtype
        )  # as a cell takes features: NumPy makes float64, Parameters are float32
        return emissions if emissions.dtype == dtype else emissions.map(lambda x: x.astype(dtype))
