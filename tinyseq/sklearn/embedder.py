"""A vector for each sequence, behind scikit-learn's `fit` and `transform`."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import column_or_1d

from tinyseq import ops, random
from tinyseq.data import LengthBatches
from tinyseq.registry import heads, losses
from tinyseq.sklearn.base import SequenceEstimator
from tinyseq.sklearn.inputs import Array, Given

TOGETHER = 4  # samples of one group that come side by side (PK batches: Hermans et al., 2017)


class SequenceEmbedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, SequenceEstimator):  # type: ignore[misc]
    """A unit vector for each sequence, near those of its group. y: groups, labels of any kind, (samples,).

    A Siamese encoder, trained with all triplets of a batch: a sample is to be more alike those of its group,
    itself among them, than each sample of others. "auto" batches hold up to 64 samples, fours of a group. The
    vectors are means of the encoder's outputs, `hidden_size` wide, or twice as wide with `bidirectional`.
    Raises ValueError without two groups, or where no group has two samples.
    """

    _most = 64  # there are as many triplets as the batch's size cubed

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """One epoch on these samples, whose groups may be new; the first call fixes vocabulary and scales."""
        return self._fit(X, y, sample_weight, 1, anew=not hasattr(self, "_model"))

    def transform(self, X: Any) -> Array:
        """The unit vectors (samples, width)."""
        return np.concatenate([answer.numpy() for answer in self._answers(X)])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    def _learn_targets(self, y: Any, kept: Array, weights: Array, classes: Any) -> None:
        self._made_with = self.get_params()
        self._n_features_out = self.hidden_size * (2 if self.bidirectional else 1)

    def _targets(self, y: Any, given: Given, kept: Array) -> Any:
        found, groups, counts = np.unique(
            column_or_1d(y, warn=True)[kept], return_inverse=True, return_counts=True
        )
        if len(found) < 2 or counts.max() < 2:
            raise ValueError(
                f"y has {len(found)} group{'s' if len(found) > 1 else ''}, the largest of n_samples = "
                f"{counts.max()}: give two groups or more, one of them with two samples or more."
            )
        return groups

    def _batches(self, targets: Any, lengths: list[int], *options: Any, **more: Any) -> LengthBatches[int]:
        batches = _GroupBatches(range(len(lengths)), *options, **more)
        batches.groups = targets
        return batches

    def _head(self, size: int) -> Any:
        triplets = losses["triplet"](miner="all", reduction="none")
        return heads["siamese"](size, pooling="mean", loss=triplets, paired=False)

    def _losses(self, head: Any, features: Any, targets: Any, xs: Any, weights: Array) -> Any:
        groups, vectors = np.array(targets), head.predict(features)
        apart = groups[:, None] != groups
        anchors, positives = np.nonzero(~apart & ~np.eye(len(groups), dtype=bool))
        itself = np.arange(len(groups))  # as its copy would be: so a weight of 2 is two samples
        costs = [head.criterion(vectors, groups), head.criterion(vectors, vectors, groups)]
        anchors, positives = np.append(anchors, itself), np.append(positives, itself)
        return ops.concatenate(costs), (weights[anchors] * weights[positives])[:, None] * weights * apart[
            anchors
        ]


class _GroupBatches(LengthBatches[int]):
    """Batches in which most samples have others of their group: each group comes in fours, shuffled anew."""

    groups: Array

    def __iter__(self) -> Iterator[Any]:
        rng = random.generator()
        order = rng.permutation(len(self.groups))
        order = order[np.argsort(self.groups[order], kind="stable")]
        groups = self.groups[order]
        place = np.arange(len(order)) - np.searchsorted(groups, groups)
        starts = np.flatnonzero(place % TOGETHER == 0)
        fours = np.split(order, starts[1:])
        dealt = np.concatenate([fours[i] for i in rng.permutation(len(fours))])
        return self._batches([part.tolist() for part in np.array_split(dealt, len(self))])
