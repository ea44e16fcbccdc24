"""The backward sweep: gradients flow from the newest node to the oldest, once each."""

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from heapq import heappop, heappush
from types import FunctionType
from typing import Any

from tinyseq.backend import backend_of, words_of
from tinyseq.engine import anomaly
from tinyseq.engine.tape import enable_grad, searches_anomalies
from tinyseq.engine.tensor import Leaf, Node, Source, Tensor, make_tensor
from tinyseq.errors import GraphError, ShapeError

Key = Leaf | tuple[Node, int]


def key_of(source: Source) -> Key:
    """What the sweep calls the place where `source` came from."""
    owner, slot, _ = source
    return owner if isinstance(owner, Leaf) else (owner, slot)


def sweep(
    roots: Iterable[tuple[Source, Any]],
    *,
    create_graph: bool = False,
    retain_graph: bool = False,
    watch: Sequence[Key] = (),
    not_before: int = 0,
) -> dict[Key, Any]:
    """The gradient of every Leaf, and of the node outputs in `watch`, that the `roots` depend on.

    `roots` pairs a source with its gradient; all gradients are arrays, or Tensors with `create_graph`.
    Serial numbers only grow, so a heap of them is a topological order: no recursion, no marks on nodes.
    Nodes older than serial number `not_before` are not entered; their hooks are left to the sweep that does.
    """
    found: dict[Key, Any] = {}
    pending: dict[Node, Any] = {}  # the gradient so far, or a list of one for each output
    heap: list[tuple[int, Node]] = []  # the same nodes, newest first
    watched = {key[0] for key in watch if type(key) is tuple}
    search = searches_anomalies()
    user: Node | None = None  # whose gradients these are
    edges: Iterable[tuple[Source | None, Any]] = roots
    while True:
        for source, g in edges:
            if source is None or g is None:
                continue
            if type(g) is FunctionType:
                g = g()
            if search and user is not None:
                anomaly.inspect_gradient(user.name, user.where, g.data if create_graph else g)
            owner, slot, shape = source
            if g.shape != shape:
                g = unbroadcast(g, shape)
            if isinstance(owner, Node):
                if owner not in pending:
                    heappush(heap, (-owner.serial, owner))
                    if owner.outputs:
                        pending[owner] = [None] * owner.outputs
                        pending[owner][slot] = g
                    else:
                        pending[owner] = g
                elif owner.outputs:
                    old = pending[owner][slot]
                    pending[owner][slot] = g if old is None else old + g
                else:
                    pending[owner] = pending[owner] + g
            else:
                if user is not None and owner.changed_at > user.serial:
                    raise GraphError(
                        f"a parameter that {user.name}() used was changed in place before the gradient was "
                        "taken, so it would be wrong: call backward() before the optimiser's step()."
                    )
                old = found.get(owner)
                found[owner] = g if old is None else old + g
        if not heap:
            break
        _, user = heappop(heap)
        gs = pending.pop(user) if user.outputs else (pending.pop(user),)
        if user.hooks and user.serial >= not_before:
            gs = [_hooked(g, user.hooks.get(slot, ())) for slot, g in enumerate(gs)]
        if watched and user in watched:
            found.update({(user, slot): g for slot, g in enumerate(gs) if g is not None})
        if user.serial < not_before:
            edges = ()
            continue
        pullback = _lifted(user) if create_graph else user.pullback
        if pullback is None or user.parents is None:
            raise GraphError(
                f"{user.name}() was differentiated before, and that used up its part of the tape. Add the "
                "losses and differentiate once, or pass retain_graph=True the first time."
            )
        edges = zip(user.parents, pullback(*gs), strict=True)
        if not (create_graph or retain_graph):
            user.pullback = user.parents = None
            if user.replay is not None:
                user.replay = None
    for key in found:
        if type(key) is Leaf:
            if found[key].dtype != key.dtype:
                found[key] = found[key].astype(key.dtype)
            if key.hooks and not not_before:
                found[key] = _hooked(found[key], key.hooks)
    return found


def _hooked(g: Any, hooks: Sequence[Any]) -> Any:
    for hook in () if g is None else tuple(hooks):
        new = hook(g if isinstance(g, Tensor) else make_tensor(g, None))
        if new is not None:
            if new.shape != g.shape:
                raise ShapeError(
                    f"a gradient hook returned shape {new.shape} for a gradient of shape {g.shape}."
                )
            g = new if isinstance(g, Tensor) else new.data
    return g


