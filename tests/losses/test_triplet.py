"""Every combination of similarity, miner, cost and reduction against nested loops; edges; collapse."""

import itertools
import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tinyseq_losses.miners import MINERS
from tinyseq_losses.similarity import SIMILARITIES
from tinyseq_losses.triplet import COSTS, ActiveTriplets, MeanClosestTripletLoss, TripletLoss

import tinyseq
from tinyseq import Tensor, ops
from tinyseq.errors import ConfigError, DataError, ShapeError
from tinyseq.testing import check_gradients

COMBINATIONS = list(itertools.product(SIMILARITIES, MINERS, COSTS))


def alike(kind: str, a: Any, b: Any) -> float:
    dot = math.fsum(x * y for x, y in zip(a, b, strict=True))
    if kind == "dot":
        return dot
    if kind.endswith("euclidean"):
        square = math.fsum((x - y) ** 2 for x, y in zip(a, b, strict=True))
        return -square if "squared" in kind else -math.sqrt(square)
    lengths = [math.sqrt(math.fsum(x * x for x in v)) for v in (a, b)]
    return dot / (lengths[0] * lengths[1]) if all(lengths) else 0.0


def mined(miner: str, s_p: float, negatives: list[float], margin: float) -> list[float]:
    """The negatives that a miner compares with, from its definition."""
    below = [s for s in negatives if s <= s_p]
    return {
        "all": negatives,
        "easy": [s for s in negatives if s <= s_p - margin],
        "semi-hard": [s for s in below if s > s_p - margin],
        "hard": [s for s in negatives if s > s_p],
        "hardest": [max(negatives)] if negatives else [],
        "closest-negative": [max(below)] if below else [],
        "mean-negative": [math.fsum(negatives) / len(negatives)] if negatives else [],
    }[miner]


def pairs_of(kind: str, anchors: Any, partners: Any, groups: Any) -> list[tuple[float, list[float]]]:
    """s_p and all s_n of every pair."""
    rows = range(len(anchors))
    s = [[alike(kind, a, b) for b in partners] for a in anchors]
    return [(s[i][i], [s[i][j] for j in rows if groups[j] != groups[i]]) for i in rows]


def labelled_pairs(kind: str, vectors: Any, labels: Any) -> list[tuple[float, list[float]]]:
    rows = range(len(vectors))
    s = [[alike(kind, a, b) for b in vectors] for a in vectors]
    return [
        (s[i][p], [s[i][j] for j in rows if labels[j] != labels[i]])
        for i in rows
        for p in rows
        if p != i and labels[p] == labels[i]
    ]


def expected(pairs: list[tuple[float, list[float]]], miner: str, cost: str, margin: float) -> dict[str, Any]:
    found = [(s_n - s_p) for s_p, negatives in pairs for s_n in mined(miner, s_p, negatives, margin)]
    costs = [max(d + margin, 0) if cost == "hinge" else math.log1p(math.exp(d)) for d in found]
    total, active = math.fsum(costs), sum(c > 0 for c in costs)
    return {
        "sum": total,
        "mined": total / max(1, len(costs)),
        "active": total / max(1, active),
        "pairs": total / max(1, len(pairs)),
        "counts": (len(found), sum(d + margin > 0 for d in found)),
    }


def numbers(rng: np.random.Generator, batch: int, tied: bool) -> Any:
    """Anchors and partners; `tied`: on the axes, or zero, so that similarities are exact, and tie."""
    if not tied:
        return rng.normal(size=(2, batch, 3))
    return np.eye(3)[rng.integers(0, 3, (2, batch))] * rng.choice([0.0, 1.0, 2.0, -4.0], (2, batch, 1))


def problem(
    similarity: str, batch: int, tied: bool, labelled: bool, seed: int
) -> tuple[list[tuple[float, list[float]]], tuple[Any, ...]]:
    """The pairs with all of their negatives, and what a loss is called with."""
    rng = np.random.default_rng(seed)
    anchors, partners = numbers(rng, batch, tied)
    groups = rng.integers(0, 3, batch)
    if labelled:
        return labelled_pairs(similarity, anchors, groups), (Tensor(anchors), groups)
    return pairs_of(similarity, anchors, partners, groups), (Tensor(anchors), Tensor(partners), groups)


problems: dict[str, Any] = {
    "batch": st.integers(1, 5),
    "margin": st.sampled_from([0.0, 0.25, 2.0]),
    "tied": st.booleans(),
    "labelled": st.booleans(),
    "seed": st.integers(0, 2**32 - 1),
}


