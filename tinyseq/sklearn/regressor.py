"""Numbers for each sequence, behind scikit-learn's `fit` and `predict`."""

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_X_y

from tinyseq.registry import heads, losses
from tinyseq.sklearn.base import SequenceEstimator
from tinyseq.sklearn.inputs import Array, Given


class SequenceRegressor(RegressorMixin, SequenceEstimator):  # type: ignore[misc]
    """Numbers of each sequence. y: (samples,) or (samples, outputs), inside with mean 0 and variance 1."""

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """One epoch on these samples; the first call fixes vocabulary and scales."""
        return self._fit(X, y, sample_weight, 1, anew=not hasattr(self, "_model"))

    def predict(self, X: Any) -> Array:
        """The numbers of each sequence, (samples,) or (samples, outputs) as y had them."""
        found = np.concatenate([answer.numpy() for answer in self._answers(X)]) * self._spread + self._middle
        answer: Array = found[:, 0] if self._flat else found
        return answer

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _y_options(self) -> dict[str, Any]:
        return {"multi_output": True, "y_numeric": True}

    def _numbers(self, y: Any) -> Array:
        dummy = np.zeros((len(y), 1))
        _, y = check_X_y(dummy, y, multi_output=True, y_numeric=True)
        y = np.asarray(y, np.float64)
        table: Array = y[:, None] if y.ndim == 1 else y
        return table

    def _learn_targets(self, y: Any, kept: Array, weights: Array, classes: Any) -> None:
        self._made_with = self.get_params()
        self._flat = np.ndim(y) == 1
        numbers, shares = self._numbers(y), weights[:, None]
        numbers = numbers[kept] if len(numbers) != len(weights) else numbers
        self._middle = (numbers * shares).sum(0) / shares.sum()
        spread = np.sqrt(((numbers - self._middle) ** 2 * shares).sum(0) / shares.sum())
        self._spread = np.where(spread > 0, spread, 1.0)

    def _targets(self, y: Any, given: Given, kept: Array) -> Any:
        return (self._numbers(y)[kept] - self._middle) / self._spread

    def _head(self, size: int) -> Any:
        return heads["regressor"](size, len(self._middle), pooling=self._pool())

    def _losses(self, head: Any, features: Any, targets: Any, xs: Any, weights: Array) -> Any:
        each = losses["squared-error"](reduction="none")(head.predict(features), np.array(targets))
        return each.mean(axis=-1), weights
