"""What cannot be compiled is refused in a sentence that says what to write instead."""

import cProfile
import math
import sys
from typing import Any

import numpy as np
import pytest

import tinyseq
from tinyseq import Tensor, ops
from tinyseq.backend.symbols import ROWS
from tinyseq.errors import GraphError, MixedBackendsError, ShapeError, TraceError
from tinyseq.nn import Linear
from tinyseq.scan.graph import ancestors
from tinyseq.scan.tracing.signature import signature
from tinyseq.scan.tracing.trace import parameters_of, trace

ARRAY = np.ones(3)
X, S = Tensor(np.ones((2, 3))), Tensor(np.ones((2, 3)))


def branches(x: Any, s: Any) -> Any:
    return (x if s > 0 else s), s


def converts(x: Any, s: Any) -> Any:
    return x * float(s), s


def leaves_for_math(x: Any, s: Any) -> Any:
    return x * math.tanh(s), s


def looks_inside(x: Any, s: Any) -> Any:
    return x * s.numpy(), s


def captures(x: Any, s: Any) -> Any:
    return x * ARRAY, s


def numpy_function(x: Any, s: Any) -> Any:
    return np.tanh(x), s


def numpy_on_data(x: Any, s: Any) -> Any:
    return np.tanh(x.data), s


def unpacks(x: Any, s: Any) -> Any:
    first, *_ = x
    return first, s


def splits_rows(x: Any, s: Any) -> Any:
    return ops.split(x, 2)[0], s


def counts_rows(x: Any, s: Any) -> Any:
    return x / x.shape[0], s


def picks_rows(x: Any, s: Any) -> Any:
    return x[:1], s


def mixes_rows(x: Any, s: Any) -> Any:
    return x - x.sum(axis=0), s


def joins_rows(x: Any, s: Any) -> Any:
    return ops.concatenate([x, s]), s


def reshapes_rows(x: Any, s: Any) -> Any:
    return ops.reshape(x, (3, -1)), s


def draws(x: Any, s: Any) -> Any:
    tinyseq.random.generator().random()
    return x, s


def looks_up(x: Any, s: Any) -> Any:
    return ops.take(x, s, axis=-1), s


def widens_the_state(x: Any, s: Any) -> Any:
    return x, ops.concatenate([s, s], axis=-1)


def loses_a_state(x: Any, s: Any) -> Any:
    return x, ()


def assigns(x: Any, s: Any) -> Any:
    x[:, 0] = 0
    return x, s


REFUSALS = [
    (
        branches,
        TraceError,
        "A step cannot branch on a traced value (if, while, and, or, min(), max()): it is recorded once "
        "and must do the same for every value. Use where(condition, a, b), or run it with compiled=False.",
    ),
    (
        converts,
        TraceError,
        "A traced value has no number (float(), int(), .item(), .numpy(), math.*): use the functions of "
        "tinyseq.ops, or run the step with compiled=False.",
    ),
    (leaves_for_math, TraceError, "A traced value has no number"),
    (looks_inside, TraceError, "A traced value has no number"),
    (
        captures,
        TraceError,
        "multiply() met an array in the middle of a step that is being compiled. A step may use its "
        "inputs, its state, and Tensors: make the array a Tensor, tinyseq.Tensor(array), before the step, "
        "or a Parameter if it is to be trained, or an input.",
    ),
    (numpy_function, TypeError, "Use tinyseq.ops.tanh"),
    (
        numpy_on_data,
        TraceError,
        "numpy.tanh met a traced value: use tinyseq.ops, and pass arrays in as Parameters or inputs.",
    ),
    (
        unpacks,
        TraceError,
        "A step is compiled for any number of rows, so it cannot compute with that number: give split(), "
        "mean() and the like an axis of features, such as axis=-1.",
    ),
    (splits_rows, TraceError, "give split(), mean() and the like an axis of features, such as axis=-1."),
    (counts_rows, TypeError, "Rows"),
    (
        picks_rows,
        TraceError,
        "A step cannot pick rows: every sequence has one row, and steps only look at their own. Index "
        "features instead: x[:, a:b].",
    ),
    (
        mixes_rows,
        TraceError,
        "A step cannot mix the sequences of a batch, as sum() of (rows, 3) giving (3,) does: reduce and "
        "transpose features only, axis=-1.",
    ),
    (
        joins_rows,
        TraceError,
        "A step cannot join rows: concatenate() and stack() features, axis=-1. Every sequence has one row.",
    ),
    (
        reshapes_rows,
        TraceError,
        "A step cannot reshape (rows, 3) to (3, -1): the first axis, one row for each sequence, stays.",
    ),
    (
        draws,
        TraceError,
        "A compiled step draws no random numbers: it is recorded once, so every step of every batch would "
        "get the same. Use tinyseq.noise, which draws them beforehand, or leave out compiled=True.",
    ),
    (
        looks_up,
        TraceError,
        "take() cannot be compiled inside a step: do it outside, or run the step with compiled=False.",
    ),
    (
        widens_the_state,
        ShapeError,
        "step() must return a state like the one it was given: state (rows, 3), not state (rows, 6).",
    ),
    (loses_a_state, ShapeError, "step() must return a state like the one it was given: state (rows, 3), not"),
    (assigns, GraphError, "Tensors are values and cannot be assigned into"),
]


