"""Sums in half precision: float16 ends at 65504, which a sum of squares or of many terms soon passes."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def in_float32(function: F) -> F:
    """`function` of float16 arguments computed in float32, and its result in float16 again."""

    @functools.wraps(function)
    def computed(*args: Any, **options: Any) -> Any:
        if not any(_is_half(arg) for arg in args):
            return function(*args, **options)
        wide = [arg.astype("float32") if _is_half(arg) else arg for arg in args]
        return function(*wide, **options).astype("float16")

    return computed  # type: ignore[return-value]


def _is_half(value: Any) -> bool:
    return getattr(value, "dtype", None) == "float16"
