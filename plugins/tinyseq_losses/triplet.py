"""The triplet family: an anchor is to be more alike its positive than its negatives, by a margin."""

import warnings
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np

from tinyseq import ops
from tinyseq.contracts import Loss, Metric, Reduction
from tinyseq.contracts.pairing import beside, check_reduction
from tinyseq.engine import Tensor, no_grad
from tinyseq.errors import ConfigError, DataError
from tinyseq_losses.miners import MINERS, Candidates, Mined, Miner
from tinyseq_losses.similarity import SIMILARITIES, Similarity, check_vectors, named

Cost = Callable[[Tensor, float], Tensor]
MeanOver = Literal["mined", "active", "pairs"]
Positives = Literal["all", "hardest"]


def hinge(difference: Tensor, margin: float) -> Tensor:
    """max(s_n - s_p + margin, 0), of the difference s_n - s_p."""
    cost: Tensor = ops.relu(difference + margin)
    return cost


def soft_margin(difference: Tensor, margin: float) -> Tensor:
    """log(1 + exp(s_n - s_p)), which has no margin (Hermans et al., 2017)."""
    cost: Tensor = ops.softplus(difference)
    return cost


COSTS: dict[str, Cost] = {"hinge": hinge, "soft": soft_margin}


class TripletReport(NamedTuple):
    """What the triplets of some batches looked like, in sums, so that reports add up."""

    mined: int  # triplets that count
    active: int  # of them, those with s_n > s_p - margin: the ones that a hinge learns from
    cost: float  # the sum of their costs
    gap: float  # the sum of |s_p - s_n|