@pytest.mark.parametrize("combination", [c for c in COMBINATIONS if c[1] != "random"], ids="-".join)
@settings(max_examples=15)  # of each of 56 combinations
@given(**problems)
def test_equals_nested_loops(
    combination: tuple[str, str, str], batch: int, margin: float, tied: bool, labelled: bool, seed: int
) -> None:
    similarity, miner, cost = combination
    pairs, inputs = problem(similarity, batch, tied, labelled, seed)
    right = expected(pairs, miner, cost, margin)
    options: dict[str, Any] = {"similarity": similarity, "miner": miner, "cost": cost, "margin": margin}
    if tied and miner == "mean-negative":
        margin = options["margin"] = 0.1  # a mean rounds: at a margin of 0, ties would be active or not
        right = expected(pairs, miner, cost, margin)
    assert TripletLoss(**options, reduction="sum")(*inputs).item() == pytest.approx(right["sum"], abs=1e-12)
    for over in ("mined", "active", "pairs"):
        loss = TripletLoss(**options, mean_over=over)  # type: ignore[arg-type]
        assert loss(*inputs).item() == pytest.approx(right[over], rel=1e-9, abs=1e-12)
    each = TripletLoss(**options, reduction="none")(*inputs).numpy()
    assert each.shape[0] == len(pairs)
    assert each.sum() == pytest.approx(right["sum"], abs=1e-12)
    report = TripletLoss(**options).report(*inputs)
    assert (report.mined, report.active) == right["counts"]


@pytest.mark.parametrize("combination", list(itertools.product(SIMILARITIES, COSTS)), ids="-".join)
@settings(max_examples=15)
@given(**problems)
def test_a_random_negative_costs_what_nested_loops_say(
    combination: tuple[str, str], batch: int, margin: float, tied: bool, labelled: bool, seed: int
) -> None:
    similarity, cost = combination
    pairs, inputs = problem(similarity, batch, tied, labelled, seed)
    options: dict[str, Any] = {"similarity": similarity, "cost": cost, "margin": margin}

    def drawn(**more: Any) -> Any:
        tinyseq.seed(seed)  # the same negatives every time
        return TripletLoss(miner="random", **options, **more)(*inputs).numpy()

    each, compared = drawn(reduction="none"), 0
    everything = TripletLoss(miner="all", **options, reduction="none")(*inputs).numpy()
    for row, every, (s_p, negatives) in zip(each, everything, pairs, strict=True):
        possible = expected([(s_p, negatives)], "all", cost, margin)
        assert every.sum() == pytest.approx(possible["sum"], abs=1e-12)
        costs = [expected([(s_p, [s_n])], "all", cost, margin)["sum"] for s_n in negatives]
        assert np.count_nonzero(row) <= 1
        assert row.sum() == pytest.approx(min(costs, key=lambda c: abs(c - row.sum()), default=0), abs=1e-12)
        compared += bool(negatives)
    active = np.count_nonzero(each)
    assert drawn(reduction="sum") == pytest.approx(each.sum(), abs=1e-12)
    for over, count in (("mined", compared), ("active", active), ("pairs", len(pairs))):
        assert drawn(mean_over=over) == pytest.approx(each.sum() / max(1, count), abs=1e-12)
    tinyseq.seed(seed)
    assert TripletLoss(miner="random", **options).report(*inputs).mined == compared


