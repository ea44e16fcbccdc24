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
from tinyseq.scan.graph import columns_of
from tinyseq.scan.kernels import HEADER
from tinyseq.scan.partition import Operation, Region, Schedule
from tinyseq.scan.source import Function
from tinyseq.scan.storage import Place, Storage, Store

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


class NumbaEmitter(Emitter):
    """Writes functions that call kernels, and the kernels."""

    def __init__(self, schedule: Schedule, storage: Storage, groups: list[Group]) -> None:
        self.group_of = {o.at: group for group in groups for o in group.operations}
        self.kernels: dict[str, str] = {}
        self.operations = 0  # additions and multiplications for each row of the largest product in a loop
        dtype = self.dtype = str(groups[0].dtype) if groups else "float32"
        super().__init__(schedule, storage)
        tanh = TANH_FLOAT32 if dtype == "float32" else TANH
        body = "\n\n".join(self.kernels.values())
        header = HEADER.format(dtype=dtype, cache=True)
        self.kernel_source = f"{header}{tanh}\n\n{body}" if groups else ""

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
        self.scope.used |= {
            "row",
            "j",
            "real",
            "tanh",
            "math",
            "np",
            "abs",
            "bool",
            "kernel",
            "inline",
            "njit",
        }
        self.arguments: list[str] = []  # in the caller's variables
        self.parameters: list[str] = []  # in the kernel's
        self.rows: list[str] = []  # once for each row
        self.lines: list[str] = []  # once for each element
        self.locals: dict[int, str] = {}
        for operation in group.operations:
            self._compute(operation.value)

    def text(self, name: str) -> str:
        """The kernel's source."""
        lines = [f"@kernel\ndef {name}({', '.join(self.parameters)}):"]
        lines.append(f"    for row in range({self.first}.shape[0]):")
        lines += [f"        {line}" for line in self.rows]
        lines.append(f"        for j in range({self.group.width}):")
        lines += [f"            {line}" for line in self.lines]
        return "\n".join(lines) + "\n"

    def _compute(self, s: Symbol) -> None:
        operands = [self._operand(i, s) for i in s.inputs]
        name = self.scope.name(("local", s.id), self.emitter.wish_of(s))
        text = TEXTS[s.op].format(*operands)
        self.lines.append(f"{name} = {text}")
        self.locals[s.id] = name
        if s.id not in self.emitter.storage.inner:
            self.lines.append(f"{self._element(self.emitter.storage.places[s.id], s.width)} = {name}")

    def _operand(self, value: Any, user: Symbol) -> str:
        if not isinstance(value, Symbol):
            return repr(value) if isinstance(value, bool) else f"real({value!r})".replace("inf", "np.inf")
        if value.id in self.locals:
            return self.locals[value.id]
        if value.op in ("zeros", "ones"):
            return f"real({int(value.op == 'ones')})"
        if value.is_row:
            return self._element(self.emitter.storage.place(value), value.width)
        return self._parameter(value)

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
