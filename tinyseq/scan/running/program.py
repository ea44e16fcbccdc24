"""A compiled step: source, and the memory that it runs in."""

import linecache
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyseq.backend import Array, backend, words_of
from tinyseq.backend.symbols import POINTWISE
from tinyseq.backend.threads import blas, matmul
from tinyseq.scan.emitters.cuda.emitter import CudaEmitter
from tinyseq.scan.emitters.cuda.heavy import refusal
from tinyseq.scan.emitters.cuda.plan import Strategy
from tinyseq.scan.emitters.numba.emitter import NumbaEmitter
from tinyseq.scan.emitters.numba.kernels import emitter_name, load_kernels
from tinyseq.scan.emitters.numba.products import BLAS, packed, packing_pays, shares_of
from tinyseq.scan.emitters.numpy.emitter import Emitter
from tinyseq.scan.graph import ancestors
from tinyseq.scan.memory.places import Kind
from tinyseq.scan.memory.storage import Storage
from tinyseq.scan.memory.workspace import Memory, Pool, Rows, Workspace, library_of
from tinyseq.scan.passes.fuse import fuse, inner_values
from tinyseq.scan.passes.optimise import optimise
from tinyseq.scan.passes.partition import Schedule, partition
from tinyseq.scan.tracing.trace import Trace


@dataclass
class Options:
    """What can be switched off to look for a fault. Nothing changes but speed and memory."""

    leave_out: tuple[str, ...] = ()  # names of passes
    reuse: bool = True  # one place for several values
    emitter: str = ""  # "numpy", "numba" or "cuda"; chosen by default
    whole: bool = True  # loops that are kernels as a whole
    strategy: Strategy | None = None  # how CUDA's loops run; chosen by default


class Run:
    """A forward pass whose values the backward pass will need. Frees its workspace when it is dropped."""

    def __init__(
        self, program: "Program", workspace: Workspace, parameters: Sequence[Array], given: Any
    ) -> None:
        self.program, self.workspace, self.parameters, self.given = program, workspace, parameters, given

    def __del__(self) -> None:
        self.workspace.all = {}
        self.workspace.shifted = {}
        self.program.workspaces.give(self.workspace)


