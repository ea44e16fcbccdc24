"""The text of one kernel: its arguments, and the rows that its blocks are at."""

import re

from tinyseq.backend.symbols import Symbol
from tinyseq.scan.emitters.numpy.emitter import Emitter
from tinyseq.scan.emitters.numpy.source import Function
from tinyseq.scan.memory.places import Key, Place, Store
from tinyseq.scan.passes.partition import Region

TYPES = {"float32": "float", "float64": "double", "bool": "bool"}
MOST_THREADS = 512
MOST_BLOCKS = 2048  # of a kernel that goes through all rows of all steps

HEADER = """// Kernels of a compiled step, written by tinyseq. A block owns a row, which no other touches.
typedef {dtype} real;

__device__ real row_sum(real x, real* scratch) {{
    scratch[threadIdx.x] = x;
    __syncthreads();
    for (int half = blockDim.x / 2; half > 0; half /= 2) {{
        if (threadIdx.x < half) scratch[threadIdx.x] += scratch[threadIdx.x + half];
        __syncthreads();
    }}
    x = scratch[0];
    __syncthreads();
    return x;
}}

__device__ real larger(real a, real b) {{ return b > a || b != b ? b : a; }}
__device__ real smaller(real a, real b) {{ return b < a || b != b ? b : a; }}
"""


class KernelText:
    """A kernel while it is written. Lower case: the current row; `_all`: the rows of all steps."""

    def __init__(self, emitter: Emitter, region: Region, f: Function) -> None:
        self.emitter, self.region, self.f = emitter, region, f
        self.scope = Function(f.is_forward)
        self.scope.used |= {"row", "steps", "table", "at", "step", "scratch", "real", "larger", "smaller"}
        self.body: list[str] = []
        self.pointers: list[str] = []  # to the current row, set once for each row
        self.rows: list[tuple[str, str]] = []  # parameters that are rows, and the caller's variables
        self.fixed: list[tuple[str, str]] = []  # other parameters, and the caller's variables
        self.totals: list[str] = []  # lines of the caller, after the kernel
        self.width = 32  # of the widest loop along a row

    def name(self, key: object, wish: str, suffix: str) -> str:
        """A variable of the kernel; with a suffix no word of CUDA's."""
        return self.scope.name(key, re.sub(r"[^A-Za-z0-9_]", "_", wish) + suffix)

    def row(self, store: Store, before: bool) -> str:
        """The variable that points to the current row of a store."""
        key = ("row", store, before)
        if key not in self.scope.names:
            place = Place(store, 0, store.width, before)
            wish = self.emitter.wish_of_place(place)
            name = self.name(key, wish, "_row")
            every = self.name(("all", key), wish, "_all")
            shape = (store.width,)
            if self.region.in_loop:
                loop_key: Key = (place, shape)
                outer = self.f.keys[loop_key] = self.f.name(("loop", loop_key), wish)
                first = f"(at[{len(self.f.keys)}] + row)"
            else:
                outer, first = self.emitter.whole(place, shape, wish.upper(), self.f), "(long long)row"
            self.rows.append((f"{TYPES[str(store.dtype)]}* {every}", outer))
            self.pointers.append(f"{TYPES[str(store.dtype)]}* {name} = {every} + {first} * {store.width};")
        return self.scope.names[key]

    def element(self, symbol: Symbol, place: Place | None = None, j: str = "j") -> str:
        """An element of a row, at column `j` of the symbol; the number of zeros or ones."""
        if symbol.op in ("zeros", "ones") and place is None:
            return f"real({int(symbol.op == 'ones')})"
        place = place or self.emitter.storage.place(symbol)
        at = f"{place.start} + {j}" if place.start and j != "0" else str(place.start) if j == "0" else j
        return f"{self.row(place.store, place.before)}[{at}]"

    def parameter(self, value: Symbol) -> str:
        """The variable that points to what is computed from parameters alone."""
        key = ("parameter", value.id)
        if key not in self.scope.names:
            region = Region.STEP if self.region.in_loop else self.region
            outer = self.emitter.value(value, self.f, region)
            name = self.name(key, outer if outer.isidentifier() else "p", "_p")
            self.fixed.append((f"const {TYPES[str(value.dtype)]}* {name}", outer))
        return self.scope.names[key]

    def total(self, s: Symbol) -> str:
        """Where a block sums up its part of a sum over all rows, which the caller adds up."""
        key = ("total", s.id)
        if key not in self.scope.names:
            width = s.inputs[0].width
            outer = self.f.name(("value", s.id), s.name or "total")
            parts = self.f.name(key, f"{outer}_parts")
            self.f.parameter_lines.append(f"{parts} = xp.zeros(({self.blocks}, {width}), xp.{s.dtype})")
            self.totals.append(f"{outer} = {parts}.sum(axis=0)")
            name = self.name(key, outer, "_p")
            self.fixed.append((f"real* {name}", parts))
        return f"{self.scope.names[key]}[blockIdx.x * {s.inputs[0].width} + j]"

    @property
    def blocks(self) -> str:
        """How many blocks it is launched with, in the caller's words."""
        return "run.rows.batch" if self.region.in_loop else f"min(run.total, {MOST_BLOCKS})"

    @property
    def threads(self) -> int:
        """How many threads its blocks have: a power of two."""
        return min(MOST_THREADS, 1 << (self.width - 1).bit_length())

    def loop(self, width: int, lines: list[str]) -> list[str]:
        """A loop along a row, whose columns `j` the threads share; all wait for its end."""
        self.width = max(self.width, width)
        header = f"for (int j = threadIdx.x; j < {width}; j += blockDim.x) {{"
        return [header, *[f"    {line}" for line in lines], "}", "__syncthreads();"]

    def text(self, name: str) -> str:
        """The source of the kernel."""
        rows, fixed = [p for p, _ in self.rows], [p for p, _ in self.fixed]
        if self.region.in_loop:  # a block has one row: the same one of every step that has so many
            first = ["const long long* table", "int steps"]
            walk = [
                "const int row = blockIdx.x;",
                "for (int step = 0; step < steps; step++) {",
                f"    const long long* at = table + step * {len(rows) + 1};",
                "    if (row >= at[0]) continue;",
            ]
        else:
            first = ["int total"]
            walk = ["for (int row = blockIdx.x; row < total; row += gridDim.x) {"]
        head = f'extern "C" __global__ void __launch_bounds__({self.threads}, 1) {name}('
        lines = [head + ", ".join([*first, *rows, *fixed]) + ") {"]
        lines += [f"    {line}" for line in [f"__shared__ real scratch[{self.threads}];", *walk]]
        lines += [f"        {line}" for line in [*self.pointers, *self.body]]
        return "\n".join([*lines, "    }", "}"]) + "\n"

    def call(self, name: str) -> list[str]:
        """The caller's lines: the launch, and the sums of what blocks have summed up."""
        fixed = [outer for _, outer in self.fixed]
        if self.region.in_loop:
            way = "forward" if self.region.is_forward else "backward"
            given = [f"run.{way}_table_there", "run.rows.steps", f"*run.{way}_slices", *fixed]
        else:
            given = ["run.total", *[outer for _, outer in self.rows], *fixed]
        return [f"{name}({', '.join([self.blocks, *given])})", *self.totals]
