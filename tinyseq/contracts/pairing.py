"""Predictions beside their targets: what losses and metrics do before and after their formula."""

from typing import Any, get_args

import numpy as np

from tinyseq import ops
from tinyseq.backend import backend_of
from tinyseq.contracts import Reduction
from tinyseq.engine import Tensor, make_tensor
from tinyseq.errors import ConfigError, DataError, ShapeError, listed
from tinyseq.sequences import Sequences


def check_reduction(name: str, reduction: Reduction) -> Reduction:
    """`reduction`, if it is one. Raises ConfigError."""
    if reduction not in get_args(Reduction):
        raise ConfigError(f"{name}: reduction is 'mean', 'sum' or 'none', not {reduction!r}.")
    return reduction


def check_id(name: str, option: str, value: Any, count: int | None = None, *, of: str = "class") -> int:
    """`value`, if it is the number of a class or a symbol: a negative one would count from the end.

    Raises ConfigError, also for one that is none of `count`.
    """
    if not is_whole(value) or value < 0 or (count is not None and value >= count):
        most = "or more" if count is None else f"to {count - 1}"
        raise ConfigError(f"{name}: {option} is the number of a {of}, 0 {most}, not {value!r}.")
    return int(value)


def is_whole(value: Any) -> bool:
    """Whether a value is an integer, of Python or NumPy; booleans are none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def check_count(name: str, option: str, value: Any) -> int:
    """`value`, if it is a whole number of 1 or more. Raises ConfigError."""
    if not is_whole(value) or value < 1:
        raise ConfigError(f"{name}: {option} is a whole number, 1 or more, not {value!r}.")
    return int(value)


def check_ignored(name: str, ignore_index: Any) -> int | None:
    """`ignore_index`, if targets can be equal to it, or None. Raises ConfigError."""
    if ignore_index is not None and not is_whole(ignore_index):
        raise ConfigError(f"{name}: ignore_index is an integer or None, not {ignore_index!r}.")
    return None if ignore_index is None else int(ignore_index)


def check_list(name: str, option: str, values: Any) -> None:
    """Raise ConfigError for a string, which would be taken for a list of its characters."""
    if isinstance(values, str | bytes):
        raise ConfigError(f"{name}: {option} is a list, such as [{values!r}], not the string {values!r}.")


def paired(name: str, predictions: Any, targets: Any) -> tuple[Tensor, Tensor]:
    """The rows of predictions and targets: two Sequences of the same lengths, or two Tensors (or arrays).

    Raises ShapeError if the lengths differ, TypeError for Sequences beside a Tensor.
    """
    if isinstance(predictions, Sequences) != isinstance(targets, Sequences):
        raise TypeError(
            f"{name} takes predictions and targets both as Sequences or both as Tensors, not "
            f"{type(predictions).__name__} and {type(targets).__name__}."
        )
    if not isinstance(predictions, Sequences):
        rows = predictions if isinstance(predictions, Tensor) else Tensor(predictions)
        return rows, targets if isinstance(targets, Tensor) else beside(rows, targets)
    if predictions.layout is not targets.layout and predictions.layout != targets.layout:
        raise of_other_lengths(name, predictions.lengths, targets.lengths)
    return predictions.data, targets.data


def of_other_lengths(name: str, ours: tuple[int, ...], theirs: tuple[int, ...]) -> ShapeError:
    """The error about predictions and targets of other lengths, with the first sequence where they differ."""
    both = f"{name}: predictions have lengths {listed(ours, 8)}, targets {listed(theirs, 8)}"
    needed = "both need one row for each step of the same sequences."
    if len(ours) != len(theirs):
        return ShapeError(f"{both}: {needed}")
    at = next(i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
    return ShapeError(f"{both}, of which sequence {at} has {ours[at]} and {theirs[at]}: {needed}").about(
        at, len(ours)
    )


def beside(x: Tensor, values: Any, dtype: Any = None) -> Tensor:
    """`values` as a constant on the backend of x."""
    return make_tensor(backend_of(x.data).asarray(np.array(values, dtype)), None)


def check_classes(name: str, targets: Any, classes: int | None, ignore_index: int | None) -> None:
    """Raise DataError, naming the place, unless all targets are in [0, classes) or `ignore_index`.

    Without `classes`, any number from 0 on is one.

    This happens on the host, as a device would read whatever lies at the wrong place. Sequences remember
    their range; only Tensors, and ignored targets that are out of range, are copied from a device.
    """
    rows = targets.data if isinstance(targets, Sequences) else Tensor(targets)
    if rows.dtype.kind not in "iu":
        raise DataError(f"{name} takes targets that are integers, the numbers of classes, not {rows.dtype}.")
    if rows.size == 0:
        return
    if isinstance(targets, Sequences):
        low, high = targets.id_range  # remembered, so a device is not asked
        if low >= 0 and (classes is None or high < classes):
            return
    ids = rows.numpy()
    bad = ids < 0 if classes is None else (ids < 0) | (ids >= classes)
    if ignore_index is not None:
        bad &= ids != ignore_index
    if not bad.any():
        return
    at = np.argwhere(bad)[0].tolist()
    value = ids[tuple(at)]
    if isinstance(targets, Sequences):
        sequence, step = targets.layout.locate(at[0])
        place, count = f"of sequence {sequence} at step {step}", targets.batch_size
    else:
        sequence, count = at[0], len(ids)
        place = f"at position {at[0] if len(at) == 1 else tuple(at)}"
    known = "below 0, and no class" if classes is None else f"none of the {classes} classes 0..{classes - 1}"
    raise DataError(
        f"{name}: the target {value} {place} is {known}"
        + (
            "; if it stands for nothing, say ignore_index or leave it out."
            if ignore_index is None
            else f", nor the ignore_index {ignore_index}."
        )
    ).about(sequence, count)


def reduced(losses: Tensor, weights: Tensor | None, reduction: str, predictions: Any) -> Any:
    """Weighted losses as they are, their sum, or that divided by the sum of the weights (0 if it is 0)."""
    if reduction == "none":
        return predictions.with_data(losses) if isinstance(predictions, Sequences) else losses
    if reduction == "sum":
        return losses.sum()
    if weights is None:
        return losses.sum() * (1 / max(1, losses.size))
    total = weights.sum()
    return losses.sum() / ops.where(total == 0, 1, total)
