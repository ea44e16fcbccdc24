"""The text of a kernel that is a whole loop: clusters of blocks own rows and walk through time with them."""

from math import gcd
from pathlib import Path

from tinyseq.backend.symbols import Symbol
from tinyseq.scan.emitters.cuda.plan import Shape
from tinyseq.scan.emitters.cuda.text import KernelText
from tinyseq.scan.emitters.numpy.emitter import Emitter
from tinyseq.scan.emitters.numpy.source import Function
from tinyseq.scan.graph import columns_of, is_view, root_of
from tinyseq.scan.memory.places import Key, Place
from tinyseq.scan.passes.fuse import Group, width_of
from tinyseq.scan.passes.partition import Operation, Region


def loop_header() -> str:
    """What loop kernels need beside the numbers of a plan."""
    return Path(__file__).with_name("rows.cuh").read_text()


class LoopText(KernelText):
    """A loop while it is written. The text is the same for any plan: how many rows, threads, blocks."""

    wait = "together();"
    one_thread = "alive && here.lane == 0 && here.rank == 0"
    parts, part = "run.rows.batch", "(long long)row"

    def __init__(self, emitter: Emitter, region: Region, f: Function) -> None:
        super().__init__(emitter, region, f)
        self.setup: list[str] = []  # what there is once, before the first step
        self.products: list[tuple[int, int]] = []
        self.sums = 0

    def _rows_of(self, place: Place, wish: str) -> tuple[str, str]:
        key: Key = (place, (place.store.width,))
        outer = self.f.keys[key] = self.f.name(("loop", key), wish)
        return outer, f"(at[{len(self.f.keys)}] + row)"

    def product(self, k: int, n: int, strides: tuple[int, int], weights: str) -> str:
        """A new product of rows of `k` columns with weights (k, n), which have these strides."""
        name = f"product_{len(self.setup)}"
        self.setup.append(
            f"Product<{k}, {n}, {strides[0]}, {strides[1]}, {name.upper()}> {name}(here, {weights});"
        )
        self.products.append((k, n))
        return name

    def columns(self, width: int, lines: list[str]) -> list[str]:
        """A loop along a row, whose columns `j` the threads share, and the blocks of a cluster."""
        self.width = max(self.width, width)
        end = f"OWN({width})" if width > 1 else "1"
        head = [f"for (int i = begin; i < {end}; i += LANES) {{", "    const int j = COLUMN(i);"]
        return [*head, *[f"    {line}" for line in lines], "}"]

    def loop(self, width: int, lines: list[str]) -> list[str]:
        """The same; all threads of the block wait for its end."""
        return [*self.columns(width, lines), "__syncthreads();"]

    def row_sum(self, x: str) -> str:
        """The sum of `x` over the threads that share a row."""
        self.sums += 1
        return f"row_sum(here, {x})"

    def shape(self, groups: dict[int, Group]) -> Shape:
        """What its plan depends on."""
        operations = self.emitter.schedule.within(self.region)
        dtype = next(s.dtype for o in operations for s in (o.value, *o.operands) if s.dtype.kind == "f")
        unit = _unit(operations, groups)
        return Shape(tuple(self.products), self.sums, unit, self.width, dtype.itemsize)

    def text(self, name: str) -> str:
        """The source of the kernel."""
        given = ["const long long* table", "int steps"]
        given += [p for p, _ in (*self.rows, *self.fixed)]
        setup = [*(["RowSum row_sum(here);"] if self.sums else []), *self.setup]
        return "\n".join(
            [
                f'extern "C" __global__ void KERNEL {name}({", ".join(given)}) {{',
                "    extern __shared__ Four shared[];",
                "    Here here(shared);",
                *[f"    {line}" for line in setup],
                "    together();",
                "    for (int step = 0; step < steps; step++) {",
                f"        const long long* at = table + step * {len(self.rows) + 1};",
                "        if (here.first >= at[0]) continue;",
                "        const bool alive = here.r < ROWS && here.first + here.r < at[0];",
                "        const int begin = alive ? here.lane : NEVER;",
                "        const int row = here.first + (alive ? here.r : 0);",
                "        here.turn = (here.turn + 1) % TURNS;",
                *[f"        {line}" for line in [*self.pointers, *self.body]],
                "    }",
                "}\n",
            ]
        )

    def call(self, name: str) -> list[str]:
        """The caller's lines: the launch, and the sums of what blocks have summed up."""
        way = "forward" if self.region.is_forward else "backward"
        given = [f"run.{way}_table_there", "run.rows.steps", f"*run.{way}_slices"]
        given += [outer for _, outer in self.fixed]
        return [f"{name}({', '.join(['run.rows.batch', *given])})", *self.totals]


def _unit(operations: list[Operation], groups: dict[int, Group]) -> int:
    """How many columns side by side blocks may divide, so that each only reads columns of its own.

    All rows are as wide as some of them, and slices begin where one begins. Only numbers of a row, which
    every block computes, are left out.
    """
    widths = {0}

    def see(s: Symbol) -> None:
        widths.add(s.width)
        while is_view(s):
            widths.update((columns_of(s) or (0, 0))[:1])
            s = s.inputs[0]
            widths.add(s.width)

    for o in operations:
        group = groups.get(o.at)
        if group is not None:
            widths.add(group.width)
        for s in (o.value, *o.operands):
            is_number = group is not None and root_of(s).width == 1
            if not is_number:
                see(s)
        if o.slot is None and width_of(o.value) > 1 and o.value.width > 1:
            widths.add(width_of(o.value))
    return gcd(*widths)
