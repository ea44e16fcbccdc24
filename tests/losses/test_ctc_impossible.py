"""CTC where no path reads as the labels: too few steps, or scores that rule every path out."""

from typing import Any

import numpy as np
import pytest
from tinyseq_losses.ctc import CTC

from tinyseq import Sequences, Tensor
from tinyseq.errors import DataError

LABELS: list[Any] = [[1, 2], [2, 2, 3], [3]]


def batch(rng: np.random.Generator, lengths: tuple[int, ...] = (6, 3, 4)) -> list[Any]:
    return [rng.standard_normal((n, 4)) for n in lengths]


def test_a_sequence_that_is_too_short_is_named_or_left_out(rng: np.random.Generator) -> None:
    xs = batch(rng)
    with pytest.raises(DataError, match=r"sequence 1 has 3 steps(.|\n)*zero_infinity=True"):
        CTC()(Sequences.from_list(xs), LABELS)
    data = Tensor(np.concatenate([np.pad(x, ((0, 6 - len(x)), (0, 0))) for x in xs]), requires_grad=True)
    rows = [data[6 * i : 6 * i + len(x)] for i, x in enumerate(xs)]
    loss = CTC(zero_infinity=True, reduction="sum")(Sequences.from_list(rows), LABELS)
    loss.backward()
    others = CTC(reduction="sum")(Sequences.from_list([xs[0], xs[2]]), [LABELS[0], LABELS[2]])
    np.testing.assert_allclose(loss.item(), others.item(), rtol=1e-12)
    gradient = data.grad.numpy().reshape(3, 6, 4)  # type: ignore[union-attr]
    assert (gradient[1] == 0).all()
    assert (np.abs(gradient[[0, 2]]).sum((1, 2)) > 0).all()


@pytest.mark.parametrize("zero_infinity", [False, True])
def test_scores_that_leave_no_path(zero_infinity: bool) -> None:
    xs = np.zeros((2, 5, 4))
    xs[0, :2, :3] = -np.inf  # only class 3 is possible, which is no label here
    data = Tensor(xs, requires_grad=True)
    losses = CTC(reduction="none", zero_infinity=zero_infinity)(data, [[1, 2], [1, 2]])
    assert losses.numpy()[0] == (0 if zero_infinity else np.inf)
    plain = CTC(reduction="none")(Tensor(xs[1:]), [[1, 2]]).numpy()[0]
    np.testing.assert_allclose(losses.numpy()[1], plain, rtol=1e-12)
    losses.sum().backward()
    gradient = data.grad.numpy()  # type: ignore[union-attr]
    assert (gradient[0] == 0).all()
    assert np.isfinite(gradient[1]).all()
    assert np.abs(gradient[1]).sum() > 0


def test_scores_of_minus_infinity_beside_a_path_change_nothing(rng: np.random.Generator) -> None:
    xs = rng.standard_normal((1, 5, 4))
    without = xs.copy()
    xs[..., 3], without[..., 3] = -np.inf, -200.0
    ours, theirs = (CTC(reduction="sum")(Tensor(x), [[1, 2]]).item() for x in (xs, without))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