class TripletLoss(Loss):
    """cost(s_n - s_p) over the triplets that `miner` chooses, by `similarity` s: parts that combine freely.

    predictions: (batch, width). targets: either their partners, (batch, width), of which row i is the
    positive of row i and the others are negatives; or labels, integers (batch,): rows with the same label
    are positives of each other, the rest negatives; or (positives, negatives), a pair of (batch, width), for
    triplets of one's own, which are not mined: each counts. With partners, `groups`, integers (batch,), keeps
    rows of one group from being each other's negatives.

    positives: "all", one pair for each, or "hardest": an anchor is paired with the one that is the least
    alike; with the "hardest" miner this is batch-hard mining (Hermans et al., 2017).

    similarity: "cosine", "dot", "negative-euclidean", "negative-squared-euclidean"; miner: "all", "random",
    "easy", "semi-hard", "hard", "hardest", "mean-negative", "closest-negative"; cost: "hinge" or "soft"
    (without a margin); or functions of one's own. "mean" divides by the number of triplets that are
    mined, or only that are active, or by the number of pairs. Without triplets, as in
    a batch of one, the loss is 0 with gradient 0.
    """

    def __init__(
        self,
        *,
        similarity: str | Similarity = "cosine",
        miner: str | Miner = "closest-negative",
        cost: str | Cost = "hinge",
        margin: float = 0.25,
        positives: Positives = "all",
        mean_over: MeanOver = "mined",
        reduction: Reduction = "mean",
    ) -> None:
        if not 0 <= margin < float("inf"):
            raise ConfigError(f"TripletLoss: margin is finite and not negative; got {margin}.")
        if mean_over not in ("mined", "active", "pairs"):
            raise ConfigError(f"TripletLoss: mean_over is 'mined', 'active' or 'pairs', not {mean_over!r}.")
        if positives not in ("all", "hardest"):
            raise ConfigError(f"TripletLoss: positives is 'all' or 'hardest', not {positives!r}.")
        self.positives = positives
        self.similarity: Similarity = named("similarity", similarity, SIMILARITIES)
        self.miner: Miner = named("miner", miner, MINERS)
        self.cost: Cost = named("cost", cost, COSTS)
        self.margin = margin
        self.mean_over = mean_over
        self.reduction = check_reduction("TripletLoss", reduction)

    def forward(self, predictions: Any, targets: Any, groups: Any = None) -> Any:
        """The loss; with reduction "none" the costs (pairs, columns), 0 where no triplet was mined."""
        positive, mined = self._mine(predictions, targets, groups)
        costs = ops.where(mined.chosen, self.cost(mined.similarity - positive, self.margin), 0)
        if self.reduction == "none":
            return costs
        total = costs.sum()
        if self.reduction == "sum":
            return total
        if self.mean_over == "pairs":
            return total * (1 / max(1, positive.shape[0]))
        counted = mined.chosen if self.mean_over == "mined" else costs > 0
        count = counted.astype(costs.dtype).sum()
        return total / ops.where(count == 0, 1, count)

    @no_grad()
    def report(self, predictions: Any, targets: Any, groups: Any = None) -> TripletReport:
        """How many triplets this batch has, how many of them are active, and how far apart they are."""
        positive, mined = self._mine(predictions, targets, groups)
        chosen = mined.chosen.numpy()
        difference = (mined.similarity - positive).numpy()[chosen]
        cost = self.cost(mined.similarity - positive, self.margin).numpy()[chosen]
        active = int((difference + self.margin > 0).sum())
        return TripletReport(int(chosen.sum()), active, float(cost.sum()), float(np.abs(difference).sum()))

    def metrics(self) -> dict[str, Metric]:
        """The share of active triplets, which also warns of a collapse."""
        return {"active": ActiveTriplets(self)}

    def _mine(self, predictions: Any, targets: Any, groups: Any) -> tuple[Tensor, Mined]:
        """The similarities (pairs, 1) to the positives, and the mined negatives."""
        if isinstance(targets, tuple):
            return self._given(predictions, targets, groups)
        if not isinstance(targets, Tensor):
            targets = beside(predictions, targets)
        if targets.dtype.kind in "iu":
            if groups is not None:
                raise ConfigError("TripletLoss: groups go with partners; labels are groups already.")
            candidates = self._by_label(predictions, targets)
        else:
            candidates = self._by_partner(predictions, targets, groups)
        return candidates.positive, self.miner(candidates)

    def _given(self, anchors: Tensor, others: tuple[Any, ...], groups: Any) -> tuple[Tensor, Mined]:
        """Triplets of the caller's own. Raises ConfigError for what has no meaning for them."""
        if len(others) != 2 or groups is not None:
            raise ConfigError(
                "TripletLoss: triplets of your own are loss(anchors, (positives, negatives)), without groups."
            )
        similarities = []
        for rows in others:
            given = rows if isinstance(rows, Tensor) else beside(anchors, rows)
            check_vectors("TripletLoss", anchors, given)
            every = self.similarity(anchors, given)
            diagonal = beside(every, np.arange(len(anchors))[:, None])
            similarities.append(ops.take_along_axis(every, diagonal, axis=1))
        positive, negative = similarities
        return positive, Mined(negative, beside(negative, np.ones(negative.shape, bool)))

    def _by_partner(self, anchors: Tensor, partners: Tensor, groups: Any) -> Candidates:
        check_vectors("TripletLoss", anchors, partners)
        rows = np.arange(len(anchors))
        groups = rows if groups is None else _labels(groups, len(anchors))
        similarity = self.similarity(anchors, partners)
        positive = ops.take_along_axis(similarity, beside(similarity, rows[:, None]), axis=1)
        return Candidates(positive, similarity, groups[:, None] != groups[None, :], self.margin)

    def _by_label(self, vectors: Tensor, targets: Tensor) -> Candidates:
        check_vectors("TripletLoss", vectors, vectors)
        labels = _labels(targets, len(vectors))
        same = (labels[:, None] == labels[None, :]) & ~np.eye(len(labels), dtype=bool)
        similarity = self.similarity(vectors, vectors)
        if self.positives == "hardest":
            same = _first_lowest(similarity.numpy(), same)
        anchors, positives = np.nonzero(same)
        similarity = ops.take(similarity, beside(similarity, anchors), axis=0)
        positive = ops.take_along_axis(similarity, beside(similarity, positives[:, None]), axis=1)
        return Candidates(positive, similarity, labels[anchors][:, None] != labels[None, :], self.margin)


