"""The usual shape of a sequence model: ids to vectors, vectors in context, and what is asked of them."""

from collections.abc import Callable
from typing import Any

from tinyseq.engine import Tensor, no_grad
from tinyseq.errors import ConfigError
from tinyseq.nn.combine import Concatenate, Highway
from tinyseq.nn.layers import Embedding, Residual, Sequential
from tinyseq.nn.module import Module
from tinyseq.sequences import Sequences, stream


def _refuse_sight_ahead(module: Any, head: str) -> None:
    """Raise ConfigError if a layer says that it `sees_ahead`, or has a part that does."""
    for part in module.modules() if isinstance(module, Module) else [module]:
        if getattr(part, "sees_ahead", False):
            raise ConfigError(
                f"{head} predicts what comes next, but {type(part).__name__} reads it beforehand: every "
                "figure would be of what was read. Use layers that read forward, such as Recurrent(cell)."
            )


def _size(module: Any, *names: str) -> int | None:
    """The number of features that a module says that it takes, or gives; None if it does not say."""
    for name in names:
        if isinstance(size := getattr(module, name, None), int):
            return size
    return None


def _width_after(module: Any, width: int | None, what: str) -> int | None:
    """The number of features after `module`, given `width` of them. Raises ConfigError if it takes others."""
    if isinstance(module, Sequential):
        for layer in module.layers:
            width = _width_after(layer, width, what)
        return width
    if isinstance(module, Residual):
        return _width_after(module.layer, width, what)
    if isinstance(module, Concatenate):
        widths = [_width_after(layer, width, what) for layer in module.layers]
        return None if None in widths else sum(w for w in widths if w)
    if isinstance(module, Highway) and module.layer is not None:
        _width_after(module.layer, width, what)
    takes = _size(module, "input_size")
    if None not in (takes, width) and takes != width:
        error = ConfigError(
            f"SequenceModel: {type(module).__name__} in the {what} takes {takes} features, but is given "
            f"{width}: change one of the sizes."
        )
        error.part = what
        raise error
    kept = width if getattr(module, "keeps_ends", False) else None
    return _size(module, "output_size", "embedding_size") or kept


class SequenceModel(Module):
    """`head` on the features that `encoder` computes from `embed(xs)`; a Cell is run as a layer.

    Raises ConfigError for sizes that do not fit, as far as the parts have `input_size` and `output_size`, and
    for a head that cannot use the encoder.
    """

    def __init__(self, embed: Module, encoder: Module, head: Module) -> None:
        if hasattr(encoder, "as_layer"):
            encoder = encoder.as_layer()
        _width_after(head, _width_after(encoder, _width_after(embed, None, "embed"), "encoder"), "head")
        if getattr(head, "causal", False):
            _refuse_sight_ahead(encoder, type(head).__name__)
        self.embed = embed
        self.encoder = encoder
        self.head: Any = head
        meet = getattr(head, "meet", None)
        if meet is not None:
            meet(encoder)

    def forward(self, xs: Any) -> Any:
        """The features of every position."""
        return self.encoder(self._embedded(xs))

    def loss(self, xs: Any, targets: Any) -> Tensor:
        """The head's loss of the features against `targets`."""
        return self.head.loss(self(xs), targets)  # type: ignore[no-any-return]

    def predict(self, xs: Any) -> Any:
        """The head's predictions from the features, without dropout and without a tape."""
        with no_grad(), self.evaluating():
            return self.head.predict(self(xs))

    def initial_state(self, batch_size: int) -> Any:
        """The encoder's state before the first step."""
        return self._stateful().initial_state(batch_size)

    def scan(self, xs: Any, state: Any = None) -> tuple[Any, Any]:
        """The features, and the encoder's state after the last step, to go on from."""
        return self._stateful().scan(self._embedded(xs), state)  # type: ignore[no-any-return]

    def stream(self, state: Any) -> Callable[[Any], Tensor]:
        """A function from the next input of every sequence, (batch, ...), to its features, from `state`."""
        step = stream(self._stateful(), state)
        return lambda x: step(self.embed(x))

    def _embedded(self, xs: Any) -> Any:
        """`embed(xs)`; as nobody else sees it, the encoder may go back to the table behind it."""
        embedded = self.embed(xs)
        if type(self.embed) is Embedding and isinstance(xs, Sequences):
            embedded.looked_up = self.embed.weight, xs.data
        return embedded

    def _stateful(self) -> Any:
        if not hasattr(self.encoder, "scan"):
            raise TypeError(
                f"{type(self.encoder).__name__} keeps no state, so there is none to carry: call the model "
                "itself, or use an encoder with scan(), such as Recurrent(cell)."
            )
        return self.encoder
