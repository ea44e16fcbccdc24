"""The head that puts sequences which belong together near each other."""

from typing import Any

import numpy as np

from tinyseq import ops
from tinyseq.contracts import Head, Loss, Metric
from tinyseq.engine import Tensor
from tinyseq.errors import DataError
from tinyseq.evaluation import RecallAtK
from tinyseq.nn import Linear
from tinyseq.nn.init import Initializer
from tinyseq.registry import losses
from tinyseq.sequences import packed
from tinyseq_heads.pooling import Pooling, meet_pooling, pooling_of


class Siamese(Head):
    """One unit vector for each sequence; how alike two sequences are is the cosine of theirs.

    targets: the group of every sequence, integers (batch,); sequences of one group belong together. With
    `paired`, the second half of the batch holds the partners of the first half, row beside row, and the
    loss is called as loss(anchors, partners, groups); otherwise as loss(vectors, groups). `loss` is
    mean-closest-triplet unless another is given. The vectors have `embedding_size` elements through a
    linear layer, or, without it, those of the pooled features. For poolings see Classifier;
    `init` fills the linear layer.
    """

    def __init__(
        self,
        input_size: int,
        embedding_size: int | None = None,
        *,
        pooling: str | Pooling = "mean",
        loss: Loss | None = None,
        paired: bool = True,
        init: str | Initializer = "glorot_uniform",
    ) -> None:
        self.input_size = input_size
        self.paired = paired
        self.pooling: Any = pooling_of(pooling, input_size)
        self.projection = None if embedding_size is None else Linear(input_size, embedding_size, init=init)
        self.criterion: Any = loss if loss is not None else losses["mean-closest-triplet"]()

    def predict(self, features: Any) -> Tensor:
        """The unit vectors (batch, width) of features (steps, input_size) for each sequence."""
        pooled = self.pooling(packed(features))
        vectors: Tensor = ops.l2_normalize(pooled if self.projection is None else self.projection(pooled))
        return vectors

    def loss(self, features: Any, targets: Any) -> Tensor:
        """The loss of one batch. Raises DataError if the halves of a paired batch are of different groups."""
        vectors = self.predict(features)
        loss: Tensor = self.criterion(*(halves(vectors, targets) if self.paired else (vectors, targets)))
        return loss

    def similarity(self, features: Any) -> Tensor:
        """The cosine of each pair of a paired batch, (batch / 2,): compare it with a threshold."""
        vectors = self.predict(features)
        half = _half(len(vectors))
        cosines: Tensor = (vectors[:half] * vectors[half:]).sum(axis=-1)
        return cosines

    def meet(self, encoder: Any) -> None:
        """Let the pooling know what it pools."""
        meet_pooling(self.pooling, encoder)

    def metrics(self) -> dict[str, Metric]:
        """For pairs, how often an anchor's partner is the nearest of its batch; and what the loss reports."""
        reports = self.criterion.metrics() if hasattr(self.criterion, "metrics") else {}
        if not self.paired:
            return dict(reports)
        found: dict[str, Metric] = {"recall_at_1": PairRecall()}
        return found | {name: OfHalves(metric) for name, metric in reports.items()}


class PairRecall(RecallAtK):
    """Recall at k within batches: anchors look for their partners among all partners of other groups.

    `update(vectors, groups)` takes a paired batch of unit vectors. Larger batches make it harder.
    """

    def update(self, scores: Any, answers: Any) -> None:
        """Take in one paired batch."""
        anchors, partners, groups = halves(scores, answers)
        cosines = (anchors @ ops.transpose(partners)).numpy()
        same = (groups[:, None] == groups[None, :]) & ~np.eye(len(groups), dtype=bool)
        super().update(np.where(same, -np.inf, cosines), np.arange(len(groups)))


class OfHalves(Metric):
    """A metric of (anchors, partners, groups), for paired batches."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.higher_is_better = metric.higher_is_better

    def update(self, vectors: Any, groups: Any) -> None:
        """Take in one paired batch."""
        self.metric.update(*halves(vectors, groups))

    def merge(self, other: "OfHalves") -> None:
        """Take in all that `other` has seen."""
        self.metric.merge(other.metric)

    def value(self) -> Any:
        """The figure of the metric inside."""
        return self.metric.value()


def halves(vectors: Tensor, groups: Any) -> tuple[Tensor, Tensor, np.ndarray[Any, Any]]:
    """Anchors, partners, and the group of each pair, of a paired batch.

    Raises DataError if the number of rows is odd, or a row and its partner are not of one group.
    """
    half = _half(len(vectors))
    labels = groups.numpy() if isinstance(groups, Tensor) else np.asarray(groups)
    if labels.shape != (2 * half,):
        raise DataError(
            f"A paired batch of {2 * half} sequences needs as many groups; got shape {labels.shape}."
        )
    apart = np.flatnonzero(labels[:half] != labels[half:])
    if apart.size:
        i = int(apart[0])
        raise DataError(
            f"Sequences {i} and {half + i} are a pair, but of the groups {labels[i]} and {labels[half + i]}: "
            "the second half of a paired batch holds the partners of the first half, in the same order."
        ).about(i, half)
    return vectors[:half], vectors[half:], labels[:half]


def _half(rows: int) -> int:
    if rows % 2:
        raise DataError(
            f"A paired batch has an even number of sequences, anchors and then partners; got {rows}."
        )
    return rows // 2
