"""NVIDIA's compiler on a machine without a GPU: does a source compile, and what do its kernels need?"""

import ctypes
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from .errors import CompilationError

OPTIONS = ("--std=c++17", "-ftz=true", "--ptxas-options=-v")
_ENTRY = re.compile(
    r"entry function '(\w+)' for '\w+'.*?(\d+) bytes stack frame"
    r", (\d+) bytes spill stores, (\d+) bytes spill loads"
    r".*?Used (\d+) registers"
    r"(?:.*?, (\d+) bytes smem)?",
)


class Usage(NamedTuple):
    """What a thread of a kernel needs, and the shared memory that a block has from the start."""

    kernel: str
    registers: int
    stack_bytes: int
    spilled_bytes: int
    shared_bytes: int


def compile_source(source: str, architecture: str, *options: str) -> list[Usage]:
    """The kernels of CUDA C++ as NVRTC (and ptxas in it) compiles them for "sm_90", say.

    Raises CompilationError with NVIDIA's words if it does not compile.
    """
    library = _nvrtc()
    program = ctypes.c_void_p()
    library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernels.cu", 0, None, None)
    try:
        given = [option.encode() for option in (*OPTIONS, f"-arch={architecture}", *options)]
        status = library.nvrtcCompileProgram(program, len(given), (ctypes.c_char_p * len(given))(*given))
        size = ctypes.c_size_t()
        library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        library.nvrtcGetProgramLog(program, log)
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))
    text = log.value.decode()
    if status:
        raise CompilationError(f"{architecture}: {text}")
    lines = " ".join(text.splitlines())
    entries = [part for part in lines.split("Compiling ")[1:] if part.startswith("entry")]
    return [_usage(entry) for entry in entries]


def _usage(entry: str) -> Usage:
    found = _ENTRY.search(entry)
    assert found, f"ptxas says something new: {entry}"
    name, stack, stores, loads, registers, shared = found.groups()
    return Usage(name, int(registers), int(stack), int(stores) + int(loads), int(shared or 0))


@lru_cache
def _nvrtc() -> Any:
    from nvidia import cuda_nvrtc

    (folder,) = cuda_nvrtc.__path__
    (path,) = Path(folder, "lib").glob("libnvrtc.so.*")
    return ctypes.CDLL(str(path))
