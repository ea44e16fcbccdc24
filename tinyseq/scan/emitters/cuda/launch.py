"""Launching kernels, which CuPy compiles when they are needed first."""

from functools import cached_property
from typing import Any

import numpy as np

from tinyseq.errors import ConfigError
from tinyseq.scan.emitters.cuda.cards import PORTABLE, card_of
from tinyseq.scan.emitters.cuda.plan import EVERYWHERE, Plan, Shape, Strategy, choose

NON_PORTABLE_CLUSTER = 14  # CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED


def need_cupy(library: Any) -> None:
    """Refuse NumPy's arrays."""
    if library is np:
        raise ConfigError("The cuda emitter runs on CuPy arrays; for NumPy's choose numpy or numba.")


class Launch:
    """A kernel that is called with its number of blocks and its arguments: arrays and ints."""

    def __init__(self, name: str, source: str, threads: int, library: Any) -> None:
        self.name, self.source, self.threads, self.library = name, source, threads, library

    @cached_property
    def _function(self) -> Any:
        need_cupy(self.library)
        return self.library.RawModule(code=self.source).get_function(self.name)

    def __call__(self, blocks: int, *arguments: Any) -> None:
        self._function((blocks,), (self.threads,), _given(arguments, self.library))


class LoopLaunch:
    """A loop, called with its number of sequences and its arguments; compiled for each plan it runs by."""

    def __init__(
        self, name: str, source: str, shape: Shape, library: Any, strategy: Strategy | None = None
    ) -> None:
        self.name, self.source, self.shape, self.library, self.strategy = (
            name,
            source,
            shape,
            library,
            strategy,
        )
        self._functions: dict[Plan, Any] = {}

    def plan(self, batch: int) -> Plan:
        """How it runs with so many sequences on the device in use."""
        if self.strategy:
            return self.strategy.plan(self.shape)
        return choose(self.shape, batch, card_of(self.library))

    def __call__(self, batch: int, *arguments: Any) -> None:
        need_cupy(self.library)
        plan = self.plan(batch)
        shared = plan.shared * self.shape.itemsize * (plan.cluster if plan.virtual else 1)
        if plan not in self._functions:
            self._functions[plan] = self._compiled(plan, shared)
        grid, block = (plan.blocks(batch),), (plan.threads_of_block,)
        self._functions[plan](grid, block, _given(arguments, self.library), shared_mem=shared)

    def _compiled(self, plan: Plan, shared: int) -> Any:
        module = self.library.RawModule(code=plan.defines() + self.source)
        function = module.get_function(self.name)
        if shared > EVERYWHERE:
            function.max_dynamic_shared_size_bytes = shared
        if plan.cluster > PORTABLE and not plan.virtual:
            from cupy_backends.cuda.api import driver

            driver.funcSetAttribute(function.kernel.ptr, NON_PORTABLE_CLUSTER, 1)
        return function


def _given(arguments: Any, library: Any) -> tuple[Any, ...]:
    contiguous = library.ascontiguousarray  # what a caller gave may have other strides
    return tuple(
        [
            np.int32(a) if isinstance(a, int) else a if a.flags.c_contiguous else contiguous(a)
            for a in arguments
        ]
    )
