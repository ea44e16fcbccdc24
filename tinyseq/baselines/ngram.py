"""An n-gram language model: counts of what followed the last few tokens, well smoothed."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from tinyseq.errors import ConfigError, DataError
from tinyseq.evaluation import Perplexity

Ids = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]


class _Order(NamedTuple):
    """The counts of one length of n-gram. An n-gram is one number: its ids are the digits."""

    grams: Ids  # ascending
    counts: Ids  # of each: how often it came, or, below the highest order, after how many different tokens
    contexts: Ids  # the n-grams without their last token, ascending
    totals: Ids  # of each context: the sum of its n-grams' counts
    kinds: Ids  # of each context: how many different n-grams begin with it
    discount: float


class NGram:
    """Interpolated Kneser-Ney smoothing of n-grams of token ids.

        p_n(w | h) = (max(c(h w) - D, 0) + D N(h) p_(n-1)(w | h')) / c(h)

    where h' is h without its first token, c counts occurrences in the highest order and different preceding
    tokens in the lower ones, N(h) is the number of different tokens after h, and D = n_1 / (n_1 + 2 n_2) of
    each order, from how many n-grams have count 1 and 2. p_0 is uniform. Sequences begin with order - 1
    tokens that stand for nothing. Sources: Kneser and Ney (1995); interpolated: Chen and Goodman (1999),
    section 2.7.

    Raises DataError for ids outside of [0, vocabulary_size) and without any token.
    """

    def __init__(self, sequences: Iterable[Any], vocabulary_size: int, *, order: int = 5) -> None:
        if order < 1 or vocabulary_size < 1:
            raise ConfigError(
                f"NGram needs an order and a vocabulary_size of 1 or more, not {order} and {vocabulary_size}."
            )
        self.base = vocabulary_size + 1  # one digit more, for what comes before the first token
        if self.base**order > np.iinfo(np.int64).max:
            raise ConfigError(
                f"NGram: {vocabulary_size} symbols in {order}-grams are more than a 64-bit number can tell "
                "apart: lower the order."
            )
        self.order = order
        self.vocabulary_size = vocabulary_size
        grams, counts = np.unique(self._grams(sequences), return_counts=True)
        if not grams.size:
            raise DataError("NGram needs at least one token to count.")
        self._orders: list[_Order] = []  # from the highest down
        for n in range(order, 0, -1):
            self._orders.append(_counted(grams, counts, self.base))
            grams, counts = np.unique(grams % self.base ** (n - 1), return_counts=True)

    def log_probabilities(self, sequences: Iterable[Any]) -> Floats:
        """log p of every token given those before it in its sequence, one sequence after the other."""
        grams = self._grams(sequences)
        p = np.full(grams.shape, 1 / self.vocabulary_size)
        for n, order in enumerate(reversed(self._orders), 1):
            suffixes = grams % self.base**n
            counts = _looked_up(suffixes, order.grams, order.counts)
            totals = _looked_up(suffixes // self.base, order.contexts, order.totals)
            kinds = _looked_up(suffixes // self.base, order.contexts, order.kinds)
            kept = np.maximum(counts - order.discount, 0) + order.discount * kinds * p
            p = np.divide(kept, totals, out=p, where=totals > 0)
        log_p: Floats = np.log(p)
        return log_p

    def perplexity(self, sequences: Iterable[Any], *, unit: str = "token") -> Perplexity:
        """The perplexity of the sequences, as a metric that can be merged."""
        log_p = self.log_probabilities(sequences)
        found = Perplexity(unit)
        found.nats, found.count = float(-log_p.sum()), log_p.size
        return found

    @property
    def nbytes(self) -> int:
        """The bytes that the counts take in memory."""
        return sum(values.nbytes for order in self._orders for values in order[:-1])

    def __repr__(self) -> str:
        grams = sum(len(order.grams) for order in self._orders)
        return f"NGram(order {self.order}: {grams:,} n-grams, {self.nbytes / 2**20:.1f} MiB)"

    def _grams(self, sequences: Iterable[Any]) -> Ids:
        """The n-gram of the highest order that ends at each token."""
        parts = [np.empty(0, np.int64)]
        for i, sequence in enumerate(sequences):
            ids = np.asarray(sequence)
            if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
                raise DataError(
                    f"NGram: sequence {i} is {ids.dtype} of shape {ids.shape}, not ids (tokens,)."
                )
            if ids.size and not (ids.min() >= 0 and ids.max() < self.vocabulary_size):
                at = int(((ids < 0) | (ids >= self.vocabulary_size)).argmax())
                raise DataError(
                    f"NGram: id {ids[at]} of sequence {i} at position {at} is outside of "
                    f"0..{self.vocabulary_size - 1}."
                )
            padded = np.concatenate([np.full(self.order - 1, self.vocabulary_size), ids.astype(np.int64)])
            gram = np.zeros(len(ids), np.int64)
            for k in range(self.order):
                gram = gram * self.base + padded[k : k + len(ids)]
            parts.append(gram)
        return np.concatenate(parts)


def _counted(grams: Ids, counts: Ids, base: int) -> _Order:
    contexts, first = np.unique(grams // base, return_index=True)
    once, twice = (int((counts == k).sum()) for k in (1, 2))
    discount = once / (once + 2 * twice) if once and twice else 0.5
    kinds = np.diff(np.append(first, len(grams)))
    return _Order(grams, counts, contexts, np.add.reduceat(counts, first), kinds, discount)


def _looked_up(keys: Ids, known: Ids, values: Ids) -> Ids:
    """The value of each key, 0 for one that is not known."""
    at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.where(known[at] == keys, values[at], 0)
