"""The backward sweep: gradients flow from the newest node to the oldest, once each."""

from collections.abc import Sequence
from heapq import heappop, heappush
from types import FunctionType
from typing import Any

from tinyseq.backend import WORDS, words_of
from tinyseq.engine import anomaly
from tinyseq.engine.tape import searches_anomalies
from tinyseq.engine.tensor import Leaf, Node, Source, Tensor, make_tensor
from tinyseq.errors import GraphError, ShapeError

Key = Leaf | tuple[Node, int]


def sweep(
    roots: list[tuple[Source, Any]],
    *,
    create_graph: bool = False,
    retain_graph: bool = False,
    watch: Sequence[Key] = (),
    not_before: int = 0,
) -> dict[Key, Any]:
    """The gradient of every Leaf, and of the node outputs in `watch`, that the `roots` depend on.

    `roots` pairs a source with its gradient; all gradients are arrays, or Tensors with `create_graph`.
    Serial numbers only grow, so a heap of them is a topological order: no recursion, no marks on nodes.
    Nodes older than serial number `not_before` are not entered.
    """
    found: dict[Key, Any] = {}
    pending: dict[int, Any] = {}
    nodes: dict[int, Node] = {}
    heap: list[int] = []
    watched = {key[0] for key in watch if type(key) is tuple}
    search = searches_anomalies()

    def give(source: Source, g: Any, user: Node | None) -> None:
        owner, slot, shape = source
        if g.shape != shape:
            g = unbroadcast(g, shape)
        if type(owner) is Leaf:
            if user is not None and owner.changed_at > user.serial:
                raise GraphError(
                    f"a parameter that {user.name}() used was changed in place before the gradient was taken, so the "
                    "gradient would be wrong: call backward() before the optimiser's step()."
                )
            old = found.get(owner)
            found[owner] = g if old is None else old + g
            return
        assert isinstance(owner, Node)
        serial = owner.serial
        if serial not in nodes:
            nodes[serial] = owner
            heappush(heap, -serial)
            if owner.outputs:
                pending[serial] = [None] * owner.outputs
                pending[serial][slot] = g
            else:
                pending[serial] = g
        elif owner.outputs:
            row = pending[serial]
            row[slot] = g if row[slot] is None else row[slot] + g
        else:
            pending[serial] = pending[serial] + g

    for source, g in roots:
        give(source, g, None)
    while heap:
        serial = -heappop(heap)
        node = nodes.pop(serial)
        g = pending.pop(serial)
        received = g if node.outputs else [g]
        if node.hooks:
            for slot, hooks in node.hooks.items():
                if received[slot] is not None:
                    received[slot] = _hooked(received[slot], hooks)
        if node in watched:
            for slot, g in enumerate(received):
                if g is not None:
                    found[node, slot] = g
        if serial < not_before:
            continue
        pullback = _lifted(node) if create_graph else node.pullback
        if pullback is None or node.parents is None:
            raise GraphError(
                f"{node.name}() was differentiated before, and that used up its part of the tape. Add the losses and "
                "differentiate once, or pass retain_graph=True the first time."
            )
        gradients = pullback(*received)
        for parent, g in zip(node.parents, gradients, strict=True):
            if parent is not None and g is not None:
                if type(g) is FunctionType:
                    g = g()
                if search:
                    anomaly.inspect_gradient(node.name, node.where, g.data if create_graph else g)
                give(parent, g, node)
        if not (create_graph or retain_graph):
            node.pullback = node.parents = node.args = None
    for key in found:
        if type(key) is Leaf and key.hooks:
            found[key] = _hooked(found[key], key.hooks)
    return found


def _hooked(g: Any, hooks: list[Any]) -> Any:
    for hook in hooks:
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
    if node.args is None:
        raise GraphError(
            f"{node.name}() was recorded for first derivatives only. For derivatives of derivatives, run the forward "
            "pass inside `with tinyseq.higher_order():`."
        )
    return node.rule(WORDS[Tensor], *node.args, **node.static)[1]


