"""Kneser-Ney against its recursion on dicts, token by token."""

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyseq.baselines import NGram
from tinyseq.errors import ConfigError, DataError

texts = st.lists(st.lists(st.integers(0, 3), max_size=12), min_size=1, max_size=4).filter(lambda t: any(t))


class Recursion:
    """The formula with n-grams as tuples and a function that calls itself."""

    def __init__(self, sequences: list[list[int]], size: int, order: int) -> None:
        self.size = size
        counts = Counter(
            tuple(([None] * (order - 1) + s)[t : t + order]) for s in sequences for t in range(len(s))
        )
        self.counts = {order: counts}
        for n in range(order - 1, 0, -1):
            self.counts[n] = Counter(gram[1:] for gram in self.counts[n + 1])

    def p(self, history: tuple[Any, ...], token: int) -> float:
        n = len(history) + 1
        after = {gram[-1]: c for gram, c in self.counts[n].items() if gram[:-1] == history}
        lower = self.p(history[1:], token) if n > 1 else 1 / self.size
        if not after:
            return lower
        once, twice = (sum(c == k for c in self.counts[n].values()) for k in (1, 2))
        d = once / (once + 2 * twice) if once and twice else 0.5
        return (max(after.get(token, 0) - d, 0) + d * len(after) * lower) / sum(after.values())


@given(train=texts, test=texts, order=st.integers(1, 4))
def test_equals_the_recursion(train: list[list[int]], test: list[list[int]], order: int) -> None:
    model, recursion = NGram(train, 5, order=order), Recursion(train, 5, order)
    expected = [
        math.log(recursion.p(tuple(([None] * (order - 1) + s)[t : t + order - 1]), s[t]))
        for s in test
        for t in range(len(s))
    ]
    np.testing.assert_allclose(model.log_probabilities(test), expected, rtol=1e-10, atol=1e-12)
    perplexity = model.perplexity(test, unit="char")
    assert perplexity.count == len(expected)
    assert perplexity.value() == pytest.approx(math.exp(-math.fsum(expected) / len(expected)), rel=1e-10)


@given(train=texts, history=st.lists(st.integers(0, 4), max_size=5), order=st.integers(1, 4))
def test_probabilities_after_any_history_sum_to_one(train: Any, history: list[int], order: int) -> None:
    model = NGram(train, 5, order=order)
    p = [math.exp(model.log_probabilities([[*history, token]])[-1]) for token in range(5)]
    assert math.fsum(p) == pytest.approx(1, rel=1e-12)
    assert min(p) > 0


def test_a_longer_memory_knows_more() -> None:
    rng = np.random.default_rng(0)
    words = rng.integers(0, 8, (20, 5))
    text = words[rng.integers(0, 20, 400)].ravel()
    figures = [NGram([text[:1500]], 8, order=n).perplexity([text[1500:]]).value() for n in (1, 2, 4)]
    assert figures == sorted(figures, reverse=True)
    assert figures[-1] < 0.5 * figures[0]


def test_it_says_what_it_costs() -> None:
    small, large = NGram([[0, 1, 0, 2]], 3, order=1), NGram([[0, 1, 0, 2]], 3, order=3)
    assert 0 < small.nbytes < large.nbytes
    assert repr(small) == "NGram(order 1: 3 n-grams, 0.0 MiB)"


def test_requests_that_make_no_sense() -> None:
    with pytest.raises(DataError, match=r"id 3 of sequence 1 at position 2 is outside of 0\.\.2"):
        NGram([[0, 1], [0, 1, 3]], 3)
    with pytest.raises(DataError, match="outside of"):
        NGram([[0, 1]], 3).log_probabilities([[-1]])
    with pytest.raises(DataError, match="at least one token to count"):
        NGram([[]], 3)
    with pytest.raises(DataError, match=r"sequence 0 is float64 of shape \(1,\)"):
        NGram([[0.5]], 3)
    with pytest.raises(ConfigError, match="1 or more, not 0 and 3"):
        NGram([[0]], 3, order=0)
    with pytest.raises(ConfigError, match="100000 symbols in 4-grams are more than a 64-bit number"):
        NGram([[0]], 100_000, order=4)
