"""What a batch costs: the one line of a training loop that differs from task to task."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from tinyseq.engine import Tensor
from tinyseq.sequences import Sequences


class BatchLoss(NamedTuple):
    """The mean loss over a batch's targets, how many they are, and the state to carry into the next batch."""

    mean: Tensor
    targets: int
    state: Any = None


# objective(model, batch, state) -> BatchLoss; the state is None before the first batch of an epoch.
Objective = Callable[[Any, Any, Any], BatchLoss]


def whole_sequences(model: Any, batch: Any, state: Any = None) -> BatchLoss:
    """The loss of a batch `(inputs, targets)` of whole sequences; no state is carried on."""
    inputs, targets = batch
    return BatchLoss(model.loss(inputs, targets), count_targets(targets))


def carried_state(model: Any, batch: Any, state: Any = None) -> BatchLoss:
    """The loss of a batch `(inputs, targets)` of windows that go on where those of the last batch ended.

    The Trainer hands the state on as a constant, so that gradients go back to the start of a window and no
    further: truncated back-propagation through time (Williams & Peng, 1990).
    """
    inputs, targets = batch
    features, state = model.scan(inputs, state)
    return BatchLoss(model.head.loss(features, targets), count_targets(targets), state)


def count_targets(targets: Any) -> int:
    """How many targets a batch has: one per token, or one per row."""
    return math.prod(targets.data.shape if isinstance(targets, Sequences) else targets.shape)
