"""Components of other shapes than tinyseq's own, with no fault: the kit must leave them alone."""

from typing import Any, NamedTuple

import numpy as np

from planted.parts import Plain, State
from tinyseq import Tensor, noise, ops
from tinyseq import random as tinyseq_random
from tinyseq.contracts import Cell, Layer
from tinyseq.nn import Parameter, init
from tinyseq.sequences import like, packed


class MGU(Cell):
    """Zhou et al. (2016): one gate forgets and resets."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        self.input_size, self.output_size = input_size, hidden_size
        self.w = Parameter(init.glorot_uniform((input_size + hidden_size, 2 * hidden_size)))

    def initial_state(self, batch_size: int) -> State:
        return State(self.zeros(batch_size, self.output_size))

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        w_f, w_h = ops.split(self.w, 2, axis=-1)
        f = ops.sigmoid(ops.concatenate([x, state.h], axis=-1) @ w_f)
        candidate = ops.tanh(ops.concatenate([x, f * state.h], axis=-1) @ w_h)
        h = (1 - f) * state.h + f * candidate
        return h, State(h)


class Normalized(Plain):
    """Layer normalisation before the activation."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.gain = Parameter(init.ones((hidden_size,)))

    def before(self, x: Tensor, h: Tensor) -> Tensor:
        z: Tensor = ops.layer_norm(super().before(x, h), self.gain, self.b, 1e-5)
        return z


class LearnedStart(Plain):
    """The initial state is a Parameter."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.h0 = Parameter(init.normal((1, hidden_size)))

    def initial_state(self, batch_size: int) -> State:
        return State(ops.broadcast_to(self.h0, (batch_size, self.output_size)))


class Zoneout(Plain):
    """Krueger et al. (2017): in training, units keep their state at random."""

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        h, _ = super().step(x, state)
        if self.training:
            kept = Tensor((tinyseq_random.generator().random(h.shape) < 0.1).astype(h.dtype))
            h = kept * state.h + (1 - kept) * h
        return h, State(h)


class NoisyCell(Plain):
    """Every kind of noise: Krueger's zoneout, dropout of the input by sequence, of weights by scan."""

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        if not self.training:
            return super().step(x, state)
        x = x * noise.mask(x, 0.3, per="sequence")
        w_h = self.w_h * noise.mask(self.w_h, 0.3, per="scan") + 0.1 * noise.normal(self.w_h, per="scan")
        h = ops.tanh(x @ self.w_x + state.h @ w_h + self.b)
        kept = noise.mask(h, 0.3)
        h = kept * h + (1 - kept) * state.h
        return h, State(h)


class Memory(NamedTuple):
    line: tuple[Tensor, Tensor]
    count: Tensor


class DelayLine(Cell):
    """The input of two steps ago and a running total: nested state, nothing to train, a wider output."""

    def __init__(self, input_size: int) -> None:
        self.input_size, self.output_size = input_size, 2 * input_size

    def initial_state(self, batch_size: int) -> Memory:
        empty = self.zeros(batch_size, self.input_size)
        return Memory((empty, empty), empty)

    def zeros(self, batch_size: int, width: int) -> Tensor:
        return Tensor(np.zeros((batch_size, width), np.float32))

    def step(self, x: Tensor, state: Memory) -> tuple[Tensor, Memory]:
        one, two = state.line
        total = state.count + x
        return ops.concatenate([two, total], axis=-1), Memory((x, one), total)


class CausalConvolution(Layer):
    """A stateless layer that reads this step and the one before."""

    def __init__(self, input_size: int) -> None:
        self.input_size = self.output_size = input_size
        self.now, self.then = Parameter(init.ones((input_size,))), Parameter(init.ones((input_size,)))

    def forward(self, xs: Any) -> Any:
        batch = packed(xs)
        rows = batch.to_padded()
        before = ops.pad(rows, [(0, 0), (1, 0), (0, 0)])[:, :-1]
        sums = rows * self.now + before * self.then
        return like(xs, type(batch).from_padded(sums, batch.lengths))


SIZES = [{"input_size": 3, "hidden_size": 4}, (1, 2), (2, 1)]

RIGHT: list[tuple[Any, dict[str, Any]]] = [
    (Plain, {"cases": SIZES}),
    (MGU, {"cases": SIZES}),
    (Normalized, {"cases": SIZES[:2]}),
    (LearnedStart, {"cases": SIZES}),
    (Zoneout, {"cases": SIZES}),
    (NoisyCell, {"cases": SIZES}),
    (DelayLine, {"cases": [(3,)]}),
    (CausalConvolution, {"cases": [(3,)], "context": "past"}),
    (ops.tanh, {"cases": [{}], "inputs": lambda rng, n: [rng.normal(size=n)], "reference": np.tanh}),
]
