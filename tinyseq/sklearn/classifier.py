"""A class for each sequence, behind scikit-learn's `fit` and `predict`."""

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from tinyseq.registry import heads, losses
from tinyseq.sklearn.base import SequenceEstimator
from tinyseq.sklearn.inputs import Array, Given


class SequenceClassifier(ClassifierMixin, SequenceEstimator):  # type: ignore[misc]
    """Each sequence's class. y: labels of any kind, (samples,)."""

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        """One epoch on these samples; the first call fixes classes (by default those of y) and vocabulary."""
        anew = not hasattr(self, "_model")
        return self._fit(X, y, sample_weight, 1, anew=anew, classes=classes)

    def predict(self, X: Any) -> Array:
        """The likeliest class of each sequence, (samples,)."""
        p = self.predict_proba(X)
        found: Array = self.classes_[p.argmax(1)]
        return found

    def predict_proba(self, X: Any) -> Array:
        """Probabilities (samples, classes), in the order of `classes_`."""
        p = np.exp(np.concatenate([answer.numpy() for answer in self._answers(X)]))
        scaled: Array = p / p.sum(1, keepdims=True)
        return scaled

    def _learn_targets(self, y: Any, kept: Array, weights: Array, classes: Any) -> None:
        labels = column_or_1d(y, warn=True)
        check_classification_targets(labels)
        self._made_with = self.get_params()
        self.classes_ = np.unique(labels) if classes is None else np.unique(classes)

    def _targets(self, y: Any, given: Given, kept: Array) -> Any:
        return self._numbered(column_or_1d(y)[kept])

    def _head(self, size: int) -> Any:
        return heads["classifier"](size, len(self.classes_), pooling=self._pool())

    def _losses(self, head: Any, features: Any, targets: Any, xs: Any, weights: Array) -> Any:
        return losses["cross-entropy"](reduction="none")(head.scores(features), np.array(targets)), weights
