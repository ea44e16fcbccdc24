"""Faults in the kernels of the cuda emitter, and slips in what writes them."""

from typing import Any, NamedTuple

from tinyseq.scan.emitters.cuda import emitter, heavy, loops, plan
from tinyseq.scan.emitters.cuda.groups import GroupText
from tinyseq.scan.emitters.cuda.loops import LoopText
from tinyseq.scan.emitters.cuda.plan import Strategy
from tinyseq.scan.emitters.cuda.text import KernelText

CLUSTERS = Strategy(cluster=2, rows=2, threads=16, weights=8)
ROWS = Strategy(rows=3, threads=32)  # of ten threads each, and two left over
STREAMS = Strategy(rows=1, threads=16, weights=8, shared=1900)

SOURCES = {
    "gates": """
def step(x, state):
    h, c = state
    i, f, g, o = split(x @ p0 + h @ p1 + p2, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    h = sigmoid(o) * tanh(c)
    return h, (h, c)
""",
    "norm": """
def step(x, state):
    h, c = state
    z = (x - mean(x, axis=-1, keepdims=True)) @ p0 + h @ p1
    z = z - mean(z, axis=-1, keepdims=True)
    z = z / sqrt(1.0 + mean(square(z), axis=-1, keepdims=True)) * p2
    i, f, g, o = split(z, 4, axis=-1)
    new = tanh(i) * sigmoid(f) + maximum(g, 0.3 * o)
    return new + 0.5 * c, (new, h)
""",
    "joins": """
def step(x, state):
    h, c = state
    r, z = split(sigmoid(concatenate([h, c], axis=-1) @ p3), 2, axis=-1)
    n = tanh(x @ p0[:, 0:6] + (r * h) @ p1[:, 6:12] + p2[6:12])
    h = (1 - z) * h + z * n
    return where(h > c, h, c * 0.5), (h, minimum(c, n))
""",
}


class Fault(NamedTuple):
    """`old` becomes `new` in one of the texts that a kernel is made of."""

    what: str
    text: str  # rows.cuh, common.cuh, loop or steps
    old: str
    new: str
    case: str = "gates"
    strategy: Strategy = CLUSTERS


