"""How alike two vectors are: larger is more alike. Functions of all pairs, by name."""

from collections.abc import Callable
from typing import Any

from tinyseq import ops
from tinyseq.errors import ConfigError, ShapeError, near

Similarity = Callable[[Any, Any], Any]

TINY = 1e-12  # distances below this are 0, with gradient 0


def cosine(a: Any, b: Any) -> Any:
    """a . b / (|a| |b|) in [-1, 1]; 0 for a zero vector. a: (rows, width), b: (columns, width)."""
    return dot(ops.l2_normalize(a), ops.l2_normalize(b))


def dot(a: Any, b: Any) -> Any:
    """a . b; a: (rows, width), b: (columns, width)."""
    return a @ ops.transpose(b)


def negative_euclidean(a: Any, b: Any) -> Any:
    """-|a - b|; a: (rows, width), b: (columns, width); exact where vectors are equal, with gradient 0 there.

    Needs memory for rows x columns x width numbers.
    """
    squares = -negative_squared_euclidean(a, b)
    return -ops.where(squares > TINY * TINY, ops.sqrt(ops.maximum(squares, TINY * TINY)), 0)


def negative_squared_euclidean(a: Any, b: Any) -> Any:
    """-|a - b|^2 (Schroff et al., 2015); a: (rows, width), b: (columns, width); memory as above."""
    return -ops.sum(ops.square(ops.expand_dims(a, 1) - ops.expand_dims(b, 0)), -1)


SIMILARITIES: dict[str, Similarity] = {
    "cosine": cosine,
    "dot": dot,
    "negative-euclidean": negative_euclidean,
    "negative-squared-euclidean": negative_squared_euclidean,
}


def named(what: str, choice: Any, table: dict[str, Any]) -> Any:
    """The function called `choice` in `table`, or `choice` itself if it is one. Raises ConfigError."""
    if callable(choice):
        return choice
    if choice in table:
        return table[choice]
    raise ConfigError(
        f"There is no {what} {choice!r}; choose from {', '.join(table)}, or pass a function."
        f"{near(str(choice), table)}"
    )


def check_vectors(name: str, a: Any, b: Any) -> None:
    """Raise ShapeError unless a and b are (batch, width) both, row i of one beside row i of the other."""
    if len(a.shape) != 2 or a.shape != b.shape:
        raise ShapeError(
            f"{name} pairs row i of one batch of vectors (batch, width) with row i of the other; got shapes "
            f"{tuple(a.shape)} and {tuple(b.shape)}."
        )
