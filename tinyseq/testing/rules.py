"""An op's rule in all its uses."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyseq.backend import WORDS, backend
from tinyseq.engine import Tensor, grad, higher_order, make_tensor
from tinyseq.ops import multiply
from tinyseq.testing.gradients import check_gradients


def check_rule(op: Callable[..., Any], *args: Any, tolerance: float = 1e-7, **static: Any) -> None:
    """Check an op made with `primitive` in every way in which the engine uses its rule.

    args: NumPy arrays, of which the floating-point ones are differentiated, lists of such, and anything else
    that `op` takes. Values must be nowhere near a kink: see `spread`. Compared or checked are

    - first and second derivatives with differences, in float64;
    - the rule on Tensors (`create_graph=True`) with the rule on arrays;
    - gradients when only one of several outputs is used;
    - dtypes: from float32 comes float32, in values and in gradients of both orders;
    - results: Tensors, with shapes that the sweep accepts, and incoming gradients left as they were.

    Raises AssertionError where one of them fails.
    """
    exact, leaves = _on_tape(args, np.float64)
    check_gradients(lambda: op(*exact, **static), leaves, tolerance=tolerance)
    for dtype, close in ((np.float64, 1e-12), (np.float32, 1e-4)):
        _check_uses(lambda *xs: op(*xs, **static), args, dtype, close)


def _check_uses(op: Callable[..., Any], args: tuple[Any, ...], dtype: Any, close: float) -> None:
    rng = np.random.default_rng(0)
    with higher_order():
        given, leaves = _on_tape(args, dtype)
        # The gradients of leaves get their leaf's dtype; one op further on, they are what the rule made them.
        inner = [multiply(leaf, 1.0) for leaf in leaves]
        result = op(*_replaced(given, dict(zip(map(id, leaves), inner, strict=True))))
        outputs = list(result) if isinstance(result, list | tuple) else [result]
        for y in outputs:
            assert isinstance(y, Tensor), f"{type(y).__name__} came out, no Tensor."
            assert type(y.data) in WORDS, f"{type(y.data).__name__} came out, no array."
            assert y.dtype in (dtype, bool) or y.dtype.kind in "iu", f"{dtype.__name__} became {y.dtype}."
        outputs = [y for y in outputs if y.source is not None]
        choices = [[y] for y in outputs] + ([outputs] if len(outputs) > 1 else [])
        for chosen in choices:
            seeds = [rng.normal(size=y.shape).astype(dtype) for y in chosen]
            sent = [_read_only(seed) for seed in seeds]
            plain = grad(chosen, inner, sent, retain_graph=True, allow_unused=True)
            lifted = grad(chosen, inner, sent, create_graph=True, allow_unused=True)
            for seed, g in zip(seeds, sent, strict=True):
                assert np.array_equal(seed, g.numpy()), "the pullback changed the gradient it was given."
            for p, q in zip(plain, lifted, strict=True):
                assert (p is None) == (q is None), "a gradient exists on arrays or on Tensors alone."
                if p is not None:
                    assert p.dtype == q.dtype == dtype, f"{dtype.__name__} has a gradient of {p.dtype}."
                    np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=close, atol=close)
            again = [q for q in lifted if q is not None and q.source is not None]
            if again:
                second = grad(again, inner, again, retain_graph=True, allow_unused=True)
                assert all(h is None or h.dtype == dtype for h in second), (
                    "a second derivative's dtype changed."
                )


def _on_tape(args: tuple[Any, ...], dtype: Any) -> tuple[list[Any], list[Tensor]]:
    """The arguments as Tensors, and those that are differentiated."""
    leaves: list[Tensor] = []

    def lifted(arg: Any) -> Any:
        if isinstance(arg, list) and arg and isinstance(arg[0], np.ndarray):
            return [lifted(part) for part in arg]
        if not isinstance(arg, np.ndarray | np.generic):
            return arg
        if arg.dtype.kind != "f":
            return Tensor(arg)
        leaves.append(Tensor(arg, dtype, requires_grad=True))
        return leaves[-1]

    return [lifted(arg) for arg in args], leaves


def _replaced(args: list[Any], new: dict[int, Tensor]) -> list[Any]:
    return [_replaced(a, new) if isinstance(a, list) else new.get(id(a), a) for a in args]


def _read_only(values: Any) -> Tensor:
    array = backend().asarray(values.copy())
    if isinstance(array, np.ndarray):  # CuPy has no such flag
        array.flags.writeable = False
    return make_tensor(array, None)
