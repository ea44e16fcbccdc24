"""The first three derivatives of ops and of small models, against PyTorch's in float64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinyseq import Tensor, grad, higher_order, ops
from tinyseq.testing import spread

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install '.[test-peers]'")

functional = torch.nn.functional
IDS = np.array([2, 0, 2, 1])


def lstm(f: Any, split: Callable[[Any], Any], x: Any, w: Any, b: Any) -> Any:
    """Three steps, each fed with the same input."""
    h = c = x[:, :1] * 0
    for _ in range(3):
        i, g, o, forget = split(f.concatenate([x, h], -1) @ w + b)
        c = f.sigmoid(forget + 1) * c + f.sigmoid(i) * f.tanh(g)
        h = f.sigmoid(o) * f.tanh(c)
    return h


def layer_norm(x: Any, weight: Any, bias: Any) -> Any:
    centred = x - x.mean(-1, keepdim=True)
    return centred / torch.sqrt((centred * centred).mean(-1, keepdim=True) + 1e-5) * weight + bias


# Shapes of the arguments; ours; PyTorch's.
CASES: dict[str, tuple[tuple[tuple[int, ...], ...], Callable[..., Any], Callable[..., Any]]] = {
    "arithmetic": (
        ((3, 4), (4,)),
        lambda x, y: x * y / (1 + x * x) - y,
        lambda x, y: x * y / (1 + x * x) - y,
    ),
    "tanh": (((3, 4),), ops.tanh, torch.tanh),
    "sigmoid": (((3, 4),), ops.sigmoid, torch.sigmoid),
    "softplus": (((3, 4),), ops.softplus, functional.softplus),
    "exp": (((3, 4),), lambda x: ops.exp(ops.expm1(x)), lambda x: torch.exp(torch.expm1(x))),
    "log": (((3, 4),), lambda x: ops.log(1 + x * x), lambda x: torch.log(1 + x * x)),
    "sqrt": (((3, 4),), lambda x: ops.sqrt(1 + x * x), lambda x: torch.sqrt(1 + x * x)),
    "power": (((3, 4), (4,)), lambda x, p: (1 + x * x) ** p, lambda x, p: (1 + x * x) ** p),
    "abs": (((3, 4),), lambda x: ops.abs(x) ** 3, lambda x: torch.abs(x) ** 3),
    "relu": (((3, 4),), lambda x: ops.relu(x) ** 3, lambda x: torch.relu(x) ** 3),
    "maximum": (((3, 4), (4,)), lambda x, y: ops.maximum(x, y) ** 3, lambda x, y: torch.maximum(x, y) ** 3),
    "max": (((3, 4),), lambda x: x.max(axis=1) ** 3, lambda x: x.amax(1) ** 3),
    "matmul": (((2, 3, 4), (4, 2)), lambda a, b: (a @ b) ** 3, lambda a, b: (a @ b) ** 3),
    "matmul-vector": (((2, 3, 4), (4,)), lambda a, b: (a @ b) ** 3, lambda a, b: (a @ b) ** 3),
    "var": (((3, 4),), lambda x: x.var(axis=0) ** 2, lambda x: x.var(0, correction=0) ** 2),
    "logsumexp": (((3, 4),), lambda x: ops.logsumexp(x, axis=1), lambda x: torch.logsumexp(x, 1)),
    "softmax": (((3, 4),), ops.softmax, lambda x: torch.softmax(x, -1)),
    "log_softmax": (((3, 4),), ops.log_softmax, lambda x: torch.log_softmax(x, -1)),
    "cross-entropy": (
        ((4, 3),),
        lambda x: ops.softmax_cross_entropy(x, Tensor(IDS)),
        lambda x: functional.cross_entropy(x, torch.from_numpy(IDS), reduction="none"),
    ),
    "layer_norm": (
        ((3, 4), (4,), (4,)),
        ops.layer_norm,
        layer_norm,  # torch's own has a third derivative unlike its formula's, and unlike differences
    ),
    "l2_normalize": (((3, 4),), ops.l2_normalize, functional.normalize),
    "take": (((3, 4),), lambda x: ops.take(x, IDS, 0) ** 3, lambda x: x[torch.from_numpy(IDS)] ** 3),
    "take_along_axis": (
        ((4, 3),),
        lambda x: ops.take_along_axis(x, IDS[:, None], 1) ** 3,
        lambda x: x.gather(1, torch.from_numpy(IDS[:, None])) ** 3,
    ),
    "shapes": (
        ((4, 3),),
        lambda x: ops.stack(ops.split(ops.flip(x.T, 1), 2, axis=1)) ** 3,
        lambda x: torch.stack(torch.split(torch.flip(x.T, (1,)), 2, 1)) ** 3,
    ),
    "lstm": (
        ((2, 3), (4, 4), (4,)),
        lambda x, w, b: lstm(ops, lambda z: ops.split(z, 4, axis=-1), x, w, b),
        lambda x, w, b: lstm(torch, lambda z: torch.split(z, 1, -1), x, w, b),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_three_derivatives(name: str) -> None:
    shapes, ours, theirs = CASES[name]
    rng = np.random.default_rng(0)
    arrays = [spread(rng, shape) for shape in shapes]
    y = ours(*[Tensor(a) for a in arrays])
    weights = rng.normal(size=y.shape)
    directions = [[rng.normal(size=shape) for shape in shapes] for _ in range(2)]

    with higher_order():
        mine = [Tensor(a, requires_grad=True) for a in arrays]
        value, found = (ours(*mine) * weights).sum(), []
        for k in range(3):
            gs = grad(value, mine, create_graph=True, allow_unused=True)
            found.append(
                [np.zeros(a.shape) if g is None else g.numpy() for g, a in zip(gs, arrays, strict=True)]
            )
            if k < 2:
                parts = [(g * g * d).sum() for g, d in zip(gs, directions[k], strict=True) if g is not None]
                value = ops.stack(parts).sum()

    leaves = [torch.from_numpy(a).requires_grad_() for a in arrays]
    value, expected = (theirs(*leaves) * torch.from_numpy(weights)).sum(), []
    np.testing.assert_allclose(y.numpy(), theirs(*leaves).detach().numpy(), rtol=1e-12, atol=1e-13)
    for k in range(3):
        gs = torch.autograd.grad(value, leaves, create_graph=True, allow_unused=True)
        expected.append(
            [np.zeros(a.shape) if g is None else g.detach().numpy() for g, a in zip(gs, arrays, strict=True)]
        )
        if k < 2:
            pairs = zip(gs, directions[k], strict=True)
            value = sum((g * g * torch.from_numpy(d)).sum() for g, d in pairs if g is not None)

    for order, (mine_k, theirs_k) in enumerate(zip(found, expected, strict=True), 1):
        for a, b in zip(mine_k, theirs_k, strict=True):
            scale = max(1.0, np.abs(b).max())
            np.testing.assert_allclose(a / scale, b / scale, atol=1e-11, rtol=0, err_msg=f"order {order}")
