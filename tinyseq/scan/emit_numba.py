"""The numba emitter: groups of elementwise operations as kernels, all else as the NumPy emitter has it.

Kernels follow NumPy where values are NaN or infinite: of the fast-math licences they take only the
contraction of a product and a sum into one rounding, and they ignore the sign of zero. tanh of float32 is a
rational function, within TANH_ULPS units in the last place of the exact value (4.95, measured on every third
float32 number).
"""

from typing import Any

from tinyseq.backend.symbols import Level, Symbol
from tinyseq.scan.emit import Emitter
from tinyseq.scan.fuse import Group
from tinyseq.scan.graph import columns_of, root_of
from tinyseq.scan.kernels import HEADER
from tinyseq.scan.partition import Operation, Region, Schedule
from tinyseq.scan.places import Place, Store
from tinyseq.scan.source import Function
from tinyseq.scan.storage import Storage

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

# How a kernel says each word. NumPy's maximum and minimum give NaN if either operand is.
TEXTS = {
    "add": "{0} + {1}",
    "subtract": "{0} - {1}",
    "multiply": "{0} * {1}",
    "divide": "{0} / {1}",
    "negative": "-{0}",
    "power": "{0} ** {1}",
    "abs": "abs({0})",
    "sign": "{0} if {0} != {0} else real({0} > 0) - real({0} < 0)",
    "square": "{0} * {0}",
    "tanh": "tanh({0})",
    "maximum": "{1} if {1} > {0} or {1} != {1} else {0}",
    "minimum": "{1} if {1} < {0} or {1} != {1} else {0}",
    "greater": "{0} > {1}",
    "greater_equal": "{0} >= {1}",
    "less": "{0} < {1}",
    "less_equal": "{0} <= {1}",
    "equal": "{0} == {1}",
    "not_equal": "{0} != {1}",
    "logical_and": "bool({0}) & bool({1})",
    "logical_or": "bool({0}) | bool({1})",
    "logical_not": "not {0}",
    "isfinite": "{0} - {0} == real(0)",
    "where": "{1} if {0} else {2}",
    **{word: f"math.{word}({{0}})" for word in ("exp", "expm1", "log", "log1p", "sqrt")},
}


RESERVED = set("row j real tanh plus math np abs bool range kernel inline njit".split())  # noqa: SIM905


class NumbaEmitter(Emitter):
    """Writes functions that call kernels, and the kernels."""

    def __init__(self, schedule: Schedule, storage: Storage, groups: list[Group]) -> None:
        self.group_of = {o.at: group for group in groups for o in group.operations}
        self.kernels: dict[str, str] = {}
        self.operations = 0  # additions and multiplications for each row of the largest product in a loop
        dtype = self.dtype = str(groups[0].dtype) if groups else "float32"
        super().__init__(schedule, storage)
        plus = PLUS if any(o.value.op == "sum" for g in groups for o in g.operations) else ""
        tanh = TANH_FLOAT32 if dtype == "float32" else TANH
        body = "\n\n".join(self.kernels.values())
        header = HEADER.format(dtype=dtype, cache=True)
        self.kernel_source = f"{header}{tanh}\n{plus}\n{body}" if groups else ""

    def _lines(self, operation: Operation, f: Function) -> list[str]:
        group = self.group_of.get(operation.at)
        if group is None:
            if operation.region.in_loop and operation.slot is None and self._is_packed(operation.value):
                return [self._product(operation.value, operation.region, f)]
            return super()._lines(operation, f)
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
            text = self._value(matrix, f, Region.REST)  # a view will do: it is copied anyway
            name = f.name(key, f"{text}_packed" if text.isidentifier() else "packed")
            f.parameter_lines.append(f"{name} = run.pack({text})")
        self.operations = max(self.operations, 2 * matrix.width * matrix.shape[0])
        return f"run.product({self._row(rows, region, f)}, {f.names[key]}, {self._row(s, region, f)})"

    def _kernel(self, group: Group, f: Function) -> str:
        """The call of a new kernel."""
        kernel = _Kernel(self, group, f)
        name = {Region.STEP: "forward_step", Region.BACK_STEP: "backward_step"}.get(group.region, "all_steps")
        unique = next(n for n in (name, *[f"{name}_{k}" for k in range(2, 999)]) if n not in self.kernels)
        self.kernels[unique] = kernel.text(unique)
        f.used.add(unique)
        return f"{unique}({', '.join(kernel.arguments)})"


