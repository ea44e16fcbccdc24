"""Each pass does what it is for; that none changes a value, the fuzzer shows with each left out in turn."""

from typing import Any

import numpy as np
import pytest

from tinyseq import Tensor, ops
from tinyseq.backend.symbols import Symbol
from tinyseq.scan import explain
from tinyseq.scan.graph import ancestors
from tinyseq.scan.memory.places import Kind
from tinyseq.scan.memory.storage import Storage
from tinyseq.scan.passes.fuse import fuse, inner_values
from tinyseq.scan.passes.optimise import FORMS, optimise, simplified
from tinyseq.scan.passes.partition import Region, partition
from tinyseq.scan.running.program import Options, Program
from tinyseq.scan.tracing.trace import Trace, trace

RNG = np.random.default_rng(0)
leaf = lambda *shape: Tensor(RNG.normal(size=shape), requires_grad=True)
W, U, B = leaf(3, 8), leaf(4, 8), leaf(8)
R, Z = leaf(4, 4), leaf(4, 4)
X, S = leaf(2, 3), leaf(2, 4)


def gated(x: Any, s: Any) -> Any:
    a, b = ops.split(x @ W + s @ U + B, 2, axis=-1)
    h = ops.sigmoid(a) * ops.tanh(b)
    return h, h


def separate(x: Any, s: Any) -> Any:
    h = ops.sigmoid(s @ R) * ops.tanh(s @ Z)
    return h, h


def traced(step: Any, *names: str, forward: bool = False) -> Trace:
    """The step's graph after the passes of these names alone."""
    wants = {} if forward else {"wants_inputs": [True], "wants_parameters": [True] * 3}
    if step is separate and wants:
        wants["wants_parameters"] = [True] * 2
    found, _ = trace(step, X, S, **wants)  # type: ignore[arg-type]
    optimise(found, tuple(p.__name__ for p in FORMS if p.__name__ not in names))
    return found


def looped(t: Trace, region: Region = Region.STEP) -> list[str]:
    return [o.value.op for o in partition(t).within(region) if o.slot is None]


def products(symbols: list[Symbol]) -> int:
    return sum(s.op == "matmul" for s in symbols)


def test_sums_of_what_is_known_leave_the_loop() -> None:
    before, after = looped(traced(gated, forward=True)), looped(traced(gated, "early_sums", forward=True))
    assert before.count("add") == after.count("add") + 1


def test_parts_are_computed_instead_of_cut() -> None:
    def step(x: Any, s: Any) -> Any:
        a, b = ops.split(x @ W + B, 2, axis=-1)
        c, d = ops.split(s @ U, 2, axis=-1)
        h = ops.tanh(a + c) * ops.tanh(b * d)
        return h, h

    whole, _ = trace(step, X, S)
    optimise(whole, ("columns_first",))
    parts, _ = trace(step, X, S)
    optimise(parts)
    widest = lambda t: max(s.shape[1] for s in ancestors(t.outputs) if s.is_row and s.op == "add")
    assert (widest(whole), widest(parts)) == (8, 4)


def test_products_of_one_value_are_one() -> None:
    assert products(traced(separate, forward=True).forward()) == 2
    assert products(traced(separate, "merged_products", forward=True).forward()) == 1


def test_a_sum_of_products_is_one() -> None:
    def count(*names: str) -> int:
        return looped(traced(separate, *names), Region.BACK_STEP).count("matmul")

    assert count() == 2
    assert count("merged_sums_of_products") == 1


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (lambda x, s: (x * 1.0 + 0.0 - 0.0, s), "leaf"),
        (lambda x, s: (ops.negative(-x), s), "leaf"),
        (lambda x, s: (ops.concatenate(ops.split(x, 3, axis=-1), axis=-1), s), "leaf"),
        (lambda x, s: (ops.reshape(ops.reshape(x, (-1, 3, 1)), (-1, 3)), s), "leaf"),
        (lambda x, s: (x + ops.broadcast_to(x[:, :1], x.shape), s), "add"),
        (lambda x, s: (ops.concatenate([s, x], axis=-1)[:, 4:], s), "leaf"),
    ],
)
def test_what_does_nothing_goes(step: Any, expected: str) -> None:
    found, _ = trace(step, X, S)
    simplified(found)
    assert found.outputs[0].op == expected
    assert len(ancestors(found.outputs)) <= 3


def test_equal_work_on_neighbouring_columns_is_one_operation() -> None:
    def step(x: Any, s: Any) -> Any:
        a, b, c = ops.split(s @ U[:, :6], 3, axis=-1)
        h = ops.tanh(x[:, :2] * ops.sigmoid(a) + ops.sigmoid(b) * ops.tanh(c))
        return h, ops.concatenate([h, h], axis=-1)

    def calls(*leave_out: str) -> int:
        found, _ = trace(step, X, S)
        optimise(found, leave_out, wide=True)
        return len(looped(found))

    assert calls("side_by_side") - calls() == 4  # the four operations of the second sigmoid


