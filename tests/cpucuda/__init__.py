"""Run the unmodified CuPy wheel without a GPU: call `install()` before the first `import cupy`."""

from .control import ORDERS, counting, recording, thread_order
from .errors import InstallError
from .installer import gpu_present, install
from .nvrtc import ARCHITECTURES, check_generated, nvrtc_installed

__all__ = [
    "ARCHITECTURES",
    "ORDERS",
    "InstallError",
    "check_generated",
    "counting",
    "gpu_present",
    "install",
    "nvrtc_installed",
    "recording",
    "thread_order",
]