@pytest.mark.parametrize("closest", ["closest-negative", "hardest"])
@given(batch=st.integers(1, 5), cost=st.sampled_from(list(COSTS)), seed=st.integers(0, 2**32 - 1))
def test_the_course_cost_is_the_sum_of_two(
    backend: str, closest: str, batch: int, cost: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    anchors, partners = rng.normal(size=(2, batch, 3))
    pairs = pairs_of("cosine", anchors, partners, range(batch))
    parts = [expected(pairs, miner, cost, 0.25) for miner in ("mean-negative", closest)]
    for reduction, key in (("sum", "sum"), ("mean", "pairs")):
        loss = MeanClosestTripletLoss(closest=closest, cost=cost, reduction=reduction)  # type: ignore[arg-type]
        value = loss(Tensor(anchors), Tensor(partners)).item()
        assert value == pytest.approx(sum(part[key] for part in parts), abs=1e-12)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@given(batch=st.integers(2, 4), labelled=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_derivatives_of_smooth_combinations(similarity: str, batch: int, labelled: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = (Tensor(v, requires_grad=True) for v in rng.normal(size=(2, batch, 3)))
    labels = rng.integers(0, 2, batch)
    for miner in ("all", "mean-negative"):
        loss = TripletLoss(similarity=similarity, miner=miner, cost="soft")
        if labelled:
            check_gradients(lambda: loss(a, labels), [a], seed=seed, tolerance=1e-6)
        else:
            check_gradients(lambda: loss(a, b), [a, b], seed=seed, tolerance=1e-6)


@pytest.mark.parametrize("miner", [m for m in MINERS if m not in ("random", "mean-negative")])
@given(batch=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))
def test_gradients_flow_through_the_mined_triplets_only(miner: str, batch: int, seed: int) -> None:
    """The gradient is that of the costs of fixed triplets: which ones are mined is not differentiated."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(2, batch, 3))
    a, b = (Tensor(v, requires_grad=True) for v in values)
    TripletLoss(miner=miner, cost="soft", reduction="sum")(a, b).backward()
    c, d = (Tensor(v, requires_grad=True) for v in values)
    s = SIMILARITIES["cosine"](c, d)
    total = ops.sum(s) * 0
    for i in range(batch):
        negatives = {float(s[i, j].item()): j for j in range(batch) if j != i}
        for chosen in mined(miner, float(s[i, i].item()), list(negatives), 0.25):
            total = total + ops.softplus(s[i, negatives[chosen]] - s[i, i])
    total.backward()
    for mine, theirs in ((a, c), (b, d)):
        np.testing.assert_allclose(mine.grad.numpy(), theirs.grad.numpy(), atol=1e-12)


def test_a_random_miner_takes_one_negative_of_each_row_as_likely_as_any() -> None:
    tinyseq.seed(0)
    a, b = (Tensor(v) for v in np.random.default_rng(1).normal(size=(2, 4, 3)))
    groups = np.array([0, 1, 2, 2])
    loss = TripletLoss(miner="random", cost="soft", reduction="none")
    everything = TripletLoss(miner="all", cost="soft", reduction="none")(a, b, groups).numpy()
    counts = np.zeros((4, 4), int)
    for _ in range(600):
        costs = loss(a, b, groups).numpy()
        drawn = costs > 0
        assert (drawn.sum(1) == 1).all()
        np.testing.assert_array_equal(costs[drawn], everything[drawn])
        counts += drawn
    assert (counts[groups[:, None] == groups[None, :]] == 0).all()
    assert (np.abs(counts[:2][counts[:2] > 0] - 200) < 60).all()  # 5 standard deviations
    assert (np.abs(counts[2:][counts[2:] > 0] - 300) < 62).all()


@pytest.mark.parametrize("combination", COMBINATIONS, ids="-".join)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_without_triplets_loss_and_gradient_are_zero(combination: tuple[str, str, str], dtype: str) -> None:
    similarity, miner, cost = combination
    one = np.ones((1, 3), dtype)
    twins = np.ones((2, 3), dtype)
    for reduction, over in (("mean", "mined"), ("mean", "active"), ("mean", "pairs"), ("sum", "mined")):
        loss = TripletLoss(
            similarity=similarity,
            miner=miner,
            cost=cost,
            reduction=reduction,
            mean_over=over,  # type: ignore[arg-type]
        )
        for values, targets, groups in (
            (one, Tensor(one), None),  # a batch of one pair
            (twins, Tensor(twins), np.zeros(2, int)),  # all in one group
            (twins, np.array([0, 1]), None),  # no two of one label
            (twins, np.array([0, 0]), None),  # no two of different labels
        ):
            x = Tensor(values, requires_grad=True)
            value = loss(x, targets, groups)
            assert value.item() == 0
            value.backward()
            assert x.grad is not None
            assert (x.grad.numpy() == 0).all()
            assert loss.report(x, targets, groups) == (0, 0, 0.0, 0.0)


def cosines(*angles: float) -> Any:
    return np.array([[math.cos(a), math.sin(a)] for a in angles])


def test_when_every_negative_is_harder_than_the_positive() -> None:
    anchors = Tensor(cosines(0.0, 1.5), requires_grad=True)
    pairs = anchors, Tensor(cosines(1.5, 0.0))  # each nearer to the other's
    for miner, cost in itertools.product(("closest-negative", "semi-hard", "easy"), COSTS):
        loss = TripletLoss(miner=miner, cost=cost)(*pairs)
        assert loss.item() == 0
        loss.backward()
        assert anchors.grad is not None
        assert (anchors.grad.numpy() == 0).all()
    gap = 1 - math.cos(1.5)
    for miner in ("hard", "hardest", "all", "mean-negative", "random"):
        assert TripletLoss(miner=miner)(*pairs).item() == pytest.approx(gap + 0.25)
    assert MeanClosestTripletLoss()(*pairs).item() == pytest.approx(gap + 0.25)


def test_ties_cost_the_margin_and_share_the_gradient() -> None:
    a = Tensor(np.ones((3, 2)), requires_grad=True)
    for miner in ("closest-negative", "hardest", "semi-hard", "all", "mean-negative", "random"):
        assert TripletLoss(miner=miner, similarity="dot")(a, a).item() == 0.25
    assert TripletLoss(miner="hard", similarity="dot")(a, a).item() == 0
    s = Tensor(np.eye(3)[:1] + 1, requires_grad=True)
    b = Tensor(np.array([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]]), requires_grad=True)
    rows = ops.concatenate([s, Tensor(np.zeros((2, 3)))])
    TripletLoss(miner="hardest", similarity="dot", margin=2.0, reduction="sum")(rows, b).backward()
    assert b.grad is not None
    np.testing.assert_allclose(b.grad.numpy()[1], [1.0, 0.5, 0.5])


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_zero_and_unnormalised_vectors_stay_finite(backend: str, similarity: str) -> None:
    a = Tensor([[0.0, 0.0], [1e4, -1e4], [1e-9, 0.0], [0.0, 0.0]], requires_grad=True)
    b = Tensor([[0.0, 0.0], [1e4, -1e4], [1.0, 1.0], [-1e4, 0.0]], requires_grad=True)
    for miner, cost in itertools.product(MINERS, COSTS):
        value = TripletLoss(similarity=similarity, miner=miner, cost=cost)(a, b)
        value.backward()
        assert np.isfinite(value.numpy())
    for leaf in (a, b):
        assert leaf.grad is not None
        assert np.isfinite(leaf.grad.numpy()).all()


def test_cosine_ignores_lengths_and_dot_does_not() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 4, 3))
    plain = TripletLoss(miner="all")(Tensor(a), Tensor(b)).item()
    assert TripletLoss(miner="all")(Tensor(7 * a), Tensor(0.1 * b)).item() == pytest.approx(plain)
    dots = TripletLoss(miner="all", similarity="dot")
    assert dots(Tensor(7 * a), Tensor(b)).item() != pytest.approx(dots(Tensor(a), Tensor(b)).item())


def test_active_triplets_add_up() -> None:
    rng = np.random.default_rng(0)
    batches = [tuple(Tensor(v) for v in rng.normal(size=(2, n, 3))) for n in (2, 5, 3)]
    loss = TripletLoss(miner="all")
    together, apart = ActiveTriplets(loss), ActiveTriplets(loss)
    for batch in batches:
        together.update(*batch)
        one = ActiveTriplets(loss)
        one.update(*batch)
        apart.merge(one)
    reports = [loss.report(*batch) for batch in batches]
    share = sum(r.active for r in reports) / sum(r.mined for r in reports)
    assert together.value() == apart.value() == share
    assert 0 < share < 1
    assert math.isnan(ActiveTriplets(loss).value())


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_a_collapse_warns_and_a_healthy_batch_does_not(similarity: str, cost: str) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 8, 5))
    for loss in (
        TripletLoss(similarity=similarity, cost=cost, miner="all"),
        MeanClosestTripletLoss(similarity=similarity, cost=cost),
    ):
        metric = loss.metrics()["active"]
        metric.update(Tensor(a), Tensor(b))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            metric.value()
        metric = loss.metrics()["active"]
        metric.update(Tensor(1 + 1e-4 * a), Tensor(1 + 1e-4 * b))
        with pytest.warns(RuntimeWarning, match=r"have collapsed: over \d+ triplets the cost is 0\."):
            assert metric.value() == 1


def test_requests_that_make_no_sense() -> None:
    with pytest.raises(ConfigError, match=r"no miner 'semihard'.* Did you mean 'semi-hard'"):
        TripletLoss(miner="semihard")
    with pytest.raises(ConfigError, match="no similarity 'l2'; choose from cosine, dot, negative-euclidean"):
        TripletLoss(similarity="l2")
    with pytest.raises(ConfigError, match="no cost 'squared'"):
        TripletLoss(cost="squared")
    with pytest.raises(ConfigError, match="margin is finite and not negative; got -1"):
        TripletLoss(margin=-1)
    with pytest.raises(ConfigError, match="mean_over is 'mined', 'active' or 'pairs', not 'all'"):
        TripletLoss(mean_over="all")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="reduction is 'mean' or 'sum', not 'none'"):
        MeanClosestTripletLoss(reduction="none")  # type: ignore[arg-type]
    x = Tensor(np.ones((2, 3)))
    with pytest.raises(ShapeError, match=r"got shapes \(2, 3\) and \(3, 3\)"):
        TripletLoss()(x, Tensor(np.ones((3, 3))))
    with pytest.raises(DataError, match=r"one integer for each of 2 rows; got int64 of shape \(3,\)"):
        TripletLoss()(x, np.zeros(3, int))
    with pytest.raises(ConfigError, match="labels are groups already"):
        TripletLoss()(x, np.zeros(2, int), np.zeros(2, int))


def test_parts_of_ones_own() -> None:
    def manhattan(a: Any, b: Any) -> Any:
        return -ops.sum(ops.abs(ops.expand_dims(a, 1) - ops.expand_dims(b, 0)), -1)

    loss = TripletLoss(similarity=manhattan, miner=MINERS["all"], cost=lambda d, margin: ops.square(d))
    assert loss(Tensor([[0.0], [3.0]]), Tensor([[1.0], [5.0]])).item() == (16 + 0) / 2
