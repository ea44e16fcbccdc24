"""Layers that read several steps of a sequence at once: convolution, and attention over all of them."""

import math
from typing import Any

import numpy as np

from tinyseq import ops
from tinyseq.backend import backend_of
from tinyseq.engine import Tensor, make_tensor
from tinyseq.errors import ConfigError, ShapeError
from tinyseq.nn import init
from tinyseq.nn.layers import Linear, _check_sizes, _initial
from tinyseq.nn.module import Module, Parameter
from tinyseq.sequences import Layout, Sequences, like, packed
from tinyseq.sequences.rows import RowMap


class Convolution(Module):
    """At every step the window of `width` steps around it, times the weights, plus the bias.

        y_t = sum_k x_(t + k - width // 2) weight[k] + bias

    With `causal` the window ends at the step itself. Before the first step and after the last there are
    zeros; every sequence is by itself. weight: (width * input_size, output_size). There is no activation.
    Source: Collobert et al. (2011), section 3.2; over characters: dos Santos and Zadrozny (2014).
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        width: int = 3,
        *,
        causal: bool = False,
        bias: bool = True,
        init: str | init.Initializer = "glorot_uniform",
    ) -> None:
        _check_sizes("Convolution", input_size=input_size, output_size=output_size, width=width)
        self.input_size, self.output_size, self.width, self.causal = input_size, output_size, width, causal
        self.weight = Parameter(_initial(init, (width * input_size, output_size)))
        self.bias = Parameter(_initial("zeros", (output_size,))) if bias else None

    @property
    def sees_ahead(self) -> bool:
        """Whether a step's output depends on later steps."""
        return not self.causal and self.width > 1

    def forward(self, xs: Any) -> Any:
        """xs: (steps, input_size) for each sequence -> (steps, output_size)."""
        batch = packed(xs)
        if batch.data.ndim != 2 or batch.data.shape[1] != self.input_size:
            raise ShapeError(
                f"Convolution({self.input_size}, {self.output_size}) takes {self.input_size} features at "
                f"each step; these inputs have shape {batch.data.shape[1:]} at each step."
            )
        before = self.width - 1 if self.causal else self.width // 2
        shifts = [k - before for k in range(self.width)]
        window = [batch.data if k == 0 else shifted(batch.layout, k)(batch.data) for k in shifts]
        y = ops.concatenate(window, axis=-1) @ self.weight
        return like(xs, batch.with_data(y if self.bias is None else y + self.bias))


def shifted(layout: Layout, by: int) -> RowMap:
    """From packed rows to the rows `by` steps later in the same sequence; zeros where there are none."""
    times = layout.times + by
    there = (times >= 0) & (times < np.asarray(layout.lengths)[layout.owners])
    offsets = np.asarray(layout.offsets)
    ranks = np.arange(layout.total) - offsets[layout.times]
    index = np.where(there, offsets[np.where(there, times, 0)] + ranks, layout.total)
    return RowMap(index, layout.total)


class MultiHeadAttention(Module):
    """Every step looks at all steps of its sequence (with `causal` at those up to itself), in several ways.

        head_j = softmax(q_j k_j^T / sqrt(size / heads)) v_j, with q, k, v = x w_q, x w_k, x w_v
        y = [head_1 ... head_n] w_o

    Positions are not told apart: let a recurrence or a convolution read first, or add their embedding.
    Source: Vaswani et al. (2017), section 3.2.2.
    """

    def __init__(self, size: int, heads: int, *, causal: bool = False) -> None:
        _check_sizes("MultiHeadAttention", size=size, heads=heads)
        if size % heads:
            raise ConfigError(
                f"MultiHeadAttention({size}, {heads}): the size is cut into the heads, so it must be a "
                "multiple of their number."
            )
        self.input_size = self.output_size = size
        self.heads, self.causal = heads, causal
        self.queries, self.keys, self.values, self.output = (Linear(size, size) for _ in range(4))

    @property
    def sees_ahead(self) -> bool:
        """Whether a step's output depends on later steps."""
        return not self.causal

    def forward(self, xs: Any) -> Any:
        """xs: (steps, size) for each sequence -> (steps, size)."""
        batch = packed(xs)
        q, k, v = (self._heads(layer(batch)) for layer in (self.queries, self.keys, self.values))
        scores = (q * (1 / math.sqrt(self.output_size // self.heads))) @ ops.swapaxes(k, -1, -2)
        visible = make_tensor(backend_of(scores.data).asarray(self._visible(batch.layout)), None)
        weights = ops.softmax(ops.where(visible, scores, -1e30), axis=-1)
        mixed = ops.swapaxes(weights @ v, 1, 2)
        whole = mixed.reshape(*mixed.shape[:2], self.output_size)
        return like(xs, self.output(Sequences.from_padded(whole, batch.lengths)))

    def _heads(self, xs: Sequences) -> Tensor:
        """(batch, heads, time, size / heads)."""
        rows = xs.to_padded()
        return ops.swapaxes(rows.reshape(*rows.shape[:2], self.heads, -1), 1, 2)  # type: ignore[no-any-return]

    def _visible(self, layout: Layout) -> np.ndarray[Any, Any]:
        """Which steps each step looks at: (batch, 1, time or 1, time)."""
        steps = np.arange(layout.steps)
        there = steps < np.asarray(layout.lengths)[:, None, None, None]
        return there & (steps[None, :] <= steps[:, None]) if self.causal else there
