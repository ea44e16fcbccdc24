"""States, inputs and outputs of a step: Tensors, and NamedTuples or tuples of them, nested as one likes."""

from collections.abc import Callable, Iterator
from typing import Any


def flatten(tree: Any) -> list[Any]:
    """The leaves of nested tuples, from left to right."""
    if not isinstance(tree, tuple):
        return [tree]
    return [leaf for branch in tree for leaf in flatten(branch)]


def rebuild(like: Any, leaves: Iterator[Any]) -> Any:
    """The nested tuples of `like` around other leaves."""
    if not isinstance(like, tuple):
        return next(leaves)
    branches = [rebuild(branch, leaves) for branch in like]
    return like._make(branches) if hasattr(like, "_make") else tuple(branches)


def names(tree: Any, prefix: str = "") -> list[str]:
    """What to call each leaf: the path of fields and positions that leads to it."""
    if not isinstance(tree, tuple):
        return [prefix]
    fields = getattr(tree, "_fields", range(len(tree)))
    dot = f"{prefix}." if prefix else ""
    return [
        name for field, branch in zip(fields, tree, strict=True) for name in names(branch, f"{dot}{field}")
    ]


def tree_map(function: Callable[[Any], Any], tree: Any) -> Any:
    """`function` of every leaf, in the same nested tuples."""
    return rebuild(tree, iter([function(leaf) for leaf in flatten(tree)]))


def detach(state: Any) -> Any:
    """The same state as constants: the gradient stops here, as truncated back-propagation wants it.

    state: a Tensor, Sequences, or nested tuples of them.
    """
    return tree_map(lambda leaf: leaf.detach(), state)
