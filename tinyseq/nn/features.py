"""Embeddings of tokens that have more than one id."""

from typing import Any, Literal

import numpy as np

from tinyseq import ops
from tinyseq.engine import Tensor
from tinyseq.errors import ConfigError, DataError, ShapeError
from tinyseq.nn.layers import Embedding, Sequential, positionwise
from tinyseq.nn.module import Module
from tinyseq.sequences import Sequences

POOLINGS = {"last": Sequences.last, "mean": Sequences.mean, "max": Sequences.max}


class TokenFeatures(Module):
    """What a token is, how it is capitalised and how it is spelled, side by side: its three vectors in one.

    The characters of each token are a sequence of their own: their embeddings go through `spelling`, a layer
    such as Recurrent (none by default), and are pooled. Sources: Collobert et al. (2011), section 3.2, for
    capitalisation; Lample et al. (2016), section 4.1, for a recurrence over characters.
    """

    def __init__(
        self,
        word: Embedding,
        case: Embedding,
        character: Embedding,
        spelling: Module | None = None,
        *,
        pooling: Literal["last", "mean", "max"] = "max",
    ) -> None:
        if pooling not in POOLINGS:
            raise ConfigError(f"TokenFeatures has no pooling {pooling!r}; choose from {', '.join(POOLINGS)}.")
        self.word = word
        self.case = case
        self.character = character
        self.spelling: Any = Sequential() if spelling is None else spelling
        self.pooling = pooling
        spelled = getattr(self.spelling, "output_size", character.embedding_size)
        self.embedding_size = word.embedding_size + case.embedding_size + spelled

    def forward(self, ids: Any) -> Any:
        """ids: integers (..., 2 + width), as `tinyseq.data.token_ids` makes them -> (..., embedding_size)."""
        try:
            return positionwise(self._features, ids)
        except DataError:
            # where it stands in the batch, and not in a list of all words
            self.word.check(positionwise(lambda rows: rows[..., :1], ids))
            self.case.check(positionwise(lambda rows: rows[..., 1:2], ids))
            self.character.check(positionwise(lambda rows: rows[..., 2:], ids))
            raise

    def _features(self, ids: Tensor) -> Tensor:
        if ids.ndim < 2 or ids.shape[-1] < 3 or ids.dtype.kind not in "iu":
            raise ShapeError(
                "TokenFeatures takes integers (..., 2 + width): word, capitalisation and characters; got "
                f"{ids.dtype} of shape {ids.shape}."
            )
        rows = ids.reshape(-1, ids.shape[-1])
        characters = rows[:, 2:]
        # A word ends with its last character that is not 0; one without characters is a 0.
        lengths = (np.arange(1, characters.shape[1] + 1) * (characters.numpy() != 0)).max(1).clip(1).tolist()
        spelled = self.spelling(self.character(Sequences.from_padded(characters, lengths)))
        parts = [self.word(rows[:, 0]), self.case(rows[:, 1]), POOLINGS[self.pooling](spelled)]
        features: Tensor = ops.concatenate(parts, axis=-1)
        return features.reshape(*ids.shape[:-1], self.embedding_size)
