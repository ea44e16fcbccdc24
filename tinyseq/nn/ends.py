"""Where each feature has read its whole sequence: at the last step, or, read backward, at the first."""

from collections.abc import Iterable
from typing import Any, Literal

from tinyseq import ops
from tinyseq.engine import Tensor
from tinyseq.errors import ShapeError
from tinyseq.sequences import Sequences

Ends = tuple[tuple[int, Literal["last", "first"]], ...]
"""Runs of features, in order: how many, and the step at which they have read everything."""


def ends_of(layers: Iterable[Any]) -> Ends | None:
    """The ends of layers one after the other: those that the last one with `ends` says.

    Layers that declare `keeps_ends`, such as Dropout, leave them where they were; None where a layer does
    not say.
    """
    for layer in reversed(list(layers)):
        if not getattr(layer, "keeps_ends", False):
            return getattr(layer, "ends", None)
    return None


def at_ends(xs: Sequences, ends: Ends) -> Tensor:
    """Of every sequence the features where they have read the whole of it: (batch, width).

    Raises ShapeError if the ends are those of another number of features.
    """
    total = sum(width for width, _ in ends)
    if xs.data.shape[-1] != total:
        raise ShapeError(f"These are the ends of {total} features, not of {xs.data.shape[-1]}.")
    sides, parts, at = {"last": xs.last(), "first": xs.first()}, [], 0
    for width, end in ends:
        parts.append(sides[end][:, at : at + width])
        at += width
    joined: Tensor = ops.concatenate(parts, axis=-1)
    return joined


def reversed_ends(ends: Ends | None) -> Ends | None:
    """The ends of a layer that is given every sequence reversed, and is turned back afterwards."""
    if ends is None:
        return None
    return tuple((width, "first" if end == "last" else "last") for width, end in ends)
