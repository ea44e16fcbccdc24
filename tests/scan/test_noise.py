"""Random numbers in a step: the same compiled and on the tape, on every backend, for any lengths and cuts."""

from typing import Any

import numpy as np
import pytest

import tinyseq
from tinyseq import Cell, Recurrent, Sequences, Tensor, noise, random, scan
from tinyseq.errors import ConfigError, ShapeError
from tinyseq.nn import Dropout, Parameter
from tinyseq.ops import concatenate, tanh
from tinyseq.scan.running.program import Options
from tinyseq.sequences import Layout
from tinyseq.testing.gradients import check_gradients

LENGTHS = [3, 6, 1, 6, 4]


class Noisy(Cell):
    """Every kind of noise at once, on the input, the state and a Parameter."""

    def __init__(self, input_size: int = 3, hidden_size: int = 4) -> None:
        self.input_size, self.output_size = input_size, hidden_size
        rng = np.random.default_rng(0)
        self.w_x = Parameter(rng.normal(size=(input_size, hidden_size)) * 0.5)
        self.w_h = Parameter(rng.normal(size=(hidden_size, hidden_size)) * 0.5)
        self.dropout = Dropout(0.25)

    def initial_state(self, batch_size: int) -> Any:
        return (self.zeros(batch_size, self.output_size),)

    def step(self, x: Tensor, state: Any) -> Any:
        (h,) = state
        if not self.training:
            return tanh(x @ self.w_x + h @ self.w_h), (tanh(x @ self.w_x + h @ self.w_h),)
        w_h = self.w_h * noise.mask(self.w_h, 0.5, kept=2.0, per="scan")
        x = x * noise.mask(x, 0.25, per="sequence")
        new = tanh(self.dropout(x) @ self.w_x + h @ w_h + 0.1 * noise.normal(h))
        kept = noise.mask(h, 0.4, per="step")
        h = kept * new + (1 - kept) * h
        return h, (h,)


def batch(lengths: list[int] = LENGTHS, width: int = 3, dtype: Any = np.float32) -> Sequences:
    """Sequences with numbers that depend on their place and step only."""
    rng = np.random.default_rng(1)
    whole = rng.normal(size=(len(lengths), 16, width)).astype(dtype)
    return Sequences.from_list([part[:n] for part, n in zip(whole, lengths, strict=True)])


def run(cell: Cell, xs: Sequences, **options: Any) -> tuple[Any, ...]:
    """Outputs, final state and gradients of a run from seed 5, as host arrays."""
    random.seed(5)
    for p in cell.parameters():
        p.grad = None
    ys, (final,) = scan(cell, xs, **options)
    ((ys.data**2).sum() + (final * 3).sum()).backward()
    return ys.data.numpy(), final.numpy(), *[p.grad.numpy() for p in cell.parameters()]


