"""Binary cross-entropy against its definition, and at the edges."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tinyseq_losses.binary_cross_entropy import BinaryCrossEntropy

from tinyseq import Tensor
from tinyseq.errors import ConfigError, DataError, ShapeError
from tinyseq.sequences import Sequences
from tinyseq.testing import check_gradients


@given(
    lengths=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    weight=st.sampled_from([1.0, 3.5]),
    kind=st.sampled_from(["bool", "int64", "float64"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_equals_the_definition(backend: str, lengths: list[int], weight: float, kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = [3 * rng.normal(size=(n, 2)) for n in lengths]
    targets = [
        (rng.random((n, 2)) if kind == "float64" else rng.random((n, 2)) < 0.5).astype(kind) for n in lengths
    ]
    losses = [
        -weight * y * math.log(1 / (1 + math.exp(-x))) - (1 - y) * math.log(1 - 1 / (1 + math.exp(-x)))
        for s, t in zip(scores, targets, strict=True)
        for x, y in zip(s.ravel().tolist(), t.ravel().tolist(), strict=True)
    ]
    xs, ys = Sequences.from_list(scores), Sequences.from_list(targets)
    for reduction, expected in (("sum", math.fsum(losses)), ("mean", math.fsum(losses) / len(losses))):
        loss = BinaryCrossEntropy(positive_weight=weight, reduction=reduction)  # type: ignore[arg-type]
        assert loss(xs, ys).item() == pytest.approx(expected, rel=1e-10)
        assert loss(xs.data, ys.data).item() == pytest.approx(expected, rel=1e-10)
    each = BinaryCrossEntropy(positive_weight=weight, reduction="none")(xs, ys)
    flat = np.concatenate([part.numpy().ravel() for part in each.to_list()])
    np.testing.assert_allclose(flat, losses, rtol=1e-10)


@given(seed=st.integers(0, 2**32 - 1))
def test_first_and_second_derivatives(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = Tensor(rng.normal(size=(3, 2)), requires_grad=True), Tensor(rng.random((3, 2)))
    check_gradients(lambda: BinaryCrossEntropy(positive_weight=2.0)(x, y), [x], seed=seed)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_scores(backend: str, dtype: str) -> None:
    x = Tensor([1e4, -1e4, 1e4, -1e4, 0.0, 20.0], dtype, requires_grad=True)
    losses = BinaryCrossEntropy(reduction="none")(x, np.array([1, 0, 0, 1, 1, 1]))
    np.testing.assert_allclose(
        losses.numpy(), [0, 0, 1e4, 1e4, math.log(2), math.log1p(math.exp(-20))], rtol=1e-6
    )
    losses.sum().backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), [0, 0, 1, -1, -0.5, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (np.array([0, 2]), "the target 2 at position 1 is none of the 2 classes"),
        (np.array([-1.0, 1.0]), r"shares in \[0, 1\], not \[-1, 1\]"),
        (np.array([0.0, np.nan]), r"shares in \[0, 1\], not \[nan, nan\]"),
    ],
)
def test_targets_out_of_range_are_refused(targets: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        BinaryCrossEntropy()(Tensor([0.0, 1.0]), targets)


def test_shapes_and_options() -> None:
    with pytest.raises(ShapeError, match=r"shape \(2, 1\) and targets of shape \(2,\) differ"):
        BinaryCrossEntropy()(Tensor([[0.0], [1.0]]), np.array([0, 1]))
    with pytest.raises(ConfigError, match="finite and positive, not 0"):
        BinaryCrossEntropy(positive_weight=0)
