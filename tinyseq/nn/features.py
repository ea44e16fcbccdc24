"""Embeddings of tokens that have more than one id."""

from typing import Any, Literal

import numpy as np

from tinyseq import ops, random
from tinyseq.backend import backend_of
from tinyseq.engine import Tensor, make_tensor
from tinyseq.errors import ConfigError, DataError, ShapeError
from tinyseq.nn.ends import at_ends
from tinyseq.nn.layers import Embedding, Sequential, positionwise
from tinyseq.nn.module import Module
from tinyseq.sequences import Sequences

POOLINGS = {"last": Sequences.last, "mean": Sequences.mean, "max": Sequences.max}


class WordDropout(Module):
    """Replace each token by the unknown one with probability p; in evaluation, the identity.

    ids: integers of any shape; with `columns` their last axis is as `tinyseq.data.token_ids` makes it, and
    only the word in its first place is replaced. It stands before an embedding, in a Sequential, which so
    learns what an unknown token is from frequent words, too.
    Source: Iyyer et al. (2015), section 3.2.
    """

    def __init__(self, p: float = 0.1, *, unknown: int = 0, columns: bool = False) -> None:
        if not 0 <= p < 1:
            raise ConfigError(f"WordDropout(p={p!r}): p is a probability in [0, 1); 0 drops nothing.")
        if unknown < 0:
            raise ConfigError(f"WordDropout(unknown={unknown}): it is an id, 0 or more.")
        self.p = p
        self.unknown = unknown
        self.columns = columns

    def forward(self, ids: Any) -> Any:
        """Ids of any shape -> the same shape."""
        return positionwise(self._drop, ids) if self.training and self.p > 0 else ids

    def _drop(self, ids: Tensor) -> Tensor:
        if ids.dtype.kind not in "iu":
            raise ShapeError(f"WordDropout takes integers, the ids of words, not {ids.dtype}.")
        dropped = (
            random.generator().random(ids.shape[:-1] if self.columns else ids.shape, np.float32) < self.p
        )
        if self.columns:
            first = np.arange(ids.shape[-1]) == 0
            dropped = dropped[..., None] & first
        kept: Tensor = ops.where(make_tensor(backend_of(ids.data).asarray(dropped), None), self.unknown, ids)
        return kept


class TokenFeatures(Module):
    """What a token is, how it is capitalised and how it is spelled, side by side: its three vectors in one.

    The characters of each token are a sequence of their own: their embeddings go through `spelling`, a layer
    such as Recurrent or Convolution (none by default), and are pooled; without `character` the word and its
    capitalisation are all. Sources: Collobert et al. (2011), section 3.2, for capitalisation; Lample et al.
    (2016), section 4.1, for both directions over characters, pooled at their "ends"; Ma and Hovy (2016),
    section 2.1, for a convolution, pooled by "max".
    """

    def __init__(
        self,
        word: Embedding,
        case: Embedding,
        character: Embedding | None = None,
        spelling: Module | None = None,
        *,
        pooling: Literal["last", "ends", "mean", "max"] = "max",
    ) -> None:
        if pooling not in (*POOLINGS, "ends"):
            raise ConfigError(
                f"TokenFeatures has no pooling {pooling!r}; choose from {', '.join(POOLINGS)}, ends."
            )
        self.word = word
        self.case = case
        self.character = character
        if character is None and spelling is not None:
            raise ConfigError("TokenFeatures spells characters: pass their embedding as well.")
        layer: Any = Sequential() if spelling is None else spelling
        self.spelling: Any = layer.as_layer() if hasattr(layer, "as_layer") else layer  # a Cell is run
        self.pooling = pooling
        if pooling == "ends" and getattr(self.spelling, "ends", None) is None:
            raise ConfigError(
                f'TokenFeatures(pooling="ends"): {type(self.spelling).__name__} does not say which of its '
                'features read backward; choose "max" or "mean".'
            )
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
        spelled = self.spelling(embedded)
        if self.pooling == "ends":
            return at_ends(spelled, self.spelling.ends)
        return POOLINGS[self.pooling](spelled)
