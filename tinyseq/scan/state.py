"""States, inputs and outputs of a step: Tensors, and tuples, dicts and dataclasses of them, nested."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any


def _branches(tree: Any) -> list[tuple[Any, Any]] | None:
    """What a tree holds, with the name of each part; None for a leaf.

    A dict's parts come in the order of their names, since a step may give them in any.
    """
    if isinstance(tree, tuple):
        return list(zip(getattr(tree, "_fields", range(len(tree))), tree, strict=True))
    if type(tree) is dict:
        return sorted(tree.items(), key=lambda item: str(item[0]))
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        return [(field.name, getattr(tree, field.name)) for field in dataclasses.fields(tree) if field.init]
    return None


def flatten(tree: Any) -> list[Any]:
    """The leaves of a tree, from left to right; of dicts, in the order of their names."""
    branches = _branches(tree)
    if branches is None:
        return [tree]
    return [leaf for _, branch in branches for leaf in flatten(branch)]


def rebuild(like: Any, leaves: Iterator[Any]) -> Any:
    """The tree `like` around other leaves."""
    branches = _branches(like)
    if branches is None:
        return next(leaves)
    new = {name: rebuild(branch, leaves) for name, branch in branches}
    if isinstance(like, dict):
        return {name: new[name] for name in like}
    if isinstance(like, tuple):
        parts = list(new.values())
        return like._make(parts) if hasattr(like, "_make") else tuple(parts)
    return dataclasses.replace(like, **new)


def names(tree: Any, prefix: str = "") -> list[str]:
    """What to call each leaf: the path of fields, keys and positions that leads to it."""
    branches = _branches(tree)
    if branches is None:
        return [prefix]
    dot = f"{prefix}." if prefix else ""
    return [found for name, branch in branches for found in names(branch, f"{dot}{name}")]


def form(tree: Any) -> Any:
    """A key that trees share whose leaves are at the same places: what they are made of."""
    branches = _branches(tree)
    if branches is None:
        return None
    return type(tree), tuple([(name, form(branch)) for name, branch in branches])


def tree_map(function: Callable[[Any], Any], tree: Any) -> Any:
    """`function` of every leaf, in the same tree."""
    return rebuild(tree, iter([function(leaf) for leaf in flatten(tree)]))


def detach(state: Any) -> Any:
    """The same state as constants: the gradient stops here, as truncated back-propagation wants it.

    state: a Tensor, Sequences, or a tree of them.
    """
    return tree_map(lambda leaf: leaf.detach(), state)
