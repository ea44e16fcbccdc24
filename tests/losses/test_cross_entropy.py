"""Cross-entropy against a nested loop over its definition, and at the edges."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tinyseq_losses.cross_entropy import CrossEntropy

from tinyseq import Tensor, ops
from tinyseq.errors import ConfigError, DataError, ShapeError
from tinyseq.sequences import Sequences
from tinyseq.testing import check_gradients

IGNORE = -100


def oracle(
    logits: Any, targets: Any, smoothing: float, weights: Any, ignore: int | None
) -> tuple[list[float], float]:
    """The loss of each row, and what their mean is divided by, from the definition."""
    losses, divisor = [], 0.0
    for row, y in zip(logits, targets, strict=True):
        if y == ignore:
            losses.append(0.0)
            continue
        top = max(row)
        log_sum = top + math.log(math.fsum(math.exp(v - top) for v in row))
        nats = [log_sum - v for v in row]
        w = [1.0] * len(row) if weights is None else weights
        even = math.fsum(w[c] * nats[c] for c in range(len(row))) / len(row)
        losses.append((1 - smoothing) * w[y] * nats[y] + smoothing * even)
        divisor += w[y]
    return losses, divisor


@st.composite
def problems(draw: st.DrawFn) -> dict[str, Any]:
    lengths = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    classes = draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    ignore = draw(st.sampled_from([None, IGNORE, 0]))
    targets = rng.integers(0, classes, sum(lengths))
    if ignore is not None:
        targets[rng.random(len(targets)) < 0.4] = ignore
    weights = draw(st.sampled_from([None, "some"]))
    return {
        "lengths": lengths,
        "logits": rng.normal(size=(sum(lengths), classes)) * draw(st.sampled_from([1.0, 30.0])),
        "targets": targets,
        "smoothing": draw(st.sampled_from([0.0, 0.1, 1.0])),
        "weights": None if weights is None else (rng.integers(0, 4, classes) / 2).tolist(),
        "ignore": ignore,
    }


def loss_of(problem: dict[str, Any], reduction: str) -> CrossEntropy:
    return CrossEntropy(
        label_smoothing=problem["smoothing"],
        class_weights=problem["weights"],
        ignore_index=problem["ignore"],
        reduction=reduction,  # type: ignore[arg-type]
    )


def cut(rows: Any, lengths: list[int]) -> list[Any]:
    return np.split(rows, np.cumsum(lengths)[:-1])


@given(problem=problems())
def test_equals_the_nested_loop(backend: str, problem: dict[str, Any]) -> None:
    logits, targets, lengths = problem["logits"], problem["targets"], problem["lengths"]
    losses, divisor = oracle(
        logits.tolist(), targets.tolist(), problem["smoothing"], problem["weights"], problem["ignore"]
    )
    xs = Sequences.from_list(cut(logits, lengths))
    ys = Sequences.from_list(cut(targets, lengths))
    total = math.fsum(losses)
    expected = {"sum": total, "mean": total / divisor if divisor else total}
    for reduction, value in expected.items():
        loss = loss_of(problem, reduction)
        assert loss(xs, ys).item() == pytest.approx(value, rel=1e-12, abs=1e-12)
        assert loss(Tensor(logits), Tensor(targets)).item() == pytest.approx(value, rel=1e-12, abs=1e-12)
    each = loss_of(problem, "none")
    np.testing.assert_allclose(each(Tensor(logits), targets).numpy(), losses, rtol=1e-12, atol=1e-12)
    by_sequence = [row for part in each(xs, ys).to_list() for row in part.numpy()]
    np.testing.assert_allclose(by_sequence, losses, rtol=1e-12, atol=1e-12)


@given(problem=problems(), seed=st.integers(0, 2**32 - 1))
def test_first_and_second_derivatives(problem: dict[str, Any], seed: int) -> None:
    leaf = Tensor(problem["logits"], requires_grad=True)
    loss = loss_of(problem, "mean")
    check_gradients(lambda: loss(leaf, Tensor(problem["targets"])), [leaf], seed=seed)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_scores(backend: str, dtype: str, smoothing: float) -> None:
    """Large scores of one sign, of both, and equal ones: exact values and finite gradients."""
    logits = np.array([[1e4, -1e4, 0.0], [1e4, 1e4 + 1, 1e4], [-1e4, -1e4, -1e4]])
    targets = np.array([1, 0, 2])
    x = Tensor(logits, dtype, requires_grad=True)
    losses = CrossEntropy(label_smoothing=smoothing, reduction="none")(x, targets)
    expected, _ = oracle(logits.tolist(), targets, smoothing, None, None)
    np.testing.assert_allclose(losses.numpy(), expected, rtol=1e-6)
    losses.sum().backward()
    assert x.grad is not None
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    aim = (1 - smoothing) * np.eye(3)[targets] + smoothing / 3
    np.testing.assert_allclose(x.grad.numpy(), p - aim, atol=1e-6)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("options", [{}, {"class_weights": [1.0, 2.0]}, {"label_smoothing": 0.2}])
def test_when_nothing_counts_loss_and_gradient_are_zero(
    backend: str, reduction: Any, options: dict[str, Any]
) -> None:
    x = Tensor([[1.0, 2.0], [1e4, -1e4]], requires_grad=True)
    loss = CrossEntropy(ignore_index=IGNORE, reduction=reduction, **options)(x, np.full(2, IGNORE))
    assert (loss.numpy() == 0).all()
    ops.sum(loss).backward()
    assert x.grad is not None
    assert (x.grad.numpy() == 0).all()


def test_classes_without_weight_count_nothing() -> None:
    x = Tensor([[1.0, 2.0]], requires_grad=True)
    loss = CrossEntropy(class_weights=[0.0, 1.0])(x, np.array([0]))
    loss.backward()
    assert loss.item() == 0
    assert x.grad is not None
    assert (x.grad.numpy() == 0).all()


def test_no_matrix_is_kept_beside_the_scores() -> None:
    x = Tensor(np.zeros((50, 40)), requires_grad=True)
    loss = CrossEntropy(label_smoothing=0.1)(x * 2, np.zeros(50, int))
    assert loss.source is not None
    sizes: list[int] = []
    arrays: set[int] = set()
    stack, seen = [loss.source[0]], set()
    while stack:
        node = stack.pop()
        if id(node) in seen or not hasattr(node, "pullback"):
            continue
        seen.add(id(node))
        stack += [source[0] for source in node.parents if source is not None]
        for cell in node.pullback.__closure__ or ():
            value = cell.cell_contents
            if isinstance(value, np.ndarray) and value.size >= 2000 and id(value) not in arrays:
                arrays.add(id(value))
                sizes.append(value.size)
    assert len(sizes) <= 2  # x of the product x * 2, and the scores themselves


def test_a_target_that_is_no_class_is_placed(backend: str) -> None:
    xs = Sequences.from_list([np.zeros((n, 3), "f4") for n in (2, 4, 1)])
    ys = Sequences.from_list([np.array([0, 1]), np.array([0, 1, 2, 3]), np.array([1])])
    with pytest.raises(DataError) as caught:
        CrossEntropy()(xs, ys)
    assert (
        str(caught.value)
        == "CrossEntropy: the target 3 of sequence 1 at step 3 is none of the 3 classes 0..2; if it stands "
        "for nothing, say ignore_index or leave it out."
    )
    with pytest.raises(DataError, match=r"the target -1 at position \(1, 0\) .*, nor the ignore_index -100"):
        CrossEntropy(ignore_index=IGNORE)(Tensor(np.zeros((2, 2, 3))), Tensor(np.array([[0, -100], [-1, 7]])))
    with pytest.raises(DataError, match="the target 5 at position 1 "):
        CrossEntropy()(Tensor(np.zeros((2, 3))), np.array([0, 5]))
    with pytest.raises(DataError, match=r"targets that are integers.*not float64"):
        CrossEntropy()(Tensor(np.zeros((2, 3))), np.array([0.0, 1.0]))


def test_pairs_that_do_not_fit() -> None:
    xs = Sequences.from_list([np.zeros((n, 3), "f4") for n in (2, 4)])
    ys = Sequences.from_list([np.zeros(n, int) for n in (3, 3)])
    with pytest.raises(ShapeError, match="predictions have lengths 2, 4, targets 3, 3"):
        CrossEntropy()(xs, ys)
    with pytest.raises(TypeError, match="both as Sequences or both as Tensors, not Sequences and Tensor"):
        CrossEntropy()(xs, ys.data)
    with pytest.raises(ShapeError, match="2 class_weights, the predictions 3 classes"):
        CrossEntropy(class_weights=[1, 1])(xs, xs.with_data(Tensor(np.zeros(6, int))))
    with pytest.raises(ShapeError, match=r"needs targets of shape \(2,\)"):
        CrossEntropy()(Tensor(np.zeros((2, 3))), np.zeros((2, 1), int))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_smoothing": 1.1}, r"label_smoothing is a share in \[0, 1\], not 1.1"),
        ({"class_weights": [1, -1]}, "finite and not negative"),
        ({"class_weights": [1, float("nan")]}, "finite and not negative"),
        ({"reduction": "average"}, "reduction is 'mean', 'sum' or 'none', not 'average'"),
    ],
)
def test_senseless_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CrossEntropy(**options)
