"""Greedy, random and beam search over symbols whose probabilities depend on all that was written before."""

import itertools
import math
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyseq
from tinyseq import Tensor, ops
from tinyseq.decoding import Hypothesis, beam_search, write
from tinyseq.errors import ConfigError, NonFiniteError

Array = np.ndarray[Any, Any]
END = 1


class History(NamedTuple):
    """number: what was written, read as digits; source: which row of the model it belongs to."""

    number: Tensor
    source: Tensor


class Model:
    """Random log-probabilities for every history, known to the model by what its state carries along."""

    def __init__(self, seed: int, symbols: int, sources: int) -> None:
        self.seed, self.symbols, self.sources = seed, symbols, sources

    def log_p(self, source: int, number: int) -> Array:
        scores = np.random.default_rng([self.seed, source, number]).normal(size=self.symbols) * 2
        return np.array(scores - math.log(math.fsum(map(math.exp, scores.tolist()))))

    def start(self, width: int = 1) -> History:
        """A history of the first `end`, for `width` rows of each source."""
        rows = np.repeat(np.arange(self.sources), width)[:, None].astype("f8")
        return History(Tensor(np.zeros(rows.shape)), Tensor(rows))

    def advance(self, ids: Array, state: History) -> tuple[Array, History]:
        number = state.number * (self.symbols + 1) + Tensor((ids[:, None] + 1).astype("f8"))
        places = zip(state.source.numpy()[:, 0], number.numpy()[:, 0], strict=True)
        return np.stack([self.log_p(int(s), int(n)) for s, n in places]), History(number, state.source)

    def total(self, source: int, ids: Any) -> float:
        """The log-probability of a sequence, symbol by symbol."""
        number, total = 0, 0.0
        for last, symbol in itertools.pairwise([END, *ids]):
            number = number * (self.symbols + 1) + last + 1
            total += float(self.log_p(source, number)[symbol])
        return total


def penalized(total: float, length: int, alpha: float) -> float:
    """Wu et al. (2016), equation 14."""
    return total / ((5 + length) ** alpha / (5 + 1) ** alpha)


def exhaustive(model: Model, source: int, max_length: int, alpha: float) -> Hypothesis:
    """The best of all sequences that end, or are as long as may be."""
    others = [s for s in range(model.symbols) if s != END]
    best = Hypothesis(np.array([]), -math.inf)
    for n in range(max_length + 1):
        for ids in itertools.product(others, repeat=n):
            whole = ids if n == max_length else (*ids, END)
            score = penalized(model.total(source, whole), len(whole), alpha)
            if score > best.score:
                best = Hypothesis(np.array(ids, int), score)
    return best


models = st.builds(Model, st.integers(0, 2**31), st.integers(2, 4), st.integers(1, 3))
penalties = st.sampled_from([0.0, 0.6, 1.0, 2.0])


@settings(max_examples=15)
@given(model=models, max_length=st.integers(1, 4), alpha=penalties)
def test_a_beam_wide_enough_finds_the_best_of_all(model: Model, max_length: int, alpha: float) -> None:
    width = model.symbols**max_length
    found = beam_search(
        model.advance, model.start(width), model.sources,
        end=END, max_length=max_length, width=width, length_penalty=alpha,
    )  # fmt: skip
    for source, hypotheses in enumerate(found):
        best = exhaustive(model, source, max_length, alpha)
        assert hypotheses[0].ids.tolist() == best.ids.tolist()
        assert hypotheses[0].score == pytest.approx(best.score, rel=1e-12)


@given(model=models, max_length=st.integers(1, 6), alpha=penalties)
def test_a_beam_of_one_is_greedy(model: Model, max_length: int, alpha: float) -> None:
    greedy = write(model.advance, model.start(), model.sources, end=END, max_length=max_length)
    found = beam_search(
        model.advance, model.start(), model.sources,
        end=END, max_length=max_length, width=1, length_penalty=alpha,
    )  # fmt: skip
    assert [[h.ids.tolist() for h in hypotheses] for hypotheses in found] == [[g.tolist()] for g in greedy]


