"""Each way in which a compiled step once went wrong, or could: compiled equals the tape."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinyseq import Tensor, ops
from tinyseq.ops import concatenate, maximum, sigmoid, split, tanh, where
from tinyseq.scan import eager
from tinyseq.scan.emitters.numba import products
from tinyseq.scan.running import compiled
from tinyseq.scan.running.program import Options
from tinyseq.sequences import Layout

W = Tensor(np.random.default_rng(0).normal(size=(4, 4)) * 0.5, requires_grad=True)
B = Tensor(np.random.default_rng(1).normal(size=4) * 0.5, requires_grad=True)
Step = Callable[[Any, Any], tuple[Any, Any]]


def swapped(x: Any, s: Any) -> Any:
    return x, (s[1], s[0])


def delay_line(x: Any, s: Any) -> Any:
    return s[1], (tanh(x @ W), s[0])


def ring(x: Any, s: Any) -> Any:
    return s[0] * s[1], (tanh(s[1] + x), tanh(s[0] @ W))


def output_is_the_state_before(x: Any, s: Any) -> Any:
    return s[0], (tanh(x + s[0] @ W), s[1])


def output_is_the_input(x: Any, s: Any) -> Any:
    return x, (tanh(x + s[0]), s[1] * 0.5)


def output_is_a_part_of_a_state(x: Any, s: Any) -> Any:
    h = tanh(x @ W + s[0])
    return h[:, 1:3], (h, s[1])


def one_value_is_two_states_and_the_output(x: Any, s: Any) -> Any:
    h = tanh(x + s[0] @ W + s[1])
    return h, (h, h)


def carried_cotangent_is_read_after_the_loop(x: Any, s: Any) -> Any:
    return s[0] * 2.0, (s[0] * B + x, s[1])


def cotangent_that_no_cotangent_feeds(x: Any, s: Any) -> Any:
    return s[0] * s[0], (x * 1.0, s[1])


def state_that_is_forgotten(x: Any, s: Any) -> Any:
    return tanh(x @ W), (x * 2.0, tanh(x))


def nothing_in_the_loop(x: Any, s: Any) -> Any:
    return tanh(x) @ W, (s[0], s[1])


def no_parameters(x: Any, s: Any) -> Any:
    return tanh(s[0] - s[1]), (tanh(x + s[1]), s[0] * 0.5)


def names_of_its_own(x: Any, s: Any) -> Any:
    run, xp, parameters, matmul, row, j, real = x, s[0], s[1], x * 2.0, x * 3.0, x * 4.0, x * 5.0
    lambda_ = tanh(run + xp @ W + matmul + row + j + real)
    return lambda_, (lambda_, parameters)


def gates_of_other_widths(x: Any, s: Any) -> Any:
    a, b = split(concatenate([x, s[0]], axis=-1) @ concatenate([W, W], axis=0), 2, axis=-1)
    z = concatenate([sigmoid(a), tanh(b)], axis=-1)
    return b, (z * s[0], tanh(z + s[1]))


def unequal_slices_of_one_value(x: Any, s: Any) -> Any:
    z = x @ W + s[0]
    return z[:, :1] * z[:, 1:], (tanh(concatenate([z[:, 1:], z[:, :1]], axis=-1)), s[1])


def output_that_the_backward_pass_reads(x: Any, s: Any) -> Any:
    return tanh(s[0] @ W), (tanh(x + s[0]), s[1])


def output_joined_from_parts(x: Any, s: Any) -> Any:
    return concatenate([tanh(x), tanh(s[0] @ W)], axis=-1), (tanh(x + s[0]), s[1])


def two_outputs_of_one_value(x: Any, s: Any) -> Any:
    y = tanh(s[0] @ W)
    return (y, y), (tanh(x + s[0]), s[1])


def choices(x: Any, s: Any) -> Any:
    h = where(x > s[0], maximum(x, 0.0), s[0] @ W)
    return h, (tanh(h), where(s[1] > 0, s[1] * 0.5, x))


def parameters_alone(x: Any, s: Any) -> Any:
    return x * tanh(B), (tanh(x + s[0] @ (W * 0.5)) * sigmoid(B), s[1])


def output_that_looks_like_a_view(x: Any, s: Any) -> Any:
    z = x * 2.0
    return z[:, ::-1], (tanh(z + s[0]), tanh(z))


def numbers_that_add_up(x: Any, s: Any) -> Any:
    return 0.3 + (0.5 + (0.25 + s[0])), (tanh(x + s[0]), s[1])


def three_products_of_one_state(x: Any, s: Any) -> Any:
    r, z = sigmoid(x + s[0] @ W), sigmoid(s[0] @ (W * 0.5) + B)
    h = (1 - z) * s[0] + z * tanh(s[0] @ (W * 0.3) + (r * s[0]) @ W)
    return h, (h, s[1])


def heads(x: Any, s: Any) -> Any:
    q, k = ops.reshape(x, (-1, 2, 2)), ops.reshape(s[0], (-1, 2, 2))
    mixed = ops.softmax(ops.sum(q * k, axis=-1), axis=-1)
    return mixed, (ops.reshape(tanh(q + ops.expand_dims(mixed, -1)), (-1, 4)), s[1])


def one_column_times_a_row(x: Any, s: Any) -> Any:
    h = tanh(x + s[0] @ W)
    return h * h[:, 1:2], (h[:, 3:] * tanh(h), s[1])


def normalised(x: Any, s: Any) -> Any:
    z = x + s[0] @ W
    centred = z - ops.mean(z, axis=-1, keepdims=True)
    h = centred / ops.sqrt(ops.mean(centred * centred, axis=-1, keepdims=True) + 0.1) * B
    return h, (tanh(h), s[1] * ops.sum(h, axis=-1, keepdims=True))


def sums_of_rows_and_one_of_their_columns(x: Any, s: Any) -> Any:
    total = ops.sum(tanh(x + s[0]), axis=-1, keepdims=True)
    again = ops.sum(s[1] * total, axis=-1, keepdims=True)
    h = tanh(s[0] * again + total)
    return again - total, (h, s[1] * h[:, :1] + again * B)


def gradients_that_are_joined_twice(x: Any, s: Any) -> Any:
    wide = concatenate([W, W * 0.5, W * 0.3], axis=1)
    (x_r, x_z, x_n), (h_r, h_z, h_n) = split(x @ wide, 3, axis=-1), split(s[0] @ wide, 3, axis=-1)
    h = sigmoid(x_z + h_z) * tanh(x_n + sigmoid(x_r + h_r) * h_n + B)
    return h, (h, s[1])


def gradients_that_are_joined_twice_from_the_other_end(x: Any, s: Any) -> Any:
    wide = concatenate([W, W * 0.5, W * 0.3], axis=1)
    (x_n, x_r, x_z), (h_n, h_r, h_z) = split(x @ wide, 3, axis=-1), split(s[0] @ wide, 3, axis=-1)
    h = sigmoid(x_z + h_z) * tanh(x_n + sigmoid(x_r + h_r) * h_n + B)
    return h, (h, s[1])


def a_product_and_nothing_else(x: Any, s: Any) -> Any:
    return x, (s[0] @ W, s[1] @ (W * 0.5))


STEPS: list[Step] = [
    swapped, delay_line, ring, output_is_the_state_before, output_is_the_input, output_is_a_part_of_a_state,
    one_value_is_two_states_and_the_output, carried_cotangent_is_read_after_the_loop,
    cotangent_that_no_cotangent_feeds, state_that_is_forgotten, nothing_in_the_loop, no_parameters,
    names_of_its_own, gates_of_other_widths, unequal_slices_of_one_value, output_that_the_backward_pass_reads,
    output_joined_from_parts, two_outputs_of_one_value, choices, parameters_alone,
    output_that_looks_like_a_view, numbers_that_add_up, three_products_of_one_state, heads,
    one_column_times_a_row, normalised, sums_of_rows_and_one_of_their_columns,
    gradients_that_are_joined_twice, gradients_that_are_joined_twice_from_the_other_end,
    a_product_and_nothing_else,
]  # fmt: skip


def outcome(run: Any, step: Step, lengths: list[int], reverse: bool, **extra: Any) -> list[np.ndarray]:
    """Outputs, final states, and the gradients of inputs, initial states and parameters."""
    rng = np.random.default_rng(7)
    layout = Layout(lengths)
    leaf = lambda *shape: Tensor(rng.normal(size=shape), requires_grad=True)
    x, state = leaf(layout.total, 4), (leaf(layout.batch, 4), leaf(layout.batch, 4))
    for p in (W, B):
        p.grad = None
    ys, final = run(step, x, state, layout, reverse=reverse, **extra)
    ys = ys if isinstance(ys, tuple) else (ys,)
    results = [*ys, *final]
    loss = sum(ops.sum(t * Tensor(rng.normal(size=t.shape))) for t in results)
    loss.backward()
    leaves = (x, *state, W, B)
    grads = [np.zeros(t.shape) if t.grad is None else t.grad.numpy() for t in leaves]
    return [t.numpy() for t in results] + grads


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", [[3, 3], [1], [4, 1, 2, 2]], ids=str)
@pytest.mark.parametrize("step", STEPS, ids=lambda f: f.__name__)
def test_equals_the_tape(
    step: Step, lengths: list[int], reverse: bool, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if backend != "numpy":
        pytest.skip("the parameters of these steps are NumPy's; fuzzed steps run on every backend")
    wanted = outcome(eager.run, step, lengths, reverse)
    for options in (Options(), Options(reuse=False), Options(whole=False), None):
        # the last as in a batch of few rows, for which weights are not packed
        monkeypatch.setattr(products, "LEAST_ROWS", 0 if options else 64)
        for got, want in zip(
            outcome(compiled.run, step, lengths, reverse, options=options), wanted, strict=True
        ):
            np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-12)
