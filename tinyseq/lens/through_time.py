"""How much of a gradient arrives at each earlier step: where it vanishes, and where it explodes."""

from typing import Any, NamedTuple

import numpy as np

from tinyseq import ops
from tinyseq.contracts.pairing import beside
from tinyseq.engine import Tensor, enable_grad, grad, no_grad
from tinyseq.errors import ConfigError, ShapeError
from tinyseq.lens.recording import Recording, recorded, with_reach
from tinyseq.lens.trace import numbered, opened, require
from tinyseq.scan.state import flatten, rebuild, tree_map
from tinyseq.sequences import Sequences, packed

WIDEST = 4096  # values of a state, of which a Jacobian has the square

Array = np.ndarray[Any, np.dtype[np.float64]]


class GradientThroughTime(NamedTuple):
    """By layer, Sequences of one number for each step, 0 where nothing arrives."""

    norms: dict[str, Sequences]  # of the gradient with respect to the state after the step
    singular_values: dict[str, Sequences]  # the largest, of d state at the step `at` / d state at each; or {}
    at: int


def gradient_through_time(
    model: Any, xs: Any, *, at: int = -1, targets: Any = None, jacobian: bool = False
) -> GradientThroughTime:
    """The norm of the gradient that reaches the state after each step from the step `at`, for each layer.

    model, xs: as in `trace`. at: a step of every sequence, from 0, or from the end if it is negative. What is
    differentiated is the sum of the features at that step; with `targets`, the loss through these features
    alone. The norm is over all values of a layer's state, and its gradient comes by every path: along the
    layer, and through layers above. In a layer that reads backward it arrives at later positions.

    With `jacobian`, also the largest singular value of the matrix of derivatives of the layer's own state
    after the step `at` with respect to its state after each earlier one: by how much a change can grow.

    Raises ShapeError if a sequence has no such step, ConfigError if no recurrence ran, or for the Jacobian of
    a state of more than 4096 values.
    """
    model, xs, targets, _ = opened(model, xs, targets)
    with enable_grad(), recorded(model, reach=True) as recordings:
        scalar = through(model, packed(model(xs)), at, targets)
    require(recordings, model)
    asked = [leaf for recording in recordings for visit in recording.visits for leaf in flatten(visit.added)]
    found = iter(grad(scalar, asked, allow_unused=True))
    norms: dict[str, Sequences] = {}
    values: dict[str, Sequences] = {}
    for recording in recordings:
        squares = [
            sum((_squares(next(found), leaf) for leaf in flatten(visit.added)), np.zeros(1))
            for visit in recording.visits
        ]
        norms[numbered(recording.layer, norms)] = _in_time(recording, list(map(np.sqrt, squares)))
    if jacobian:
        with model.evaluating():
            values = {
                name: _jacobians(recording, at) for name, recording in zip(norms, recordings, strict=True)
            }
    return GradientThroughTime(norms, values, at)


def through(model: Any, features: Sequences, at: int, targets: Any) -> Tensor:
    """The sum of the features at the step `at`, or the loss as far as it depends on these.

    Raises ShapeError if a sequence has no such step.
    """
    layout = features.layout
    steps = np.array([_step(n, at, i) for i, n in enumerate(layout.lengths)])
    chosen = (steps[layout.owners] == layout.times).reshape(-1, *[1] * (features.data.ndim - 1))
    mask = beside(features.data, chosen, features.dtype)
    if targets is None:
        total: Tensor = (features.data * mask).sum()
        return total
    rows = ops.where(mask > 0, features.data, features.data.detach())
    loss: Tensor = head_of(model).loss(features.with_data(rows), targets)
    return loss


def head_of(model: Any) -> Any:
    """The model's head. Raises ConfigError if it has none."""
    head = getattr(model, "head", None)
    if head is None:
        raise ConfigError(f"{type(model).__name__} has no head with a loss: use a SequenceModel.")
    return head


def _step(length: int, at: int, sequence: int) -> int:
    if not -length <= at < length:
        raise ShapeError(
            f"Sequence {sequence} has {length} steps, and no step {at}: choose another, such as -1, the last."
        )
    return at % length


def _squares(gradient: Tensor | None, like: Tensor) -> Array:
    """The squared norm of each row."""
    if gradient is None:
        return np.zeros(len(like))
    rows: Array = gradient.numpy().astype(np.float64).reshape(len(like), -1)
    squares: Array = (rows * rows).sum(axis=1)
    return squares


def _in_time(recording: Recording, visits: list[Array]) -> Sequences:
    """Numbers for the rows of every visit, as Sequences."""
    return Sequences(np.concatenate(visits[::-1] if recording.reverse else visits), recording.layout)


def _jacobians(recording: Recording, at: int) -> Sequences:
    """The largest singular value of d state(at) / d state(step), for all sequences and steps."""
    layout = recording.layout
    found = [np.zeros(layout.sizes[recording.time(k)]) for k in range(len(recording.visits))]
    for rank, sequence in enumerate(layout.order):
        length = layout.lengths[sequence]
        step = _step(length, at, sequence)
        first = len(recording.visits) - length if recording.reverse else 0
        last = len(recording.visits) - 1 - step if recording.reverse else step
        for k, value in enumerate(_chain(recording, rank, first, last), first):
            found[k][rank] = value
    return _in_time(recording, found)


def _chain(recording: Recording, rank: int, first: int, last: int) -> list[float]:
    """Of one sequence, whose row is `rank`: the figures of its visits from the first to the last.

    The sequence is walked as often side by side as its state has values, and one backward pass with the rows
    of the identity gives each Jacobian, row by row.
    """
    visits = recording.visits
    with no_grad():
        state = tree_map(lambda leaf: leaf[rank : rank + 1].detach(), visits[first].after)
    width = sum(leaf.size for leaf in flatten(state))
    if width > WIDEST:
        raise ConfigError(
            f"The state of {recording.layer or 'the cell'} has {width:,} values, too many for a Jacobian, "
            f"which has their square; up to {WIDEST:,} are possible. Leave out jacobian=True."
        )
    copies = lambda leaf: ops.concatenate([leaf[rank : rank + 1].detach()] * width)
    with enable_grad():
        state, added = with_reach(tree_map(copies, visits[first].after))
        reached = [added]
        for k in range(first + 1, last + 1):
            _, state = recording.step(tree_map(copies, visits[k].x), state)
            state, added = with_reach(state)
            reached.append(added)
        leaves = flatten(state)
        cuts = np.cumsum([leaf.size // width for leaf in leaves])[:-1]
        seeds = [
            part.reshape(leaf.shape)
            for part, leaf in zip(np.split(np.eye(width), cuts, axis=1), leaves, strict=True)
        ]
    flat = [leaf for added in reached for leaf in flatten(added)]
    gradients = iter(grad(leaves, flat, seeds, allow_unused=True))
    return [_largest(rebuild(added, gradients), width) for added in reached]


def _largest(rows: Any, width: int) -> float:
    """The largest singular value of a Jacobian that is given as the gradients of a state's parts."""
    parts = [leaf.numpy().astype(np.float64).reshape(width, -1) for leaf in flatten(rows) if leaf is not None]
    return float(np.linalg.norm(np.concatenate(parts, axis=1), 2)) if parts else 0.0
