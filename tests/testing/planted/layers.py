"""Layers with one fault each."""

from typing import Any

import numpy as np

from planted.parts import Plain
from tinyseq import Tensor, ops, primitive
from tinyseq.contracts import Layer
from tinyseq.nn import Parameter, init
from tinyseq.scan import Recurrent, scan
from tinyseq.sequences import Sequences, concatenate_features, like, packed


class TwoWays(Layer):
    """A right one: the features of a reading from the start, then those of one from the end."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        self.input_size, self.output_size = input_size, 2 * hidden_size
        self.ahead, self.back = Plain(input_size, hidden_size), Plain(input_size, hidden_size)

    def read_back(self, xs: Sequences) -> Sequences:
        ys: Sequences = scan(self.back, xs, reverse=True)[0]
        return ys

    def join(self, left: Sequences, right: Sequences) -> Sequences:
        return concatenate_features([left, right])

    def forward(self, xs: Any) -> Any:
        batch = packed(xs)
        return like(xs, self.join(scan(self.ahead, batch)[0], self.read_back(batch)))


class NeverReverses(TwoWays):  # Thinc, layers/bidirectional.py:47
    def read_back(self, xs: Sequences) -> Sequences:
        ys: Sequences = scan(self.back, xs)[0]
        return ys


class NeverTurnsBack(TwoWays):
    def read_back(self, xs: Sequences) -> Sequences:
        ys: Sequences = scan(self.back, xs.reverse())[0]
        return ys


class FlipsThePadding(TwoWays):  # Trax, layers/combinators.py: padding comes first in the reversed batch
    def read_back(self, xs: Sequences) -> Sequences:
        turned = ops.flip(xs.to_padded(), 1)
        ys = ops.flip(scan(self.back, turned)[0], 1)
        return Sequences.from_padded(ys, xs.lengths)


@primitive
def joined(xp: Any, a: Any, b: Any) -> Any:
    width = a.shape[-1]

    def pullback(g: Any) -> Any:
        first = xp.getitem(g, index=(slice(None), slice(0, width)))
        return first, first

    return xp.concatenate([a, b], axis=-1), pullback


class FirstHalfTwice(TwoWays):  # Thinc, layers/bidirectional.py:63
    def join(self, left: Sequences, right: Sequences) -> Sequences:
        return left.with_data(joined(left.data, right.data))


class Running(Recurrent):
    """A right recurrent layer, made like a cell."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(Plain(input_size, hidden_size))


class ForgetsTheGivenState(Running):
    def scan(self, xs: Any, state: Any = None) -> Any:
        return super().scan(xs)


class StateBeforeTheLastStep(Running):
    def scan(self, xs: Any, state: Any = None) -> Any:
        batch = packed(xs)
        state = self.initial_state(batch.batch_size) if state is None else state
        ys, final = super().scan(batch, state)
        outputs = ys.to_list()
        rows = [y[-2] if len(y) > 1 else state.h[i] for i, y in enumerate(outputs)]
        return like(xs, ys), final._replace(h=ops.stack(rows))


class LastRowForLastStep(Running):  # the last row of the packed array belongs to the longest sequence only
    def scan(self, xs: Any, state: Any = None) -> Any:
        batch = packed(xs)
        ys, final = super().scan(batch, state)
        return like(xs, ys), final._replace(h=ys.data[-batch.batch_size :] + 0 * final.h)


class NormalizesOverTime(Running):
    def scan(self, xs: Any, state: Any = None) -> Any:
        batch = packed(xs)
        ys, final = super().scan(batch, state)
        return like(xs, ys.with_data(ys.data - ys.spread(ys.mean()))), final


class CountsPadding(Layer):
    """Features less their mean over time."""

    def __init__(self, input_size: int) -> None:
        self.input_size = self.output_size = input_size

    def forward(self, xs: Any) -> Any:
        batch = packed(xs)
        mean = batch.to_padded().mean(axis=1)
        return like(xs, batch.with_data(batch.data - batch.spread(mean)))


class BatchNormalization(Layer):
    def __init__(self, size: int) -> None:
        self.weight = Parameter(init.ones((size,)))

    def forward(self, xs: Any) -> Any:
        batch = packed(xs)
        x = batch.data
        if self.training:
            x = (x - x.mean(axis=0)) / ops.sqrt(x.var(axis=0) + 1e-3)
        return like(xs, batch.with_data(x * self.weight))


class TakesTimeFirst(Layer):
    """A plain Tensor is read as (time, batch, features)."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        self.inner = Running(input_size, hidden_size)
        self.input_size, self.output_size = input_size, hidden_size

    def forward(self, xs: Any) -> Any:
        if isinstance(xs, Tensor):
            return self.inner(xs.swapaxes(0, 1)).swapaxes(0, 1)
        return self.inner(xs)


class ForgetsTheForm(Running):
    def forward(self, xs: Any) -> Any:
        return packed(super().forward(xs))


class AddsInPlace(Layer):
    """A residual connection that saves an array."""

    def __init__(self, input_size: int) -> None:
        self.input_size = self.output_size = input_size
        self.weight = Parameter(init.ones((input_size,)))

    def forward(self, xs: Any) -> Any:
        x = xs if isinstance(xs, Tensor) else xs.data
        y = x * self.weight
        np.add(x.data, y.data, out=x.data)
        return y if isinstance(xs, Tensor) else xs.with_data(y)


SIZES = [{"input_size": 3, "hidden_size": 2}]


class SaysTheWrongEnds(TwoWays):
    ends = ((4, "first"), (4, "last"))


PLANTS: list[tuple[str, str, Any, dict[str, Any]]] = [
    ("bidirectional that never reverses (Thinc)", "C6", NeverReverses, {"context": "halves"}),
    ("reversed, but not turned back", "C6", NeverTurnsBack, {"context": "halves"}),
    ("padding flipped to the front (Trax)", "C5", FlipsThePadding, {"context": "halves"}),
    ("backward half gets the first half's gradient (Thinc)", "C7", FirstHalfTwice, {"context": "halves"}),
    ("the given state is not used", "C4", ForgetsTheGivenState, {}),
    ("final state one step too early", "C4", StateBeforeTheLastStep, {}),
    ("last rows taken for last steps", "C5", LastRowForLastStep, {}),
    ("normalisation over time, future included", "C3", NormalizesOverTime, {}),
    ("mean over time counts padding", "C5", CountsPadding, {"context": "both", "cases": [(3,)]}),
    ("batch normalisation", "C2", BatchNormalization, {"context": "position", "inputs": 3, "cases": [(3,)]}),
    ("a Tensor is read with time first", "C19", TakesTimeFirst, {"context": "past"}),
    ("a Tensor gives Sequences", "C19", ForgetsTheForm, {}),
    ("ends in another order than the features", "C22", SaysTheWrongEnds, {"context": "halves"}),
    ("residual added in place", "C12", AddsInPlace, {"context": "position", "cases": [(3,)]}),
]
for _, _, _, declared in PLANTS:
    declared.setdefault("cases", SIZES)
