"""Derivatives as functions: vjp, jvp, and the trade of time for memory."""

from collections.abc import Callable, Sequence
from typing import Any

from tinyseq.backend import words_of
from tinyseq.engine.sweep import Key, grad, key_of, sweep
from tinyseq.engine.tape import enable_grad, higher_order, is_grad_enabled, keeps_arguments
from tinyseq.engine.tensor import Leaf, Node, Source, Tensor, make_tensor, next_serial
from tinyseq.errors import ShapeError


def vjp(function: Callable[..., Tensor], *primals: Any) -> tuple[Tensor, Callable[[Any], tuple[Tensor, ...]]]:
    """`function(*primals)`, and the function that maps a cotangent of it to the cotangents of the primals."""
    with enable_grad():
        inputs = [_fresh(x) for x in primals]
        y = function(*inputs)

    def pullback(cotangent: Any) -> tuple[Tensor, ...]:
        if y.source is None:
            return tuple([_zeros(x) for x in inputs])
        found = grad(y, inputs, cotangent, retain_graph=True, allow_unused=True)
        return tuple([_zeros(x) if g is None else g for g, x in zip(found, inputs, strict=True)])

    return y.detach(), pullback


def jvp(
    function: Callable[..., Tensor], primals: Sequence[Any], tangents: Sequence[Any]
) -> tuple[Tensor, Tensor]:
    """`function(*primals)`, and its derivative along `tangents`.

    The vector-Jacobian product is linear in its vector; its own transpose is the Jacobian-vector product.
    """
    shapes = [[Tensor(x).shape for x in xs] for xs in (primals, tangents)]
    if shapes[0] != shapes[1]:
        raise ShapeError(f"jvp() needs tangents of the primals' shapes {shapes[0]}; got {shapes[1]}.")
    with higher_order():
        inputs = [_fresh(x) for x in primals]
        y = function(*inputs)
        if y.source is None:
            return y, _zeros(y)
        u = _fresh(_zeros(y))
        pulled = grad(y, inputs, u, create_graph=True, allow_unused=True)
    used = [(g, t) for g, t in zip(pulled, tangents, strict=True) if g is not None and g.source is not None]
    if not used:
        return y.detach(), _zeros(y)
    (along,) = grad([g for g, _ in used], u, [t for _, t in used], allow_unused=True)
    return y.detach(), _zeros(y) if along is None else along


def _fresh(x: Any) -> Tensor:
    """A leaf of its own with the values of x."""
    return Tensor(x, requires_grad=True)


def _zeros(x: Tensor) -> Tensor:
    return make_tensor(words_of(x.data).zeros_like(x.data), None)


# What a function that is called again has to find as it was, and how to put it back: random numbers.
_replayed: list[tuple[Callable[[], Any], Callable[[Any], None]]] = []


def replays(get: Callable[[], Any], put: Callable[[Any], None]) -> None:
    """Have `checkpoint` call its function again from the same state of something, such as a generator."""
    _replayed.append((get, put))


def checkpoint(function: Callable[..., Any], *args: Any) -> Any:
    """`function(*args)`, of which only the arguments are kept; the backward pass computes the rest again.

    `function` returns a Tensor or a tuple of them. It must give the same values when called again; it draws
    the same numbers from `tinyseq.random` then, so dropout may be inside. Gradients also reach Tensors that
    it uses without taking them as arguments, such as a module's parameters. Under higher_order() it is called
    plainly, since second derivatives need every intermediate value anyway.
    """
    if not is_grad_enabled() or keeps_arguments():
        return function(*args)
    before = [get() for get, _ in _replayed]
    started = next_serial()
    result = function(*args)
    ys: tuple[Tensor, ...] = result if isinstance(result, tuple) else (result,)
    parents = _sources_before(started, [y.source for y in ys])  # ... and the tape behind them is let go
    if not parents:
        return result

    def pullback(*gs: Any) -> list[Any]:
        now = [get() for get, _ in _replayed]
        for (_, put), state in zip(_replayed, before, strict=True):
            put(state)
        try:
            with enable_grad():
                begun = next_serial()
                again = function(*args)
        finally:
            for (_, put), state in zip(_replayed, now, strict=True):
                put(state)
        roots = [
            (y.source, g)
            for y, g in zip(again if isinstance(again, tuple) else (again,), gs, strict=True)
            if g is not None and y.source is not None
        ]
        keys = [key_of(parent) for parent in parents]
        found = sweep(roots, watch=keys, not_before=begun)
        return [found.get(key) for key in keys]

    node = Node("checkpoint", list(parents), pullback, len(ys))
    outputs = [
        make_tensor(y.data, None if y.source is None else (node, i, y.data.shape)) for i, y in enumerate(ys)
    ]
    if not isinstance(result, tuple):
        return outputs[0]
    return result._make(outputs) if hasattr(result, "_make") else tuple(outputs)


def _sources_before(serial: int, sources: list[Source | None]) -> list[Source]:
    """The leaves, and the outputs of nodes older than `serial`, that `sources` were computed from."""
    seen: dict[Key, Source] = {}
    visited: set[Node] = set()
    stack = list(sources)
    while stack:
        source = stack.pop()
        if source is None:
            continue
        owner = source[0]
        if isinstance(owner, Leaf) or owner.serial < serial:
            seen.setdefault(key_of(source), source)
        elif owner not in visited:
            visited.add(owner)
            stack.extend(owner.parents or ())
    return list(seen.values())
