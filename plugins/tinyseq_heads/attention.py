"""Attention: each query's own mean of a source's steps, weighed by how well they match it."""

from typing import Any, NamedTuple

import numpy as np

from tinyseq import ops
from tinyseq.contracts.pairing import beside
from tinyseq.engine import Tensor
from tinyseq.errors import ConfigError, ShapeError
from tinyseq.nn import Linear, Module, Parameter, init
from tinyseq.sequences import Sequences

NEVER = -1e30  # a score whose weight is exactly 0, and from which another can be subtracted


class Memory(NamedTuple):
    """A batch of sources, ready to be attended to; absent: 0, or NEVER where a source has no step."""

    keys: Tensor  # (batch, steps, key width)
    values: Tensor  # (batch, steps, input_size)
    absent: Tensor  # (batch, 1, steps)


class DotAttention(Module):
    """Weights softmax over t of q . x_t, for a query q as wide as the steps x_t of the source.

    Keys are computed from packed rows; only products of queries with keys, and of weights with values, see
    a padded array. Source: Luong et al. (2015), section 3.1.
    """

    def __init__(self, query_size: int, input_size: int) -> None:
        if query_size != input_size:
            raise ConfigError(
                f"Attention by dot products needs queries as wide as the source, not {query_size} and "
                f"{input_size}: choose 'general' or 'additive', which learn to compare them."
            )

    def remember(self, xs: Sequences) -> Memory:
        """What is needed of sources (steps, input_size), computed once for all queries."""
        values = xs.to_padded()
        steps = np.arange(xs.layout.steps)
        absent = np.where(steps < np.array(xs.lengths)[:, None], 0, NEVER)[:, None]
        return Memory(self.keys(xs, values), values, beside(values, absent, values.dtype))

    def keys(self, xs: Sequences, values: Tensor) -> Tensor:
        """What queries are compared with: (batch, steps, key width); values: xs, padded."""
        return values

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """How well each query matches each key: (batch, queries, steps)."""
        scores: Tensor = queries @ ops.swapaxes(keys, 1, 2)
        return scores

    def forward(self, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """The weighed means, (batch, queries, input_size), and the weights, (batch, queries, steps).

        queries: (batch, queries, query_size). Raises ShapeError for queries of another batch.
        """
        if queries.ndim != 3 or len(queries) != len(memory.values):
            raise ShapeError(
                f"Attention to {len(memory.values)} sources takes queries ({len(memory.values)}, queries, "
                f"width), not {queries.shape}."
            )
        weights = ops.softmax(self.scores(queries, memory.keys) + memory.absent)
        return weights @ memory.values, weights


class GeneralAttention(DotAttention):
    """Weights softmax over t of q . (x_t W). Source: Luong et al. (2015), section 3.1."""

    def __init__(self, query_size: int, input_size: int) -> None:
        self.key = Linear(input_size, query_size, bias=False)

    def keys(self, xs: Sequences, values: Tensor) -> Tensor:
        """x_t W."""
        keys: Tensor = self.key(xs).to_padded()
        return keys


class AdditiveAttention(GeneralAttention):
    """Weights softmax over t of v . tanh(q V + x_t W). Source: Bahdanau et al. (2015), appendix A.1.2."""

    def __init__(self, query_size: int, input_size: int) -> None:
        super().__init__(query_size, input_size)
        self.query = Linear(query_size, query_size, bias=False)
        self.match = Parameter(init.glorot_uniform((query_size, 1)))

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Every query beside every key, (batch, queries, steps, query_size), through tanh."""
        both = ops.expand_dims(self.query(queries), 2) + ops.expand_dims(keys, 1)
        scores: Tensor = ops.squeeze(ops.tanh(both) @ self.match, -1)
        return scores


ATTENTIONS: dict[str, type[DotAttention]] = {
    "dot": DotAttention,
    "general": GeneralAttention,
    "additive": AdditiveAttention,
}


def attention_of(choice: str | None, query_size: int, input_size: int) -> Any:
    """A new attention of this name, or None for none. Raises ConfigError for a name that is none."""
    if choice is None:
        return None
    if choice not in ATTENTIONS:
        raise ConfigError(f"There is no attention {choice!r}; choose from {', '.join(ATTENTIONS)}, or None.")
    return ATTENTIONS[choice](query_size, input_size)
