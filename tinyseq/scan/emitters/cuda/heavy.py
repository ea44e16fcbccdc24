"""Operations in a loop that belong to no group, on rows: products, joins, copies; and which there are."""

from tinyseq.backend.symbols import Level, Symbol
from tinyseq.scan.emitters.cuda.loops import LoopText
from tinyseq.scan.emitters.cuda.plan import Shape, problem
from tinyseq.scan.emitters.cuda.text import TYPES
from tinyseq.scan.memory.places import Place
from tinyseq.scan.passes.fuse import is_fusable
from tinyseq.scan.passes.partition import Operation, Region, Schedule


def refusal(schedule: Schedule) -> str:
    """Why the loops of a schedule cannot be kernels; empty if they can."""
    dtypes = set()
    for o in schedule.operations:
        if o.region.in_loop or is_fusable(o):
            dtypes |= {str(s.dtype) for s in (o.value, *o.value.symbols)}
        if o.region.in_loop and o.slot is None and not is_fusable(o) and not _is_known(o.value):
            shape = " and ".join([str(s.shape) for s in o.value.symbols])
            return f"{o.value.op}() of {shape} in the loop has no kernel"
    if not dtypes <= set(TYPES) or {"float32", "float64"} <= dtypes:
        return f"kernels are of float32 or of float64, not of {', '.join(sorted(dtypes))}"
    return next(
        (text for text in map(_too_wide, (Region.STEP, Region.BACK_STEP), [schedule] * 2) if text), ""
    )


def _too_wide(region: Region, schedule: Schedule) -> str:
    """Why the products of a loop do not fit on a card; empty if they do."""
    found = [o.value for o in schedule.within(region) if o.slot is None and o.value.op == "matmul"]
    shapes = tuple([(s.symbols[0].width, s.width) for s in found])
    return problem(Shape(shapes, 1, 1, 1, found[0].dtype.itemsize)) if found else ""


def _is_known(s: Symbol) -> bool:
    if not all(i.is_row for i in s.symbols) and s.op != "matmul":
        return False
    if s.op == "matmul":
        rows, matrix = s.inputs
        is_fixed = not matrix.is_row and matrix.level == Level.PARAMETER and matrix.ndim == 2
        return bool(is_fixed and rows.is_row and rows.ndim == 2 and rows.dtype == matrix.dtype)
    return s.op == "copy" or (s.op == "concatenate" and s.ndim == 2)


def lines_of(kernel: LoopText, operation: Operation) -> list[str]:
    """The lines of an operation, or of what is carried to the next step."""
    s, storage = operation.value, kernel.emitter.storage
    if operation.slot is not None:
        stores = storage.state_stores if operation.region.is_forward else storage.carry_stores
        store = stores[operation.slot]
        return _copied(kernel, s, Place(store, 0, store.width))
    place = storage.places[s.id]
    if s.op == "copy":
        return _copied(kernel, s.symbols[0], place)
    if s.op == "concatenate":
        lines, start = [], 0
        for part in s.symbols:
            lines += _copied(kernel, part, place.part(start, start + part.width))
            start += part.width
        return lines
    return _product(kernel, s, place)


def _product(kernel: LoopText, s: Symbol, place: Place) -> list[str]:
    """Every block gets the whole row; each computes its columns."""
    rows, matrix = s.symbols
    whole, start, strides = _strides(matrix)
    product = kernel.product(rows.width, s.width, strides, f"{kernel.parameter(whole)} + {start}")
    return [
        *kernel.columns(rows.width, [f"{product}.put(here, j, {kernel.element(rows)});"]),
        "together();",
        f"{product}.multiply(here);",
        *kernel.loop(s.width, [f"{kernel.element(s, place)} = {product}.sum(here, i);"]),
    ]


def _strides(matrix: Symbol) -> tuple[Symbol, int, tuple[int, int]]:
    """What a matrix is part of, where it begins there, and how far it is to its next row and column."""
    part = matrix.static["index"] if matrix.op == "getitem" else ()
    if matrix.op == "transpose" and matrix.inputs[0].ndim == 2:
        whole, start, (rows, columns) = _strides(matrix.inputs[0])
        return whole, start, (columns, rows)
    if part and all(isinstance(i, slice) and i.step in (None, 1) for i in part):
        whole, start, strides = _strides(matrix.inputs[0])
        firsts = [i.indices(n)[0] for i, n in zip(part, matrix.inputs[0].shape, strict=False)]
        return whole, start + sum(f * s for f, s in zip(firsts, strides, strict=False)), strides
    return matrix, 0, (int(matrix.shape[1]), 1)


def _copied(kernel: LoopText, s: Symbol, place: Place) -> list[str]:
    """A row at a place, unless it is there already."""
    if s.op not in ("zeros", "ones") and kernel.emitter.storage.place(s) == place:
        return []
    return kernel.loop(s.width, [f"{kernel.element(s, place)} = {kernel.element(s)};"])
