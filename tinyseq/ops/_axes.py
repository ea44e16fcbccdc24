"""Axes as NumPy names them: one, several, all; counted from either end."""

from operator import index
from typing import Any

Axis = int | tuple[int, ...] | None


def axes_of(ndim: int, axis: Axis) -> tuple[int, ...]:
    """The axes that `axis` names, counted from the front."""
    if axis is None:
        return tuple(range(ndim))
    axes = tuple([index(a) for a in axis]) if isinstance(axis, tuple) else (index(axis),)
    for a in axes:
        if not -ndim <= a < ndim:
            raise ValueError(f"there is no axis {a} among {ndim}")
    return tuple([a % ndim for a in axes])


def kept(shape: tuple[Any, ...], axis: Axis) -> tuple[Any, ...]:
    """`shape` after a reduction over `axis` with keepdims=True."""
    axes = axes_of(len(shape), axis)
    return tuple([1 if i in axes else n for i, n in enumerate(shape)])
