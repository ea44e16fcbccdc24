"""The text of one kernel: its arguments, and the rows that its blocks are at."""

import re
from pathlib import Path

from tinyseq.backend.symbols import Symbol
from tinyseq.scan.emitters.numpy.emitter import Emitter
from tinyseq.scan.emitters.numpy.source import Function
from tinyseq.scan.graph import ancestors
from tinyseq.scan.memory.places import Place, Store
from tinyseq.scan.passes.partition import Region

TYPES = {"float32": "float", "float64": "double", "bool": "bool"}
MOST_THREADS = 512
MOST_BLOCKS = 2048  # of a kernel that goes through all rows of all steps
RESERVED = (
    "parts row steps table at step scratch real larger smaller here shared begin alive i j together row_sum "
    "total block_sum"
)


def header(dtype: str) -> str:
    """What all kernels of a step of this dtype need."""
    text = Path(__file__).with_name("common.cuh").read_text()
    return f"typedef {TYPES[dtype]} real;\n{text}"


def _joined(totals: list[Symbol], results: list[Symbol | None]) -> list[Symbol]:
    """The results that are nothing but some of the totals side by side, no total in two of them."""
    free = {s.id for s in totals}
    found = []
    for s in ancestors(results):
        ids = {i.id for i in s.symbols}
        if s.op == "concatenate" and s.ndim == 1 and ids <= free and len(ids) == len(s.inputs):
            free -= ids
            found.append(s)
    return found


class KernelText:
    """A kernel while it is written, for the rows of all steps. A block is at one row after another."""

    wait = "__syncthreads();"  # for all threads that share a row
    one_thread = "threadIdx.x == 0"

    def __init__(self, emitter: Emitter, region: Region, f: Function) -> None:
        self.emitter, self.region, self.f = emitter, region, f
        self.scope = Function(f.is_forward)
        self.scope.used |= set(RESERVED.split())
        self.body: list[str] = []
        self.pointers: list[str] = []  # to the current row
        self.rows: list[tuple[str, str]] = []  # parameters that are rows, and the caller's variables
        self.fixed: list[tuple[str, str]] = []  # other parameters, and the caller's variables
        self.totals: list[str] = []  # lines of the caller, after the kernel
        self.places_of_totals: dict[int, int] = {}
        self.width_of_parts = 0
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
            outer, first = self._rows_of(place, wish)
            self.rows.append((f"{TYPES[str(store.dtype)]}* {every}", outer))
            self.pointers.append(f"{TYPES[str(store.dtype)]}* {name} = {every} + {first} * {store.width};")
        return self.scope.names[key]

    def _rows_of(self, place: Place, wish: str) -> tuple[str, str]:
        """The caller's variable of all rows, and which of them is the current one."""
        shape = (place.store.width,)
        return self.emitter.whole(place, shape, wish.upper(), self.f), "(long long)row"

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

    def add_up(self, totals: list[Symbol]) -> None:
        """Sums over all rows: each block or row adds up a part of all of them, side by side; then the caller.

        What the caller joins stands together, and needs no joining.
        """
        if not totals:
            return
        joined = _joined(totals, self.emitter.traced.d_parameters)
        ordered = {s.id: s for s in [*(i for c in joined for i in c.symbols), *totals]}
        at, self.width_of_parts = 0, sum(s.shape[0] for s in ordered.values())
        parts, sums = (self.f.name((name, self), name) for name in ("parts", "sums"))
        zeros = f"xp.zeros(({self.parts}, {self.width_of_parts}), xp.{totals[0].dtype})"
        self.f.parameter_lines.append(f"{parts} = {zeros}")
        self.fixed.append(("real* parts", parts))
        self.totals.append(f"{sums} = {parts}.sum(axis=0)")
        for s in ordered.values():
            self.places_of_totals[s.id] = at
            at += s.shape[0]
        for s in [*totals, *joined]:
            first = self.places_of_totals[(s if s.id in ordered else s.symbols[0]).id]
            outer = self.f.name(("value", s.id), s.name or "total")
            self.totals.append(f"{outer} = {sums}[{first}:{first + s.shape[0]}]")

    def total(self, s: Symbol) -> str:
        """Where a part of a sum over all rows is added up."""
        return f"parts[{self.part} * {self.width_of_parts} + {self.places_of_totals[s.id]} + j]"

    parts = f"min(run.total, {MOST_BLOCKS})"  # how many there are, in the caller's words: a part a block
    part = "blockIdx.x"

    @property
    def threads(self) -> int:
        """How many threads its blocks have: a power of two."""
        return min(MOST_THREADS, 1 << (self.width - 1).bit_length())

    def loop(self, width: int, lines: list[str]) -> list[str]:
        """A loop along a row, whose columns `j` the threads share; all wait for its end."""
        self.width = max(self.width, width)
        header = f"for (int j = threadIdx.x; j < {width}; j += blockDim.x) {{"
        return [header, *[f"    {line}" for line in lines], "}", "__syncthreads();"]

    def row_sum(self, x: str) -> str:
        """The sum of `x` over the threads that share a row."""
        return f"block_sum({x}, scratch)"

    def text(self, name: str) -> str:
        """The source of the kernel."""
        given = ["int total", *[p for p, _ in self.rows], *[p for p, _ in self.fixed]]
        bounds = f"__launch_bounds__({self.threads}, 1)"
        return "\n".join(
            [
                f'extern "C" __global__ void {bounds} {name}({", ".join(given)}) {{',
                f"    __shared__ real scratch[{self.threads}];",
                "    for (int row = blockIdx.x; row < total; row += gridDim.x) {",
                *[f"        {line}" for line in [*self.pointers, *self.body]],
                "    }",
                "}\n",
            ]
        )

    def call(self, name: str) -> list[str]:
        """The caller's lines: the launch, and the sums of what blocks have summed up."""
        given = ["run.total", *[outer for _, outer in self.rows], *[outer for _, outer in self.fixed]]
        return [f"{name}({', '.join([self.parts, *given])})", *self.totals]
