"""The CUDA emitter: loops and groups of elementwise operations as kernels, all else as NumPy's has it.

The loop of a pass is one launch. Clusters of blocks own rows of the batch and walk through the steps that
have them, so no cluster waits for another, and ragged batches need no other code.
"""

from typing import Any

from tinyseq.scan.emitters.cuda.groups import GroupText
from tinyseq.scan.emitters.cuda.heavy import lines_of
from tinyseq.scan.emitters.cuda.launch import Launch, LoopLaunch
from tinyseq.scan.emitters.cuda.loops import LoopText, loop_header
from tinyseq.scan.emitters.cuda.plan import Strategy
from tinyseq.scan.emitters.cuda.text import KernelText, header
from tinyseq.scan.emitters.numpy.emitter import COMMENTS, Emitter
from tinyseq.scan.emitters.numpy.source import Function
from tinyseq.scan.memory.storage import Storage
from tinyseq.scan.passes.fuse import Group
from tinyseq.scan.passes.partition import Operation, Region, Schedule


class CudaEmitter(Emitter):
    """Writes functions that launch kernels, and the kernels; `refusal` says what it cannot."""

    def __init__(self, schedule: Schedule, storage: Storage, groups: list[Group]) -> None:
        self.groups = groups
        self.group_of = {o.at: group for group in groups for o in group.operations}
        self.kernels: dict[str, KernelText] = {}
        self.loops: dict[Region, LoopText] = {}
        floats = [s.dtype for s in schedule.traced.states if s.dtype.kind == "f"]
        self.dtype = str([*[g.dtype for g in groups], *floats, "float32"][0])
        super().__init__(schedule, storage)

    @property
    def kernel_source(self) -> str:
        """The kernels, without what all of them stand on."""
        return "\n".join([kernel.text(name) for name, kernel in self.kernels.items()])

    def launches(self, library: Any, strategy: Strategy | None = None) -> dict[str, Launch | LoopLaunch]:
        """What the functions call, by name."""
        found: dict[str, Launch | LoopLaunch] = {}
        start = header(self.dtype)
        for name, kernel in self.kernels.items():
            if isinstance(kernel, LoopText):
                source = start + loop_header() + kernel.text(name)
                found[name] = LoopLaunch(name, source, kernel.shape(self.group_of), library, strategy)
            else:
                found[name] = Launch(name, start + kernel.text(name), kernel.threads, library)
        return found

    def _lines(self, operation: Operation, f: Function) -> list[str]:
        group, region = self.group_of.get(operation.at), operation.region
        if group is not None and operation is not group.operations[0]:
            return []
        if region.in_loop:
            if region not in self.loops:
                self.loops[region] = LoopText(self, region, f)
                self.loops[region].add_up([t for g in self.groups if g.region is region for t in g.totals])
            loop = self.loops[region]
            loop.body += lines_of(loop, operation) if group is None else _whole(GroupText(loop, group))
            return []
        if group is None:
            return super()._lines(operation, f)
        kernel = KernelText(self, region, f)
        kernel.add_up(group.totals)
        kernel.body += _whole(GroupText(kernel, group))
        return self._launch(kernel, "all_steps")

    def _loop(self, region: Region, f: Function, steps: str, lines: list[str]) -> list[str]:
        loop = self.loops.get(region)
        if loop is None or not loop.body:
            return []
        name = "forward_loop" if region.is_forward else "backward_loop"
        return [f"# {COMMENTS[region]}", *self._launch(loop, name)]

    def _launch(self, kernel: KernelText, wish: str) -> list[str]:
        """The lines that launch a new kernel."""
        name = next(n for n in (wish, *[f"{wish}_{k}" for k in range(2, 999)]) if n not in self.kernels)
        self.kernels[name] = kernel
        kernel.f.used.add(name)
        return kernel.call(name)


def _whole(group: GroupText) -> list[str]:
    return ["{", *[f"    {line}" for line in group.before + group.lines], "}"]
