"""Dropout for sequences: of the same features at every step of one, and of whole words of a vocabulary."""

from typing import Any

import numpy as np

from tinyseq import noise, ops
from tinyseq.engine import Tensor
from tinyseq.errors import ConfigError
from tinyseq.nn.layers import Embedding, positionwise
from tinyseq.nn.module import Module, Parameter
from tinyseq.sequences import Sequences


class VariationalDropout(Module):
    """Dropout with one mask for each sequence, the same at all of its steps; in evaluation, the identity.

    Between layers it drops what goes in or comes out; in a cell's step, where x is rows, it may also drop the
    state, as in `(self.drop(state.h) @ self.w_h)`. Features are zero with probability p, the others are
    scaled by 1 / (1 - p). Source: Gal and Ghahramani (2016).
    """

    keeps_ends = True

    def __init__(self, p: float = 0.5) -> None:
        check_rate("VariationalDropout", p)
        self.p = p

    def forward(self, xs: Any) -> Any:
        """xs: Sequences, a Tensor (batch, time, ...), or rows in a step -> the same shape."""
        if not self.training or self.p == 0:
            return xs
        if isinstance(xs, Sequences):
            return xs.with_data(xs.data * xs.spread(self._mask(xs.first())))
        rows = xs[:, :1] if isinstance(xs, Tensor) and xs.ndim > 2 and not noise.in_step() else xs
        return positionwise(lambda x: x * self._mask(rows), xs)

    def _mask(self, rows: Tensor) -> Tensor:
        return noise.mask(rows, self.p, kept=1 / (1 - self.p), per="sequence")


class EmbeddingDropout(Module):
    """`embedding` without some of its words: each word's vector is zero wherever it stands in the batch.

    In training a word is left out with probability p and the vectors of the others are scaled by 1 / (1 - p);
    in evaluation nothing happens. Tied heads take the embedding inside. Sources: Gal and Ghahramani (2016),
    section 4.2; Merity et al. (2018), section 4.3.
    """

    def __init__(self, embedding: Embedding, p: float = 0.1) -> None:
        check_rate("EmbeddingDropout", p)
        self.embedding = embedding
        self.p = p

    @property
    def num_embeddings(self) -> int:
        """The number of ids."""
        return self.embedding.num_embeddings

    @property
    def embedding_size(self) -> int:
        """The number of features of each."""
        return self.embedding.embedding_size

    @property
    def weight(self) -> Parameter:
        """The table."""
        return self.embedding.weight

    def forward(self, ids: Any) -> Any:
        """ids: integers (...), as Sequences, a Tensor or an array -> (..., embedding_size)."""
        if not isinstance(ids, Tensor | Sequences):
            ids = Tensor(ids)
        vectors = self.embedding(ids)
        if not self.training or self.p == 0:
            return vectors
        words = noise.mask(self.weight[:, :1].detach(), self.p, kept=1 / (1 - self.p), per="scan")
        kept = positionwise(lambda rows: ops.take(words, rows, axis=0), ids)
        if isinstance(vectors, Sequences):
            return vectors.with_data(vectors.data * kept.data)
        return vectors * kept


def check_rate(name: str, p: Any) -> None:
    """Raise ConfigError unless p is a probability below 1."""
    if isinstance(p, bool) or not isinstance(p, int | float | np.number) or not 0 <= p < 1:
        raise ConfigError(f"{name}(p={p!r}): p is a probability in [0, 1); 0 drops nothing.")
