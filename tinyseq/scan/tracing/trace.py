"""The graph of a step and of its gradient, written down by the engine's own rules and its ordinary sweep."""

import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import CellType, CodeType, FunctionType, MethodType
from typing import Any

from tinyseq import noise, random
from tinyseq.backend.symbols import ROWS, Graph, Level, Symbol
from tinyseq.engine import Node, Tensor, enable_grad, make_tensor, sweep
from tinyseq.errors import TraceError
from tinyseq.nn.module import Module
from tinyseq.scan.eager import Step, check_result
from tinyseq.scan.graph import ancestors
from tinyseq.scan.state import flatten, names, rebuild


@dataclass
class Trace:
    """A step as a graph. Lists run over inputs, states, parameters or outputs, in order."""

    graph: Graph
    inputs: list[Symbol]
    states: list[Symbol]
    parameters: list[Symbol]
    outputs: list[Symbol]
    new_states: list[Symbol]
    # Cotangents, and the gradients computed from them; None where there is no path or no wish.
    d_outputs: list[Symbol] = field(default_factory=list)
    d_new_states: list[Symbol] = field(default_factory=list)
    d_inputs: list[Symbol | None] = field(default_factory=list)
    d_states: list[Symbol | None] = field(default_factory=list)
    d_parameters: list[Symbol | None] = field(default_factory=list)
    # The noise that the step asks for, in order; its leaves are the last inputs, or parameters if per scan.
    draws: list[noise.Draw] = field(default_factory=list)

    @property
    def trains(self) -> bool:
        """Whether any gradient is wanted."""
        return bool(self.d_outputs)

    @property
    def roots(self) -> list[Symbol | None]:
        """All that the compiled step must compute, in one list; `take` puts it back."""
        return [*self.outputs, *self.new_states, *self.d_inputs, *self.d_states, *self.d_parameters]

    def take(self, roots: Sequence[Symbol | None]) -> None:
        """Set what `roots` lists."""
        rest: list[Any] = list(roots)
        for part in (self.outputs, self.new_states, self.d_inputs, self.d_states, self.d_parameters):
            part[:], rest = rest[: len(part)], rest[len(part) :]

    def forward(self) -> list[Symbol]:
        """The Symbols of the forward pass, causes first."""
        return ancestors([*self.outputs, *self.new_states])


def parameters_of(step: Step) -> list[Tensor]:
    """The Tensors that the step reaches through its object, its closure or its defaults: its parameters."""
    found: list[Tensor] = []
    _Replacement(lambda tensor: found.append(tensor) or tensor).of(step)  # type: ignore[func-returns-value]
    return found


