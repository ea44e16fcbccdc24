"""Which negatives an anchor is compared with. Functions by name; none of them is differentiated through.

s_p and s_n are the similarities of an anchor to its positive and to a negative. A triplet is easy if
s_n <= s_p - margin, semi-hard if s_p - margin < s_n <= s_p, hard if s_n > s_p (Schroff et al., 2015).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinyseq import ops, random
from tinyseq.contracts.pairing import beside
from tinyseq.engine import Tensor


class Candidates(NamedTuple):
    """What a miner chooses from: one row for each pair of an anchor and a positive."""

    positive: Tensor  # (pairs, 1): s_p
    similarity: Tensor  # (pairs, columns): s_n, where `allowed` is True
    allowed: np.ndarray[Any, Any]  # (pairs, columns), on the host: which columns are negatives of the row
    margin: float


class Mined(NamedTuple):
    """What a miner chose: the similarities to compare with, and which of them count."""

    similarity: Tensor  # (pairs, columns) or (pairs, 1)
    chosen: Tensor  # booleans of the same shape


Miner = Callable[[Candidates], Mined]


def every(c: Candidates) -> Mined:
    """All negatives."""
    return Mined(c.similarity, _on_device(c))


def easy(c: Candidates) -> Mined:
    """All that are already farther than the positive by the margin: no loss under a hinge."""
    return _counted_where(c, c.similarity <= c.positive - c.margin)


def semi_hard(c: Candidates) -> Mined:
    """All within the margin of the positive, but not above it."""
    return _counted_where(c, (c.similarity > c.positive - c.margin) & (c.similarity <= c.positive))


def hard(c: Candidates) -> Mined:
    """All that are more alike than the positive."""
    return _counted_where(c, c.similarity > c.positive)


def hardest(c: Candidates) -> Mined:
    """The most alike one of each row; equal ones share the gradient.

    With the hardest positive as well, this is batch-hard mining (Hermans et al., 2017).
    """
    return _highest(c, _on_device(c))


def closest_negative(c: Candidates) -> Mined:
    """The most alike one that is not above the positive; equal ones share the gradient."""
    return _highest(c, _on_device(c) & (c.similarity <= c.positive))


def mean_negative(c: Candidates) -> Mined:
    """One negative for each row, as alike as the row's negatives are on average."""
    counts = c.allowed.sum(1, keepdims=True)
    shares = beside(c.similarity, c.allowed / np.maximum(counts, 1), c.similarity.dtype)
    return Mined((c.similarity * shares).sum(axis=1, keepdims=True), beside(c.similarity, counts > 0))


def one_at_random(c: Candidates) -> Mined:
    """One negative of each row, each as likely; drawn from `tinyseq.random.generator()`."""
    lots = np.where(c.allowed, random.generator().random(c.allowed.shape), -1.0)
    drawn = np.zeros_like(c.allowed)
    if drawn.size:
        drawn[np.arange(len(drawn)), lots.argmax(1)] = True
    return Mined(c.similarity, beside(c.similarity, drawn & c.allowed))


MINERS: dict[str, Miner] = {
    "all": every,
    "random": one_at_random,
    "easy": easy,
    "semi-hard": semi_hard,
    "hard": hard,
    "hardest": hardest,
    "mean-negative": mean_negative,
    "closest-negative": closest_negative,
}


def _on_device(c: Candidates) -> Tensor:
    return beside(c.similarity, c.allowed)


def _counted_where(c: Candidates, condition: Tensor) -> Mined:
    return Mined(c.similarity, _on_device(c) & condition)


def _highest(c: Candidates, candidates: Tensor) -> Mined:
    """The highest similarity among the candidates of each row, which counts if there is a candidate."""
    lowest = float(np.finfo(c.similarity.dtype).min)
    highest = ops.max(ops.where(candidates, c.similarity, lowest), axis=1, keepdims=True)
    return Mined(highest, highest > lowest)
