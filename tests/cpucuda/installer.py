"""Put the CPU device under CuPy."""

import ctypes
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from . import capi, device, kernels
from .errors import InstallError

CUDA_VERSION = 13000  # of the pretended driver: new enough for every wheel


def gpu_present() -> bool:
    """Whether an NVIDIA driver with at least one device is there."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    devices = ctypes.c_int(0)
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(devices)) == 0 and devices.value > 0


def install() -> None:
    """Make `import cupy` use the CPU device in this process; a second call does nothing.

    With `CPUCUDA_GUARD=1`, every array ends at a guard page, and CuPy's memory pool is off.
    Raises InstallError where that cannot be done.
    """
    if device.library is not None:
        return
    if "cupy" in sys.modules:
        raise InstallError("cpucuda.install() must run before the first `import cupy`.")
    spec = importlib.util.find_spec("cupy_backends")
    if spec is None or not spec.submodule_search_locations:
        raise InstallError("cpucuda runs CuPy, which is not installed: pip install cupy-cuda12x.")
    os.environ["CUPY_ACCELERATORS"] = ""  # CUB and cuTENSOR are device code compiled into the wheel
    library = device.load(Path(spec.submodule_search_locations[0]))
    from cupy_backends.cuda.api import driver, runtime

    library.cpucuda_set_check(ctypes.c_void_p(capi.address_of(runtime, "check_status")))
    library.cpucuda_set_pointer_attributes(runtime.PointerAttributes)
    capi.replace(runtime, library, "rt_", capi.RUNTIME)
    capi.replace(driver, library, "dr_", capi.DRIVER)
    runtime.driverGetVersion = lambda: CUDA_VERSION

    import cupy

    kernels.install(cupy)
    _refuse_precompiled(cupy)
    if os.environ.get("CPUCUDA_GUARD") == "1":
        library.cpucuda_set_guard(1)
        cupy.cuda.set_allocator(None)  # the pool would round sizes up and hand out used memory


def _refuse_precompiled(cupy: Any) -> None:
    """Device code compiled into the wheel cannot run here, and some of it would return garbage."""
    from cupy import random
    from cupy.cuda import thrust

    for name in ("default_rng", "Generator", "MRG32k3a", "Philox4x3210", "XORWOW"):
        setattr(random, name, _refusal(f"cupy.random.{name}"))
    for name in ("argsort", "lexsort", "sort"):
        setattr(thrust, name, _refusal(f"cupy.{name}"))
    cupy.argsort = _argsort_on_the_host(cupy)


def _argsort_on_the_host(cupy: Any) -> Callable[..., Any]:
    def argsort(a: Any, axis: int | None = -1, kind: str | None = None) -> Any:
        return cupy.asarray(np.argsort(cupy.asnumpy(a), axis, kind="stable"))

    return argsort


def _refusal(what: str) -> Callable[..., NoReturn]:
    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(
            f"cpucuda cannot emulate {what}: it is device code compiled into CuPy's wheel."
        )

    return refuse
