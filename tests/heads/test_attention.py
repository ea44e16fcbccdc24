"""Attention over sources of unequal lengths, against loops over one query and one step at a time."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tinyseq_heads.attention import ATTENTIONS, attention_of

import tinyseq
from tinyseq import Sequences, Tensor
from tinyseq.errors import ConfigError, ShapeError
from tinyseq.nn import Parameter
from tinyseq.testing.gradients import check_gradients

Array = np.ndarray[Any, Any]


def score(attention: Any, name: str, query: Array, step: Array) -> float:
    if name == "dot":
        return float(query @ step)
    key = step @ attention.key.weight.numpy()
    if name == "general":
        return float(query @ key)
    return float(np.tanh(query @ attention.query.weight.numpy() + key) @ attention.match.numpy()[:, 0])


def loops(attention: Any, name: str, query: Array, source: Array) -> tuple[Array, Array]:
    """The context and the weights of one query."""
    powers = [math.exp(score(attention, name, query, step)) for step in source]
    weights = np.array(powers) / math.fsum(powers)
    return np.array(sum(w * step for w, step in zip(weights, source, strict=True))), weights


@pytest.mark.parametrize("name", list(ATTENTIONS))
@given(lengths=st.lists(st.integers(1, 5), min_size=1, max_size=4), seed=st.integers(0, 2**32 - 1))
def test_it_is_a_weighed_mean_of_the_steps_there_are(
    backend: str, name: str, lengths: list[int], seed: int
) -> None:
    tinyseq.seed(seed)
    rng = np.random.default_rng(seed)
    width = 3 if name == "dot" else 2
    attention = attention_of(name, 3, width).to("float64")
    sources = [rng.normal(size=(n, width)) for n in lengths]
    queries = rng.normal(size=(len(lengths), 2, 3))
    memory = attention.remember(Sequences.from_list(sources))
    contexts, weights = (y.numpy() for y in attention(Tensor(queries), memory))
    for i, source in enumerate(sources):
        for j, query in enumerate(queries[i]):
            context, shares = loops(attention, name, query, source)
            np.testing.assert_allclose(contexts[i, j], context, rtol=1e-10, atol=1e-12)
            np.testing.assert_allclose(weights[i, j, : len(source)], shares, rtol=1e-10, atol=1e-12)
            assert (weights[i, j, len(source) :] == 0).all()


@pytest.mark.parametrize("name", list(ATTENTIONS))
def test_its_gradients_are_right_to_second_order(name: str, rng: np.random.Generator) -> None:
    tinyseq.seed(0)
    attention = attention_of(name, 3, 3).to("float64")
    source = Sequences.from_list([rng.normal(size=(n, 3)) for n in (2, 4, 1)])
    rows, queries = (
        Parameter(source.data.numpy(), "float64"),
        Parameter(rng.normal(size=(3, 2, 3)), "float64"),
    )
    check_gradients(
        lambda: attention(queries, attention.remember(source.with_data(rows))),
        [rows, queries, *attention.parameters()],
    )


def test_scores_may_be_large(rng: np.random.Generator) -> None:
    attention = attention_of("dot", 2, 2)
    memory = attention.remember(Sequences.from_list([1e4 * np.eye(2), 1e4 * np.eye(2)[:1]]))
    contexts, weights = attention(Tensor(1e4 * np.ones((2, 1, 2)) * [[[1, 0.5]]]), memory)
    assert np.array_equal(weights.numpy(), [[[1, 0]], [[1, 0]]])
    assert np.array_equal(contexts.numpy(), [[[1e4, 0]], [[1e4, 0]]])


def test_requests_that_make_no_sense(rng: np.random.Generator) -> None:
    with pytest.raises(ConfigError, match="queries as wide as the source, not 3 and 2: choose 'general'"):
        attention_of("dot", 3, 2)
    with pytest.raises(
        ConfigError, match="no attention 'luong'; choose from dot, general, additive, or None"
    ):
        attention_of("luong", 3, 2)
    attention = attention_of("dot", 2, 2)
    memory = attention.remember(Sequences.from_list([np.eye(2)]))
    with pytest.raises(ShapeError, match=r"takes queries \(1, queries, width\), not \(2, 1, 2\)"):
        attention(Tensor(np.ones((2, 1, 2))), memory)
