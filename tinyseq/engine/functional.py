"""Derivatives as functions: vjp, jvp, and the trade of time for memory."""

from collections.abc import Callable, Sequence
from typing import Any

from tinyseq.backend import words_of
from tinyseq.engine.sweep import Key, grad, sweep
from tinyseq.engine.tape import enable_grad, higher_order, is_grad_enabled, keeps_arguments
from tinyseq.engine.tensor import Leaf, Node, Source, Tensor, make_tensor, next_serial
from tinyseq.errors import GraphError


def _fresh(x: Any) -> Tensor:
    """A leaf of its own with the values of x."""
    leaf = make_tensor(x.data if isinstance(x, Tensor) else Tensor(x).data, None)
    leaf._become_leaf()
    return leaf


def vjp(function: Callable[..., Tensor], *primals: Any) -> tuple[Tensor, Callable[[Any], tuple[Tensor, ...]]]:
    """`function(*primals)`, and the function that maps a cotangent of it to the cotangents of the primals."""
    inputs = [_fresh(x) for x in primals]
    y = function(*inputs)

    def pullback(cotangent: Any) -> tuple[Tensor, ...]:
        found = grad(y, inputs, cotangent, retain_graph=True, allow_unused=True)
        return tuple([_zeros(x) if g is None else g for g, x in zip(found, inputs, strict=True)])

    return y.detach(), pullback


def jvp(
    function: Callable[..., Tensor], primals: Sequence[Any], tangents: Sequence[Any]
) -> tuple[Tensor, Tensor]:
    """`function(*primals)`, and its derivative along `tangents`.

    The vector-Jacobian product is linear in its vector; its own transpose is the Jacobian-vector product.
    """
    if len(primals) != len(tangents):
        raise GraphError(f"jvp() got {len(primals)} primals and {len(tangents)} tangents.")
    with enable_grad(), higher_order():
        inputs = [_fresh(x) for x in primals]
        y = function(*inputs)
        if y.source is None:
            return y, _zeros(y)
        u = _fresh(_zeros(y))
        pulled = grad(y, inputs, u, create_graph=True, allow_unused=True)
    used = [(g, t) for g, t in zip(pulled, tangents, strict=True) if g is not None and g.source is not None]
    if not used:
        return y.detach(), _zeros(y)
    (along,) = grad([g for g, _ in used], [u], [t for _, t in used], allow_unused=True)
    return y.detach(), _zeros(y) if along is None else along


def _zeros(x: Tensor) -> Tensor:
    return make_tensor(words_of(x.data).zeros_like(x.data), None)


def checkpoint(function: Callable[..., Tensor], *args: Any) -> Tensor:
    """`function(*args)`, of which only the arguments are kept; the backward pass computes the rest again.

    `function` must give the same values when called again: take random numbers outside and pass them in.
    Gradients also reach Tensors that it uses without taking them as arguments, such as a module's parameters.
    Under higher_order() it is called plainly, since the second derivative needs every intermediate value anyway.
    """
    if not is_grad_enabled() or keeps_arguments():
        return function(*args)
    started = next_serial()
    inputs = [_stand_in(a) for a in args]
    y = function(*inputs)
    if y.source is None:
        return y
    # Run once with a tape to see what else the function reaches; then let the tape go.
    own = [x.source[0] for x in inputs if isinstance(x, Tensor) and x.source is not None]
    outside = [s for s in _sources_before(y.source, started) if s[0] not in own]
    parents: list[Source | None] = [a.source if isinstance(a, Tensor) else None for a in args] + list(outside)

    def pullback(g: Any) -> list[Any]:
        again = [_stand_in(a) for a in args]
        with enable_grad():
            begun = next_serial()
            recomputed = function(*again)
        assert recomputed.source is not None
        keys: list[Key] = [_owner(s) for s in outside]
        found = sweep([(recomputed.source, g)], watch=keys, not_before=begun)
        mine = [found.get(x.source[0]) if isinstance(x, Tensor) and x.source else None for x in again]  # type: ignore[call-overload]
        return mine + [found.get(key) for key in keys]

    node = Node("checkpoint", parents, pullback, 0)
    return make_tensor(y.data, (node, 0, y.data.shape))


def _stand_in(arg: Any) -> Any:
    """A leaf in place of an argument that takes a gradient; anything else as it is."""
    return _fresh(arg) if isinstance(arg, Tensor) and arg.source is not None else arg


def _owner(source: Source) -> Key:
    owner, slot, _ = source
    return owner if isinstance(owner, Leaf) else (owner, slot)


def _sources_before(source: Source, serial: int) -> list[Source]:
    """The leaves, and the outputs of nodes older than `serial`, that `source` was computed from."""
    seen: dict[Key, Source] = {}
    visited: set[Node] = set()
    stack = [source]
    while stack:
        current = stack.pop()
        owner = current[0]
        if isinstance(owner, Leaf) or owner.serial < serial:
            seen.setdefault(_owner(current), current)
        elif owner not in visited:
            visited.add(owner)
            stack.extend([parent for parent in owner.parents or () if parent is not None])
    return list(seen.values())
