"""Normalisation over features."""

from typing import Any

from tinyseq.engine import primitive
from tinyseq.errors import ShapeError
from tinyseq.ops.half import in_float32


@primitive
def _layer_norm(xp, x, weight, bias, *, eps):
    scale = 1.0 / x.shape[-1]
    centred = x - x.sum(axis=-1, keepdims=True) * scale
    over_std = 1 / xp.sqrt(xp.square(centred).sum(axis=-1, keepdims=True) * scale + eps)
    y = centred * over_std

    def to_x(g):
        g = g * weight
        common = g.sum(axis=-1, keepdims=True) * scale
        along_y = (g * y).sum(axis=-1, keepdims=True) * scale
        return (g - common - y * along_y) * over_std

    return y * weight + bias, lambda g: (lambda: to_x(g), lambda: g * y, lambda: g)


@in_float32
def layer_norm(x: Any, weight: Any, bias: Any, eps: float = 1e-5) -> Any:
    """(x - mean) / sqrt(variance + eps) * weight + bias, over the last axis of x.

    weight, bias: vectors of that axis's length. A row of equal values gives `bias`.
    Source: Ba, Kiros and Hinton (2016), equation 4, with eps inside the root as PyTorch has it.
    """
    if not x.shape or tuple(weight.shape) != tuple(x.shape[-1:]) or tuple(bias.shape) != tuple(x.shape[-1:]):
        raise ShapeError(
            f"layer_norm() of shape {tuple(x.shape)} needs weight and bias of shape {tuple(x.shape[-1:])}; "
            f"got {tuple(weight.shape)} and {tuple(bias.shape)}."
        )
    return _layer_norm(x, weight, bias, eps=eps)
