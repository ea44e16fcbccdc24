"""How a loop kernel is laid out on a card: who owns which rows, and where the weights stay."""

from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil, gcd, log2

from tinyseq.scan.emitters.cuda.cards import KIB, Card

THREADS = (64, 128, 256, 512)
REGISTERS = 65536  # of a block, in 4 bytes each
OWN_REGISTERS = 112  # of a thread, for all but weights and sums
MOST_KEPT = 128  # weights of a thread, in registers
MOST_SUMS = 32  # which a thread adds up at once, in registers
MOST_ROWS = 16
EVERYWHERE = 48 * KIB  # of shared memory, which a block has on any card


@dataclass(frozen=True)
class Shape:
    """What a loop does, as far as the plan asks.

    products: (K, N) of each; sums: over a row; unit: columns that blocks may divide among them, 1 if none.
    """

    products: tuple[tuple[int, int], ...]
    sums: int
    unit: int
    width: int  # of its widest row
    itemsize: int


@dataclass(frozen=True)
class Layout:
    """One product: columns of a thread, slices of K, fours of a slice; and how many of those stay where."""

    wide: int
    slices: int
    chunks: int
    kept: int
    stored: int

    @property
    def streamed(self) -> int:
        """Fours whose weights come through the caches at every step."""
        return self.chunks - self.kept - self.stored


@dataclass(frozen=True)
class Plan:
    """`rows` rows for each cluster of `cluster` blocks of `threads` threads; shared: numbers a block."""

    cluster: int
    rows: int
    threads: int
    unit: int = 1
    products: tuple[Layout, ...] = ()
    shared: int = 0
    virtual: bool = False  # the blocks of a cluster are threads of one block
    cycles: float = 0.0  # of a step, estimated

    def defines(self) -> str:
        """The numbers, as the kernel's source asks for them."""
        numbers: dict[str, int | str] = {
            "CLUSTER": self.cluster, "ROWS": self.rows, "THREADS": self.threads, "UNIT": self.unit,
            "SHARED": self.shared, "VIRTUAL": int(self.virtual),
        }  # fmt: skip
        for k, p in enumerate(self.products):
            numbers[f"PRODUCT_{k}"] = ", ".join(map(str, (p.wide, p.slices, p.chunks, p.kept, p.stored)))
        return "".join([f"#define {name} {number}\n" for name, number in numbers.items()])

    def blocks(self, batch: int) -> int:
        """How many blocks a launch has."""
        return ceil(batch / self.rows) * (1 if self.virtual else self.cluster)

    @property
    def threads_of_block(self) -> int:
        """How many threads each of them has."""
        return self.threads * (self.cluster if self.virtual else 1)

    def __str__(self) -> str:
        owner = f"cluster of {self.cluster} blocks" if self.cluster > 1 else "block"
        text = f"a {owner} of {self.threads} threads owns {self.rows} row{'s' * (self.rows > 1)}"
        chunks = sum(p.chunks for p in self.products)
        if not chunks:
            return text
        parts = {
            "in registers": sum(p.kept for p in self.products),
            "in shared memory": sum(p.stored for p in self.products),
            "through the caches": sum(p.streamed for p in self.products),
        }
        return f"{text}; weights " + ", ".join([f"{100 * n // chunks} % {k}" for k, n in parts.items() if n])


