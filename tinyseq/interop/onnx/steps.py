"""What treats rows alike, as nodes, recorded by running it on Symbols: cells, layers, heads of anyone's."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyseq.backend.symbols import Level, Symbol
from tinyseq.engine import Tensor, make_tensor
from tinyseq.errors import ConfigError, TinyseqError
from tinyseq.interop.onnx.graph import Graph, Value
from tinyseq.interop.onnx.words import node_of
from tinyseq.scan.graph import ancestors
from tinyseq.scan.tracing.trace import parameters_of, trace
from tinyseq.sequences import Sequences


class Reductions:
    """What was asked of whole sequences while a function of them was recorded: (what, of, result)."""

    def __init__(self) -> None:
        self.found: list[tuple[str, Symbol, Symbol]] = []

    def add(self, what: str, of: Tensor) -> Tensor:
        """A Symbol that stands for the answer."""
        symbol: Any = of.data
        for known, source, result in self.found:
            if known == what and source is symbol:
                return make_tensor(result, None)
        name = f"{what}.{len(self.found)}"
        result = symbol.graph.leaf(name, symbol.shape, symbol.dtype, Level.INPUT)
        self.found.append((what, symbol, result))
        return make_tensor(result, None)


class _Unknown:
    """The layout of a batch that is only recorded."""

    def __getattr__(self, name: str) -> Any:
        raise ConfigError(
            "what it does depends on the lengths of a batch, of which an ONNX graph takes any: use map(), "
            "last(), first(), mean(), sum(), max(), spread()"
        )


class Recorded(Sequences):
    """Sequences without numbers: functions of them are written down, whatever the lengths will be."""

    __slots__ = ("reductions",)

    def __init__(self, data: Tensor, reductions: Reductions) -> None:
        self.data = data
        self.reductions = reductions
        self.layout: Any = _Unknown()
        self.looked_up = None
        self._id_range = (0, 0)

    def with_data(self, data: Tensor) -> "Recorded":
        """The same arrangement with other values."""
        return Recorded(data, self.reductions)

    def map(self, function: Callable[[Tensor], Tensor]) -> "Recorded":
        """`function` of the rows of all steps."""
        return self.with_data(function(self.data))

    def detach(self) -> "Recorded":
        """The same values."""
        return self

    def last(self) -> Tensor:
        """The last step of each sequence."""
        return self.reductions.add("last", self.data)

    def first(self) -> Tensor:
        """The first step of each sequence."""
        return self.reductions.add("first", self.data)

    def sum(self) -> Tensor:
        """The sum over the steps of each sequence."""
        return self.reductions.add("sum", self.data)

    def mean(self) -> Tensor:
        """The mean over the steps of each sequence."""
        return self.reductions.add("mean", self.data)

    def max(self) -> Tensor:
        """The largest value over the steps of each sequence."""
        return self.reductions.add("max", self.data)

    def spread(self, rows: Tensor) -> Tensor:
        """One row for each sequence at each of its steps."""
        return self.reductions.add("spread", rows)


def write_function(graph: Graph, function: Callable[[Any], Any], x: Value, path: str) -> list[Value]:
    """Nodes for a function of a batch of sequences, or of one row for each; one Value for each result."""
    reductions = Reductions()
    has_steps = bool(x.lengths)

    def step(rows: Any, state: Any) -> Any:
        result = function(Recorded(rows, reductions) if has_steps else rows)
        plain = tuple(getattr(r, "data", r) if isinstance(r, Sequences) else r for r in _several(result))
        return plain, state

    return write_step(graph, step, [x], (), [], path, reductions)


def _several(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)


def write_step(
    graph: Graph,
    step: Callable[[Any, Any], tuple[Any, Any]],
    inputs: list[Value],
    state: Any,
    states: list[str],
    path: str,
    reductions: Reductions | None = None,
) -> list[Value]:
    """Nodes for one step: Values of its outputs, then of its next states.

    state: an example of the state, one row each; states: the names of its parts in the graph. Raises
    ConfigError for a step that cannot be recorded or whose operations ONNX has not.
    """
    examples = [make_tensor(np.zeros((1, *x.shape), x.dtype), None) for x in inputs]
    try:
        traced, _ = trace(step, examples[0] if len(examples) == 1 else tuple(examples), state)
    except TinyseqError as error:
        raise ConfigError(f"{path} cannot be exported: {error}") from error
    lead = {s.id: x.lead for s, x in zip(traced.inputs, inputs, strict=True)}
    known = {s.id: x.name for s, x in zip(traced.inputs, inputs, strict=True)}
    for symbol, name in zip(traced.states, states, strict=True):
        known[symbol.id], lead[symbol.id] = name, 1
    behind = [of for _, of, _ in reductions.found] if reductions else []
    used = {s.id for s in ancestors([*traced.outputs, *traced.new_states, *behind])}
    for symbol, tensor in zip(traced.parameters, parameters_of(step), strict=True):
        if symbol.id in used:
            known[symbol.id], lead[symbol.id] = graph.weight(tensor, f"{path}.{symbol.name}"), 0
    writer = _Writer(graph, known, lead, inputs[0], path, reductions or Reductions())
    return [writer.value(symbol) for symbol in (*traced.outputs, *traced.new_states)]


class _Writer:
    """Nodes for Symbols, each once."""

    def __init__(
        self,
        graph: Graph,
        known: dict[int, str],
        lead: dict[int, int],
        x: Value,
        path: str,
        reductions: Reductions,
    ) -> None:
        self.graph, self.known, self.lead, self.x, self.path = graph, known, lead, x, path
        self.reductions = {result.id: (what, of) for what, of, result in reductions.found}

    def value(self, root: Symbol) -> Value:
        """The Value that a Symbol has in the graph."""
        for symbol in self._needed(root):
            if symbol.id not in self.known:
                self.lead[symbol.id] = self._leading(symbol)
                self.known[symbol.id] = (
                    self._reduced(*self.reductions[symbol.id])
                    if symbol.id in self.reductions
                    else self._node(symbol)
                )
        lengths = self.x.lengths if self.lead[root.id] == 2 else ""
        return Value(self.known[root.id], root.shape[1:], root.dtype, lengths)

    def _needed(self, root: Symbol) -> list[Symbol]:
        """The Symbols behind `root`, causes first, also those behind reductions."""
        roots, found = [root], ancestors([root])
        while True:
            more = [self.reductions[s.id][1] for s in found if s.id in self.reductions]
            if {s.id for s in more} <= {s.id for s in roots}:
                return found
            roots = [root, *more]
            found = ancestors(roots)

    def _leading(self, symbol: Symbol) -> int:
        """How many axes stand for ROWS; rows of steps and rows of sequences never meet."""
        if symbol.id in self.reductions:
            return 2 if self.reductions[symbol.id][0] == "spread" else 1
        leads = {self.lead[s.id] for s in symbol.symbols if s.is_row}
        if len(leads) > 1:
            raise ConfigError(
                f"{self.path} cannot be exported: {symbol.op}() meets rows of steps with rows of sequences: "
                "use spread()."
            )
        return leads.pop() if leads else self.x.lead if symbol.is_row else 0

    def _node(self, symbol: Symbol) -> str:
        inputs = [self.known[v.id] if isinstance(v, Symbol) else v for v in symbol.inputs]
        name = node_of(self.graph, symbol, inputs, self.lead, self.x.name)
        if name is None:
            raise ConfigError(f"{self.path} cannot be exported: ONNX has no {symbol.op}() as used there.")
        return name

    def _reduced(self, what: str, of: Symbol) -> str:
        """What was asked of whole sequences."""
        graph, name = self.graph, self.known[of.id]
        if what == "spread":
            time = graph.node("Shape", self.x.name, start=0, end=1)
            shape = graph.node("Concat", time, graph.node("Shape", name), axis=0)
            return graph.node("Expand", name, shape)
        rank = len(of.shape) - 1
        value = Value(name, of.shape[1:], of.dtype, self.x.lengths)
        return pooled(graph, value, what, rank)


def pooled(graph: Graph, value: Value, what: str, rank: int) -> str:
    """One row for each sequence from the steps of it: the last, the first, sum, mean or max."""
    zero, first = graph.constant([0], np.int64), graph.constant(0, np.int64)
    if what == "first":
        return graph.node("Gather", value.name, first, axis=0)
    if what == "last":
        one = graph.constant(1, np.int64)
        _, batch = graph.steps(value.name)
        rows = graph.node("Range", first, batch, one)
        ends = graph.node("Sub", value.lengths, one)
        axis = graph.constant([1], np.int64)
        index = graph.node(
            "Concat", graph.node("Unsqueeze", ends, axis), graph.node("Unsqueeze", rows, axis), axis=1
        )
        return graph.node("GatherND", value.name, index, wish="last")
    nothing = {"max": -np.inf if np.dtype(value.dtype).kind == "f" else np.iinfo(value.dtype).min}.get(
        what, 0
    )
    masked = graph.node("Where", graph.present(value, rank), value.name, graph.constant(nothing, value.dtype))
    if what == "max":
        return graph.node("ReduceMax", masked, zero, keepdims=0)
    total = graph.node("ReduceSum", masked, zero, keepdims=0)
    if what == "sum":
        return total
    lengths = graph.cast(value.lengths, value.dtype)
    if rank:
        lengths = graph.node("Unsqueeze", lengths, graph.constant(np.arange(1, 1 + rank), np.int64))
    return graph.node("Div", total, lengths, wish="mean")
