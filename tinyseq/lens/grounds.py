"""What an answer rests on: the inputs that it would change with, and the steps that attention looked at."""

from typing import Any

import numpy as np

from tinyseq import ops
from tinyseq.engine import Tensor, enable_grad, grad, no_grad
from tinyseq.errors import ConfigError
from tinyseq.lens.through_time import head_of, through
from tinyseq.lens.trace import opened
from tinyseq.sequences import Sequences, packed

Array = np.ndarray[Any, Any]


def saliency(
    model: Any, xs: Any, targets: Any = None, *, at: int | None = None, times_input: bool = False
) -> Sequences:
    """How strongly the loss would change with the vector of each input: one number for each position.

    model, xs, targets: a SequenceModel or a Predictor, as in `trace`; without targets, what the model itself
    answers. The number is the norm of the loss's gradient with respect to the embedded input (Simonyan et
    al., 2014; Li et al., 2016, section 5); with `times_input`, the product of that gradient and the input,
    summed, which has a sign: what is below 0 speaks for the target. `at` asks for the loss as far as it
    depends on the features at that step, from the end if it is negative.

    Raises ConfigError for a model without embedding and head, or for an answer that is no target.
    """
    model, xs, targets, _ = opened(model, xs, targets)
    head = head_of(model)
    if not hasattr(model, "embed"):
        raise ConfigError(f"{type(model).__name__} embeds nothing: use a SequenceModel.")
    with enable_grad(), model.evaluating():
        with no_grad():
            embedded = packed(model.embed(xs))
        leaf = Tensor(embedded.data.data, requires_grad=True)
        features = packed(model.encoder(embedded.with_data(leaf)))
        targets = _answer(head, features) if targets is None else targets
        loss = head.loss(features, targets) if at is None else through(model, features, at, targets)
        (gradient,) = grad(loss, [leaf])
    rows = _flat(gradient)
    numbers = (rows * _flat(leaf)).sum(axis=1) if times_input else np.sqrt((rows * rows).sum(axis=1))
    return Sequences(numbers, embedded.layout)


def attention(model: Any, xs: Any, targets: Any = None) -> list[Array]:
    """How much each step of each sequence was looked at: an array (symbols written, steps read) for each.

    model, xs: as in `trace`. A decoder looks while it writes `targets`, or, without these, what it writes
    itself, with its end; a head that pools by attention looks once, (1, steps). The rows sum to 1.

    Raises ConfigError for a head without attention.
    """
    model, xs, targets, _ = opened(model, xs, targets)
    head = head_of(model)
    weights = getattr(getattr(head, "pooling", None), "weights", None)
    with no_grad(), model.evaluating():
        features = packed(model(xs))
        if getattr(head, "attention", None) is not None:
            if targets is None:
                targets = Sequences.from_list([[*ids, head.end] for ids in head.predict(features)])
            return list(head.alignments(features, targets))
        if weights is not None:
            return [part.numpy().reshape(1, -1) for part in weights(features).to_list()]
    raise ConfigError(
        f"{type(head).__name__} has no attention to look at: make it with attention='general' or, if it "
        "pools, pooling='attention'."
    )


def _flat(x: Tensor) -> Array:
    """A row of float64 for each position."""
    rows: Array = x.numpy().astype(np.float64).reshape(len(x), -1)
    return rows


def _answer(head: Any, features: Sequences) -> Any:
    """What the head predicts, as targets."""
    with no_grad():
        found = head.predict(features.detach())
    data = found.data if isinstance(found, Sequences) else found
    if not isinstance(data, Tensor):
        raise ConfigError(f"What {type(head).__name__} answers is no target of its loss: give targets.")
    chosen = data if data.dtype.kind in "iu" else ops.argmax(data, axis=-1)
    return found.with_data(chosen) if isinstance(found, Sequences) else chosen
