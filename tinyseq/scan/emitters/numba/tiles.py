"""The inner loop of a matrix product: some rows times some columns, summed up in registers.

A loop nest in Python, even compiled, keeps its sums in memory. Here they are vectors of LLVM, as many as the
processor has registers for: each element of a row that is read serves a whole panel of columns, and each
vector of the panel serves all rows of the tile. Needs numba.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.extending import intrinsic

_FEATURES = get_host_cpu_features()
VECTOR_BYTES = 64 if _FEATURES.get("avx512f") else 32 if _FEATURES.get("avx") else 16
TALL = 12 if _FEATURES.get("avx512f") else 6  # rows of a tile: two vectors of sums for each
_INDEX = ir.IntType(64)


def panel_width(dtype: str) -> int:
    """How many columns stand side by side in a panel: two vectors of them."""
    return 2 * VECTOR_BYTES // np.dtype(dtype).itemsize


def tile(dtype: str, rows: int, panels: int = 1) -> Any:
    """A function for kernels: out = x @ w for `rows` rows of x and `panels` panels of w.

    It takes addresses, and distances in elements: of x and from row to row of it, of w and from panel to
    panel, of out and from row to row, and the number of columns of x.
    """
    scalar = {"float32": ir.FloatType(), "float64": ir.DoubleType()}[dtype]
    lanes = panel_width(dtype) // 2
    vector = ir.VectorType(scalar, lanes)
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
    nothing = ir.Constant(vector, ir.Undefined)
    align = np.dtype(dtype).itemsize

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, next_row, w, next_panel, out, next_out, depth = arguments
        x, w, out = (builder.inttoptr(a, scalar.as_pointer()) for a in (x, w, out))

        def at(base: Any, distance: Any, times: int) -> Any:
            return builder.gep(base, [builder.mul(distance, ir.Constant(_INDEX, times))])

        def as_vector(pointer: Any, number: int) -> Any:
            moved = builder.gep(pointer, [ir.Constant(_INDEX, number * lanes)])
            return builder.bitcast(moved, vector.as_pointer())

        row_starts = [at(x, next_row, i) for i in range(rows)]
        panel_starts = [at(w, next_panel, i) for i in range(panels)]
        before = builder.block
        loop, after = builder.append_basic_block("depth"), builder.append_basic_block("summed")
        builder.branch(loop)
        builder.position_at_end(loop)
        k = builder.phi(_INDEX)
        k.add_incoming(ir.Constant(_INDEX, 0), before)
        sums = [[builder.phi(vector) for _ in range(2 * panels)] for _ in range(rows)]
        line = builder.mul(k, ir.Constant(_INDEX, 2 * lanes))
        columns = [
            builder.load(as_vector(builder.gep(start, [line]), half), align=align)
            for start in panel_starts
            for half in (0, 1)
        ]
        totals = []
        for start, row in zip(row_starts, sums, strict=True):
            one = builder.insert_element(
                nothing, builder.load(builder.gep(start, [k])), ir.Constant(ir.IntType(32), 0)
            )
            element = builder.shuffle_vector(one, nothing, everywhere)
            products = [builder.fmul(element, column, flags=("contract",)) for column in columns]
            pairs = zip(row, products, strict=True)
            totals.append([builder.fadd(total, p, flags=("contract",)) for total, p in pairs])
        following = builder.add(k, ir.Constant(_INDEX, 1))
        k.add_incoming(following, loop)
        for row, new in zip(sums, totals, strict=True):
            for phi, total in zip(row, new, strict=True):
                phi.add_incoming(ir.Constant(vector, [0.0] * lanes), before)
                phi.add_incoming(total, loop)
        builder.cbranch(builder.icmp_signed("<", following, depth), loop, after)
        builder.position_at_end(after)
        for i, row in enumerate(totals):
            for number, total in enumerate(row):
                builder.store(total, as_vector(at(out, next_out, i), number), align=align)
        return context.get_dummy_value()

    def of_tile(
        typing: Any, x: Any, next_row: Any, w: Any, next_panel: Any, out: Any, next_out: Any, k: Any
    ) -> Any:
        return types.void(*[types.intp] * 7), generate

    return intrinsic(of_tile)
