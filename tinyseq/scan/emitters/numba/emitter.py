"""The numba emitter: groups of elementwise operations as kernels, all else as the NumPy emitter has it.

Kernels follow NumPy where values are NaN or infinite: of the fast-math licences they take only the
contraction of a product and a sum into one rounding, and they ignore the sign of zero; the sum of a row may
be taken in any order. tanh of float32 is a rational function, within TANH_ULPS units in the last place of the
exact value (4.95, measured on every third float32 number).
"""

import textwrap

from tinyseq.backend.symbols import Level, Symbol
from tinyseq.scan.emitters.numba.kernel_source import RESERVED, Kernel
from tinyseq.scan.emitters.numba.kernels import HEADER
from tinyseq.scan.emitters.numba.products import VERSION
from tinyseq.scan.emitters.numpy.emitter import Emitter
from tinyseq.scan.emitters.numpy.source import Function
from tinyseq.scan.memory.storage import Storage
from tinyseq.scan.passes.fuse import Group
from tinyseq.scan.passes.partition import Operation, Region, Schedule

TANH_ULPS = 5

# The quotient of polynomials that Eigen uses (Eigen/src/Core/MathFunctionsImpl.h, MPL 2).
TANH_FLOAT32 = """
@inline
def tanh(x):
    c = real(7.90531110763549805) if x > real(7.90531110763549805) else x
    c = real(-7.90531110763549805) if c < real(-7.90531110763549805) else c
    s = c * c
    p = s * real(-2.76076847742355e-16) + real(2.00018790482477e-13)
    p = s * p + real(-8.60467152213735e-11)
    p = s * p + real(5.12229709037114e-08)
    p = s * p + real(1.48572235717979e-05)
    p = s * p + real(6.37261928875436e-04)
    p = s * p + real(4.89352455891786e-03)
    q = s * real(1.19825839466702e-06) + real(1.18534705686654e-04)
    q = s * q + real(2.26843463243900e-03)
    q = s * q + real(4.89352518554385e-03)
    y = c * (p / q)
    y = real(1) if x > real(8.3) else y
    return real(-1) if x < real(-8.3) else y
"""
TANH = "\ntanh = math.tanh\n"
# The sum of a row: in whichever order is fastest, unlike all else.
PLUS = """
@njit(error_model="numpy", fastmath={"reassoc", "nsz"})
def plus(total, x):
    return total + x
"""

PRODUCT = """
from tinyseq.scan.emitters.numba.products import packed  # {version}

packed_product = packed("{dtype}").product
"""