class _Replacement:
    """A step, and the modules and containers that it reaches, with every Tensor exchanged."""

    def __init__(self, exchange: Callable[[Tensor], Tensor]) -> None:
        self.exchange = exchange
        self.done: dict[int, Any] = {}

    def of(self, value: Any) -> Any:
        if id(value) not in self.done:
            self.done[id(value)] = value  # ends cycles; replaced below
            self.done[id(value)] = self._new(value)
        return self.done[id(value)]

    def _new(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return self.exchange(value)
        if isinstance(value, Module):
            clone: Any = object.__new__(type(value))
            self.done[id(value)] = clone
            vars(clone).update(
                {k: v if k == "_init_arguments" else self.of(v) for k, v in vars(value).items()}
            )
            return clone
        if isinstance(value, MethodType):
            return MethodType(self.of(value.__func__), self.of(value.__self__))
        if isinstance(value, FunctionType):
            return self._function(value)
        if isinstance(value, list):
            return list(map(self.of, value))
        if isinstance(value, tuple):
            items = list(map(self.of, value))
            return type(value)._make(items) if hasattr(value, "_make") else tuple(items)
        if type(value) is dict:
            return {k: self.of(v) for k, v in value.items()}
        return value

    def _function(self, function: FunctionType) -> FunctionType:
        scope = function.__globals__
        named = {name: scope[name] for name in names_in(function.__code__) if name in scope}
        # Of the functions at module level only the neighbours may reach Tensors of the step's.
        new = {
            name: self.of(value)
            for name, value in named.items()
            if isinstance(value, Tensor | Module)
            or (isinstance(value, FunctionType) and value.__globals__ is scope)
        }
        cells = tuple([CellType(self.of(c.cell_contents)) for c in function.__closure__ or ()])
        defaults = tuple(map(self.of, function.__defaults__)) if function.__defaults__ else None
        made = FunctionType(
            function.__code__, {**scope, **new} if new else scope, function.__name__, defaults, cells or None
        )
        if function.__kwdefaults__:
            made.__kwdefaults__ = {k: self.of(v) for k, v in function.__kwdefaults__.items()}
        return made


def names_in(code: CodeType) -> list[str]:
    """The global names that a function's code, and the code inside it, may look up."""
    inner = [name for c in code.co_consts if isinstance(c, CodeType) for name in names_in(c)]
    return [*code.co_names, *inner]


def trace(
    step: Step,
    xs: Any,
    state: Any,
    *,
    wants_inputs: Sequence[bool] = (),
    wants_parameters: Sequence[bool] = (),
    wants_states: bool = False,
) -> tuple[Trace, Any]:
    """`step` as a graph, together with the gradients that are wanted; and what it returns as its output.

    If no gradient is wanted, there is the forward pass alone; if any is, those of the states are among them.
    xs, state: nested tuples of anything with a shape (rows, ...) and a dtype. Raises TraceError where the
    step needs numbers, mixes rows, or returns another state than it was given.
    """
    graph = Graph()
    train = wants_states or any(wants_inputs) or any(wants_parameters)

    def leaf(name: str, like: Any, level: Level, wanted: bool, is_row: bool = True) -> Tensor:
        shape = (ROWS, *like.shape[1:]) if is_row else tuple(like.shape)
        tensor = make_tensor(graph.leaf(name, shape, like.dtype, level), None)
        if wanted and tensor.dtype.kind == "f":
            tensor._become_leaf()
        return tensor

    originals = parameters_of(step)
    wants_inputs = list(wants_inputs) or [False] * len(flatten(xs))
    wants = dict(zip(map(id, originals), wants_parameters or [False] * len(originals), strict=True))
    labels = _labels(step, originals)
    inputs = [
        leaf(n, x, Level.INPUT, w) for n, x, w in zip(names(xs, "x"), flatten(xs), wants_inputs, strict=True)
    ]
    states = [
        leaf(f"{n}_prev", s, Level.STATE, train)
        for n, s in zip(_short_names(names(state, "state")), flatten(state), strict=True)
    ]
    parameters = {
        id(p): leaf(labels[id(p)], p, Level.PARAMETER, wants[id(p)], is_row=False) for p in originals
    }
    draws: list[noise.Draw] = []
    shared: list[Tensor] = list(parameters.values())

    def drawn(draw: noise.Draw, x: Tensor) -> Tensor:
        if draw.per != "scan" and not x.data.is_row:
            raise noise.no_rows(draw, x)
        draws.append(draw)
        shape = draw.shape if draw.per == "scan" else (ROWS, *draw.shape)
        level = Level.PARAMETER if draw.per == "scan" else Level.INPUT
        made = make_tensor(graph.leaf(f"noise_{len(draws)}", shape, draw.dtype, level), None)
        (shared if draw.per == "scan" else inputs).append(made)
        return made

    replaced = _Replacement(lambda tensor: parameters[id(tensor)]).of(step)
    given = rebuild(xs, iter(inputs)), rebuild(state, iter(states))
    with enable_grad(), random.refused(), noise.drawn_by(drawn):
        result, scope = _call(replaced, *given)
        outputs, new_states = _checked(result, states, state)
        traced = Trace(
            graph,
            [t.data for t in inputs],
            [t.data for t in states],
            [t.data for t in shared],
            [t.data for t in outputs],
            [t.data for t in new_states],
            draws=draws,
        )
        for name, value in scope.items():
            if isinstance(value, Tensor) and type(value.data) is Symbol and value.data.op != "leaf":
                value.data.name = name
        _refuse_mixing(traced.forward())
        if train:
            _differentiate(traced, inputs, states, shared, outputs, new_states, scope)
    return traced, result[0]


def _differentiate(
    traced: Trace,
    inputs: list[Tensor],
    states: list[Tensor],
    parameters: list[Tensor],
    outputs: list[Tensor],
    new_states: list[Tensor],
    scope: dict[str, Any],
) -> None:
    """Sweep from the cotangents of all outputs and new states at once."""
    graph = traced.graph
    several = len(outputs) > 1
    for j, y in enumerate(outputs):
        traced.d_outputs.append(graph.leaf(f"dy{j if several else ''}", y.shape, y.dtype, Level.STATE))
    for s in traced.states:
        name = f"d_{s.name.removesuffix('_prev')}"
        traced.d_new_states.append(graph.leaf(name, s.shape, s.dtype, Level.COTANGENT))
    pairs = zip(outputs + new_states, traced.d_outputs + traced.d_new_states, strict=True)
    roots = [(t.source, d) for t, d in pairs if t.source is not None]
    named: dict[str, Any] = {
        n: t.source[:2]
        for n, t in scope.items()
        if isinstance(t, Tensor) and t.source is not None and isinstance(t.source[0], Node)
    }
    found = sweep(roots, watch=list(named.values()))
    for name, key in named.items():
        gradient = found.get(key)
        if gradient is not None and not gradient.name:
            gradient.name = f"d_{name}"
    get = lambda t: None if t.source is None else found.get(t.source[0])
    traced.d_inputs = list(map(get, inputs))
    traced.d_states = list(map(get, states))
    traced.d_parameters = list(map(get, parameters))
    leaves = traced.inputs + traced.parameters
    for leaf, gradient in zip(leaves, traced.d_inputs + traced.d_parameters, strict=True):
        if gradient is not None and not gradient.name and gradient.op != "leaf":
            gradient.name = f"d_{leaf.name}"


def _call(step: Step, x: Any, state: Any) -> tuple[Any, dict[str, Any]]:
    """What the step returns, and its local variables then, whose names are the best for its values."""
    code = getattr(getattr(step, "__func__", step), "__code__", None)
    scope: dict[str, Any] = {}

    def look(frame: Any, event: str, _: Any) -> None:
        if event == "return" and frame.f_code is code:
            scope.update(frame.f_locals)

    if sys.getprofile() is not None:  # somebody measures: names are worth less than their profile
        return step(x, state), scope
    sys.setprofile(look)
    try:
        return step(x, state), scope
    finally:
        sys.setprofile(None)


def _checked(result: Any, states: list[Tensor], state: Any) -> tuple[list[Tensor], list[Tensor]]:
    """The outputs and new states that a step returned, if they are what a step must return."""
    check_result(result, rebuild(state, iter(states)), ROWS)
    outputs, new = flatten(result[0]), flatten(result[1])
    for name, before, after in zip(names(state, "state"), states, new, strict=True):
        if after.dtype != before.dtype:
            raise TraceError(
                f"A step keeps the dtype of its state, but {name} goes in as {before.dtype} and comes out as "
                f"{after.dtype}: convert the state, the Parameters, or the input."
            )
    return outputs, new


def _refuse_mixing(symbols: list[Symbol]) -> None:
    for s in symbols:
        if not s.is_row and any(ROWS in i.shape for i in s.symbols):
            raise TraceError(
                f"A step cannot mix the sequences of a batch, as {s.op}() of {s.inputs[0].shape} giving "
                f"{s.shape} does: reduce and transpose features only, axis=-1."
            )


def _short_names(paths: list[str]) -> list[str]:
    """The last parts of dotted paths, if they are names and differ; else the paths, joined by _."""
    last = [p.rsplit(".", 1)[-1] for p in paths]
    usable = len(set(last)) == len(last) and all(n.isidentifier() for n in last)
    return last if usable else [p.replace(".", "_") for p in paths]


def _labels(step: Any, tensors: list[Tensor]) -> dict[int, str]:
    """By id, what to call each parameter: its path in the module, or the name that the closure uses."""
    found: dict[int, str] = {}
    owner = getattr(step, "__self__", None)
    if isinstance(owner, Module):
        for path, parameter in owner.named_parameters():
            found[id(parameter)] = path.replace(".", "_")
    if isinstance(step, FunctionType):
        reached = {**step.__globals__, **inspect.getclosurevars(step).nonlocals}
        for name in (*step.__code__.co_freevars, *names_in(step.__code__)):
            if isinstance(reached.get(name), Tensor):
                found.setdefault(id(reached[name]), name)
    for k, tensor in enumerate(tensors):
        found.setdefault(id(tensor), f"p{k}")
    return found
