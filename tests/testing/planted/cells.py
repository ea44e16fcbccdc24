"""Cells with one fault each: (what is wrong, the law that names it, the component, what is declared)."""

from collections.abc import Callable
from typing import Any

import numpy as np

from planted.parts import Gated, LongState, Plain, State, gated_formula
from tinyseq import Tensor, noise, ops, primitive
from tinyseq import random as tinyseq_random
from tinyseq.engine import make_tensor
from tinyseq.nn import Parameter, init

SIZES = [{"input_size": 3, "hidden_size": 4}]


class ForgetBiasOnEveryGate(Gated):  # Trax, layers/rnn.py
    def gates(self, x: Tensor, state: LongState) -> list[Tensor]:
        return ops.split(x @ self.w_x + state.h @ self.w_h + self.b + 1, 4, axis=-1)


class SwappedGates(Gated):
    def gates(self, x: Tensor, state: LongState) -> list[Tensor]:
        i, f, g, o = super().gates(x, state)
        return [f, i, g, o]


class MixedUpSizes(Plain):  # DeZero, layers.py: h2h is made with in_size
    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.w_h = Parameter(init.glorot_uniform((input_size, hidden_size)))


class KeepsItsState(Plain):  # a hidden state that nobody passes
    last: Any = None

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        if self.last is not None and self.last.shape == state.h.shape:
            state = State(state.h + 0.1 * self.last)
        h, after = super().step(x, state)
        self.last = h.detach()
        return h, after


class CountsSteps(Plain):
    steps = 0

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        self.steps += 1
        h = ops.tanh(self.before(x, state.h)) * (1 / self.steps)
        return h, State(h)


class LosesTheStatesGradient(Plain):
    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        return super().step(x, State(state.h.detach()))


class InitialStateWithoutGradient(Plain):  # Thinc, layers/lstm.py: HC0
    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.h0 = Parameter(init.normal((1, hidden_size)))

    def initial_state(self, batch_size: int) -> State:
        return State(make_tensor(np.repeat(self.h0.data, batch_size, axis=0), None))


class UnusedBias(Plain):
    def before(self, x: Tensor, h: Tensor) -> Tensor:
        return x @ self.w_x + h @ self.w_h


class WeightIsAConstant(Plain):
    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.scale = Tensor(init.normal((hidden_size,)))

    def before(self, x: Tensor, h: Tensor) -> Tensor:
        return super().before(x, h) * self.scale.astype(x.dtype)


class WeightIsNoParameter(Plain):
    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.scale = Tensor(np.full(hidden_size, 0.5), requires_grad=True)

    def before(self, x: Tensor, h: Tensor) -> Tensor:
        return super().before(x, h) * self.scale.astype(x.dtype)


class WeightInASet(Plain):
    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.scales = {Parameter(init.ones((hidden_size,)))}

    def before(self, x: Tensor, h: Tensor) -> Tensor:
        (scale,) = self.scales
        return super().before(x, h) * scale.astype(x.dtype)


class PathRoundTheTape(Plain):
    def before(self, x: Tensor, h: Tensor) -> Tensor:
        product = make_tensor(h.data @ self.w_h.data, None) if h.is_concrete() else h @ self.w_h
        return x @ self.w_x + product + self.b


class Float64Leak(Plain):
    def before(self, x: Tensor, h: Tensor) -> Tensor:
        return super().before(x, h) * Tensor(np.full(self.output_size, 0.5))


class ChangesItsInput(Plain):
    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        x.data[...] = x.data / 2
        return super().step(x, state)


class DropsFromTheGlobalGenerator(Plain):
    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        if self.training:
            x = x * Tensor((np.random.random(x.shape) < 0.5).astype(x.dtype))
        return super().step(x, state)


class InitialValuesFromTheGlobalGenerator(Plain):
    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.w_h = Parameter(np.random.normal(size=(hidden_size, hidden_size)))


class DropsInEvaluation(Plain):
    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        kept = tinyseq_random.generator().random(x.shape) < 0.5
        return super().step(x * Tensor(kept.astype(x.dtype)), state)


class HandsOnTheOldState(Plain):
    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        h, _ = super().step(x, state)
        return h, state


class NormalizesOverTheBatch(Plain):
    def before(self, x: Tensor, h: Tensor) -> Tensor:
        z = super().before(x, h)
        return z - z.mean(axis=0, keepdims=True) if self.training else z


class NormalizesBesideNoise(NormalizesOverTheBatch):
    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        return super().step(x * noise.mask(x, 0.2) if self.training else x, state)


class SoftmaxOverTheBatch(Plain):
    def before(self, x: Tensor, h: Tensor) -> Tensor:
        z: Tensor = ops.softmax(super().before(x, h), axis=0)
        return z


class TakesAnArray(Plain):
    def __init__(self, input_size: int, hidden_size: int, scale: Any = None) -> None:
        super().__init__(input_size, hidden_size)
        self.scale = scale

    def before(self, x: Tensor, h: Tensor) -> Tensor:
        return super().before(x, h) * Tensor(self.scale.astype(x.dtype))