def assert_close(a: tuple[Any, ...], b: tuple[Any, ...], tolerance: float = 1e-5) -> None:
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("lengths", [LENGTHS, [4, 4, 4], [1], [7]])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("emitter", ["numpy", "kernels"])
def test_compiled_noise_is_that_of_the_tape(
    lengths: list[int], reverse: bool, emitter: str, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if emitter == "kernels":
        emitter = {"numpy": "numba", "cupy": "cuda"}[backend]
    if emitter == "numba":
        pytest.importorskip("numba")
    monkeypatch.setenv("TINYSEQ_EMITTER", emitter)
    cell, xs = Noisy(), batch(lengths)
    tape = run(cell, xs, reverse=reverse, compiled=False)
    assert_close(run(cell, xs, reverse=reverse, compiled=True), tape)
    assert_close(run(cell, xs, reverse=reverse, compiled=True, checkpoint=2), tape)


def test_a_step_says_nothing_of_noise_until_it_asks() -> None:
    """Evaluation draws nothing: the generator stands where it stood; training takes one number for a scan."""
    cell, xs = Noisy(), batch()
    random.seed(3)
    before = random.get_state()
    scan(cell.eval(), xs)
    assert random.get_state() == before
    for compiled in (True, False):
        random.seed(3)
        scan(cell.train(), xs, compiled=compiled)
        after = random.get_state()
        random.seed(3)
        random.generator().integers(2**63)
        assert after == random.get_state()


class Shows(Cell):
    """Gives the noise that it gets as its output."""

    def __init__(self, per: noise.Per, p: float | None = 0.5, width: int = 2) -> None:
        self.input_size, self.output_size, self.per, self.p = width, width, per, p
        self.one = Parameter(np.ones(width))

    def initial_state(self, batch_size: int) -> Any:
        return (self.zeros(batch_size, 1),)

    def step(self, x: Tensor, state: Any) -> Any:
        like = self.one if self.per == "scan" else x
        drawn = noise.normal(like, per=self.per) if self.p is None else noise.mask(like, self.p, per=self.per)
        return x * 0 + drawn, state


def shown(per: noise.Per, lengths: list[int], p: float | None = 0.5, width: int = 2, **options: Any) -> Any:
    random.seed(11)
    return scan(Shows(per, p, width), batch(lengths, width), **options)[0].to_list()


@pytest.mark.parametrize("compiled", [True, False])
def test_masks_last_as_long_as_they_are_said_to(compiled: bool) -> None:
    options = {"compiled": compiled, "width": 64}
    for y in shown("scan", LENGTHS, **options):
        np.testing.assert_array_equal(
            y.numpy(), np.tile(shown("scan", [1], **options)[0].numpy(), (len(y), 1))
        )
    a, b = shown("sequence", [5, 5], **options)
    assert (a.numpy() == a.numpy()[0]).all()
    assert (b.numpy() == b.numpy()[0]).all()
    assert (a.numpy() != b.numpy()).any(), "two sequences have masks of their own"
    a, b = shown("step", [5, 5], **options)
    rows = np.concatenate([a.numpy(), b.numpy()])
    assert len(np.unique(rows, axis=0)) == 10, "every row of every step has a mask of its own"


@pytest.mark.parametrize("per", ["step", "sequence", "scan"])
def test_noise_of_a_step_depends_on_no_length(per: noise.Per) -> None:
    """Sequence i gets the same at its step t whatever the lengths are: packing and sorting do not matter."""
    whole = shown(per, [7] * 5, width=8)
    for lengths in (LENGTHS, LENGTHS[::-1], [1, 2, 3, 4, 5]):
        for short, long in zip(shown(per, lengths, width=8), whole, strict=True):
            np.testing.assert_array_equal(short.numpy(), long.numpy()[: len(short)])


def test_two_requests_and_two_scans_have_numbers_of_their_own() -> None:
    cell, xs = Shows("sequence", width=64), batch([2], 64)
    random.seed(0)
    first, second = (scan(cell, xs)[0].data.numpy() for _ in range(2))
    assert (first != second).any()

    def twice(x: Tensor, s: Tensor) -> Any:
        return concatenate([noise.mask(x, 0.5), noise.mask(x, 0.5)], axis=-1), s

    y = scan(twice, xs, Tensor(np.zeros((1, 1), "f")))[0].data.numpy()
    assert (y[:, :64] != y[:, 64:]).any()


@pytest.mark.parametrize("per", ["step", "sequence", "scan"])
def test_how_often_and_how_much(per: noise.Per) -> None:
    """With p = 0.3 the share of zeros is within 4.5 standard errors; moments of normal ones likewise."""
    width, lengths = 100_000 if per == "scan" else 1_000, [1] if per == "scan" else [10] * 20
    values = np.concatenate([y.numpy() for y in shown(per, lengths, 0.3, width)])
    n = np.unique(values).tolist()
    independent = values.size if per == "step" else 20_000 if per == "sequence" else width
    assert n == [0.0, 1.0]
    assert abs((values == 0).mean() - 0.3) < 4.5 * np.sqrt(0.21 / independent)
    values = np.concatenate([y.numpy() for y in shown(per, lengths, None, width)])
    assert abs(values.mean()) < 4.5 / np.sqrt(independent)
    assert abs(values.var() - 1) < 4.5 * np.sqrt(2 / independent)


def test_dropout_in_a_step_keeps_the_expectation() -> None:
    class Drops(Shows):
        def __init__(self) -> None:
            super().__init__("step", width=1000)
            self.dropout = Dropout(0.2)

        def step(self, x: Tensor, state: Any) -> Any:
            return self.dropout(x * 0 + 1), state

    random.seed(1)
    y = scan(Drops(), batch([10] * 20, 1000), compiled=True)[0].data.numpy()
    assert sorted(np.unique(y).tolist()) == [0.0, 1.25]
    assert abs(y.mean() - 1) < 4.5 * 0.5 / np.sqrt(y.size)
    assert (scan(Drops().eval(), batch([10] * 20, 1000), compiled=True)[0].data.numpy() == 1).all()


@pytest.mark.parametrize("order", [1, 2])
def test_derivatives_through_noise(order: int) -> None:
    cell = Noisy().to("float64")
    xs = batch([2, 3], dtype=np.float64)

    def loss() -> Tensor:
        random.seed(2)
        return (scan(cell, xs)[0].data ** 2).sum()

    check_gradients(loss, [*cell.parameters()], order=order, tolerance=1e-6)


def test_going_on_from_a_state_of_the_generator() -> None:
    cell, xs = Noisy(), batch()
    random.seed(4)
    scan(cell, xs)
    state = random.get_state()
    after = scan(cell, xs)[0].data.numpy()
    random.set_state(state)
    np.testing.assert_array_equal(scan(cell, xs)[0].data.numpy(), after)


def test_a_function_recomputed_for_its_gradient_draws_the_same() -> None:
    cell, xs = Noisy().to("float64"), batch(dtype=np.float64)
    found = []
    for wrapped in (lambda f: f, lambda f: lambda x: tinyseq.checkpoint(f, x)):
        random.seed(6)
        x = Tensor(xs.data.numpy(), requires_grad=True)
        y = wrapped(lambda rows: scan(cell, xs.with_data(rows))[0].data)(x)
        (y**2).sum().backward()
        assert x.grad is not None
        found.append(x.grad.numpy())
    np.testing.assert_allclose(*found, rtol=1e-12)


def test_reading_one_step_at_a_time_keeps_the_masks_of_a_sequence() -> None:
    for per, kinds in (("sequence", 1), ("scan", 1), ("step", 6)):
        cell = Shows(per, width=64)  # type: ignore[arg-type]
        step = Recurrent(cell).stream(cell.initial_state(2))
        rows = [step(Tensor(np.ones((2, 64), "f"))).numpy() for _ in range(6)]
        assert len(np.unique(rows, axis=0)) == kinds


def test_errors_say_what_to_write() -> None:
    x = Tensor(np.ones((2, 3), "f"))
    with pytest.raises(ConfigError, match="p is the probability of a 0, between 0 and 1"):
        noise.mask(x, 1.5)
    with pytest.raises(ConfigError, match='choose "step", "sequence" or "scan"'):
        noise.normal(x, per="token")  # type: ignore[arg-type]

    class Wrong(Noisy):
        def step(self, x: Tensor, state: Any) -> Any:
            return x, (state[0] @ (self.w_h * noise.mask(self.w_h, 0.5)),)

    with pytest.raises(ShapeError, match='say per="scan" for a Parameter'):
        scan(Wrong(), batch(), compiled=True)
    scan(Wrong(), batch(), compiled=False)  # where each step may have a mask of its own

    class Worse(Noisy):
        def step(self, x: Tensor, state: Any) -> Any:
            return x, (state[0] @ (self.w_h * noise.mask(self.w_h, 0.5, per="sequence")),)

    for compiled in (True, False):
        with pytest.raises(ShapeError, match='say per="scan" for a Parameter'):
            scan(Worse(), batch(), compiled=compiled)


def test_outside_of_a_scan_each_call_draws() -> None:
    x = Tensor(np.ones((2, 64), "f"))
    random.seed(0)
    a, b = noise.mask(x, 0.5).numpy(), noise.mask(x, 0.5).numpy()
    assert (a != b).any()
    random.seed(0)
    np.testing.assert_array_equal(noise.mask(x, 0.5).numpy(), a)


def test_cutting_rows_over_threads_changes_nothing() -> None:
    pytest.importorskip("numba")
    from tinyseq.scan.running.compiled import run as compiled_run

    cell, layout = Noisy(8, 16), Layout([9] * 12)
    xs = Tensor(np.random.default_rng(0).normal(size=(layout.total, 8)).astype("f"))
    state = (cell.zeros(12, 16),)
    found = []
    for options in (
        Options(emitter="numpy"),
        Options(emitter="numba"),
        Options(emitter="numba", whole=False),
    ):
        random.seed(8)
        found.append(compiled_run(cell.step, xs, state, layout, options=options)[0].numpy())
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], atol=1e-5)


@pytest.mark.parametrize("per", ["sequence", "scan", "step"])
@pytest.mark.parametrize("inner", [True, False])
def test_a_scan_inside_a_step_has_the_masks_of_the_outer_one(per: noise.Per, inner: bool) -> None:
    """As a decoder runs its recurrence for each symbol: a mask that lasts a sequence lasts the outer one."""
    cell = Shows(per, width=64)

    def step(x: Tensor, state: Any) -> Any:
        ys, state = scan(cell, x.reshape(-1, 1, 64), state, compiled=inner)
        return ys.reshape(-1, 64), state

    random.seed(3)
    xs = batch([4, 6, 2], 64)
    ys = scan(step, xs, cell.initial_state(3), compiled=False)[0].to_list()
    rows = [y.numpy() for y in ys]
    for y in rows:
        assert len(np.unique(y, axis=0)) == (len(y) if per == "step" else 1)
    assert (rows[0][0] == rows[1][0]).all() == (per == "scan")
