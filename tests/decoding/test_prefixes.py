"""Prefix search against the sum over all paths."""

import itertools
import math
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tinyseq_heads.ctc import CTCHead
from tinyseq_losses.ctc import CTC

import tinyseq
from tinyseq import Sequences, Tensor
from tinyseq.decoding import prefix_search
from tinyseq.errors import ConfigError, NonFiniteError

Array = np.ndarray[Any, Any]


def random_rows(seed: int, steps: int, classes: int) -> Array:
    scores = np.random.default_rng(seed).normal(size=(steps, classes)) * 2
    return np.array(scores - np.log(np.exp(scores).sum(1, keepdims=True)))


def over_all_paths(log_p: Array, blank: int) -> dict[tuple[int, ...], float]:
    """The probability of every label sequence."""
    found: dict[tuple[int, ...], float] = defaultdict(float)
    for path in itertools.product(range(log_p.shape[1]), repeat=len(log_p)):
        read = tuple(label for label, _ in itertools.groupby(path) if label != blank)
        found[read] += math.exp(sum(log_p[t, c] for t, c in enumerate(path)))
    return found


@given(
    seed=st.integers(0, 2**31), steps=st.integers(1, 5), classes=st.integers(2, 3), blank=st.integers(0, 1)
)
def test_a_wide_search_finds_all_labels_and_their_probabilities(
    seed: int, steps: int, classes: int, blank: int
) -> None:
    log_p = random_rows(seed, steps, classes)
    expected = over_all_paths(log_p, blank)
    found = prefix_search(log_p, blank=blank, width=classes**steps * 2)
    probabilities = {tuple(h.ids.tolist()): math.exp(h.score) for h in found}
    assert set(probabilities) == set(expected)
    for read, p in expected.items():
        assert probabilities[read] == pytest.approx(p, rel=1e-10)
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)


def test_what_no_path_reads_is_no_hypothesis() -> None:
    p = np.array([[0.0, 1.0, 0.0], [0.5, 0.5, 0.0], [0.0, 0.5, 0.5]])
    log_p = np.where(p > 0, np.log(np.maximum(p, 0.5)), -np.inf)
    found = prefix_search(log_p, blank=0, width=99)
    assert {tuple(h.ids.tolist()): pytest.approx(math.exp(h.score)) for h in found} == {
        read: p for read, p in over_all_paths(log_p, 0).items() if p > 0
    }


@given(seed=st.integers(0, 2**31), width=st.integers(1, 3))
def test_a_narrow_search_never_claims_too_much(seed: int, width: int) -> None:
    log_p = random_rows(seed, 5, 3)
    expected = over_all_paths(log_p, 0)
    found = prefix_search(log_p, blank=0, width=width)
    assert len(found) <= width
    for h in found:
        assert math.exp(h.score) <= expected[tuple(h.ids.tolist())] * (1 + 1e-10)


def test_the_likeliest_labels_need_not_be_those_of_the_likeliest_path() -> None:
    """Graves et al. (2006), figure 4: blank is the likeliest path, but more paths read as a label."""
    tinyseq.seed(0)
    head = CTCHead(2, 2)
    head.projection.weight.data[...] = np.eye(2)
    features = Sequences.from_list([np.log([[0.6, 0.4], [0.6, 0.4]]).astype("f4")])
    assert head.predict(features)[0].tolist() == []
    best, second = head.beam(features, 4)[0][:2]
    assert (best.ids.tolist(), second.ids.tolist()) == ([1], [])
    assert math.exp(best.score) == pytest.approx(0.64, rel=1e-6)
    assert math.exp(second.score) == pytest.approx(0.36, rel=1e-6)


def test_scores_are_what_the_loss_says(rng: np.random.Generator) -> None:
    tinyseq.seed(0)
    head = CTCHead(3, 4, blank=3).to("float64")
    features = Sequences.from_list([rng.normal(size=(n, 3)) for n in (4, 2, 5)])
    for xs, hypotheses in zip(features.to_list(), head.beam(features, 300), strict=True):
        alone = head.projection(Sequences.from_list([xs]))
        for h in hypotheses[:4]:
            loss = CTC(blank=3, reduction="sum")(alone, [h.ids])
            assert loss.item() == pytest.approx(-h.score, rel=1e-9)


def test_a_search_for_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="keeps 1 prefix or more, not width=0"):
        prefix_search(random_rows(0, 2, 2), blank=0, width=0)


def test_steps_at_which_nothing_is_possible_are_named() -> None:
    log_p = random_rows(0, 4, 3)
    log_p[2] = -np.inf
    with pytest.raises(NonFiniteError, match=r"at step 2 no class is possible"):
        prefix_search(log_p, blank=0, width=4)
    scores = Tensor(np.where(np.arange(6).reshape(2, 3, 1) == 4, np.nan, np.zeros((2, 3, 3))))
    with pytest.raises(NonFiniteError, match=r"no class is possible for sequence 1 at step 1"):
        CTC().decode(scores)


def test_a_blank_that_is_no_class_does_not_count_from_the_end() -> None:
    with pytest.raises(ConfigError, match=r"blank is the number of a class, 0 to 2, not -1"):
        prefix_search(random_rows(0, 4, 3), blank=-1, width=4)