class SetAfterwards(Plain):
    """Its factory changes it once it is made."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.scale = 1.0

    def before(self, x: Tensor, h: Tensor) -> Tensor:
        return super().before(x, h) * self.scale


def set_afterwards() -> SetAfterwards:
    cell = SetAfterwards(3, 4)
    cell.scale = 0.5
    return cell


class SwallowsMisspeltOptions(Plain):
    def __init__(self, input_size: int, hidden_size: int, **options: Any) -> None:
        super().__init__(input_size, hidden_size)


class OverflowingGate(Plain):
    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        e = ops.exp(self.before(x, state.h))
        h = e / (1 + e)
        return h, State(h)


class SqueezesABatchOfOne(Plain):
    def before(self, x: Tensor, h: Tensor) -> Tensor:
        return super().before(x, h).squeeze()


def broken_tanh(second_order_only: bool) -> Callable[[Any], Any]:
    @primitive
    def tanh(xp: Any, x: Any) -> Any:
        y = xp.tanh(x)
        if second_order_only:
            return y, lambda g: (g * xp.stop_gradient(1 - y * y),)
        return y, lambda g: (g * (1 - y),)

    return tanh


class WrongPullback(Plain):
    act = staticmethod(broken_tanh(second_order_only=False))

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        h = self.act(self.before(x, state.h))
        return h, State(h)


class ConstantInThePullback(WrongPullback):
    act = staticmethod(broken_tanh(second_order_only=True))


@primitive
def twice(xp: Any, x: Any) -> Any:
    return (1 * x, 2 * x), lambda g, h: (g + 2 * h,)


class NeedsEveryOutput(Plain):  # chainer #2505: no gradient if only one output is used
    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        h, _ = super().step(x, state)
        one, two = twice(h)
        return one, State(two)


class BranchesOnNumbers(Plain):  # right on the tape, but no trace can know which way it goes
    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        h, after = super().step(x, state)
        return (h, after) if float(ops.sum(h * h)) < 1e6 else (0 * h, after)


class ConstantOnTheHost(Plain):  # an array made with NumPy beside Parameters on a device
    def before(self, x: Tensor, h: Tensor) -> Tensor:
        return super().before(x, h) * make_tensor(np.full(self.output_size, 0.5, x.dtype), None)


NEEDS_CUPY: list[tuple[str, str, Any, dict[str, Any]]] = [
    ("constant on the host", "C10", ConstantOnTheHost, {"cases": SIZES}),
]


class LimitsInTraining(Plain):
    """Gradients of both modes are right on the tape; compiled, the branch cannot be followed."""

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        h, _ = super().step(x, state)
        if self.training and float(ops.max(ops.abs(h)).item()) > 100:
            h = h * 0.5
        return h, State(h)


PLANTS: list[tuple[str, str, Any, dict[str, Any]]] = [
    ("forget bias on all four gates (Trax)", "C15", ForgetBiasOnEveryGate, {"reference": gated_formula}),
    ("input and forget gates swapped", "C15", SwappedGates, {"reference": gated_formula}),
    ("input_size for hidden_size (DeZero)", "C1", MixedUpSizes, {}),
    ("state kept on the object", "C17", KeepsItsState, {}),
    ("step counted in Python", "C17", CountsSteps, {}),
    ("gradient of the state lost", "C7", LosesTheStatesGradient, {}),
    ("initial state without gradient (Thinc)", "C8", InitialStateWithoutGradient, {}),
    ("bias never added", "C8", UnusedBias, {}),
    ("weight in a plain Tensor", "C11", WeightIsAConstant, {}),
    ("leaf that is no Parameter", "C8", WeightIsNoParameter, {}),
    ("Parameter in a set", "C8", WeightInASet, {}),
    ("product around the tape", "C7", PathRoundTheTape, {}),
    ("float64 leaks in", "C1", Float64Leak, {}),
    ("input changed in place", "C12", ChangesItsInput, {}),
    ("dropout from np.random", "C20", DropsFromTheGlobalGenerator, {}),
    ("initial values from np.random", "C20", InitialValuesFromTheGlobalGenerator, {}),
    ("dropout in evaluation", "C18", DropsInEvaluation, {}),
    ("old state handed on", "C3", HandsOnTheOldState, {}),
    ("batch statistics in training", "C2", NormalizesOverTheBatch, {}),
    ("batch statistics beside noise", "C2", NormalizesBesideNoise, {}),
    ("softmax over the batch", "C2", SoftmaxOverTheBatch, {}),
    ("argument that no file can hold", "C11", TakesAnArray, {"cases": [(3, 4, np.full(4, 0.5))]}),
    ("changed after construction", "C11", SetAfterwards, {"cases": [set_afterwards]}),
    ("constructor takes **options", "C11", SwallowsMisspeltOptions, {}),
    ("exponential overflows", "C16", OverflowingGate, {}),
    ("batch of one squeezed away", "C1", SqueezesABatchOfOne, {}),
    ("wrong derivative in a pullback", "C7", WrongPullback, {}),
    ("constant in a pullback", "C9", ConstantInThePullback, {}),
    ("branches on a number", "C13", BranchesOnNumbers, {}),
    ("branches on a number, in training only", "C21", LimitsInTraining, {}),
    ("pullback needs every output (chainer)", "C14", NeedsEveryOutput, {}),
]
for _, _, _, declared in PLANTS:
    declared.setdefault("cases", SIZES)