def slow_beam(model: Model, source: int, max_length: int, width: int, alpha: float) -> list[Hypothesis]:
    """The same search with Python lists, to the very end of every beginning."""
    alive: list[tuple[list[int], float]] = [([], 0.0)]
    found = []
    for length in range(1, max_length + 1):
        every = [
            ([*ids, s], model.total(source, [*ids, s])) for ids, _ in alive for s in range(model.symbols)
        ]
        alive = []
        for ids, total in sorted(every, key=lambda h: -h[1])[:width]:
            if ids[-1] == END or length == max_length:
                kept = ids[:-1] if ids[-1] == END else ids
                found.append(Hypothesis(np.array(kept, int), penalized(total, length, alpha)))
            else:
                alive.append((ids, total))
    return sorted(found, key=lambda h: -h.score)


@given(model=models, max_length=st.integers(1, 6), width=st.integers(1, 4), alpha=penalties)
def test_a_narrow_beam_keeps_what_lists_would_keep(
    model: Model, max_length: int, width: int, alpha: float
) -> None:
    found = beam_search(
        model.advance, model.start(width), model.sources,
        end=END, max_length=max_length, width=width, length_penalty=alpha,
    )  # fmt: skip
    for source, hypotheses in enumerate(found):
        expected = slow_beam(model, source, max_length, width, alpha)
        assert hypotheses[0].ids.tolist() == expected[0].ids.tolist()
        scores = {tuple(h.ids.tolist()): h.score for h in expected}
        for h in hypotheses:  # all that it reports are right; it may stop before the last of them
            assert h.score == pytest.approx(scores[tuple(h.ids.tolist())], rel=1e-12)
        assert [h.score for h in hypotheses] == sorted((h.score for h in hypotheses), reverse=True)


def test_a_source_is_searched_as_if_it_were_alone() -> None:
    model = Model(3, 3, 5)
    options: dict[str, Any] = {"end": END, "max_length": 6, "width": 3, "length_penalty": 0.7}
    together = beam_search(model.advance, model.start(3), 5, **options)
    for source in range(5):
        state = History(Tensor(np.zeros((3, 1))), Tensor(np.full((3, 1), float(source))))
        alone = beam_search(model.advance, state, 1, **options)[0]
        assert [(h.ids.tolist(), h.score) for h in alone] == [
            (h.ids.tolist(), h.score) for h in together[source]
        ]


def test_it_stops_when_nothing_better_can_come() -> None:
    calls = []

    def advance(ids: Array, state: Any) -> tuple[Array, Any]:
        calls.append(ids.copy())
        return np.log(np.tile([0.04, 0.95, 0.01], (len(ids), 1))), state

    found = beam_search(advance, (), 1, end=END, max_length=50, width=2)
    assert len(calls) == 1
    assert found[0][0].ids.tolist() == []
    assert found[0][0].score == pytest.approx(math.log(0.95))


def test_length_penalty_lets_longer_sequences_win() -> None:
    def advance(ids: Array, state: Tensor) -> tuple[Array, Tensor]:
        """0 or the end; after three symbols, the end."""
        first = state.numpy()[:, :1] < 3
        return np.log(np.where(first, [0.55, 0.45], [1e-9, 1 - 1e-9])), state + 1

    lengths = []
    for alpha in (0.0, 1.0, 3.0):
        state = Tensor(np.zeros((2, 1)))
        found = beam_search(advance, state, 1, end=END, max_length=9, width=2, length_penalty=alpha)
        lengths.append(len(found[0][0].ids))
    assert lengths == [0, 0, 3]


def test_greedy_takes_the_likeliest_and_ends_where_it_should() -> None:
    model = Model(5, 3, 4)
    for source, ids in enumerate(write(model.advance, model.start(), 4, end=END, max_length=5)):
        written: list[int] = []
        while len(written) < 5:
            number = 0
            for symbol in [END, *written]:
                number = number * 4 + symbol + 1
            symbol = int(model.log_p(source, number).argmax())
            if symbol == END:
                break
            written.append(symbol)
        assert ids.tolist() == written


def test_random_symbols_come_as_often_as_they_should() -> None:
    model = Model(1, 3, 1)

    def advance(ids: Array, state: Tensor) -> tuple[Array, Tensor]:
        log_p, _ = model.advance(ids, History(state, ops.zeros_like(state)))
        return log_p, state

    rows = 4000
    drawn = write(
        advance, Tensor(np.zeros((rows, 1))), rows, end=END, max_length=1, temperature=0.5, seed=0
    )  # fmt: skip
    first = [END if not ids.size else int(ids[0]) for ids in drawn]
    shares = np.exp(model.log_p(0, END + 1) / 0.5)
    expected = shares / shares.sum()
    found = np.bincount(first, minlength=3) / rows
    assert np.abs(found - expected).max() < 4 * math.sqrt(0.25 / rows)


