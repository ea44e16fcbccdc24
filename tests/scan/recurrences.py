"""Every registered cell in its variants, and cells of one's own of the literature: what kernels are for."""

from importlib.metadata import entry_points
from typing import Any, NamedTuple

from tinyseq import Cell, Tensor
from tinyseq.engine import make_tensor
from tinyseq.nn import LayerNorm, Linear, Parameter
from tinyseq.nn.init import glorot_uniform
from tinyseq.ops import concatenate, sigmoid, split, tanh
from tinyseq.scan.running.compiled import program_for
from tinyseq.scan.running.program import Options, Program

VARIANTS: dict[str, list[dict[str, Any]]] = {
    "gru": [{"reset": "before"}, {"reset": "after"}],
    "lstm": [{}, {"peepholes": True}],
}


class State(NamedTuple):
    h: Tensor
    c: Tensor


class LayerNormLSTM(Cell):
    """Ba, Kiros and Hinton (2016), equations 20 to 22."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        self.input_size, self.output_size = input_size, hidden_size
        self.w_x = Parameter(glorot_uniform((input_size, 4 * hidden_size)))
        self.w_h = Parameter(glorot_uniform((hidden_size, 4 * hidden_size)))
        self.norm_x, self.norm_h = LayerNorm(4 * hidden_size), LayerNorm(4 * hidden_size)
        self.norm_c = LayerNorm(hidden_size)

    def initial_state(self, batch_size: int) -> State:
        return State(self.zeros(batch_size, self.output_size), self.zeros(batch_size, self.output_size))

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        i, f, g, o = split(self.norm_x(x @ self.w_x) + self.norm_h(state.h @ self.w_h), 4, axis=-1)
        c = sigmoid(f) * state.c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(self.norm_c(c))
        return h, State(h, c)


class MGU(Cell):
    """Zhou, Wu, Zhang and Zhou (2016), with two products that wait for one another."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        self.input_size, self.output_size = input_size, hidden_size
        self.forget = Linear(hidden_size + input_size, hidden_size)
        self.candidate = Linear(hidden_size + input_size, hidden_size)

    def initial_state(self, batch_size: int) -> tuple[Tensor]:
        return (self.zeros(batch_size, self.output_size),)

    def step(self, x: Tensor, state: tuple[Tensor]) -> tuple[Tensor, tuple[Tensor]]:
        (h,) = state
        f = sigmoid(self.forget(concatenate([h, x], axis=-1)))
        h = (1 - f) * h + f * tanh(self.candidate(concatenate([f * h, x], axis=-1)))
        return h, (h,)


def recurrences() -> dict[str, Any]:
    """Functions of (input_size, hidden_size) that make them, by name."""
    found: dict[str, Any] = {"layer-norm-lstm": LayerNormLSTM, "mgu": MGU}
    for point in entry_points(group="tinyseq.cells"):
        cell = point.load()
        for options in VARIANTS.get(point.name, [{}]):
            name = "-".join([point.name, *(str(v) if v is not True else k for k, v in options.items())])
            found[name] = lambda i, h, cell=cell, options=options: cell(i, h, **options)
    return found


def program_of(cell: Cell, emitter: str = "cuda") -> Program:
    """A cell's program, which trains and wants the gradient of its inputs."""
    xs = make_tensor(cell.zeros(1, cell.input_size).data, None)
    xs._become_leaf()
    return program_for(cell.step, xs, cell.initial_state(1), Options(emitter=emitter))[0]