FAULTS = [
    Fault(
        "no barrier after the rows were given to all blocks",
        "loop",
        "together();\n        product_0",
        "product_0",
    ),
    Fault(
        "no barrier after a product",
        "rows.cuh",
        "sum[r][n];\n        }\n        __syncthreads();",
        "sum[r][n];\n        }",
    ),
    Fault("the last slice of a sum is lost", "rows.cuh", "s < SLICES; s++", "s < SLICES - 1; s++"),
    Fault(
        "a row goes to its own block only",
        "rows.cuh",
        "*here.of(q, mine) = x",
        "*here.of(here.rank, mine) = x",
    ),
    Fault("the table is a step late", "loop", "table + step *", "table + (step ? step - 1 : 0) *"),
    Fault("a column of the table is another's", "loop", "(at[2] + row)", "(at[1] + row)"),
    Fault(
        "rows that have ended go on",
        "loop",
        "alive = here.r < ROWS && here.first + here.r < at[0]",
        "alive = here.r < ROWS",
    ),
    Fault("threads that are left over take part", "loop", "here.r < ROWS && ", "", "gates", ROWS),
    Fault("a block computes the first block's columns", "rows.cuh", "here.rank * UNITS + (i)", "(i)"),
    Fault("every thread takes every column", "loop", "alive ? here.lane", "alive ? 0"),
    Fault("what is between rows is not cleared", "rows.cuh", "vectors[i] = real(0)", "(void)i"),
    Fault(
        "shared memory has the weights of registers",
        "rows.cuh",
        "four(here, KEPT + i, n)",
        "four(here, i, n)",
        "gates",
        Strategy(threads=16, weights=8),
    ),
    Fault(
        "weights from the caches begin too early",
        "rows.cuh",
        "int i = KEPT + STORED",
        "int i = KEPT",
        "gates",
        STREAMS,
    ),
    Fault(
        "weights in registers are used for the next rows",
        "rows.cuh",
        "sum, x + i * 4 * SLICES, kept",
        "sum, x + (i + 1) * 4 * SLICES % DEPTH, kept",
        "gates",
        CLUSTERS,
    ),
    Fault(
        "a product reads the rows of the step before",
        "rows.cuh",
        "x = vectors + here.turn",
        "x = vectors + (TURNS - 1 - here.turn)",
    ),
    Fault("a sum of a row is of one block", "rows.cuh", "q < CLUSTER; q++) x +=", "q < 1; q++) x +=", "norm"),
    Fault(
        "a sum of a row takes in the next row's", "rows.cuh", " && here.lane + half < LANES", "", "norm", ROWS
    ),
    Fault(
        "no barrier between the halves of a sum",
        "rows.cuh",
        "scratch[here.thread + half];\n            __syncthreads();",
        "scratch[here.thread + half];",
        "norm",
        ROWS,
    ),
    Fault(
        "no barrier before blocks read each other's sums",
        "rows.cuh",
        "together();\n        x = real(0)",
        "x = real(0)",
        "norm",
    ),
    Fault(
        "the sum of a row goes to no other block",
        "rows.cuh",
        "*here.of(q, parts +",
        "*here.of(here.rank, parts +",
        "norm",
    ),
    Fault("a block takes all rows after its first", "steps", "row += gridDim.x", "row += 1", "norm"),
    Fault(
        "no barrier in the sum of a block",
        "common.cuh",
        "scratch[threadIdx.x + half];\n        __syncthreads();",
        "scratch[threadIdx.x + half];",
        "norm",
    ),
    Fault("the larger is the smaller", "common.cuh", "return b > a ||", "return b < a ||", "norm"),
    Fault("a step leaves its carry where it was", "loop", "_next_row[", "_row[", "joins"),
]


class Slip(NamedTuple):
    """`old` becomes `new` in a function, or a method, of what writes kernels."""

    what: str
    where: Any
    name: str
    old: str
    new: str
    case: str = "gates"
    strategy: Strategy = CLUSTERS


SLIPS = [
    Slip(
        "a matrix that is turned around is read as it was",
        heavy,
        "_strides",
        "(columns, rows)",
        "(rows, columns)",
    ),
    Slip("a part of a matrix begins at its start", heavy, "_strides", "start + sum(", "0 * sum(", "joins"),
    Slip(
        "joined rows all begin at the first column",
        emitter,
        "lines_of",
        "start += part.width",
        "pass",
        "joins",
    ),
    Slip(
        "a state is not carried on",
        emitter,
        "lines_of",
        "return _copied(kernel, s, Place(store, 0, store.width))",
        "return []",
        "norm",
    ),
    Slip("a bias is that of the first gate", GroupText, "_parameter", "part[0], self", "0, self"),
    Slip("gates are all the first", KernelText, "element", "if place.start and j", "if False and j"),
    Slip("all sums stand in the same place", KernelText, "add_up", "at += s.shape[0]", "at += 0"),
    Slip(
        "rows that fill no cluster are left out",
        plan.Plan,
        "blocks",
        "ceil(batch / self.rows)",
        "(batch // self.rows)",
        "gates",
        ROWS,
    ),
    Slip("blocks of a cluster are missing", plan.Plan, "threads_of_block", "if self.virtual", "if False"),
    Slip("blocks divide columns that they must not", loops, "_unit", "gcd(*widths)", "max(widths)"),
    Slip("no barrier after a loop along a row", LoopText, "loop", '"__syncthreads();"', '""'),
    Slip("a number of a row is of no thread", GroupText, "_number", "if ({one})", "if (0)", "norm"),
    Slip(
        "a sum over all rows leaves one out",
        GroupText,
        "_element",
        "for total in totals",
        "for total in totals[1:]",
    ),
]
