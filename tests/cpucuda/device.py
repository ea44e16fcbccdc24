"""Build and load the CPU device: the C++ of device/, which is also the libcublas that CuPy links to."""

import ctypes
import re
import sys
import sysconfig
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from . import cache

SOURCES = Path(__file__).parent / "device"
UNSUPPORTED = 15  # CUBLAS_STATUS_NOT_SUPPORTED

library: ctypes.PyDLL | None = None


def load(cupy_backends: Path) -> ctypes.PyDLL:
    """Load the device, ready to be found when CuPy's cuBLAS module asks for its libcublas."""
    global library
    cublas = cupy_backends / "cuda" / "libs" / f"cublas{EXTENSION_SUFFIXES[0]}"
    needed = re.search(r"libcublas\.so\.\d+", cache.run(["readelf", "-d", str(cublas)]))
    assert needed, f"{cublas} needs no libcublas"
    soname = needed.group()
    undefined = cache.run(["nm", "-D", "--undefined-only", str(cublas)])
    _empty_library(soname.replace("cublas", "cublasLt"))
    library = _device_library(soname, sorted(set(re.findall(r"\bU (cublas\w+)", undefined))))
    library.cpucuda_counters.restype = ctypes.py_object
    library.cpucuda_events.restype = ctypes.py_object
    library.cpucuda_set_pointer_attributes.argtypes = [ctypes.py_object]
    return library


def _device_library(soname: str, cublas_functions: list[str]) -> ctypes.PyDLL:
    sources = {path.name: path.read_text() for path in sorted(SOURCES.iterdir())}
    stubs = [f"int __attribute__((weak)) {name}() {{ return {UNSUPPORTED}; }}" for name in cublas_functions]
    sources["stubs.cpp"] = "\n".join(['extern "C" {', *stubs, "}", ""])
    sources["versions.map"] = f"{soname} {{ global: *; }};\n"
    flags = ["-O2", "-w", f"-I{sysconfig.get_paths()['include']}", "-ldl"]
    flags += [f"-Wl,-soname,{soname}", "-Wl,--version-script=versions.map"]
    name = f"device-{cache.digest([sys.version, *flags, *sources.values()])}.so"
    return ctypes.PyDLL(str(cache.build(name, sources, flags)), mode=ctypes.RTLD_GLOBAL)


def _empty_library(soname: str) -> None:
    path = cache.build(f"empty-{soname}", {"empty.cpp": ""}, [f"-Wl,-soname,{soname}"])
    ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
