"""Steps compile alike exactly if what they reach is alike; while that holds, they are read once."""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinyseq import Cell, Tensor, ops
from tinyseq.nn import Dropout, Parameter
from tinyseq.scan.tracing.signature import _Reading, signature

factor = 2.0


def doubled(x: Any) -> Any:
    return x * factor


class Elman(Cell):
    def __init__(self, width: int, activation: Any = ops.tanh) -> None:
        self.input_size = self.output_size = width
        self.w = Parameter(np.eye(width))
        self.activation = activation
        self.shifts = [0.25]
        self.scales = {"x": 1.5}
        self.dropout = Dropout(0.5)

    def initial_state(self, batch_size: int) -> Any:
        return self.zeros(batch_size, self.output_size)

    def step(self, x: Tensor, state: Any) -> tuple[Any, Any]:
        h = self.activation(doubled(x) * self.scales["x"] + state @ self.w + self.shifts[0])
        return h, h


def test_equal_cells_have_equal_keys() -> None:
    a, b = Elman(3), Elman(3)
    (key_a, tensors_a), (key_b, tensors_b) = signature(a.step), signature(b.step)
    assert key_a == key_b
    assert hash(key_a) == hash(key_b)
    assert tensors_a[0] is a.w
    assert tensors_b[0] is b.w


CHANGES: dict[str, Callable[[Elman], Any]] = {
    "a function": lambda cell: setattr(cell, "activation", ops.relu),
    "a size": lambda cell: setattr(cell, "output_size", 5),
    "an element of a list": lambda cell: cell.shifts.__setitem__(0, 0.5),
    "a longer list": lambda cell: cell.shifts.append(1.0),
    "a value of a dict": lambda cell: cell.scales.__setitem__("x", 0.5),
    "evaluation": lambda cell: cell.eval(),
    "an attribute of a module inside": lambda cell: setattr(cell.dropout, "p", 0.25),
    "another attribute": lambda cell: setattr(cell, "more", 1),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_seen_and_taken_back(change: str) -> None:
    cell = Elman(3)
    before, _ = signature(cell.step)
    CHANGES[change](cell)
    after, _ = signature(cell.step)
    assert after != before
    assert signature(cell.step)[0] == after
    assert signature(Elman(3).step)[0] == before


def test_a_change_of_a_global_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = Elman(3)
    before, _ = signature(cell.step)
    monkeypatch.setitem(globals(), "factor", 3.0)
    assert signature(cell.step)[0] != before


def test_a_new_parameter_is_found() -> None:
    cell = Elman(3)
    before, _ = signature(cell.step)
    cell.w = Parameter(np.ones((3, 3)))
    after, tensors = signature(cell.step)
    assert after == before
    assert tensors[0] is cell.w


def test_an_unchanged_cell_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = Elman(3)
    first, _ = signature(cell.step)
    monkeypatch.setattr(_Reading, "_key_of", lambda *_: pytest.fail("the step was read again"))
    assert signature(cell.step)[0] is first


@pytest.mark.parametrize("loop", [False, True])
def test_a_cell_is_not_kept_alive(loop: bool) -> None:
    cell = Elman(3)
    if loop:
        cell.activation = cell.helper = cell.zeros
    signature(cell.step)
    gone = weakref.ref(cell)
    del cell
    gc.collect()
    assert gone() is None
