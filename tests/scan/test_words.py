"""Every op that a compiled step may have, beside the same step on the tape."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyseq
from tinyseq import Tensor, ops
from tinyseq.backend.symbols import POINTWISE
from tinyseq.errors import TraceError
from tinyseq.nn import Parameter
from tinyseq.scan.emitters.cuda import groups
from tinyseq.scan.emitters.numba import kernel_source

SQUARE = Parameter(np.linspace(-1, 1, 9).reshape(3, 3))
WIDE = Parameter(np.linspace(-1, 1, 36).reshape(6, 6)[::-1].copy())
PARAMETERS = [SQUARE, WIDE]


def pairs(x: Any) -> Any:
    return x.reshape(-1, 2, 3)


def flat(x: Any) -> Any:
    return x.reshape(-1, 6)


STEPS: dict[str, Callable[[Any, Any], Any]] = {
    "argsort": lambda x, h: x * ops.argsort(h, -1),
    "cos": lambda x, h: ops.cos(x + h),
    "cumsum": lambda x, h: ops.cumsum(x + h, -1) * 0.1,
    "einsum, a matrix for all": lambda x, h: flat(ops.einsum("bwc,cd->bwd", pairs(x + h), SQUARE)),
    "einsum, the matrix first": lambda x, h: flat(ops.einsum("cd,bwd->bwc", SQUARE, pairs(x + h))),
    "einsum, outer": lambda x, h: ops.einsum("bi,bj->bij", x, h).sum(axis=1) * 0.1,
    "einsum, rows with rows": lambda x, h: flat(
        ops.einsum("bwc,bvc,bvd->bwd", pairs(x), pairs(h), pairs(x)) * 0.1
    ),
    "elu": lambda x, h: ops.elu(x + h),
    "erf": lambda x, h: ops.erf(x + h),
    "gelu": lambda x, h: ops.gelu(x + h),
    "gelu, tanh": lambda x, h: ops.gelu(x + h, "tanh"),
    "hard_sigmoid": lambda x, h: ops.hard_sigmoid(x + h),
    "leaky_relu": lambda x, h: ops.leaky_relu(x + h),
    "log_sigmoid": lambda x, h: ops.log_sigmoid(x + h),
    "logaddexp": lambda x, h: ops.logaddexp(x, h),
    "matmul, a matrix for several vectors": lambda x, h: flat(pairs(x + h) @ SQUARE),
    "norm": lambda x, h: x / (1 + ops.norm(h, axis=-1, keepdims=True)),
    "one_hot": lambda x, h: ops.one_hot(ops.argmax(h, -1), 6, dtype="float64") * x,
    "outer": lambda x, h: ops.outer(SQUARE[0], SQUARE[1, :2]).reshape(6) * x + 0.1 * h,
    "pad": lambda x, h: ops.pad((x + h)[:, :4], ((0, 0), (1, 1))),
    "prod": lambda x, h: x * ops.prod(ops.tanh(h), -1, keepdims=True),
    "repeat": lambda x, h: ops.repeat((x + h)[:, :3], 2, axis=-1) * 0.1,
    "roll": lambda x, h: ops.roll(x + h, 2, -1) * 0.1,
    "sign": lambda x, h: ops.sign(x + h) * x,
    "silu": lambda x, h: ops.silu(x + h),
    "sin": lambda x, h: ops.sin(x + h),
    "softmax_cross_entropy": lambda x, h: x * ops.softmax_cross_entropy(h, ops.argmax(x, -1))[:, None],
    "sort": lambda x, h: ops.sort(x + h) * 0.1,
    "std": lambda x, h: x * ops.std(h, -1, keepdims=True),
    "tensordot": lambda x, h: ops.tensordot(x + h, WIDE, 1) * 0.1,
    "tile": lambda x, h: ops.tile((x + h)[:, :3], (1, 2)),
    "top_k": lambda x, h: ops.tile(ops.top_k(x + h, 3)[0], (1, 2)) * 0.1,
    "tril": lambda x, h: flat(ops.tril(pairs(x + h), 1)) * 0.3,
    "triu": lambda x, h: flat(ops.triu(pairs(x + h))) * 0.3,
}


@pytest.fixture(autouse=True)
def _beside_the_arrays(backend: str) -> None:
    """The step's constants on the backend in use."""
    for parameter in PARAMETERS:
        parameter.data = tinyseq.backend.backend().asarray(tinyseq.backend.to_numpy(parameter.data))


def run(formula: Callable[[Any, Any], Any], compiled: bool) -> list[Any]:
    """Outputs, final state and all gradients."""

    def step(x: Any, h: Any) -> Any:
        y = formula(x, h)
        return y, 0.5 * h + y

    rng = np.random.default_rng(1)
    xs, h = (Tensor(rng.normal(size=shape), requires_grad=True) for shape in ((4, 5, 6), (4, 6)))
    ys, final = tinyseq.scan(step, xs, h, compiled=compiled)
    found = tinyseq.grad((ys * ys).sum() + final.sum(), [xs, h, *PARAMETERS], allow_unused=True)
    return [t.numpy() for t in (ys, final, *[g for g in found if g is not None])]


@pytest.mark.parametrize("emitter", ["numpy", "numba", "cuda"])
@pytest.mark.parametrize("name", STEPS)
def test_a_compiled_step_is_the_step_on_the_tape(
    name: str, emitter: str, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if emitter == "numba":
        if backend != "numpy":
            pytest.skip("numba compiles for NumPy")
        pytest.importorskip("numba")
    if emitter == "cuda" and backend != "cupy":
        pytest.skip("CuPy runs kernels for GPUs")
    monkeypatch.setenv("TINYSEQ_EMITTER", emitter)
    tinyseq.clear_cache()
    expected, got = run(STEPS[name], False), run(STEPS[name], True)
    assert len(expected) == len(got)
    for a, b in zip(expected, got, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("texts", [groups.TEXTS, kernel_source.TEXTS], ids=["cuda", "numba"])
def test_no_emitter_lacks_a_word(texts: dict[str, str]) -> None:
    assert set(texts) == set(POINTWISE)


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        (lambda x, h: ops.cumsum(x + h, 0), "cumsum() along axis 0"),
        (lambda x, h: ops.sort(x + h, 0), "argsort() along axis 0"),
        (lambda x, h: ops.tril(x + h), "no matrices (rows, n, m)"),
    ],
)
def test_what_would_mix_sequences_is_refused(formula: Any, said: str) -> None:
    with pytest.raises(TraceError) as error:
        run(formula, True)
    assert said in str(error.value)
