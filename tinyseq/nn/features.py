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
    such as Recurrent (none by default), and are pooled; without `character` the word and its capitalisation
    are all. Sources: Collobert et al. (2011), section 3.2, for
    capitalisation; Lample et al. (2016), section 4.1, for a recurrence over characters.
    """

    def __init__(
        self,
        word: Embedding,
        case: Embedding,
        character: Embedding | None = None,
        spelling: Module | None = None,
        *,
        pooling: Literal["last", "mean", "max"] = "max",
    ) -> None:
        if pooling not in POOLINGS:
            raise ConfigError(f"TokenFeatures has no pooling {pooling!r}; choose from {', '.join(POOLINGS)}.")
        self.word = word
        self.case = case
        self.character = character
        if character is None and spelling is not None:
            raise ConfigError("TokenFeatures spells characters: pass their embedding as well.")
        layer: Any = Sequential() if spelling is None else spelling
        self.spelling: Any = layer.as_layer() if hasattr(layer, "as_layer") else layer  # a Cell is run
        self.pooling = pooling
        spelled = 0 if character is None else getattr(self.spelling, "output_size", character.embedding_size)
        self.embedding_size = word.embedding_size + case.embedding_size + spelled

    def forward(self, ids: Any) -> Any:
        """ids: integers (..., 2 + width), as `tinyseq.data.token_ids` makes them -> (..., embedding_size).

        Without characters the width may be 0; what there is of it is not read.
        """
        try:
            return positionwise(self._features, ids)
        except DataError:
            # where it stands in the batch, and not in a list of all words
            self.word.check(positionwise(lambda rows: rows[..., :1], ids))
            self.case.check(positionwise(lambda rows: rows[..., 1:2], ids))
            if self.character is not None:
                self.character.check(positionwise(lambda rows: rows[..., 2:], ids))
            raise

    def _features(self, ids: Tensor) -> Tensor:
        least = 2 if self.character is None else 3
        if ids.ndim < 2 or ids.shape[-1] < least or ids.dtype.kind not in "iu":
            raise ShapeError(
                "TokenFeatures takes integers (..., 2 + width): word, capitalisation and characters; got "
                f"{ids.dtype} of shape {ids.shape}."
            )
        rows = ids.reshape(-1, ids.shape[-1])
        parts = [self.word(rows[:, 0]), self.case(rows[:, 1])]
        if self.character is not None:
            parts.append(self._spelled(rows[:, 2:]))
        features: Tensor = ops.concatenate(parts, axis=-1)
        return features.reshape(*ids.shape[:-1], self.embedding_size)

    def _spelled(self, characters: Tensor) -> Tensor:
        # A word ends with its last character that is not 0; one without characters is a 0.
        lengths = (np.arange(1, characters.shape[1] + 1) * (characters.numpy() != 0)).max(1).clip(1).tolist()
        embedded = self.character(Sequences.from_padded(characters, lengths))  # type: ignore[misc]
        return POOLINGS[self.pooling](self.spelling(embedded))
