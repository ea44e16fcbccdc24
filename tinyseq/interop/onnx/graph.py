"""An ONNX graph while it is written: nodes, weights, and names that nobody else has."""

import re
from typing import Any, NamedTuple

import numpy as np

from tinyseq.engine import Tensor
from tinyseq.errors import ConfigError

OPSET = 18
IR_VERSION = 8  # the one that came with this opset, so that older runtimes read the file too


class Value(NamedTuple):
    """What a name in the graph holds, in front of whose axes `shape` stand those of its rows.

    With `lengths`, the name of the lengths of the sequences, it has steps: (time, batch, *shape). Without, it
    has one row for each sequence: (batch, *shape).
    """

    name: str
    shape: tuple[int, ...]
    dtype: Any
    lengths: str = ""

    @property
    def lead(self) -> int:
        """How many axes stand in front."""
        return 2 if self.lengths else 1


def library() -> Any:
    """The package onnx. Raises ConfigError where it is not installed."""
    try:
        import onnx
    except ImportError:
        raise ConfigError("ONNX needs the package onnx: pip install 'tinyseq[onnx]'.") from None
    return onnx


class State(NamedTuple):
    """A part of the state that the graph is given and gives on: its names before and after."""

    before: str
    after: str
    shape: tuple[int, ...]
    dtype: Any


class Graph:
    """The nodes of a graph, or of the body of a loop, whose weights are those of the graph around it."""

    def __init__(self, outer: "Graph | None" = None) -> None:
        self.onnx = library()
        self.outer = outer
        self.nodes: list[Any] = []
        self.states: list[State] | None = None  # None where every sequence begins anew
        self.weights: dict[str, Any] = {} if outer is None else outer.weights
        self._names: set[str] = set() if outer is None else outer._names
        self._known: dict[Any, str] = {} if outer is None else outer._known

    def name(self, wish: str) -> str:
        """A name that is not taken."""
        word = re.sub(r"\W", "_", wish) or "v"
        name, n = word, 2
        while name in self._names:
            name, n = f"{word}_{n}", n + 1
        self._names.add(name)
        return name

    def constant(self, value: Any, dtype: Any = None, wish: str = "") -> str:
        """The name of an array that the graph holds; equal small ones are one."""
        array = np.array(value, dtype, order="C")
        key = (
            (array.shape, str(array.dtype), array.tobytes())
            if array.size < 100
            else ("new", len(self._known))
        )
        if key not in self._known:
            self._known[key] = name = self.name(wish or "c")
            self.weights[name] = self.onnx.numpy_helper.from_array(array, name)
        return self._known[key]

    def weight(self, tensor: Tensor, wish: str) -> str:
        """The name of a Parameter, which is written once however often it is used."""
        key = ("parameter", id(tensor))
        if key not in self._known:
            name = self.name(wish)
            self.weights[name] = self.onnx.numpy_helper.from_array(np.array(tensor.numpy(), order="C"), name)
            self._known[key] = name
        return self._known[key]

    def node(self, op: str, *inputs: str, wish: str = "", **attributes: Any) -> str:
        """The name of the one output of a new node."""
        (name,) = self.nodes_out(op, list(inputs), 1, wish, **attributes)
        return name

    def nodes_out(
        self, op: str, inputs: list[str], outputs: int, wish: str = "", **attributes: Any
    ) -> list[str]:
        """The names of all outputs of a new node."""
        names = [self.name(wish or op.lower()) for _ in range(outputs)]
        self.nodes.append(self.onnx.helper.make_node(op, inputs, names, **attributes))
        return names

    def cast(self, name: str, dtype: Any) -> str:
        """A value as `dtype`."""
        return self.node("Cast", name, to=self.type_of(dtype))

    def type_of(self, dtype: Any) -> Any:
        """ONNX's number for a dtype."""
        return self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))

    def carried(self, shape: tuple[int, ...], dtype: Any) -> State:
        """Another part of the state, (batch, *shape)."""
        assert self.states is not None
        k = len(self.states)
        self.states.append(State(self.name(f"state_{k}"), self.name(f"next_state_{k}"), shape, dtype))
        return self.states[-1]

    def call(self, name: str, result: str) -> None:
        """Give a value the name of an output."""
        self.nodes.append(self.onnx.helper.make_node("Identity", [name], [result]))

    def info(self, name: str, dtype: Any, shape: Any) -> Any:
        """The description of an input or output; None in a shape is a length that nobody knows."""
        return self.onnx.helper.make_tensor_value_info(name, self.type_of(dtype), shape)

    def steps(self, like: str) -> tuple[str, str]:
        """The numbers of steps and of sequences in a value with steps: scalars."""
        both = [self.node("Shape", like, start=k, end=k + 1) for k in (0, 1)]
        time, batch = (self.node("Squeeze", one, self.constant([0], np.int64)) for one in both)
        return time, batch

    def reversed(self, value: Value) -> str:
        """Every sequence backwards, from its own last step."""
        return self.node("ReverseSequence", value.name, value.lengths, time_axis=0, batch_axis=1)

    def present(self, value: Value, rank: int = 0) -> str:
        """Where there is a step: booleans (time, batch), and `rank` axes of length 1 behind."""
        key = ("present", value.lengths, value.name, rank, id(self))
        if key not in self._known:
            if rank:
                axes = self.constant(np.arange(2, 2 + rank), np.int64)
                name = self.node("Unsqueeze", self.present(value), axes)
            else:
                time, _ = self.steps(value.name)
                zero, one = (self.constant(n, np.int64) for n in (0, 1))
                clock = self.node(
                    "Unsqueeze", self.node("Range", zero, time, one), self.constant([1], np.int64)
                )
                name = self.node("Less", clock, value.lengths, wish="present")
            self._known[key] = name
        return self._known[key]
