"""Formulas that are computed block by block give what they give on the whole."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tinyseq_losses.cross_entropy import soft_cross_entropy

from tinyseq import Tensor, ops
from tinyseq.backend import blocks, words_of
from tinyseq.backend.blocks import by_rows
from tinyseq.testing import check_rule

SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture
def row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 1)


@given(rows=st.integers(1, 20), block=st.integers(0, 200), seed=SEEDS)
def test_the_blocks_of_any_size_cover_every_row(rows: int, block: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, scale = rng.normal(size=(rows, 3)), rng.normal(size=rows)
    seen = []

    def function(x: Any, scale: Any) -> Any:
        seen.append(len(x))
        return x * scale[:, None], x.argmax(axis=1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", block)
        products, largest = by_rows(words_of(x), function, x, scale)
    assert sum(seen) == rows
    assert max(seen) * x[0].nbytes <= max(block, x[0].nbytes)
    assert np.array_equal(products, x * scale[:, None])
    assert np.array_equal(largest, x.argmax(axis=1))
    assert largest.dtype == np.intp


@pytest.mark.usefixtures("row_by_row")
def test_a_vector_is_handed_over_whole() -> None:
    x = np.arange(5.0)
    assert by_rows(words_of(x), np.cumsum, x).tolist() == [0, 1, 3, 6, 10]
    loss = ops.softmax_cross_entropy(Tensor(np.zeros(8)), Tensor(np.array(3)))
    assert loss.item() == pytest.approx(np.log(8))


@pytest.mark.usefixtures("row_by_row")
@pytest.mark.parametrize("shape", [(5, 3), (2, 3, 4), (1, 2), (0, 3), (3, 1)])
def test_cross_entropy_in_blocks_keeps_its_rule(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape)
    check_rule(ops.softmax_cross_entropy, x, rng.integers(0, shape[-1], shape[:-1]))
    weights = Tensor(rng.random(shape[-1]))
    check_rule(lambda x: soft_cross_entropy(x, weights.astype(x.dtype)), x)


@pytest.mark.parametrize("op", ["hard", "soft"])
def test_cross_entropy_in_blocks_equals_the_whole(op: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(37, 11)).astype(np.float32)
    targets, weights = rng.integers(0, 11, 37), Tensor(rng.random(11).astype(np.float32))
    gradient = Tensor(rng.normal(size=37).astype(np.float32))
    found = []
    for block in (1 << 30, 4 * 11 * 5, 1):
        monkeypatch.setattr(blocks, "BLOCK", block)
        leaf = Tensor(x, requires_grad=True)
        losses = (
            ops.softmax_cross_entropy(leaf, targets) if op == "hard" else soft_cross_entropy(leaf, weights)
        )
        losses.backward(gradient)
        assert leaf.grad is not None
        found.append((losses.numpy(), leaf.grad.numpy()))
    for losses, slopes in found[1:]:
        np.testing.assert_allclose(losses, found[0][0], rtol=1e-6)
        np.testing.assert_allclose(slopes, found[0][1], rtol=1e-6, atol=1e-7)
