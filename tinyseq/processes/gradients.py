"""The gradients of all processes added up, in one array, so that there is one exchange for all Parameters."""

from typing import Any

import numpy as np

from tinyseq.backend import Array, backend_of, to_numpy
from tinyseq.engine import make_tensor
from tinyseq.nn import Module, Parameter
from tinyseq.processes.communicator import Processes

ALIGNMENT = 64  # bytes: with every part at the same distance from them, all processes compute the same bits


def sum_gradients(model: Module, processes: Processes, factor: float) -> list[Array]:
    """Make every gradient `factor` times the sum of those of all processes; gives this process's own.

    A Parameter without gradient in all of them stays without.
    """
    kinds: dict[np.dtype[Any], list[Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            kinds.setdefault(np.dtype(parameter.dtype), []).append(parameter)
    return [_summed(parameters, dtype, processes, factor) for dtype, parameters in kinds.items()]


def _summed(parameters: list[Parameter], dtype: np.dtype[Any], processes: Processes, factor: float) -> Array:
    wide = np.promote_types(dtype, np.float32)  # halves are added up as floats
    step = ALIGNMENT // wide.itemsize
    starts = np.cumsum([0, *(-(-parameter.size // step) * step for parameter in parameters)]).tolist()
    own = aligned(starts[-1] + len(parameters), wide)  # at the end, who has a gradient
    for i, parameter in enumerate(parameters):
        stop = starts[i] + parameter.size
        own[stop : starts[i + 1]] = 0
        own[starts[-1] + i] = parameter.grad is not None
        own[starts[i] : stop] = 0 if parameter.grad is None else to_numpy(parameter.grad.data).ravel()
    total = processes.sum(own)
    present = total[starts[-1] :] > 0
    total *= factor
    for i, parameter in enumerate(parameters):
        values = total[starts[i] : starts[i] + parameter.size].reshape(parameter.shape)
        there = backend_of(parameter.data)
        parameter.grad = make_tensor(there.asarray(values, parameter.dtype), None) if present[i] else None
    return own


def aligned(count: int, dtype: np.dtype[Any]) -> Array:
    """An array (count,) that begins at a multiple of 64 bytes; its values are whatever was there."""
    raw = np.empty(count * dtype.itemsize + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + count * dtype.itemsize].view(dtype)
