"""How loop kernels are laid out on cards that are not here."""

import numpy as np
import pytest

from tests.scan.recurrences import recurrences
from tinyseq import Tensor
from tinyseq.scan.emitters.cuda.cards import CARDS, H200, KIB, Card, described
from tinyseq.scan.emitters.cuda.plan import Shape, candidates, choose, lay_out, problem
from tinyseq.scan.running.explain import explanation

OLD = described("an old card", 20, 48 * KIB, 7)
NEW = described("a new card", 132, 227 * KIB, 9)
ANY = [H200, OLD, described("a card without clusters", 108, 163 * KIB, 8), NEW]


def lstm(units: int, backward: bool = False, itemsize: int = 4) -> Shape:
    product = (4 * units, units) if backward else (units, 4 * units)
    return Shape((product,), 0, units, 4 * units, itemsize)


SHAPES = [
    lstm(h, back, size) for h in (1, 7, 64, 200, 650, 1024) for back in (False, True) for size in (4, 8)
]
SHAPES += [Shape((), 0, 128, 128, 4), Shape(((96, 64), (64, 192)), 3, 32, 192, 4)]


@pytest.mark.parametrize("card", ANY, ids=lambda card: card.name)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_plans_fit(shape: Shape, card: Card) -> None:
    for batch in (1, 3, 32, 1000, 10**6):
        assert candidates(shape, batch, card)[0] or problem(shape)
        for plan in candidates(shape, batch, card)[0]:
            assert plan.shared * shape.itemsize <= card.shared
            assert plan.cluster in card.clusters
            assert shape.unit % plan.cluster == 0
            assert plan.blocks(batch) * plan.rows >= batch * plan.cluster
            for (k, n), p in zip(shape.products, plan.products, strict=True):
                across = -(-(n // plan.cluster) // p.wide)
                assert across * p.slices <= plan.threads  # a thread for each part of the product
                assert 4 * p.slices * p.chunks >= k  # and all of K is in one of them
                assert p.kept + p.stored + p.streamed == p.chunks
                assert min(p.kept, p.stored, p.streamed) >= 0


def test_what_was_measured_is_chosen() -> None:
    for (units, batch), cluster in H200.measured.items():
        assert choose(lstm(units), batch, H200).cluster == cluster
    assert {card.name for card in CARDS.values()} == {"NVIDIA H200"}


def test_the_estimate_orders_what_was_measured() -> None:
    """Where nothing was measured only the estimate decides; there it was, it finds the same or as good."""
    plain = Card("not measured", H200.shared, H200.clusters)
    for (units, batch), cluster in H200.measured.items():
        found, _ = candidates(lstm(units), batch, plain)
        best = next(plan for plan in found if plan.cluster == cluster)
        assert best.cycles <= 2 * found[0].cycles, (units, batch)


def test_weights_stay_on_the_chip_where_they_fit() -> None:
    plan = choose(lstm(128), 32, H200)
    assert plan.cluster > 1
    assert plan.products[0].streamed == 0
    assert choose(lstm(1024), 32, OLD).products[0].streamed > 0


def test_why_not() -> None:
    _, refused = candidates(lstm(7), 32, H200)
    assert refused["cluster of 2"] == "2 blocks cannot divide 7 columns"
    assert refused["cluster of 16"] == "16 blocks cannot divide 7 columns"
    assert candidates(lstm(64), 32, OLD)[1]["cluster"] == "an old card has no clusters of blocks"
    plan = lay_out(lstm(4000, True), 1, 1, 512, 48 * KIB)
    assert plan == problem(lstm(4000, True)) == "1 rows need 80000 bytes of shared memory, of 49152"


def test_explained() -> None:
    text = explanation(recurrences()["lstm"](2, 128), emitter="cuda")
    assert "Plans of the loops on NVIDIA H200" in text
    chosen = "a cluster of 2 blocks of 256 threads owns 1 row; weights 100 % in registers"
    assert f"forward_loop, 32 rows: {chosen}" in text
    assert "rather than: a block of" in text


def test_a_step_too_wide_for_any_card_is_refused() -> None:
    w = Tensor(np.zeros((20_000, 2), np.float32))

    def step(x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        h = x + (h @ w)[:, :1]
        return h, h

    row = Tensor(np.ones((1, 20_000), np.float32))
    assert "bytes of shared memory, of 49152" in explanation(step, row, row, emitter="cuda")
