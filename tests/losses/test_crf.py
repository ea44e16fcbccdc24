"""The conditional random field against all paths, one by one."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tinyseq_losses.crf import CRF

import tinyseq
from tinyseq import Tensor
from tinyseq.errors import ConfigError, DataError, NonFiniteError, ShapeError
from tinyseq.sequences import Sequences
from tinyseq.testing import check_gradients

problems = st.fixed_dictionaries(
    {
        "lengths": st.lists(st.integers(1, 4), min_size=1, max_size=3),
        "tags": st.integers(1, 3),
        "seed": st.integers(0, 2**32 - 1),
    }
)


def make(lengths: list[int], tags: int, seed: int, scale: float = 2.0) -> tuple[CRF, list[Any], list[Any]]:
    rng = np.random.default_rng(seed)
    crf = CRF(tags).to("float64")
    for parameter in crf.parameters():
        parameter.data[...] = Tensor(scale * rng.normal(size=parameter.shape)).data
    emissions = [scale * rng.normal(size=(n, tags)) for n in lengths]
    return crf, emissions, [rng.integers(0, tags, n) for n in lengths]


def score(crf: CRF, emissions: Any, path: Any) -> float:
    transitions, start, end = (p.numpy() for p in (crf.transitions, crf.start, crf.end))
    total = start[path[0]] + end[path[-1]]
    total += sum(row[tag] for row, tag in zip(emissions, path, strict=True))
    return float(total + sum(transitions[i, j] for i, j in itertools.pairwise(path)))


def all_scores(crf: CRF, emissions: Any) -> dict[tuple[int, ...], float]:
    paths = itertools.product(range(crf.tags), repeat=len(emissions))
    return {path: score(crf, emissions, path) for path in paths}


@given(problem=problems)
def test_likelihood_and_decoding_equal_brute_force(backend: str, problem: dict[str, Any]) -> None:
    crf, emissions, tags = make(**problem)
    every = [all_scores(crf, e) for e in emissions]
    log_z = [np.logaddexp.reduce(list(scores.values())) for scores in every]
    expected = [z - score(crf, e, y) for z, e, y in zip(log_z, emissions, tags, strict=True)]
    xs, ys = Sequences.from_list(emissions), Sequences.from_list(tags)
    np.testing.assert_allclose(crf.log_partition(xs).numpy(), log_z, rtol=1e-12)
    for shares, scores, z in zip(crf.marginals(xs).to_list(), every, log_z, strict=True):
        summed = np.zeros(shares.shape)
        for path, value in scores.items():
            summed[np.arange(len(path)), list(path)] += np.exp(value - z)
        np.testing.assert_allclose(shares.numpy(), summed, rtol=1e-9, atol=1e-12)
    for reduction, value in (
        ("none", expected),
        ("sum", np.sum(expected)),
        ("mean", np.sum(expected) / sum(problem["lengths"])),
    ):
        crf.reduction = reduction  # type: ignore[assignment]
        np.testing.assert_allclose(crf(xs, ys).numpy(), value, rtol=1e-10, atol=1e-12)
    for path, scores in zip(crf.decode(xs).to_list(), every, strict=True):
        assert scores[tuple(path.numpy().tolist())] == max(scores.values())


@given(problem=problems)
def test_first_and_second_derivatives(problem: dict[str, Any]) -> None:
    crf, emissions, tags = make(**problem, scale=1.0)
    xs, ys = Sequences.from_list(emissions), Sequences.from_list(tags)
    leaf = Tensor(xs.data.numpy(), requires_grad=True)
    check_gradients(
        lambda: crf(xs.with_data(leaf), ys), [leaf, *crf.parameters()], seed=problem["seed"], tolerance=1e-6
    )


@given(problem=problems)
def test_probabilities_of_all_paths_sum_to_one(problem: dict[str, Any]) -> None:
    crf, emissions, _ = make(**problem)
    first = emissions[0]
    paths = list(itertools.product(range(crf.tags), repeat=len(first)))
    xs = Sequences.from_list([first] * len(paths))
    ys = Sequences.from_list([np.array(path) for path in paths])
    assert np.exp(crf.log_likelihood(xs, ys).numpy()).sum() == pytest.approx(1, rel=1e-10)


def test_padded_batches_give_the_same(backend: str) -> None:
    crf, _, _ = make([1], 3, 0)
    rng = np.random.default_rng(1)
    emissions, tags = rng.normal(size=(2, 4, 3)), rng.integers(0, 3, (2, 4))
    xs, ys = Sequences.from_padded(emissions), Sequences.from_padded(tags)
    assert crf(Tensor(emissions), Tensor(tags)).item() == crf(xs, ys).item()
    decoded = crf.decode(Tensor(emissions))
    assert decoded.shape == (2, 4)
    assert np.array_equal(decoded.numpy(), crf.decode(xs).to_padded().numpy())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_scores_stay_finite(backend: str, dtype: str) -> None:
    """A forbidden transition on the only good path, and emissions far apart."""
    crf = CRF(2).to(dtype)
    for parameter in crf.parameters():
        parameter.data[...] = 0
    crf.transitions.data[0, 1] = -1e4
    leaf = Tensor(np.array([[1e4, -1e4], [-1e4, 1e4], [0.0, 0.0]]), dtype, requires_grad=True)
    xs, ys = Sequences.from_padded(leaf.reshape(1, 3, 2)), Sequences.from_list([np.array([0, 1, 1])])
    crf.reduction = "sum"
    loss = crf(xs, ys)
    # paths 0,1,* score 1e4 in all, every other path less: the target's two continuations are equal
    assert loss.item() == pytest.approx(np.log(2), rel=1e-3)
    loss.backward()
    assert leaf.grad is not None
    assert np.isfinite(leaf.grad.numpy()).all()
    assert crf.decode(xs).data.numpy()[:2].tolist() == [0, 1]


def test_it_learns_what_a_softmax_cannot() -> None:
    """Tags that alternate, from emissions that say nothing but where the sequence starts."""
    tinyseq.seed(0)
    crf = CRF(2)
    ys = Sequences.from_list([np.array([0, 1, 0, 1, 0]), np.array([0, 1, 0])])
    xs = Sequences.from_list([np.zeros((n, 2), "f4") for n in ys.lengths])
    for _ in range(60):
        crf.zero_grad()
        crf(xs, ys).backward()
        for parameter in crf.parameters():
            assert parameter.grad is not None
            parameter.data -= 2 * parameter.grad.data
            parameter.changed()
    assert [path.numpy().tolist() for path in crf.decode(xs).to_list()] == [[0, 1, 0, 1, 0], [0, 1, 0]]
    assert crf(xs, ys).item() < 0.05


def test_requests_that_make_no_sense() -> None:
    crf, emissions, _ = make([2, 3], 3, 0)
    xs = Sequences.from_list(emissions)
    with pytest.raises(ConfigError, match="one tag or more, not 0"):
        CRF(0)
    with pytest.raises(
        ShapeError, match=r"CRF\(4\) takes one score for each tag at each step; got shape \(3,\)"
    ):
        CRF(4).decode(xs)
    with pytest.raises(ShapeError, match="predictions have lengths 2, 3, targets 3, 2"):
        crf(xs, Sequences.from_list([np.zeros(3, int), np.zeros(2, int)]))
    with pytest.raises(DataError, match="the target 3 of sequence 1 at step 2 is none of the 3 classes"):
        crf(xs, Sequences.from_list([np.array([0, 1]), np.array([0, 1, 3])]))


def test_where_no_path_is_possible_decoding_names_the_sequence() -> None:
    crf, emissions, _ = make([2, 4, 1], 3, 0)
    emissions[1][2] = -np.inf
    with pytest.raises(NonFiniteError, match=r"no path of tags is possible for sequence 1"):
        crf.decode(Sequences.from_list(emissions))
    emissions[1][2] = 0
    emissions[2][0] = np.nan
    with pytest.raises(NonFiniteError, match=r"no path of tags is possible for sequence 2"):
        crf.decode(Sequences.from_list(emissions))


def test_paths_around_what_is_forbidden_are_still_found() -> None:
    crf, emissions, _ = make([3], 3, 1)
    crf.transitions.data[0, :] = -np.inf
    path = tuple(crf.decode(Sequences.from_list(emissions)).to_list()[0].numpy().tolist())
    scores = all_scores(crf, emissions[0])
    assert scores[path] == max(scores.values())


def test_a_path_with_a_tag_that_is_none_has_no_score() -> None:
    crf, emissions, tags = make([2, 3], 3, 0)
    tags[0][1] = -1
    with pytest.raises(DataError, match=r"target -1 of sequence 0 at step 1"):
        crf.score(Sequences.from_list(emissions), Sequences.from_list(tags))
