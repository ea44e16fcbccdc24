"""CuPy: the same words on an NVIDIA GPU. Importing this module imports CuPy; nothing else in tinyseq does."""

from typing import Any

import cupy
import numpy as np
from cupyx.scipy import special

from tinyseq.backend.cupy_kernels import FUSED
from tinyseq.backend.words import array_words
from tinyseq.errors import BackendError


def _scatter_add(out: Any, index: Any, values: Any) -> None:
    cupy.add.at(out, index, values)


def _erf(x: Any, out: Any = None) -> Any:
    if getattr(x, "dtype", None) == "float16":  # CuPy would answer in float64
        return special.erf(x.astype("float32")).astype("float16")
    return special.erf(x, out=out) if out is not None else special.erf(x)


def _argsort(x: Any, axis: int) -> Any:
    return cupy.argsort(x, axis=axis, kind="stable")


class CupyBackend:
    """One NVIDIA GPU through CuPy; refuses with one sentence where CuPy cannot run."""

    name = "cupy"
    emitter = "numpy"  # the NumPy emitter's source uses only words that CuPy shares

    def __init__(self) -> None:
        problem = probe()
        if problem:
            raise BackendError(problem)
        self.words = array_words("cupy", cupy, _scatter_add, erf=_erf, argsort=_argsort)
        self.words.fused = FUSED
        self.types: tuple[type, ...] = (cupy.ndarray,)

    def asarray(self, values: Any, dtype: Any = None) -> Any:
        """`values` (host or device) as an array on the current device."""
        return cupy.asarray(values, dtype)

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """New zeros on the current device, where they are made."""
        return cupy.zeros(shape, dtype)

    def to_numpy(self, array: Any) -> np.ndarray[Any, Any]:
        """A copy in host memory; waits for the device."""
        return np.asarray(cupy.asnumpy(array))

    def devices(self) -> list[str]:
        """What each GPU is, and how much of its memory is free."""
        found = []
        for number in range(cupy.cuda.runtime.getDeviceCount()):
            with cupy.cuda.Device(number):
                about = cupy.cuda.runtime.getDeviceProperties(number)
                free, total = cupy.cuda.runtime.memGetInfo()
            name = about["name"].decode() if isinstance(about["name"], bytes) else about["name"]
            memory = f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
            found.append(f"{name}, compute capability {about['major']}.{about['minor']}, {memory}")
        return found

    def select(self, device: int) -> int:
        """Make new arrays on this GPU, in this thread; gives the number of the one before."""
        count, before = cupy.cuda.runtime.getDeviceCount(), cupy.cuda.runtime.getDevice()
        if not 0 <= device < count:
            raise BackendError(
                f"There is no GPU {device}; CuPy sees {count}, from 0 on: `tinyseq devices` lists them."
            )
        cupy.cuda.Device(device).use()
        return int(before)

    def synchronize(self) -> None:
        """Wait until the device has done all that was asked of it."""
        cupy.cuda.get_current_stream().synchronize()


def probe() -> str | None:
    """None if CuPy can compute here; otherwise one sentence with the cause and the fix."""
    built_for = cupy.cuda.runtime.runtimeGetVersion() // 1000
    this = f"CuPy {cupy.__version__} (built for CUDA {built_for})"
    try:
        devices = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        code = str(error).split(":")[0]
        if code == "cudaErrorInsufficientDriver":
            return (
                f"{this} is installed, but there is no NVIDIA driver or it is too old [{code}]: install or "
                "update the driver, or stay on the CPU with tinyseq.use('numpy')."
            )
        return (
            f"{this} is installed, but the NVIDIA driver reports no usable GPU [{code}]: "
            "check CUDA_VISIBLE_DEVICES."
        )
    if devices == 0:
        return f"{this} is installed, but sees no CUDA device: check CUDA_VISIBLE_DEVICES."
    try:  # one elementwise kernel and one product: needs NVRTC, the CUDA headers and cuBLAS
        ones = cupy.ones((2, 2), "f4")
        float((ones @ ones + 1).sum())
    except Exception as error:  # CuPy has many ways to say that a part of the toolkit is missing
        cause = f"{type(error).__name__}: {str(error).splitlines()[0]}"
        return (
            f"{this} found {devices} GPU(s) but cannot run on them ({cause}): "
            f"pip install 'cupy-cuda{built_for}x[ctk]' brings the missing parts of the CUDA toolkit."
        )
    return None