class Program:
    """The forward and backward functions of one trace, for one array library."""

    kernel_source = ""
    refusal = ""  # why it has no kernels although they were asked for
    operations = 0
    dtype = ""  # of kernels
    has_whole_loops = False

    def __init__(self, traced: Trace, library: Any, options: Options | None = None) -> None:
        options = options or Options()
        words = words_of(library.empty(0))
        chosen = options.emitter or emitter_name(words.name)
        fused = chosen in ("numba", "cuda") and _has_kernels(traced)
        optimise(traced, options.leave_out, wide=not fused)
        self.traced = traced
        self.schedule: Schedule = partition(traced)
        kernels: dict[str, Any] = {}
        emitter: Emitter
        if fused and chosen == "cuda":
            self.refusal = refusal(self.schedule)
            fused = not self.refusal
        if fused:
            groups = fuse(self.schedule)
            inner = inner_values(self.schedule, groups)
            self.storage = Storage(self.schedule, inner, groups, reuse=options.reuse)
            if chosen == "cuda":
                emitter = cuda = CudaEmitter(self.schedule, self.storage, groups)
                self.kernel_source = cuda.kernel_source
                kernels = dict(cuda.launches(library, options.strategy))
            else:
                emitter = NumbaEmitter(self.schedule, self.storage, groups)
                self.kernel_source = emitter.kernel_source
                kernels = load_kernels(emitter.kernel_source) if emitter.kernels else {}
                self.dtype, self.operations = emitter.dtype, emitter.operations
                kernels = {name: kernels[name] for name in emitter.kernels}
        else:
            self.storage = Storage(self.schedule, reuse=options.reuse)
            emitter = Emitter(self.schedule, self.storage)
        self.source = emitter.source
        self.forward_keys, self.backward_keys = emitter.forward_keys, emitter.backward_keys
        self.library = library
        self._divide_memory()
        self.kernels = kernels
        self._functions = _compiled(self.source, library, kernels)
        self._whole = self._functions
        if isinstance(emitter, NumbaEmitter) and options.whole:
            self._whole = _compiled(emitter.whole_source, library, kernels)
            self.has_whole_loops = bool(emitter.loops)
        self.workspaces = Pool(
            lambda: Workspace(Memory(self.forward_stores, words, library), self.forward_keys)
        )
        self.scratches = Pool(lambda: Memory(self.backward_stores, words, library))

    def hold(self) -> None:
        """Keep the memory of a run for the next."""
        self.workspaces.keeps = self.scratches.keeps = True

    def release(self) -> None:
        """Give back the memory of all runs, those to come included, until `hold` is called."""
        self.workspaces.release()
        self.scratches.release()

    def _divide_memory(self) -> None:
        """Stores to keep from forward to backward, and those that only the backward pass needs.

        The caller's arrays are read where they are, unless a loop slices them.
        """
        sliced = {place.store for place, _ in (*self.forward_keys, *self.backward_keys)}
        first = {self.storage.places[s.id].store for s in self.traced.inputs}
        for operation in self.schedule.operations:
            if operation.region.is_forward and operation.value.id in self.storage.places:
                first.add(self.storage.places[operation.value.id].store)
        first |= set(self.storage.state_stores)
        owned = [
            s
            for s in self.storage.stores
            if s.kind is not Kind.RESULT and (s.kind is not Kind.GIVEN or s in sliced)
        ]
        self.forward_stores = [s for s in owned if s in first]
        self.backward_stores = [s for s in owned if s not in first]
        self._sliced = {s.name for s in sliced}

    def forward(
        self, rows: Rows, inputs: Sequence[Array], states: Sequence[Array], parameters: Sequence[Array]
    ) -> tuple[list[Array], list[Array], Run]:
        """Outputs (all rows), final states (batch, ...), and what the backward pass needs."""
        workspace = self.workspace(rows)
        run = Run(self, workspace, parameters, inputs)
        starts, ends = (self._ends(rows, first) for first in (True, False))
        for store, state in zip(self.storage.state_stores, states, strict=True):
            workspace.all[store.name][starts] = state.reshape(rows.batch, store.width)
        outputs = self.compute(workspace, inputs, parameters)
        finals = [
            workspace.all[store.name][ends].reshape(state.shape)
            for store, state in zip(self.storage.state_stores, states, strict=True)
        ]
        if rows.is_dense or rows.reverse:
            finals = [f.copy() for f in finals]
        return outputs, finals, run

    def workspace(self, rows: Rows) -> Workspace:
        """A workspace, borrowed and ready for a forward pass over these rows."""
        workspace: Workspace = self.workspaces.take(rows)
        workspace.prepare(rows)
        shares = shares_of(rows.total, rows.batch, self.operations) if self.has_whole_loops else 1
        workspace.shares = rows.shares(shares)
        operations = self.operations * rows.batch
        workspace.packs = self.dtype != "" and packing_pays(operations, rows.total, shares)
        workspace.pack, workspace.product = packed(self.dtype) if workspace.packs else BLAS
        return workspace

    def _function(self, workspace: Workspace, name: str) -> Any:
        return (self._whole if workspace.packs else self._functions)[name]

    def compute(
        self, workspace: Workspace, inputs: Sequence[Array], parameters: Sequence[Array]
    ) -> list[Array]:
        """The outputs (all rows), as new arrays, from the states that the workspace holds."""
        self._place_arrays(workspace, self.traced.inputs, inputs)
        with blas.with_one_thread():
            outputs = self._function(workspace, "forward")(parameters, workspace)
        return [
            y.reshape(workspace.total, *s.shape[1:])
            for y, s in zip(outputs, self.traced.outputs, strict=True)
        ]

    def backward(
        self,
        run: Run,
        d_outputs: Sequence[Array | None],
        d_finals: Sequence[Array | None],
        wants_states: Sequence[bool],
    ) -> tuple[list[Array | None], list[Array | None], list[Array | None]]:
        """The gradients of inputs (all rows), initial states (those that are wanted) and parameters."""
        workspace, rows = run.workspace, run.workspace.rows
        scratch: Memory = self.scratches.take(rows)
        try:
            workspace.prepare_backward(scratch, self.backward_keys)
            self._place_arrays(workspace, self.traced.inputs, run.given, copy=False)
            zeros = [
                self.library.zeros((rows.total, s.width), s.dtype) if d is None else d
                for s, d in zip(self.traced.d_outputs, d_outputs, strict=True)
            ]
            self._place_arrays(workspace, self.traced.d_outputs, zeros)
            carries = [scratch.arrays[s].reshape(2, rows.batch, s.width) for s in self.storage.carry_stores]
            for carry, d in zip(carries, d_finals, strict=True):
                carry[...] = 0 if d is None else d.reshape(1, rows.batch, -1)
            with blas.with_one_thread():
                d_inputs, d_parameters = self._function(workspace, "backward")(run.parameters, workspace)
            d_states = [
                self._last_carried(carry, rows).reshape(rows.batch, *s.shape[1:]) if wanted else None
                for carry, s, wanted in zip(carries, self.traced.states, wants_states, strict=True)
            ]
        finally:
            self.scratches.give(scratch)
        d_inputs = [
            None if d is None else d.reshape(rows.total, *s.shape[1:])
            for d, s in zip(d_inputs, self.traced.inputs, strict=True)
        ]
        return d_inputs, d_states, d_parameters

    def _ends(self, rows: Rows, first: bool) -> Any:
        index = rows.ends(first)
        return index if isinstance(index, slice) else rows.there("edge", lambda: index, self.library)

    def _last_carried(self, carry: Array, rows: Rows) -> Array:
        """Each sequence's cotangent after its last step of the backward pass; buffers took turns."""
        if rows.is_dense or not rows.reverse:
            return carry[rows.steps % 2].copy()
        odd = rows.there("odd", lambda: rows.lengths % 2 == 1, self.library)[:, None]
        return self.library.where(odd, carry[1], carry[0])

    def _place_arrays(
        self, workspace: Workspace, symbols: Any, arrays: Sequence[Array], copy: bool = True
    ) -> None:
        for symbol, array in zip(symbols, arrays, strict=True):
            store = self.storage.places[symbol.id].store
            flat = array.reshape(workspace.total, store.width)
            if store.name not in self._sliced:
                workspace.all[store.name] = flat
            elif copy:
                workspace.all[store.name][...] = flat


def _has_kernels(traced: Trace) -> bool:
    """Whether numba has the dtypes of a step: it has no float16 on a CPU."""
    dtypes = {s.dtype for s in ancestors(traced.roots) if s.dtype.kind == "f"}
    return all(dtype in ("float32", "float64") for dtype in dtypes)


def _compiled(source: str, library: Any, kernels: dict[str, Any]) -> dict[str, Any]:
    """The functions that the source defines, over one array library; tracebacks show its lines."""
    words = backend(library.__name__).words  # NumPy itself has no erf
    scope = {name: getattr(words, name) for name in POINTWISE}
    scope |= {"copyto": library.copyto, "matmul": matmul if library is np else library.matmul}
    scope |= kernels | {"xp": library, "inf": float("inf"), "nan": float("nan")}
    name = f"<compiled step {abs(hash(source)):x}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    exec(compile(source, name, "exec"), scope)
    return scope


__all__ = ["Options", "Program", "Run", "library_of"]
