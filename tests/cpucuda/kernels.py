"""Compile the CUDA source that CuPy generates, or is given, with g++."""

import re
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from . import cache
from .errors import CompilationError

INCLUDE = Path(__file__).parent / "include"
FLAGS = ["-O1", "-w", "-fno-strict-aliasing", "-ffp-contract=off"]

_ENTRY_POINT = re.compile(
    r'extern\s+"C"\s+(?:__global__\s+void|void\s+__global__)\s+(?:__launch_bounds__\([^)]*\)\s*|[A-Z_]+\s+)?(\w+)\s*\('
)
_C_BLOCK = re.compile(r'extern\s+"C"\s*\{(.*)\}', re.S)
_KERNEL = re.compile(r"__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\s*\(")
_DYNAMIC_SHARED = re.compile(
    r"extern\s+__shared__\s+(?:__align__\(\d+\)\s*)?(\w[\w ]*?)\s+(\w+)\s*\[\s*\]\s*;",
)
_USES_BARRIERS = re.compile(r"__sync|__shared__")


class Generated(NamedTuple):
    """A source that was compiled in this process, with the options that NVRTC would get."""

    source: str
    options: tuple[str, ...]


generated: list[Generated] = []


def entry_points(source: str) -> list[str]:
    """The names of a source's extern "C" kernels."""
    names = _ENTRY_POINT.findall(source)
    for block in _C_BLOCK.findall(source):
        names += [name for name in _KERNEL.findall(block) if name not in names]
    return names


def translate(source: str) -> str:
    """C++ for the shim header from CUDA C++, with the entry points exported."""
    body = _DYNAMIC_SHARED.sub(r"\1* \2 = static_cast<\1*>(cpucuda_dynamic_shared());", source)
    has_barriers = int(bool(_USES_BARRIERS.search(source)))
    exports = [f"CPUCUDA_EXPORT({name}, {has_barriers})" for name in entry_points(source)]
    return "\n".join(['#include "cpucuda_shim.h"', body, *exports, ""])


def install(cupy: ModuleType) -> None:
    """Take the place of NVRTC in CuPy."""
    from cupy.cuda import compiler, function

    headers = Path(compiler.__file__).parents[1] / "_core" / "include"
    shim = [path.read_text() for path in sorted(INCLUDE.glob("**/*.h"))]

    def compile_module(
        source: str,
        options: tuple[str, ...] = (),
        *,
        enable_cooperative_groups: bool = False,
        name_expressions: Any = None,
        **settings: Any,
    ) -> Any:
        if enable_cooperative_groups or name_expressions:
            raise NotImplementedError(
                "cpucuda cannot emulate cooperative groups or name_expressions: "
                'write the kernel as extern "C", without templates at its entry'
            )
        text = translate(source)
        flags = [*FLAGS, *(option for option in options if option.startswith("-D"))]
        name = f"kernel-{cache.digest([cupy.__version__, text, *flags, *shim])}.so"
        try:
            path = cache.build(name, {"kernel.cpp": text}, [*flags, f"-I{INCLUDE}", f"-I{headers}"])
        except CompilationError as error:
            raise compiler.CompileException(str(error), source, name, options, "cpucuda") from None
        generated.append(Generated(source, tuple(options)))
        module = function.Module()
        module.load(f"CPUCUDA:{path}".encode())
        return module

    compiler._compile_module_with_cache = compile_module