class _Kernel:
    """One kernel while it is written."""

    def __init__(self, emitter: NumbaEmitter, group: Group, f: Function) -> None:
        self.emitter, self.group, self.f = emitter, group, f
        self.scope = Function(f.is_forward)
        self.scope.used |= RESERVED
        self.arguments: list[str] = []  # in the caller's variables
        self.parameters: list[str] = []  # in the kernel's
        self.rows: list[str] = []  # once for each row
        self.lines: list[str] = []  # the phase that is being written, once for each element
        self.phases: list[str] = []  # those that are written
        self.locals: dict[int, str] = {}
        for phase in range(-1, max(group.phases.values()) + 1):
            self._write_phase([o.value for o in group.operations if group.phases[o.value.id] == phase])

    def text(self, name: str) -> str:
        """The kernel's source."""
        lines = [f"@kernel\ndef {name}({', '.join(self.parameters)}):"]
        lines.append(f"    for row in range({self.first}.shape[0]):")
        lines += [f"        {line}" for line in self.rows + self.phases]
        return "\n".join(lines) + "\n"

    def _write_phase(self, values: list[Symbol]) -> None:
        """One loop through the columns, and what is to be done for each row before it and after."""
        group = self.group
        in_loop = [s for s in values if group.in_loop(s)]
        sums = [s for s in in_loop if s.op == "sum"]
        for s in sums:
            self.phases.append(f"{self._local(s)} = real(0)")
        for s in in_loop:
            self._compute(s)
        if in_loop:
            self.phases += [f"for j in range({group.width}):", *[f"    {line}" for line in self.lines]]
        for s in in_loop:
            if s.op != "sum":
                del self.locals[s.id]  # the next loop is at another element
        self.lines = []
        for s in sums:
            self._keep(s)
        for s in values:
            if not group.in_loop(s):
                self._compute(s)
        self.phases += self.lines
        self.lines = []

    def _local(self, s: Symbol) -> str:
        self.locals[s.id] = self.scope.name(("local", s.id), self.emitter.wish_of(s))
        return self.locals[s.id]

    def _compute(self, s: Symbol) -> None:
        operands = [self._operand(i, s) for i in s.inputs]
        if s.op == "sum":
            self.lines.append(f"{self.locals[s.id]} = plus({self.locals[s.id]}, {operands[0]})")
            return
        name = self._local(s)
        self.lines.append(f"{name} = {TEXTS[s.op].format(*operands)}")
        self._keep(s)
        for total in self.group.totals:
            if total.inputs[0] is s:
                self.lines.append(f"{self._total(total)}[j] += {name}")

    def _keep(self, s: Symbol) -> None:
        """Store a value that is read elsewhere."""
        if s.id not in self.emitter.storage.inner:
            self.lines.append(
                f"{self._element(self.emitter.storage.places[s.id], s.width)} = {self.locals[s.id]}"
            )

    def _total(self, s: Symbol) -> str:
        """The kernel's variable for a sum over all rows of all steps."""
        outer = self.f.name(("value", s.id), s.name or "total")
        self.f.parameter_lines.append(f"{outer} = xp.zeros({s.shape}, xp.{s.dtype})")
        self.arguments.append(outer)
        self.parameters.append(self.scope.name(("total", s.id), outer))
        return self.parameters[-1]

    def _operand(self, value: Any, user: Symbol) -> str:
        if not isinstance(value, Symbol):
            return repr(value) if isinstance(value, bool) else f"real({value!r})".replace("inf", "np.inf")
        if value.id in self.locals:
            return self.locals[value.id]
        if value.op in ("zeros", "ones"):
            return f"real({int(value.op == 'ones')})"
        if not value.is_row:
            return self._parameter(value)
        place = self.emitter.storage.place(value)
        if value.width > 1 or root_of(value).id in self.group.phases:
            return self._element(place, value.width)
        key = ("number", value.id)
        if key not in self.scope.names:  # one number for the row, from before this kernel
            element = self._element(place, 1)
            self.rows.append(f"{self.scope.name(key, self.emitter.wish_of(value))} = {element}")
        return self.scope.names[key]

    def _element(self, place: Place, width: int) -> str:
        array = self._array(place.store, place.before)
        if width == 1:
            return f"{array}[{place.start}]"
        return f"{array}[{place.start} + j]" if place.start else f"{array}[j]"

    def _array(self, store: Store, before: bool) -> str:
        """The kernel's variable for the current row of a store."""
        key = ("array", store, before)
        if key not in self.scope.names:
            place = Place(store, 0, store.width, before)
            outer = self._outer(place)
            name = self.scope.name(key, f"{outer.lower()}_row")
            array = self.scope.name(("all", *key), f"{outer.lower()}_rows")
            if not self.rows:
                self.first = array
            self.arguments.append(outer)
            self.parameters.append(array)
            self.rows.append(f"{name} = {array}[row]")
        return self.scope.names[key]

    def _outer(self, place: Place) -> str:
        """The caller's variable for a whole store."""
        emitter, f, region = self.emitter, self.f, self.group.region
        shape = (place.store.width,)
        wish = emitter._wish(place)
        if region.in_loop:
            key = (place, shape)
            f.keys[key] = f.name(("loop", key), wish)
            return f.keys[key]
        return emitter._whole(place, shape, wish.upper(), f)

    def _parameter(self, value: Symbol) -> str:
        part = columns_of(value)
        if part is not None and value.ndim == 1 and value.inputs[0].op == "leaf":
            whole = self._parameter(value.inputs[0])
            return whole.replace("[j]", f"[{part[0]} + j]") if part[0] else whole
        key = ("parameter", value.id)
        if key not in self.scope.names:
            outer = self.emitter._value(
                value, self.f, Region.STEP if self.group.region.in_loop else self.group.region
            )
            name = self.scope.name(key, outer if outer.isidentifier() else "p")
            self.arguments.append(outer)
            self.parameters.append(name)
        name = self.scope.names[key]
        last = "j" if value.shape and value.shape[-1] > 1 else "0"
        return {0: f"{name}[()]", 1: f"{name}[{last}]", 2: f"{name}[0, {last}]"}[value.ndim]