class NumbaEmitter(Emitter):
    """Writes functions that call kernels, and the kernels.

    `whole_source` is the same with a kernel in place of each loop where that is possible.
    """

    def __init__(self, schedule: Schedule, storage: Storage, groups: list[Group]) -> None:
        self.group_of = {o.at: group for group in groups for o in group.operations}
        self.kernels: dict[str, str] = {}
        self.operations = 0  # additions and multiplications for each row of the largest product in a loop
        self.calls: dict[Region, list[tuple[str, list[str]]]] = {Region.STEP: [], Region.BACK_STEP: []}
        self.loops: dict[str, str] = {}  # a loop, and the call of a kernel that does the same
        floats = [s.dtype for s in schedule.traced.states if s.dtype.kind == "f"]
        dtype = self.dtype = str([*[g.dtype for g in groups], *floats, "float32"][0])
        super().__init__(schedule, storage)
        self.whole_source = self.source
        for text, call in self.loops.items():
            self.whole_source = self.whole_source.replace(text, call)
        plus = PLUS if any(o.value.op == "sum" for g in groups for o in g.operations) else ""
        tanh = TANH_FLOAT32 if dtype == "float32" else TANH
        if any(function == "packed_product" for calls in self.calls.values() for function, _ in calls):
            plus += PRODUCT.format(version=VERSION, dtype=dtype)
        body = "\n\n".join(self.kernels.values())
        header = HEADER.format(dtype=dtype, cache=True)
        self.kernel_source = f"{header}{tanh}\n{plus}\n{body}" if self.kernels else ""

    def _lines(self, operation: Operation, f: Function) -> list[str]:
        group = self.group_of.get(operation.at)
        if group is None:
            if operation.region.in_loop and operation.slot is None and self._is_packed(operation.value):
                return [self._product(operation.value, operation.region, f)]
            lines = super()._lines(operation, f)
            if lines:
                self.calls.pop(operation.region, None)  # what is no kernel cannot be called by one
            return lines
        if operation is not group.operations[0]:
            return []
        return [self._kernel(group, f)]

    def _is_packed(self, s: Symbol) -> bool:
        """Whether a value is a product of rows and a matrix that is there before the loop."""
        if s.op != "matmul" or any(i.ndim != 2 or i.dtype != self.dtype for i in s.symbols):
            return False
        rows, matrix = s.symbols
        return rows.op != "ones" and matrix.level == Level.PARAMETER and not matrix.is_row

    def _product(self, s: Symbol, region: Region, f: Function) -> str:
        """The call that multiplies rows and a matrix, which is packed before the loop."""
        rows, matrix = s.symbols
        key = ("packed", matrix.id)
        if key not in f.names:
            text = self.value(matrix, f, Region.REST)  # a view will do: it is copied anyway
            name = f.name(key, f"{text}_packed" if text.isidentifier() else "packed")
            f.parameter_lines.append(f"{name} = run.pack({text})")
        self.operations = max(self.operations, 2 * matrix.width * matrix.shape[0])
        arguments = [self._row(rows, region, f), f.names[key], self._row(s, region, f)]
        if region in self.calls:
            self.calls[region].append(("packed_product", arguments))
        return f"run.product({', '.join(arguments)})"

    def _kernel(self, group: Group, f: Function) -> str:
        """The call of a new kernel."""
        kernel = Kernel(self, group, f)
        name = {Region.STEP: "forward_step", Region.BACK_STEP: "backward_step"}.get(group.region, "all_steps")
        unique = next(n for n in (name, *[f"{name}_{k}" for k in range(2, 999)]) if n not in self.kernels)
        self.kernels[unique] = kernel.text(unique)
        f.used.add(unique)
        if group.region in self.calls:
            self.calls[group.region].append((unique, kernel.arguments))
        return f"{unique}({', '.join(kernel.arguments)})"

    def _loop(self, region: Region, f: Function, steps: str, lines: list[str]) -> list[str]:
        """A loop in Python; and, if it calls nothing but kernels, a kernel that is the loop."""
        text = super()._loop(region, f, steps, lines)
        calls = self.calls.get(region)
        if calls:
            name = "forward_loop" if region is Region.STEP else "backward_loop"
            sliced = list(f.keys.values())
            given = list(dict.fromkeys([a for _, arguments in calls for a in arguments if a not in sliced]))
            totals = [a for a in given if a in f.totals]
            fixed = [a for a in given if a not in f.totals]
            self.kernels[name] = _loop_kernel(name, sliced, [*fixed, *totals], calls)
            call = f"run.{name}({name}, [{', '.join(fixed)}], [{', '.join(totals)}])"
            self.loops[indented(text)] = indented([*text[:1], call])
        return text


def indented(lines: list[str]) -> str:
    """Lines as they stand in a function."""
    return textwrap.indent("\n".join(lines), "    ")


def _loop_kernel(name: str, sliced: list[str], fixed: list[str], calls: list[tuple[str, list[str]]]) -> str:
    """A kernel that calls others for every step; a row of `table`: how many rows, and the first of each."""
    scope = Function(True)
    scope.used |= {*RESERVED, *sliced, *fixed}
    table, step, count = (scope.name(word, word) for word in ("table", "step", "count"))
    all_rows = [scope.name(("all", v), f"{v}_all") for v in sliced]
    lines = [f"@kernel\ndef {name}({', '.join([table, *all_rows, *fixed])}):"]
    lines += [f"    for {step} in range({table}.shape[0]):", f"        {count} = {table}[{step}, 0]"]
    for i, (variable, rows) in enumerate(zip(sliced, all_rows, strict=True), 1):
        lines.append(f"        {variable} = {rows}[{table}[{step}, {i}] : {table}[{step}, {i}] + {count}]")
    lines += [f"        {function}({', '.join(arguments)})" for function, arguments in calls]
    return "\n".join(lines) + "\n"