def test_the_same_seed_writes_the_same() -> None:
    model = Model(2, 4, 6)
    options: dict[str, Any] = {"end": END, "max_length": 8, "temperature": 1.0}

    def written(**more: Any) -> list[list[int]]:
        drawn = write(model.advance, model.start(), 6, **options, **more)
        return [ids.tolist() for ids in drawn]

    assert written(seed=3) == written(seed=3) != written(seed=4)
    tinyseq.seed(7)
    first = written()
    tinyseq.seed(7)
    assert written() == first


def test_requests_that_make_no_sense() -> None:
    model = Model(0, 3, 1)
    options: dict[str, Any] = {"end": END, "max_length": 2}
    with pytest.raises(ConfigError, match="keeps 1 beginning or more, not width=0"):
        beam_search(model.advance, model.start(), 1, width=0, **options)
    with pytest.raises(ConfigError, match=r"length_penalty is finite and 0 \(none\) or more, not -1"):
        beam_search(model.advance, model.start(), 1, width=1, length_penalty=-1, **options)
    with pytest.raises(ConfigError, match="most symbols to write, 1 or more, not 0"):
        write(model.advance, model.start(), 1, end=END, max_length=0)
    with pytest.raises(NonFiniteError, match="log-probabilities that are NaN"):
        beam_search(lambda ids, s: (np.full((1, 3), np.nan), s), (), 1, width=1, **options)


def test_where_no_symbol_is_possible_the_search_says_so() -> None:
    never = np.full(3, -np.inf)

    def second_source_never(last: Array, state: Any) -> tuple[Array, Any]:
        return np.where(np.arange(4)[:, None] < 2, np.zeros(3), never), state

    with pytest.raises(NonFiniteError, match=r"nothing to write for source 1: after some beginning"):
        beam_search(second_source_never, (), 2, end=END, max_length=3, width=2)
    with pytest.raises(NonFiniteError, match=r"all -inf"):
        write(lambda last, s: (np.tile(never, (len(last), 1)), s), (), 1, end=END, max_length=3)


def test_a_beginning_that_leads_nowhere_is_dropped() -> None:
    def advance(last: Array, state: Any) -> tuple[Array, Any]:
        return np.where(last[:, None] == 2, -np.inf, np.log([0.2, 0.2, 0.6])), state

    found = beam_search(advance, (), 1, end=END, max_length=2, width=3)[0]
    assert [tuple(h.ids.tolist()) for h in found] == [(), (0, 2), (0, 0), (0,)]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_log_probabilities_that_are_none_are_refused(bad: float) -> None:
    with pytest.raises(NonFiniteError, match="NaN or inf"):
        beam_search(lambda last, s: (np.full((len(last), 3), bad), s), (), 1, end=END, max_length=3, width=2)


@pytest.mark.parametrize("excluded", [1, 2])
def test_excluded_symbols_are_never_written(excluded: int) -> None:
    model = Model(3, symbols=4, sources=2)

    def forbidden(ids: Array, state: History) -> tuple[Array, History]:
        log_p, state = model.advance(ids, state)
        log_p[:, excluded] = -np.inf
        return log_p, state

    for width in (1, 3):
        options: dict[str, Any] = {"end": END, "max_length": 4, "width": width}
        found = beam_search(model.advance, model.start(width), 2, exclude=[excluded], **options)
        right = beam_search(forbidden, model.start(width), 2, **options)
        for ours, theirs in zip(found, right, strict=True):
            assert [(h.ids.tolist(), h.score) for h in ours] == [(h.ids.tolist(), h.score) for h in theirs]
    written = write(
        model.advance,
        model.start(),
        2,
        end=END,
        max_length=30,
        temperature=1.0,
        seed=0,
        exclude=[excluded, END],
    )
    assert [len(ids) for ids in written] == [30, 30]
    assert {0, 1, 2, 3} - {END, excluded} == set(np.concatenate(written).tolist())