def test_slices_of_a_gradient_are_joined_not_padded() -> None:
    def step(x: Any, s: Any) -> Any:
        return x[:, :1] * x[:, 1:2] * x[:, 2:], s

    found, _ = trace(step, X, S, wants_inputs=[True])
    simplified(found)
    gradient = found.d_inputs[0]
    assert gradient is not None
    assert gradient.op == "concatenate"
    assert not any(s.op in ("place", "zeros") for s in ancestors([gradient]))


def test_a_step_of_gates_is_one_kernel_each_way() -> None:
    schedule = partition(traced(gated, *[p.__name__ for p in FORMS]))
    groups = fuse(schedule)
    assert [g.region for g in groups] == [Region.STEP, Region.BACK_STEP]
    storage = Storage(schedule, inner_values(schedule, groups), groups)
    steps = [s for s in storage.stores if s.kind is Kind.STEP]
    assert [s.width for s in steps] == [8]  # the product of state and weights, nothing else


def normalised(x: Any, s: Any) -> Any:
    z = x @ W[:, :4] + s @ R
    centred = z - ops.mean(z, axis=-1, keepdims=True)
    h = centred / ops.sqrt(ops.mean(ops.square(centred), axis=-1, keepdims=True) + 1e-5) * B[:4]
    return h, ops.tanh(h)


def test_sums_of_rows_are_loops_of_one_kernel() -> None:
    found, _ = trace(normalised, X, S, wants_inputs=[True], wants_parameters=[True] * 3)
    optimise(found)
    groups = fuse(partition(found))
    steps = [g for g in groups if g.region is Region.STEP]
    assert len(steps) == 1
    (group,) = steps
    ops_of = [[o.value.op for o in group.operations if group.phases[o.value.id] == p] for p in range(-1, 3)]
    assert ["sum" in names for names in ops_of] == [False, True, True, False]
    assert "tanh" in ops_of[-1]


def test_gradients_of_biases_are_summed_up_where_they_are_computed() -> None:
    found, _ = trace(gated, X, S, wants_inputs=[True], wants_parameters=[True] * 3)
    optimise(found)
    totals = [g.totals for g in fuse(partition(found))]
    assert [s.shape for group in totals for s in group] == [(4,), (4,)]


def test_gradients_of_one_input_are_one_product() -> None:
    def sums(*leave_out: str) -> int:
        found, _ = trace(separate, X, S, wants_parameters=[True, True])
        optimise(found, leave_out)
        return products([s for s in ancestors(found.d_parameters) if not s.is_row])

    assert (sums("merged_gradients"), sums()) == (2, 1)


def test_rows_that_are_joined_twice_stand_once() -> None:
    """The gradients [r z n] of the input's products and [r z m] of the state's need four columns, not six."""

    def step(x: Any, s: Any) -> Any:
        wide = ops.concatenate([W, W[:, :4]], axis=1)
        deep = ops.concatenate([U, U[:, :4]], axis=1)
        (x_r, x_z, x_n), (h_r, h_z, h_n) = (ops.split(p, 3, axis=-1) for p in (x @ wide, s @ deep))
        h = ops.sigmoid(x_z + h_z) * ops.tanh(x_n + ops.sigmoid(x_r + h_r) * h_n)
        return h, h

    def copies(*leave_out: str) -> int:
        found, _ = trace(step, X, S, wants_inputs=[True], wants_parameters=[True, True])
        program = Program(found, np, Options(leave_out, emitter="numpy"))
        return program.source.count("copyto(")

    assert (copies("shared_rows"), copies()) == (2, 0)


def test_gates_stay_where_their_products_were() -> None:
    """Memory to keep for the backward pass: gates over the input's products, and nothing beside the state."""
    program = Program(traced(gated, *[p.__name__ for p in FORMS]), np, Options(emitter="numpy"))
    kept = [s for s in program.forward_stores if s.kind is Kind.SEQUENCE]
    assert [s.width for s in kept] == [8]


@pytest.mark.parametrize("emitter", ["numpy", "numba"])
def test_explain_prints_the_names_of_the_step(emitter: str, capsys: pytest.CaptureFixture[str]) -> None:
    if emitter == "numba":
        pytest.importorskip("numba")

    def step(x: Any, state: Any) -> Any:
        gate = ops.sigmoid(x @ W[:, :4] + state)
        return gate, gate * state

    explain(step, X, S, emitter=emitter)
    text = capsys.readouterr().out
    for word in (
        "gate = ",
        "the recurrence",
        "def forward(parameters, run)",
        "def backward",
        "d_W",
        "state_prev",
    ):
        assert word in text
    assert ("@kernel" in text) == (emitter == "numba")
