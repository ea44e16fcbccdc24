"""Drawing from a model: known distributions, greedy limits, seeds, and the carried state."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tinyseq_cells.lstm import LSTM
from tinyseq_heads.language_model import LanguageModelHead

import tinyseq
from tinyseq import Recurrent, Tensor
from tinyseq.decoding import choose, generate
from tinyseq.errors import ConfigError, DataError, NonFiniteError
from tinyseq.nn import Dropout, Embedding, Module, SequenceModel, Sequential
from tinyseq.sequences import Sequences


class Markov(Module):
    """A model whose next token depends on the last one only, by a table of log-probabilities."""

    def __init__(self, table: Any) -> None:
        self.table = np.asarray(table)
        self.head = self
        self.read: list[int] = []

    def scan(self, xs: Sequences, state: None) -> tuple[Sequences, None]:
        self.read.append(len(xs.data))
        return xs.map(lambda ids: Tensor(self.table[ids.numpy()])), None

    def predict(self, features: Tensor) -> Tensor:
        return features


def binomial_bounds(n: int, p: float, tail: float = 1e-7) -> tuple[int, int]:
    """The counts that n trials leave at either end with a probability of less than `tail`, exactly."""
    log_choose = [math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in range(n + 1)]
    shares = np.exp([c + k * math.log(p) + (n - k) * math.log1p(-p) for k, c in enumerate(log_choose)])
    below = np.cumsum(shares)
    return int(np.searchsorted(below, tail)), int(np.searchsorted(below, 1 - tail))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("top_k", [None, 2, 3])
def test_frequencies_are_those_of_the_distribution(temperature: float, top_k: int | None) -> None:
    p = np.array([0.1, 0.4, 0.2, 0.0, 0.3])
    with np.errstate(divide="ignore"):
        scores = np.log(p) + 7
    kept = sorted(range(5), key=lambda c: -p[c])[:top_k]
    powered = np.array([p[c] ** (1 / temperature) if c in kept else 0.0 for c in range(5)])
    n, rng = 2000, np.random.default_rng(0)
    counts = np.bincount(
        [choose(scores, rng, temperature=temperature, top_k=top_k) for _ in range(n)], minlength=5
    )
    for count, share in zip(counts, powered / powered.sum(), strict=True):
        low, high = binomial_bounds(n, share) if share else (0, 0)
        assert low <= count <= high


@given(
    scores=st.lists(st.integers(-80_000, 80_000).map(lambda n: n / 8), min_size=1, max_size=8),
    seed=st.integers(0, 2**32 - 1),
)
def test_greedy_limits(scores: list[float], seed: int) -> None:
    """Temperature 0, one candidate, and a temperature near 0 all take a highest score."""
    rng = np.random.default_rng(seed)
    best = int(np.argmax(scores))
    assert choose(np.array(scores), rng, temperature=0) == best
    assert choose(np.array(scores), rng, top_k=1) == best
    for near_zero in (1e-300, 5e-324):
        assert scores[choose(np.array(scores), rng, temperature=near_zero)] == scores[best]


@given(size=st.integers(1, 8), k=st.integers(1, 10), seed=st.integers(0, 2**32 - 1), ties=st.booleans())
def test_only_the_top_k_are_drawn(size: int, k: int, seed: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    scores = np.zeros(size) if ties else rng.normal(size=size)
    allowed = sorted(range(size), key=lambda c: (-scores[c], c))[:k]
    assert {choose(scores, rng, temperature=5.0, top_k=k) for _ in range(20)} <= set(allowed)


def test_tokens_follow_the_table_and_the_state_goes_on() -> None:
    cycle = np.log(np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]]) + 1e-300)
    model = Markov(cycle)
    assert list(generate(model, [2, 0], 7, seed=0)) == [1, 2, 0, 1, 2, 0, 1]
    assert model.read == [2, 1, 1, 1, 1, 1, 1]  # the prompt at once, then one token at a time


def test_tokens_come_one_by_one() -> None:
    model = Markov(np.zeros((3, 3)))
    tokens = generate(model, [0], 5, seed=1)
    next(tokens)
    assert len(model.read) == 1


def language_model() -> SequenceModel:
    tinyseq.seed(3)
    embed = Sequential(Embedding(11, 6), Dropout(0.5))  # dropout must not show
    model = SequenceModel(embed, Recurrent(LSTM(6, 8)), LanguageModelHead(8, 11))
    for parameter in model.parameters():
        parameter.data *= 2
    return model


def test_a_carried_state_equals_reading_everything_again(backend: str) -> None:
    model = language_model()
    prompt = [1, 2, 3]
    tokens = list(generate(model, prompt, 12, temperature=0))
    model.eval()
    for i, token in enumerate(tokens):
        ids = np.array([prompt + tokens[:i]])
        scores = model.predict(Sequences.from_padded(ids)).last().numpy()[0]
        assert token == int(scores.argmax())
    assert len(set(tokens)) > 2


def test_seeds_make_it_repeatable(backend: str) -> None:
    model = language_model()
    first = list(generate(model, [1], 30, seed=5))
    assert list(generate(model, [1], 30, seed=5)) == first
    assert list(generate(model, [1], 30, seed=6)) != first
    tinyseq.seed(9)
    unseeded = list(generate(model, [1], 30))
    assert list(generate(model, [1], 30)) != unseeded
    tinyseq.seed(9)
    assert list(generate(model, [1], 30)) == unseeded


def test_the_mode_of_every_module_is_as_before() -> None:
    model = language_model()
    model.embed.eval()
    before = [module.training for module in model.modules()]
    list(generate(model, [1], 2))
    assert [module.training for module in model.modules()] == before
    assert len(set(before)) == 2


@pytest.mark.parametrize(
    ("prompt", "length", "options", "error", "message"),
    [
        ([], 1, {}, DataError, "at least one token to go on from"),
        ([[1]], 1, {}, DataError, r"not int64 of shape \(1, 1\)"),
        ([0.5], 1, {}, DataError, r"not float64 of shape \(1,\)"),
        ([1], -1, {}, ConfigError, "cannot draw -1 tokens"),
        ([1], 1, {"temperature": -0.1}, ConfigError, "temperature is finite and 0 .* not -0.1"),
        ([1], 1, {"temperature": float("nan")}, ConfigError, "not nan"),
        ([1], 1, {"temperature": "1"}, ConfigError, "not '1'"),
        ([1], 1, {"top_k": 0}, ConfigError, "top_k keeps 1 or more of the classes, not 0"),
    ],
)
def test_senseless_requests_are_refused_at_once(
    prompt: Any, length: int, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        generate(Markov(np.zeros((3, 3))), prompt, length, **options)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_no_numbers_are_refused(bad: float) -> None:
    with pytest.raises(NonFiniteError, match="without a finite maximum"):
        choose(np.array([0.0, bad]), np.random.default_rng(0))
    with pytest.raises(NonFiniteError, match="all -inf"):
        choose(np.full(3, -np.inf), np.random.default_rng(0), temperature=0)


@pytest.mark.parametrize("exclude", [[1], [1, 4], np.array([0, 2, 3])])
def test_what_is_excluded_is_as_if_it_had_no_probability(exclude: Any) -> None:
    p = np.array([0.1, 0.4, 0.2, 0.05, 0.25])
    kept = [c for c in range(5) if c not in exclude]
    fewer = np.log(p[kept])
    for seed in range(50):
        for options in ({}, {"temperature": 0.0}, {"top_k": 2}):
            ours, theirs = np.random.default_rng(seed), np.random.default_rng(seed)
            drawn = choose(np.log(p), ours, exclude=exclude, **options)
            assert drawn == kept[choose(fewer, theirs, **options)]


def test_excluded_tokens_are_not_generated() -> None:
    model = Markov(np.zeros((4, 4)))
    drawn = list(generate(model, [0], 200, exclude=[2], seed=0))
    assert set(drawn) == {0, 1, 3}


@pytest.mark.parametrize(
    ("exclude", "message"),
    [
        ([-1], "0 to 2, not -1"),
        ([3], "0 to 2, not 3"),
        ("01", "not the string '01'"),
        ([0, 1, 2, 2], "all of the 3"),
    ],
)
def test_exclusions_that_make_no_sense(exclude: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        choose(np.zeros(3), np.random.default_rng(0), exclude=exclude)