def _lifted(node: Node) -> Any:
    """The pullback on Tensors: the same rule once more, with the ops themselves as its words."""
    if node.replay is None:
        raise GraphError(
            f"{node.name}() was recorded for first derivatives only. For derivatives of derivatives, run the "
            "forward pass inside `with tinyseq.higher_order():`."
        )
    return node.replay()[1]


def unbroadcast(g: Any, shape: tuple[int, ...]) -> Any:
    """Sum `g` over the axes along which an argument of this `shape` was repeated."""
    added = len(g.shape) - len(shape)
    if added > 0 and g.shape[added:] == shape:  # the common case, a bias: a plain sum over rows
        return g.sum(axis=0 if added == 1 else tuple(range(added)))
    if added < 0 or any(m not in (1, n) for m, n in zip(shape, g.shape[added:], strict=True)):
        raise ShapeError(f"a pullback gave a gradient of shape {g.shape} for an argument of shape {shape}.")
    axes = tuple([i for i, n in enumerate(g.shape) if i < added or (shape[i - added] == 1 and n != 1)])
    return g.sum(axis=axes, keepdims=True).reshape(shape)


def _seed(output: Tensor, gradient: Any, create_graph: bool) -> tuple[Source, Any]:
    if output.source is None:
        raise GraphError(
            "There is nothing to differentiate: no Tensor with requires_grad=True went into this value "
            "(or it was computed under no_grad(), or detached)."
        )
    if gradient is None:
        if output.shape != ():
            raise ShapeError(
                f"the gradient starts from a scalar, but this Tensor has shape {output.shape}. Reduce it "
                "first (.mean() or .sum()), or pass the gradient to start from."
            )
        gradient = make_tensor(words_of(output.data).ones_like(output.data), None)
    elif not isinstance(gradient, Tensor):
        gradient = make_tensor(backend_of(output.data).asarray(gradient, output.dtype), None)
    if gradient.shape != output.shape:
        raise ShapeError(f"the gradient to start from has shape {gradient.shape}, the Tensor {output.shape}.")
    return output.source, gradient if create_graph else gradient.data


def backward(self: Tensor, gradient: Any = None, *, retain_graph: bool = False) -> None:
    """Add d self / d leaf, times `gradient`, to the `.grad` of every leaf that the Tensor was computed from.

    Raises ShapeError if the Tensor is no scalar and no gradient is given, GraphError if there is nothing to
    differentiate, or if it was done before without `retain_graph`.
    """
    found = sweep([_seed(self, gradient, False)], retain_graph=retain_graph)
    for leaf, g in found.items():
        assert isinstance(leaf, Leaf)
        leaf.grad = g if leaf.grad is None else leaf.grad + g


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    *,
    create_graph: bool = False,
    retain_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Any, ...]:
    """The gradients of `outputs` (one Tensor, or several summed) with respect to each of `inputs`.

    Leaves `.grad` alone. With `create_graph` the results can be differentiated again, if the forward pass ran
    under higher_order(). An input that the outputs do not depend on raises GraphError, or gives None with
    `allow_unused`.
    """
    ys = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    xs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    several = not isinstance(outputs, Tensor) and grad_outputs is not None
    gs = list(grad_outputs) if several else [grad_outputs] * len(ys)
    if len(gs) != len(ys):
        raise ShapeError(f"grad() got {len(ys)} outputs and {len(gs)} gradients to start from.")
    keys = [_key_of_input(x, i) for i, x in enumerate(xs)]
    with enable_grad() if create_graph else nullcontext():
        roots = [_seed(y, g, create_graph) for y, g in zip(ys, gs, strict=True)]
        found = sweep(roots, create_graph=create_graph, retain_graph=retain_graph, watch=keys)
    results = [found.get(key) for key in keys]
    for i, (g, x) in enumerate(zip(results, xs, strict=True)):
        if g is None and not allow_unused:
            raise GraphError(
                f"the outputs do not depend on input {i} of grad() (shape {x.shape}). Pass allow_unused=True "
                "to get None for it."
            )
    return tuple([g if g is None or isinstance(g, Tensor) else make_tensor(g, None) for g in results])


def _key_of_input(x: Tensor, i: int) -> Key:
    if x.source is None:
        raise GraphError(f"input {i} of grad() takes no gradient: make it with requires_grad=True.")
    return key_of(x.source)


Tensor.backward = backward  # type: ignore[method-assign]
