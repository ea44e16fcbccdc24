"""A tag for each step of a sequence, behind scikit-learn's `fit` and `predict`."""

from typing import Any

import numpy as np

from tinyseq.registry import heads, losses
from tinyseq.sequences import Sequences
from tinyseq.sklearn.base import SequenceEstimator
from tinyseq.sklearn.inputs import Array, Given


class SequenceTagger(SequenceEstimator):
    """A tag for each step of each sequence. y: one list of tags for each sample."""

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        """One epoch on these samples; the first call fixes tags (by default those of y) and vocabulary."""
        return self._fit(X, y, sample_weight, 1, anew=not hasattr(self, "_model"), classes=classes)

    def predict(self, X: Any) -> list[list[Any]]:
        """A list of tags for each sequence."""
        return [self.classes_[ids.numpy()].tolist() for batch in self._answers(X) for ids in batch.to_list()]

    def predict_proba(self, X: Any) -> list[Array]:
        """Probabilities (steps, tags) for each sequence, in the order of `classes_`."""
        return [p.numpy() for batch in self._answers(X, "probabilities") for p in batch.to_list()]

    def score(self, X: Any, y: Any) -> float:
        """The share of steps that are tagged as in y."""
        pairs = [
            (a, b)
            for ours, theirs in zip(self.predict(X), y, strict=True)
            for a, b in zip(ours, theirs, strict=True)
        ]
        return float(np.mean([a == b for a, b in pairs]))

    def _learn_targets(self, y: Any, kept: Array, weights: Array, classes: Any) -> None:
        self._made_with = self.get_params()
        if wrong := [i for i, tags in enumerate(y) if isinstance(tags, str)]:
            raise ValueError(f"y has a list of tags for each sample, and that of {wrong[0]} is a string.")
        self.classes_ = np.unique([tag for tags in y for tag in tags] if classes is None else classes)

    def _targets(self, y: Any, given: Given, kept: Array) -> Any:
        chosen = [np.asarray(list(y[i])) for i in kept]
        for i, (tags, sample) in enumerate(zip(chosen, given.samples, strict=True)):
            if len(tags) != len(sample):
                raise ValueError(
                    f"Sample {kept[i]} of X has {len(sample)} steps, and y has {len(tags)} tags."
                )
        return [self._numbered(tags) for tags in chosen]

    def _head(self, size: int) -> Any:
        return heads["tagger"](size, len(self.classes_))

    def _losses(self, head: Any, features: Any, targets: Any, xs: Any, weights: Array) -> Any:
        ids = Sequences.from_list(targets)
        shares = Sequences.from_list([np.full(len(t), w) for t, w in zip(targets, weights, strict=True)])
        each = losses["cross-entropy"](reduction="none")(head.projection(features), ids)
        return getattr(each, "data", each), shares.data.numpy()
