"""Parameters side by side in one array, so that an update is a few array operations for all of them.

docs/decisions/flat-optimizer.md has the measurements.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinyseq.backend import Array, backend_of, to_numpy, words_of
from tinyseq.errors import ShapeError
from tinyseq.nn import Parameter

ALIGNMENT = 64  # bytes, so that every view starts where an array of its own would
BLOCK = (
    96 * 1024
)  # bytes: operands stay in the CPU's cache, temporaries below what malloc maps anew each time

Update = Callable[[Array, Array, dict[str, Array], int], None]


class FlatParameters:
    """Parameters of one dtype and backend whose `data` are views of one array, with their optimiser state.

    Every state array is laid out like `values`. The views are an arrangement, not a promise: whoever binds a
    Parameter to another array (`Module.to`, a copy) ends it, `is_intact()` says so, and a new one is made.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self.parameters = list(parameters)
        self.steps = [0] * len(self.parameters)  # updates that each has had
        self.state: dict[str, Array] = {}
        first = self.parameters[0].data
        step = max(1, ALIGNMENT // first.dtype.itemsize)
        self._bounds: list[tuple[int, int]] = []
        end = 0
        for parameter in self.parameters:
            self._bounds.append((end, end + parameter.size))
            end += -(-parameter.size // step) * step
        self._ends = [start for start, _ in self._bounds[1:]] + [end]
        there = backend_of(first)
        self._gaps = [
            there.asarray(np.zeros(end - stop, first.dtype))
            for (_, stop), end in zip(self._bounds, self._ends, strict=True)
        ]
        self._block = max(1, BLOCK // first.dtype.itemsize) if there.name == "numpy" else end
        self.values = there.asarray(np.zeros(end, first.dtype))
        self._gradients = there.asarray(np.zeros(end, first.dtype))
        self._gather([parameter.data for parameter in self.parameters], 0, self.values)
        self._views = [self._part(self.values, i) for i in range(len(self.parameters))]
        for parameter, view in zip(self.parameters, self._views, strict=True):
            parameter.data = view

    def _part(self, array: Array, i: int) -> Array:
        """The elements of parameter `i`, in its shape."""
        start, stop = self._bounds[i]
        return array[start:stop].reshape(self.parameters[i].data.shape)

    def _gather(self, arrays: Sequence[Array], first: int, out: Array) -> None:
        """Put `arrays`, which belong to the parameters from number `first` on, into `out`."""
        kernel = words_of(out).fused.get("gather")
        starts = [start for start, _ in self._bounds[first : first + len(arrays)]]
        if kernel is not None and kernel(list(arrays), starts, out):
            return
        pieces = []
        for array, gap in zip(arrays, self._gaps[first:], strict=False):
            pieces += [array.ravel(), gap] if gap.size else [array.ravel()]
        start, end = self._bounds[first][0], self._ends[first + len(arrays) - 1]
        words_of(out).concatenate(pieces, out=out[start:end])

    def is_intact(self) -> bool:
        """Whether the Parameters still hold the views of `values`."""
        return all(
            parameter.data is view and view.base is self.values
            for parameter, view in zip(self.parameters, self._views, strict=True)
        )

    def ensure_state(self, initial: dict[str, float]) -> None:
        """Make the state arrays that do not exist yet, full of their initial values."""
        for name, value in initial.items():
            if name not in self.state:
                self.state[name] = words_of(self.values).zeros_like(self.values)
                self.state[name] += value

    def get_state(self, i: int) -> dict[str, np.ndarray[Any, Any]]:
        """A copy of parameter i's part of every state array, in host memory."""
        return {name: np.array(to_numpy(self._part(array, i))) for name, array in self.state.items()}

    def set_state(self, i: int, steps: int, state: dict[str, np.ndarray[Any, Any]]) -> None:
        """Take up what `get_state` gave for parameter i."""
        self.steps[i] = steps
        self.ensure_state(dict.fromkeys(state, 0.0))
        for name, array in state.items():
            self._part(self.state[name], i)[...] = backend_of(self.values).asarray(array, self.values.dtype)

    def update(self, rule: Update) -> None:
        """Call `rule(values, gradients, state, step)` on parts of the arrays that cover all gradients.

        `step` counts the updates of the parameters in the part, this one included. Parameters without
        gradient, their state and their count stay as they are.
        """
        for start, stop, step in self._runs():
            for a in range(start, stop, self._block):
                part = slice(a, min(a + self._block, stop))
                state = {name: array[part] for name, array in self.state.items()}
                rule(self.values[part], self._gradients[part], state, step)

    def _runs(self) -> Iterator[tuple[int, int, int]]:
        """Gather the gradients: (start, stop, step) of neighbours that have one, and the same count."""
        i, count = 0, len(self.parameters)
        while i < count:
            gradients, first = [], i
            while i < count and self.steps[i] == self.steps[first]:
                gradient = self._gradient(self.parameters[i])
                if gradient is None:
                    break
                gradients.append(gradient)
                i += 1
            if not gradients:
                i += 1
                continue
            self._gather(gradients, first, self._gradients)
            step = self.steps[first] + 1
            yield self._bounds[first][0], self._ends[i - 1], step
            for j in range(first, i):
                self.steps[j] = step
                self.parameters[j].changed()

    def _gradient(self, parameter: Parameter) -> Array:
        gradient = parameter.grad
        if gradient is None:
            return None
        if gradient.shape != parameter.shape:
            raise ShapeError(
                f"a parameter of shape {parameter.shape} has a gradient of shape {gradient.shape}."
            )
        return gradient.data
