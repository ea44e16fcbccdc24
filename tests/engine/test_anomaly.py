"""detect_anomaly() finds the op, the line and the kind of what is not finite."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tinyseq import Tensor, detect_anomaly, no_grad, ops
from tinyseq.errors import NonFiniteError


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """NumPy warns at the operations that are searched for here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def line_of(text: str) -> str:
    """How this file's only line with `text` is named."""
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    (number,) = [i for i, line in enumerate(lines, 1) if line.strip() == text]
    return f"{__file__}:{number}: {text}"


def test_the_forward_pass(backend: str) -> None:
    x = Tensor([0.0, 1.0])
    with detect_anomaly(), pytest.raises(NonFiniteError) as error:
        ops.log(x)
    place = line_of("ops.log(x)")
    assert str(error.value) == f"log() gave infinities in 1 of 2 values from finite inputs at {place}"


def test_kinds_of_values(backend: str) -> None:
    x = Tensor([-1.0, 1.0])
    with detect_anomaly():
        with pytest.raises(NonFiniteError, match=r"sqrt\(\) gave NaN in 1 of 2 values"):
            ops.sqrt(x)
        with pytest.raises(NonFiniteError, match=r"log1p\(\) gave NaN and infinities in 2 of 2 values"):
            ops.log1p(x * Tensor([1.0, -2.0]))


def test_the_backward_pass_names_the_line_of_the_forward_call(backend: str) -> None:
    x = Tensor([0.0, 4.0], requires_grad=True)
    with detect_anomaly():
        y = ops.sqrt(x)
        with pytest.raises(NonFiniteError) as error:
            y.sum().backward()
    place = line_of("y = ops.sqrt(x)")
    assert str(error.value) == (
        f"the gradient of sqrt() has infinities in 1 of 2 values; the op was called at {place}"
    )


def test_a_tape_written_outside_is_searched_too(backend: str) -> None:
    x = Tensor([0.0], requires_grad=True)
    y = ops.sqrt(x).sum()
    with (
        detect_anomaly(),
        pytest.raises(NonFiniteError, match=r"called at a line outside detect_anomaly\(\)"),
    ):
        y.backward()


def test_infinities_that_were_put_in_are_no_anomaly(backend: str) -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    with detect_anomaly():
        masked = ops.where(Tensor([True, False]), x, -np.inf)
        ops.softmax(masked).sum().backward()
    assert np.isfinite(x.grad.numpy()).all()


def test_the_search_goes_on_under_no_grad_and_ends_with_the_block(backend: str) -> None:
    with detect_anomaly(), no_grad(), pytest.raises(NonFiniteError):
        ops.log(Tensor([0.0]))
    assert ops.log(Tensor([0.0])).item() == -np.inf