def unbroadcast(g: Any, shape: tuple[int, ...]) -> Any:
    """Sum `g` over the axes along which an argument of this `shape` was repeated."""
    added = len(g.shape) - len(shape)
    axes = tuple([i for i, n in enumerate(g.shape) if i < added or (shape[i - added] == 1 and n != 1)])
    if added < 0 or any(n != g.shape[i + added] and n != 1 for i, n in enumerate(shape)):
        raise ShapeError(f"a pullback gave a gradient of shape {g.shape} for an argument of shape {shape}.")
    if len(axes) == added:  # only leading axes: a plain column sum is faster
        return g.sum(axis=axes if added > 1 else 0)
    g = g.sum(axis=axes, keepdims=True)
    return g.reshape(shape) if added else g


def _seed(output: Tensor, gradient: Any, create_graph: bool) -> tuple[Source, Any]:
    if output.source is None:
        raise GraphError(
            "There is nothing to differentiate: no Tensor with requires_grad=True went into this value "
            "(or it was computed under no_grad(), or detached)."
        )
    if gradient is None:
        if output.shape != ():
            raise ShapeError(
                f"the gradient starts from a scalar, but this Tensor has shape {output.shape}. Reduce it first "
                "(.mean() or .sum()), or pass the gradient to start from."
            )
        gradient = words_of(output.data).ones_like(output.data)
    elif not isinstance(gradient, Tensor) and type(gradient) is not type(output.data):
        gradient = Tensor(gradient, output.dtype)
    if gradient.shape != output.shape:
        raise ShapeError(f"the gradient to start from has shape {gradient.shape}, the Tensor {output.shape}.")
    if create_graph:
        return output.source, gradient if isinstance(gradient, Tensor) else make_tensor(gradient, None)
    return output.source, gradient.data if isinstance(gradient, Tensor) else gradient


def backward(output: Tensor, gradient: Any = None, *, retain_graph: bool = False) -> None:
    """Add d output / d leaf, times `gradient`, to the `.grad` of every leaf that `output` was computed from.

    Raises ShapeError if `output` is no scalar and no gradient is given, GraphError if there is nothing to
    differentiate, or if it was done before without `retain_graph`.
    """
    found = sweep([_seed(output, gradient, False)], retain_graph=retain_graph)
    for leaf, g in found.items():
        assert isinstance(leaf, Leaf)
        if g.dtype != leaf.dtype:
            g = g.astype(leaf.dtype)
        leaf.grad = g if leaf.grad is None else leaf.grad + g


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Sequence[Tensor],
    grad_outputs: Any = None,
    *,
    create_graph: bool = False,
    retain_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Any, ...]:
    """The gradients of `outputs` (one Tensor, or several summed) with respect to each of `inputs`.

    Leaves `.grad` alone. With `create_graph` the results can be differentiated again, if the forward pass ran
    under higher_order(). An input that the outputs do not depend on gives None with `allow_unused`, else GraphError.
    """
    several = isinstance(outputs, list | tuple)
    ys: Sequence[Tensor] = outputs if several else [outputs]  # type: ignore[assignment, list-item]
    gs = grad_outputs if several and grad_outputs is not None else [grad_outputs] * len(ys)
    if len(gs) != len(ys):
        raise ShapeError(f"grad() got {len(ys)} outputs and {len(gs)} gradients to start from.")
    keys = [_key(x, i) for i, x in enumerate(inputs)]
    roots = [_seed(y, g, create_graph) for y, g in zip(ys, gs, strict=True)]
    found = sweep(roots, create_graph=create_graph, retain_graph=retain_graph, watch=keys)
    results = [found.get(key) for key in keys]
    for i, (g, x) in enumerate(zip(results, inputs, strict=True)):
        if g is None and not allow_unused:
            raise GraphError(
                f"the outputs do not depend on input {i} of grad() (shape {x.shape}). Pass allow_unused=True to get "
                "None for it."
            )
    return tuple([g if g is None or isinstance(g, Tensor) else make_tensor(g, None) for g in results])


def _key(x: Tensor, i: int) -> Key:
    if x.source is None:
        raise GraphError(f"input {i} of grad() takes no gradient: make it with requires_grad=True.")
    owner, slot, _ = x.source
    return owner if isinstance(owner, Leaf) else (owner, slot)


Tensor.backward = backward  # type: ignore[method-assign]
