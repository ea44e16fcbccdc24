"""Naive Bayes against counting by hand."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyseq.baselines import NaiveBayes
from tinyseq.errors import ConfigError, DataError

bags = st.lists(st.tuples(st.text("abcd", max_size=5), st.integers(0, 2)), min_size=1, max_size=8)


@given(data=bags, new=st.text("abcde", max_size=5))
def test_scores_by_hand(data: list[tuple[str, int]], new: str) -> None:
    model = NaiveBayes([list(bag) for bag, _ in data], [label for _, label in data], 3, smoothing=0.5)
    symbols = {c for bag, _ in data for c in bag}
    for label in range(3):
        own = [bag for bag, y in data if y == label]
        counts = Counter("".join(own))
        score = math.log(len(own) / len(data)) if own else -math.inf
        for c in new:
            if c in symbols:
                score += math.log((counts[c] + 0.5) / (counts.total() + 0.5 * len(symbols)))
        assert model.scores(list(new))[label] == pytest.approx(score, rel=1e-12)
    assert model.predict(list(new)) == int(np.argmax(model.scores(list(new))))


def test_requests_that_make_no_sense() -> None:
    with pytest.raises(DataError, match="got 0 bags and 0 classes"):
        NaiveBayes([], [], 2)
    with pytest.raises(DataError, match="a class from 0 to 1 for each bag"):
        NaiveBayes([["a"]], [2], 2)
    with pytest.raises(ConfigError, match="smoothing is above 0, not 0"):
        NaiveBayes([["a"]], [0], 1, smoothing=0)
