"""Launching the kernels of one source, which CuPy compiles when the first of them is needed."""

from functools import cached_property
from typing import Any

import numpy as np

from tinyseq.errors import ConfigError


class Module:
    """The kernels of `source` by name; `threads`: how many each block of a kernel has, a power of two."""

    def __init__(self, source: str, threads: dict[str, int], library: Any) -> None:
        self.source, self.library = source, library
        self.functions = {name: Launch(self, name, count) for name, count in threads.items()}

    @cached_property
    def compiled(self) -> Any:
        """CuPy's module."""
        if self.library is np:
            raise ConfigError("The cuda emitter runs on CuPy arrays; for NumPy's choose numpy or numba.")
        return self.library.RawModule(code=self.source)


class Launch:
    """A kernel that is called with its number of blocks and its arguments: arrays and ints."""

    def __init__(self, module: Module, name: str, threads: int) -> None:
        self.module, self.name, self.threads = module, name, threads

    @cached_property
    def _function(self) -> Any:
        return self.module.compiled.get_function(self.name)

    def __call__(self, blocks: int, *arguments: Any) -> None:
        contiguous = self.module.library.ascontiguousarray  # what a caller gave may have other strides
        given = [
            np.int32(a) if isinstance(a, int) else a if a.flags.c_contiguous else contiguous(a)
            for a in arguments
        ]
        self._function((blocks,), (self.threads,), tuple(given))
