"""What a forward and a backward pass ask of a GPU: launches, products, copies, waiting, memory."""

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
from tinyseq_cells.bidirectional import Bidirectional

import tinyseq
from tests.scan.recurrences import recurrences
from tinyseq import Sequences, Tensor
from tinyseq.scan import Recurrent

Counts = Callable[[], AbstractContextManager[Counter[str]]]
MAKE = recurrences()
MOST = {  # launches of kernels, and products
    "rnn": (7, 4),
    "lstm": (8, 4),
    "lstm-peepholes": (10, 4),
    "layer-norm-lstm": (14, 4),
    "gru-before": (11, 5),
    "gru-after": (15, 4),
    "mgu": (11, 3),
    "bidirectional": (19, 8),
}


def layer(name: str) -> Any:
    if name == "bidirectional":
        return Bidirectional(Recurrent(MAKE["lstm"](3, 4)), Recurrent(MAKE["lstm"](3, 4)))
    return Recurrent(MAKE[name](3, 4))


def counted(model: Any, xs: Any, counts: Counts) -> Counter[str]:
    """Of one pass, after some that compiled it and made room for it."""
    x = xs.data if isinstance(xs, Sequences) else xs
    shape = model(xs).data.shape  # of a Tensor, or of the rows of Sequences
    gradient = Tensor(np.ones(shape, np.float32))
    for _ in range(3):
        x.grad = None
        for parameter in model.parameters():
            parameter.grad = None
        with counts() as seen:
            ys = model(xs)
            y = ys.data if isinstance(ys, Sequences) else ys
            y.backward(gradient)
    assert x.grad is not None
    return seen


@pytest.fixture
def _by_kernels(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TINYSEQ_EMITTER", "cuda")
    tinyseq.clear_cache()  # of such a layer that another test compiled
    with tinyseq.use("cupy"):
        yield


@pytest.mark.usefixtures("_by_kernels")
@pytest.mark.parametrize("name", MOST)
def test_a_pass_costs_the_same_however_long(name: str, counts: Counts) -> None:
    model = layer(name)
    short, long = [
        counted(model, Tensor(np.ones((2, steps, 3), np.float32), requires_grad=True), counts)
        for steps in (5, 64)
    ]
    assert short == long
    assert (long["launch"], long["gemm"]) == MOST[name]
    assert set(long) <= {"launch", "gemm", "copy_d2d", "memset"}  # no waiting, no memory, nothing of the host


@pytest.mark.usefixtures("_by_kernels")
@pytest.mark.parametrize(("reverse", "most"), [(False, 15), (True, 17)])
def test_ragged_batches_cost_hardly_more(reverse: bool, most: int, counts: Counts) -> None:
    model = Recurrent(MAKE["lstm"](3, 4), reverse=reverse)
    rows = [np.ones((length, 3), np.float32) for length in (3, 64, 17)]
    xs = Sequences.from_list(rows)
    xs.data._become_leaf()
    seen = counted(model, xs, counts)
    assert seen["launch"] <= most
    assert set(seen) <= {"launch", "gemm", "copy_d2d", "memset"}
