"""The head that writes a sequence for each vector: captions for images, names for a language."""

from typing import Any

from tinyseq.contracts import Loss
from tinyseq.engine import Tensor
from tinyseq.errors import ShapeError
from tinyseq.nn import Module
from tinyseq_heads.decoder import Condition, Decoder, Source


class Generator(Decoder):
    """A Decoder told one vector for each sequence: an image's features, the embedding of a class.

    features: a Tensor (batch, input_size). The rest is as in Decoder, without attention; the vector makes
    the first state, is an input of every step, or both, as `condition` says.
    """

    def __init__(
        self,
        input_size: int,
        vocabulary_size: int,
        cell: Module,
        *,
        end: int,
        condition: Condition = "both",
        dropout: float = 0.0,
        loss: Loss | None = None,
        max_length: int = 100,
    ) -> None:
        super().__init__(
            input_size, vocabulary_size, cell,
            end=end, condition=condition, dropout=dropout, loss=loss, max_length=max_length,
        )  # fmt: skip

    def meet(self, encoder: Any) -> None:
        """Nothing is pooled."""

    def read(self, features: Any) -> Source:
        """The vectors as they are. Raises ShapeError for anything else."""
        if not isinstance(features, Tensor) or features.shape[1:] != (self.input_size,):
            found = features.shape if isinstance(features, Tensor) else f"{type(features).__name__}"
            raise ShapeError(
                f"Generator takes a Tensor (batch, {self.input_size}), one vector for each sequence, not "
                f"{found}: a Decoder goes by sequences."
            )
        return Source(features, None)
