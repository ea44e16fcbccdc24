"""Predictions beside their targets: what losses and metrics do before and after their formula."""

from typing import Any, get_args

import numpy as np

from tinyseq import ops
from tinyseq.backend import backend_of
from tinyseq.contracts import Reduction
from tinyseq.engine import Tensor, make_tensor
from tinyseq.errors import ConfigError, DataError, ShapeError
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
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < 0 or (count is not None and value >= count):
        most = "or more" if count is None else f"to {count - 1}"
        raise ConfigError(f"{name}: {option} is the number of a {of}, 0 {most}, not {value!r}.")
    return int(value)


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
        raise ShapeError(
            f"{name}: predictions have lengths {_shown(predictions.lengths)}, targets "
            f"{_shown(targets.lengths)}: both need one row for each step of the same sequences."
        )
    return predictions.data, targets.data


def _shown(lengths: tuple[int, ...]) -> str:
    return f"{', '.join(map(str, lengths[:8]))}{', ...' if len(lengths) > 8 else ''}"


def beside(x: Tensor, values: Any, dtype: Any = None) -> Tensor:
    """`values` as a constant on the backend of x."""
    return make_tensor(backend_of(x.data).asarray(np.array(values, dtype)), None)


def check_classes(name: str, targets: Any, classes: int, ignore_index: int | None) -> None:
    """Raise DataError, naming the place, unless all targets are in [0, classes) or `ignore_index`.

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
        if low >= 0 and high < classes:
            return
    ids = rows.numpy()
    bad = (ids < 0) | (ids >= classes)
    if ignore_index is not None:
        bad &= ids != ignore_index
    if not bad.any():
        return
    at = np.argwhere(bad)[0].tolist()
    value = ids[tuple(at)]
    if isinstance(targets, Sequences):
        sequence, step = targets.layout.locate(at[0])
        place = f"of sequence {sequence} at step {step}"
    else:
        place = f"at position {at[0] if len(at) == 1 else tuple(at)}"
    raise DataError(
        f"{name}: the target {value} {place} is none of the {classes} classes 0..{classes - 1}"
        + (
            "; if it stands for nothing, say ignore_index or leave it out."
            if ignore_index is None
            else f", nor the ignore_index {ignore_index}."
        )
    )


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