class MeanClosestTripletLoss(Loss):
    """The sum of two triplet losses per pair: against the mean negative, and against the closest one.

    max(mean_neg - s_p + margin, 0) + max(closest_neg - s_p + margin, 0), where the closest negative is the
    most alike one that is not above the positive. Negatives above it then count in the mean only; with
    closest="hardest" the most alike of all is taken, which is harder to train and does not overlook them.
    For predictions, targets and groups see TripletLoss. Source: the cost of the course Natural Language
    Processing with Sequence Models (DeepLearning.AI), which has used both.
    """

    def __init__(
        self,
        *,
        similarity: str | Similarity = "cosine",
        closest: str | Miner = "closest-negative",
        cost: str | Cost = "hinge",
        margin: float = 0.25,
        reduction: Literal["mean", "sum"] = "mean",
    ) -> None:
        if reduction not in ("mean", "sum"):
            raise ConfigError(f"MeanClosestTripletLoss: reduction is 'mean' or 'sum', not {reduction!r}.")
        self.reduction = reduction
        self.parts = [
            TripletLoss(
                similarity=similarity, miner=miner, cost=cost, margin=margin, mean_over="pairs",
                reduction=reduction,
            )
            for miner in ("mean-negative", closest)
        ]  # fmt: skip

    def forward(self, predictions: Any, targets: Any, groups: Any = None) -> Tensor:
        """The loss of all pairs, reduced. Raises ConfigError for triplets, which leave nothing to mine."""
        if isinstance(targets, tuple):
            raise ConfigError(
                "MeanClosestTripletLoss mines its triplets: give triplets of your own to TripletLoss."
            )
        mean, closest = (part(predictions, targets, groups) for part in self.parts)
        both: Tensor = mean + closest
        return both

    def report(self, predictions: Any, targets: Any, groups: Any = None) -> TripletReport:
        """The triplets with the closest negatives: those with the mean are no triplets of three vectors."""
        return self.parts[1].report(predictions, targets, groups)

    def metrics(self) -> dict[str, Metric]:
        """The share of active triplets, which also warns of a collapse."""
        return self.parts[1].metrics()


class ActiveTriplets(Metric):
    """The share of mined triplets that are active.

    `value()` warns if the embeddings have collapsed: positives and negatives are alike to the same degree, so
    that the cost stands at what equal similarities cost, which is the margin.
    """

    def __init__(self, loss: TripletLoss) -> None:
        self.loss = loss
        self.seen = TripletReport(0, 0, 0.0, 0.0)

    def update(self, predictions: Any, targets: Any, groups: Any = None) -> None:
        """Take in one batch."""
        self._add(self.loss.report(predictions, targets, groups))

    def merge(self, other: "ActiveTriplets") -> None:
        """Take in all that `other` has seen."""
        self._add(other.seen)

    def _add(self, more: TripletReport) -> None:
        mined, active, cost, gap = self.seen
        self.seen = TripletReport(mined + more.mined, active + more.active, cost + more.cost, gap + more.gap)

    def value(self) -> float:
        """The share over everything seen so far; NaN without triplets."""
        mined, active, cost, gap = self.seen
        if not mined:
            return float("nan")
        stuck = float(self.loss.cost(Tensor(0.0), self.loss.margin).item())
        if stuck > 0 and abs(cost / mined - stuck) <= 0.02 * stuck and gap / mined <= 0.02 * stuck:
            warnings.warn(
                f"The embeddings have collapsed: over {mined} triplets the cost is {cost / mined:.3g}, "
                "as much as equal similarities cost, and positives differ from negatives by "
                f"{gap / mined:.2g} on average. Lower the learning rate, or mine easier negatives "
                "(mean-negative, semi-hard) at first.",
                RuntimeWarning,
                stacklevel=2,
            )
        return active / mined


def _first_lowest(similarity: np.ndarray[Any, Any], allowed: np.ndarray[Any, Any]) -> Any:
    """The lowest of each row's allowed similarities, the first of equal ones; none where none is allowed."""
    lowest = np.where(allowed, similarity, np.inf).argmin(axis=1)
    return allowed & (np.arange(len(lowest)) == lowest[:, None])


def _labels(values: Any, count: int) -> np.ndarray[Any, Any]:
    """Integers, one for each row, on the host. Raises DataError for anything else."""
    labels: np.ndarray[Any, Any] = values.numpy() if isinstance(values, Tensor) else np.asarray(values)
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise DataError(
            f"TripletLoss needs one integer for each of {count} rows; got {labels.dtype} of shape "
            f"{labels.shape}."
        )
    return labels
