"""Edit distance against the recursive definition; rates that add up."""

import functools
import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyseq import Sequences
from tinyseq.errors import ShapeError
from tinyseq.evaluation import ErrorRate, ExactMatch, edit_distance, edits

words = st.text("abc", max_size=7)


@functools.cache
def recursive(a: str, b: str) -> int:
    if not a or not b:
        return len(a) + len(b)
    return min(recursive(a[1:], b) + 1, recursive(a, b[1:]) + 1, recursive(a[1:], b[1:]) + (a[0] != b[0]))


@pytest.fixture(params=["numpy", "rapidfuzz"], autouse=True, scope="module")
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Both ways to compute the distance."""
    if request.param == "rapidfuzz":
        pytest.importorskip("rapidfuzz", reason="rapidfuzz is not installed")
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edits, "_rapidfuzz", lambda: None)
        yield


def test_symbols_with_equal_hashes_differ() -> None:
    assert edit_distance([-1], [-2]) == 1
    assert edit_distance([1, "1", (1,)], [1.0, "1", (2,)]) == 1


@given(a=words, b=words)
def test_distance_equals_the_definition(a: str, b: str) -> None:
    assert edit_distance(a, b) == recursive(a, b)
    assert edit_distance(a, a) == 0
    assert edit_distance(b.split(), a.split()) == edit_distance(a.split(), b.split())


@given(pairs=st.lists(st.tuples(words, words), max_size=6))
def test_rates_are_sums_over_sums(pairs: list[tuple[str, str]]) -> None:
    rate, match = ErrorRate(), ExactMatch()
    for predicted, wanted in pairs:
        for metric in (rate, match):
            one = type(metric)()
            one.update([predicted], [wanted])
            metric.merge(one)  # type: ignore[arg-type]
    symbols = sum(len(wanted) for _, wanted in pairs)
    if symbols:
        assert rate.value() == sum(recursive(p, w) for p, w in pairs) / symbols
    else:
        assert math.isnan(rate.value())
    if pairs:
        assert match.value() == sum(p == w for p, w in pairs) / len(pairs)
    else:
        assert math.isnan(match.value())


def test_any_kind_of_symbols(backend: str) -> None:
    rate, match = ErrorRate(), ExactMatch()
    ids = [np.array([1, 2, 3]), np.array([4])]
    for metric in (rate, match):
        metric.update([["the", "cat"]], [["the", "dog"]])
        metric.update(ids, Sequences.from_list(ids))
        metric.update([np.array([], int)], [np.array([7, 7])])
    assert (rate.edits, rate.symbols) == (3, 8)
    assert (match.right, match.count) == (2, 4)


def test_as_many_predictions_as_targets() -> None:
    with pytest.raises(ShapeError, match="ErrorRate: there are 1 predictions, but 2 targets"):
        ErrorRate().update(["a"], ["a", "b"])
