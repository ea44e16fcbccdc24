"""Losses equal PyTorch's where PyTorch has them: values and gradients, to rounding."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tinyseq_losses.binary_cross_entropy import BinaryCrossEntropy
from tinyseq_losses.cross_entropy import CrossEntropy
from tinyseq_losses.ctc import CTC

from tinyseq import Sequences, Tensor

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install '.[test-peers]'")


def assert_agrees(ours: Any, leaves: list[Any], theirs: Any, peers: list[Any], tolerance: float) -> None:
    """Values, and the gradients of all leaves for one random cotangent."""
    np.testing.assert_allclose(ours.numpy(), theirs.detach().numpy(), rtol=tolerance, atol=tolerance)
    cotangent = np.random.default_rng(0).normal(size=ours.shape).astype(ours.dtype)
    ours.backward(Tensor(cotangent))
    theirs.backward(torch.tensor(cotangent))
    for leaf, peer in zip(leaves, peers, strict=True):
        np.testing.assert_allclose(leaf.grad.numpy(), peer.grad.numpy(), rtol=tolerance, atol=tolerance)


@given(
    rows=st.integers(1, 6),
    classes=st.integers(1, 5),
    smoothing=st.sampled_from([0.0, 0.1, 0.7]),
    weighted=st.booleans(),
    reduction=st.sampled_from(["mean", "sum", "none"]),
    dtype=st.sampled_from(["float32", "float64"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_cross_entropy(
    rows: int, classes: int, smoothing: float, weighted: bool, reduction: Any, dtype: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    logits = (5 * rng.normal(size=(rows, classes))).astype(dtype)
    targets = rng.integers(0, classes, rows)
    targets[1:][rng.random(rows - 1) < 0.3] = -100  # at least one counts: PyTorch gives NaN for none
    weights = rng.uniform(0.1, 2, classes).tolist() if weighted else None
    x, y = Tensor(logits, requires_grad=True), torch.tensor(logits, requires_grad=True)
    ours = CrossEntropy(
        label_smoothing=smoothing, class_weights=weights, ignore_index=-100, reduction=reduction
    )
    theirs = torch.nn.CrossEntropyLoss(
        torch.tensor(weights, dtype=getattr(torch, dtype)) if weights else None,
        ignore_index=-100, label_smoothing=smoothing, reduction=reduction,
    )  # fmt: skip
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    assert_agrees(ours(x, Tensor(targets)), [x], theirs(y, torch.tensor(targets)), [y], tolerance)


@given(
    weight=st.sampled_from([1.0, 2.5]),
    reduction=st.sampled_from(["mean", "sum", "none"]),
    dtype=st.sampled_from(["float32", "float64"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_binary_cross_entropy(weight: float, reduction: Any, dtype: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, targets = (10 * rng.normal(size=(4, 3))).astype(dtype), rng.random((4, 3)).astype(dtype)
    x, y = Tensor(scores, requires_grad=True), torch.tensor(scores, requires_grad=True)
    ours = BinaryCrossEntropy(positive_weight=weight, reduction=reduction)(x, Tensor(targets))
    theirs = torch.nn.BCEWithLogitsLoss(
        reduction=reduction, pos_weight=torch.tensor(weight, dtype=getattr(torch, dtype))
    )(y, torch.tensor(targets))
    assert_agrees(ours, [x], theirs, [y], 1e-5 if dtype == "float32" else 1e-12)


@given(
    steps=st.lists(st.integers(8, 25), min_size=1, max_size=5),
    blank=st.integers(0, 5),
    dtype=st.sampled_from(["float32", "float64"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_ctc(steps: list[int], blank: int, dtype: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = [(2 * rng.normal(size=(n, 6))).astype(dtype) for n in steps]
    others = [c for c in range(6) if c != blank]
    labels = [rng.choice(others, rng.integers(0, n // 2 + 1)) for n in steps]
    x = [Tensor(s, requires_grad=True) for s in scores]
    y = [torch.tensor(s, requires_grad=True) for s in scores]
    ours = CTC(blank=blank, reduction="none")(Sequences.from_list(x), labels)
    theirs = torch.nn.functional.ctc_loss(
        torch.nn.utils.rnn.pad_sequence(y).log_softmax(-1),
        torch.tensor(np.concatenate(labels)),
        torch.tensor(steps), torch.tensor([len(sequence) for sequence in labels]), blank, "none",
    )  # fmt: skip
    assert_agrees(ours, x, theirs, y, 2e-5 if dtype == "float32" else 1e-12)