def lay_out(
    shape: Shape, cluster: int, rows: int, threads: int, shared: int, *, weights: int | None = None
) -> Plan | str:
    """A plan, or why there is none. shared: bytes; weights: at most so many of them a thread in registers."""
    if shape.unit % cluster:
        return f"{cluster} blocks cannot divide {shape.unit} columns"
    if rows > threads:
        return f"{threads} threads cannot own {rows} rows"
    turns = 2 if cluster > 1 else 1
    taken = _aligned(threads + cluster * rows) if shape.sums else 0
    layouts = []
    for k, n in shape.products:
        columns, fours = n // cluster, ceil(k / 4)
        wide = next(w for w in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024) if w * threads >= columns)
        if wide == 1 and rows * 2 <= MOST_SUMS and 2 * threads // columns < fours and columns > 1:
            wide = 2  # reads a row's numbers half as often
        if rows * wide > max(MOST_SUMS, wide):
            return f"{rows} rows of {columns} columns are too many sums for {threads} threads"
        slices = max(1, min(threads // ceil(columns / wide), fours))
        chunks = ceil(fours / slices)
        layouts.append(Layout(wide, slices, chunks, 0, 0))
        taken += turns * rows * 4 * slices * chunks + _aligned(slices * rows * columns)
    free = shared // shape.itemsize - taken
    if free < 0:
        return f"{rows} rows need {taken * shape.itemsize} bytes of shared memory, of {shared}"
    budget = min(MOST_KEPT, min(255, REGISTERS // threads) * 4 // shape.itemsize - OWN_REGISTERS)
    left = budget if weights is None else weights
    for i, p in enumerate(layouts):
        share = left // (len(layouts) - i)
        kept = max(0, min(p.chunks, share // (4 * p.wide)))
        each = 4 * p.wide * ceil(shape.products[i][1] // cluster / p.wide) * p.slices
        stored = max(0, min(p.chunks - kept, free // (len(layouts) - i) // each))
        layouts[i] = replace(p, kept=kept, stored=stored)
        left -= kept * 4 * p.wide
        free -= stored * each
        taken += stored * each
    plan = Plan(cluster, rows, threads, shape.unit, tuple(layouts), taken)
    return replace(plan, cycles=cycles(shape, plan))


def _aligned(count: int) -> int:
    return ceil(count / 4) * 4


def cycles(shape: Shape, plan: Plan) -> float:
    """An estimate of a step: multiply-adds, weights from where they are, stores to other blocks, waiting.

    The numbers were fitted to what was measured on an H200.
    """
    total, c, rows = 0.0, plan.cluster, plan.rows
    size = shape.itemsize
    for (k, n), p in zip(shape.products, plan.products, strict=True):
        used = ceil(n // c / p.wide) * p.slices
        each = 4 * p.wide * used * size  # bytes of a chunk
        total += 1.1 * rows * (n // c) * k * (size / 4) / 128
        total += p.stored * each / 128 + p.streamed * each / 40 + p.chunks * rows * used / 32
        total += (1100 if c > 1 else 750) + rows * k // c * (c - 1)
    total += 500 * shape.sums + 60 * ceil(shape.width // c * rows / plan.threads)
    return total + 40 * log2(c)


@lru_cache(512)
def candidates(shape: Shape, batch: int, card: Card) -> tuple[list[Plan], dict[str, str]]:
    """The plans for a batch on a card, best first; and by strategy why there is none."""
    found: list[tuple[bool, float, Plan]] = []
    refused: dict[str, str] = {}
    measured = _measured(shape, batch, card)
    for cluster, resident in card.clusters.items():
        shares = {1, *[min(MOST_ROWS, ceil(batch / (resident * waves))) for waves in (1, 2, 4, 8)]}
        strategy = f"cluster of {cluster}" if cluster > 1 else "block"
        some = False
        for threads in THREADS:
            for rows in sorted(shares):
                plan = lay_out(shape, cluster, rows, threads, card.shared)
                if isinstance(plan, str):
                    refused[strategy] = plan
                    continue
                some = True
                waves = ceil(ceil(batch / rows) / resident)
                found.append((cluster != measured, plan.cycles * waves, plan))
        if some:
            refused.pop(strategy, None)
    if len(card.clusters) == 1:
        refused["cluster"] = f"{card.name} has no clusters of blocks"
    found.sort(key=lambda entry: entry[:2])
    return [plan for *_, plan in found], refused


def _measured(shape: Shape, batch: int, card: Card) -> int | None:
    """The size of cluster that was best for the nearest shape that was measured, within a factor of two."""
    if not shape.products or not card.measured or shape.itemsize != 4:
        return None
    units = min(shape.products[0])

    def distance(at: tuple[int, int]) -> float:
        return abs(log2(at[0] / units)) + abs(log2(at[1] / batch)) / 4

    nearest = min(card.measured, key=distance)
    return card.measured[nearest] if abs(log2(nearest[0] / units)) <= 1 else None


def choose(shape: Shape, batch: int, card: Card) -> Plan:
    """The best plan for a batch on a card."""
    return candidates(shape, batch, card)[0][0]


@dataclass(frozen=True)
class Strategy:
    """A plan asked for, whatever the card, as far as the shape allows. shared, weights: as in lay_out."""

    cluster: int = 1
    rows: int = 1
    threads: int = 64
    shared: int = EVERYWHERE
    weights: int | None = None

    def plan(self, shape: Shape) -> Plan:
        """The plan, its clusters as the threads of single blocks."""
        cluster = gcd(self.cluster, shape.unit)
        for rows in range(self.rows, 0, -1):
            plan = lay_out(shape, cluster, rows, self.threads, self.shared // cluster, weights=self.weights)
            if isinstance(plan, Plan):
                return replace(plan, virtual=True)
        raise ValueError(plan)


def problem(shape: Shape) -> str:
    """Why no card has a plan for one row; empty if every card has."""
    plan = lay_out(shape, 1, 1, THREADS[-1], EVERYWHERE)
    return plan if isinstance(plan, str) else ""