@pytest.mark.parametrize(("step", "error", "message"), REFUSALS, ids=lambda p: getattr(p, "__name__", ""))
def test_what_cannot_be_compiled_is_refused(step: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        trace(step, X, S)
    assert message in str(caught.value)


def test_a_refusal_names_the_op_and_the_authors_line() -> None:
    def step(x: Any, s: Any) -> Any:
        return ops.take(x, s, axis=-1), s  # this line

    with pytest.raises(TraceError) as caught:
        tinyseq.scan(step, Tensor(np.zeros((2, 3, 4))), Tensor(np.zeros((2, 4))), compiled=True)
    said = str(caught.value)
    assert said.count("take() at ") == 1
    assert f"{__file__}:" in said
    assert said.endswith("# this line]")
    assert not isinstance(caught.value, MixedBackendsError)


def test_the_state_keeps_its_dtype() -> None:
    with pytest.raises(TraceError, match="goes in as float32 and comes out as float64"):
        trace(lambda x, s: (x, x + s), X, Tensor(np.ones((2, 3), "f")))


def test_parameters_are_found_wherever_the_step_reaches_them() -> None:
    closed, given = Linear(3, 3), Tensor(np.ones(3), requires_grad=True)

    def helper(x: Any) -> Any:
        return closed(x)

    def step(x: Any, s: Any, scale: Tensor = given) -> Any:
        return helper(x) * scale, s

    found = parameters_of(step)
    assert {id(p) for p in found} == {id(p) for p in (*closed.parameters(), given)}
    assert [id(p) for p in signature(step)[1]] == [id(p) for p in found]


def test_the_graph_has_the_names_of_the_step() -> None:
    def step(x: Any, s: Any) -> Any:
        gate = ops.sigmoid(x)
        mixed = gate * s
        return mixed, mixed

    traced, _ = trace(step, X, S, wants_inputs=[True])
    assert [s.name for s in ancestors(traced.outputs) if s.name] == ["x", "state_prev", "gate", "mixed"]
    assert all(s.shape[0] is ROWS for s in traced.outputs)
    assert {"d_gate", "d_mixed", "d_x"} <= {s.name for s in ancestors(traced.roots)}


def test_only_what_is_wanted_is_differentiated() -> None:
    weight = Tensor(np.ones((3, 3)), requires_grad=True)
    step = lambda x, s: (x @ weight, ops.tanh(s + x @ weight))
    traced, _ = trace(step, X, S, wants_parameters=[True])
    assert traced.d_inputs == [None]
    assert traced.d_parameters[0] is not None
    inference, _ = trace(step, X, S)
    assert inference.d_outputs == []


def test_a_profile_goes_on_while_a_step_is_traced() -> None:
    def step(x: Any, h: Any) -> tuple[Any, Any]:
        h = ops.tanh(x + h)
        return h, h

    profile = cProfile.Profile()
    ones = Tensor(np.ones((2, 3), "f"))
    profile.enable()
    try:
        tinyseq.scan(step, Tensor(np.ones((2, 4, 3), "f")), ones)
        assert sys.getprofile() is profile
    finally:
        profile.disable()
