"""The closed list of words that an op's rule may say to `xp`, for array libraries that speak NumPy."""

import math
from collections.abc import Callable, Mapping
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from tinyseq.backend.threads import BLAS_TAKES_ONE
from tinyseq.backend.threads import matmul as matmul_in_threads

# Whatever the two libraries spell alike. A word that is not here fails on the first run with NumPy,
# not when somebody first asks for a second derivative or a trace.
SHARED = tuple(
    """
    add subtract multiply divide negative power abs sign exp expm1 log log1p sqrt square tanh maximum minimum
    greater greater_equal less less_equal equal not_equal logical_and logical_or logical_not isfinite where
    sin cos sum max min cumsum argmax argmin tril triu tensordot reshape expand_dims squeeze broadcast_to
    concatenate take take_along_axis zeros_like ones_like
    """.split()  # noqa: SIM905 - a quarter of the lines that a list takes
)


class UnknownWord(AttributeError):
    """A word that a rule said to `xp`, and that is not on the list."""


class Words(SimpleNamespace):
    """The functions of one array library under NumPy's names, and the library's `name`.

    fused: kernels of that library alone, by the name of the formula that they compute in one go.
    """

    name: str
    fused: Mapping[str, Any] = {}

    def __getattr__(self, word: str) -> Any:
        if word.startswith("__"):
            raise AttributeError(word)
        raise UnknownWord(
            f"xp.{word} is not on the closed list of words that a rule may say, tinyseq/backend/words.py: "
            "the rule would not run on every backend, on Tensors and in compiled steps. Write it with those; "
            "see docs/write-an-op.md."
        )


def array_words(
    name: str,
    library: ModuleType,
    scatter_add: Callable[[Any, Any, Any], None],
    **own: Callable[..., Any],
) -> Words:
    """The words of `library`; `scatter_add(out, index, values)` is its own way to add at repeated indices.

    own: words that it spells in its own way.

    What NumPy spells as assignment is a word here, each the transpose of one that reads:
    `place` of `getitem`, `add_at` of `take`, `add_along_axis` of `take_along_axis`.
    """

    # A product and its gradient need these three. As methods they cost a third of what the functions do.
    large = matmul_in_threads if library is np else library.matmul

    def matmul(a: Any, b: Any) -> Any:
        if b.ndim == 2 and a.ndim == 2:
            return a.dot(b) if a.size * b.shape[1] <= BLAS_TAKES_ONE else large(a, b)
        if b.ndim == 2 and a.ndim > 2:  # one matrix for all: one large product, not many small ones
            lead, length = a.shape[:-1], a.shape[-1]
            return large(a.reshape((math.prod(lead), length)), b).reshape((*lead, b.shape[1]))
        return library.matmul(a, b)

    def transpose(x: Any, axes: tuple[int, ...]) -> Any:
        return x.transpose(axes)

    def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
        return x.swapaxes(axis1, axis2)

    def getitem(x: Any, *, index: Any) -> Any:
        return x[index]

    def place(g: Any, *, index: Any, shape: tuple[int, ...]) -> Any:
        out = library.zeros(shape, g.dtype)
        if is_basic(index):
            out[index] = g
        else:
            scatter_add(out, index, g)
        return out

    def add_at(g: Any, indices: Any, *, axis: int, size: int) -> Any:
        replaced = getattr(indices, "ndim", 0)  # a single number takes its axis away
        out = library.zeros((*g.shape[:axis], size, *g.shape[axis + replaced :]), g.dtype)
        scatter_add(out, (*([slice(None)] * axis), indices), g)
        return out

    def add_along_axis(g: Any, indices: Any, *, axis: int, size: int) -> Any:
        out = library.zeros((*g.shape[:axis], size, *g.shape[axis + 1 :]), g.dtype)
        grid = list(library.ogrid[tuple([slice(n) for n in g.shape])])
        grid[axis] = indices
        scatter_add(out, tuple(grid), g)
        return out

    def stop_gradient(x: Any) -> Any:
        return x

    def astype(x: Any, *, dtype: Any) -> Any:
        return x.astype(dtype)

    shared = {word: getattr(library, word) for word in SHARED}
    made = (matmul, transpose, swapaxes, getitem, place, add_at, add_along_axis, stop_gradient, astype)
    return Words(name=name, **shared, **{word.__name__: word for word in made}, **own)


def is_basic(index: Any) -> bool:
    """Whether NumPy answers `x[index]` with a view, so that no element is named twice."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(part is None or part is Ellipsis or type(part) in (int, slice) for part in parts)
