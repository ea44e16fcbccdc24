"""Arrays of other libraries as Tensors, without a copy."""

from typing import Any

import numpy as np

from tinyseq.backend import backend
from tinyseq.engine.tensor import Tensor, make_tensor
from tinyseq.errors import DataError, GraphError

_CPU, _CUDA, _CUDA_HOST, _CUDA_MANAGED = 1, 2, 3, 13


def from_dlpack(array: Any) -> Tensor:
    """A constant Tensor that shares the memory of `array`, which speaks DLPack (torch, JAX, CuPy, NumPy).

    It stays on its device, and nothing is copied. Raises TypeError for what does not speak DLPack or holds no
    real numbers, GraphError for an array that takes gradients, DataError for a device that is neither the
    host nor one of CUDA's. Source: the DLPack protocol of the array API standard.
    """
    if not (hasattr(array, "__dlpack__") and hasattr(array, "__dlpack_device__")):
        raise TypeError(f"from_dlpack() takes arrays that speak DLPack, not {type(array).__name__}.")
    if getattr(array, "requires_grad", False):
        raise GraphError(
            f"No gradient would come back to this {type(array).__name__} of another library: hand over "
            ".detach(), which shares its values, and differentiate on either side by itself."
        )
    device = int(array.__dlpack_device__()[0])
    if device in (_CPU, _CUDA_HOST):
        read: Any = np.from_dlpack
    elif device in (_CUDA, _CUDA_MANAGED):
        backend("cupy")
        import cupy

        read = cupy.from_dlpack
    else:
        raise DataError(f"This array is on DLPack's device {device}; Tensors are in host memory or on CUDA.")
    try:
        found = read(array)
    except (RuntimeError, BufferError, TypeError, ValueError) as error:
        dtype = getattr(array, "dtype", "an unknown dtype")
        raise TypeError(f"This array of {dtype} cannot be shared: {error}") from None
    if found.dtype.kind not in "biuf":
        raise TypeError(f"Tensors hold real numbers, not {found.dtype}.")
    return make_tensor(found, None)
