"""Naive Bayes: the class of a bag of symbols."""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np

from tinyseq.contracts.pairing import check_list, is_whole
from tinyseq.errors import ConfigError, DataError


class NaiveBayes:
    """log P(class) + the sum of log P(symbol | class) over a bag of symbols, such as words or letter pairs.

    P(symbol | class) = (count + smoothing) / (all counts + smoothing x symbols), the multinomial event model
    of McCallum and Nigam (1998), equation 6. Symbols that no bag had are passed over. Raises DataError
    without bags.
    """

    def __init__(
        self,
        bags: Iterable[Iterable[Hashable]],
        labels: Sequence[int],
        classes: int,
        *,
        smoothing: float = 1.0,
    ) -> None:
        counted = [_bag(bag) for bag in bags]
        known = all(is_whole(label) and 0 <= label < classes for label in labels)
        if not counted or len(counted) != len(labels) or not known:
            raise DataError(
                f"NaiveBayes needs a class from 0 to {classes - 1} for each bag, and at least one; got "
                f"{len(counted)} bags and {len(labels)} classes."
            )
        if smoothing <= 0:
            raise ConfigError(f"NaiveBayes: smoothing is above 0, not {smoothing}.")
        self._rows: dict[Hashable, int] = {}
        for bag in counted:
            for symbol in bag:
                self._rows.setdefault(symbol, len(self._rows))
        counts = np.full((len(self._rows), classes), smoothing)
        for bag, label in zip(counted, labels, strict=True):
            for symbol, count in bag.items():
                counts[self._rows[symbol], label] += count
        self._log_likelihood = np.log(counts / counts.sum(0))
        with np.errstate(divide="ignore"):  # a class that never came is impossible
            self._log_prior = np.log(np.bincount(labels, minlength=classes) / len(labels))

    def scores(self, bag: Iterable[Hashable]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """log P(class) + log P(bag | class): (classes,)."""
        rows = [self._rows[symbol] for symbol in _bag(bag).elements() if symbol in self._rows]
        found: np.ndarray[Any, np.dtype[np.float64]] = self._log_prior + self._log_likelihood[rows].sum(0)
        return found

    def predict(self, bag: Iterable[Hashable]) -> int:
        """The likeliest class."""
        return int(self.scores(bag).argmax())


def _bag(symbols: Iterable[Hashable]) -> Counter[Hashable]:
    """How often each symbol comes. Raises ConfigError for a string, whose symbols would be characters."""
    check_list("NaiveBayes", "a bag", symbols)
    return Counter(symbols)
