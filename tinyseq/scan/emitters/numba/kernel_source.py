"""A kernel of a group of operations: row by row, and along each row in one loop or several."""

from typing import Any

from tinyseq.backend.symbols import Symbol
from tinyseq.scan.emitters.numpy.emitter import Emitter
from tinyseq.scan.emitters.numpy.source import Function
from tinyseq.scan.emitters.spelling import ALIKE, MATHEMATICS
from tinyseq.scan.graph import columns_of, root_of
from tinyseq.scan.memory.places import Place, Store
from tinyseq.scan.passes.fuse import Group
from tinyseq.scan.passes.partition import Region

# How a kernel says each word. NumPy's maximum and minimum give NaN if either operand is.
TEXTS = {
    **ALIKE,
    "power": "{0} ** {1}",
    "abs": "abs({0})",
    "sign": "{0} if {0} != {0} else real({0} > 0) - real({0} < 0)",
    "tanh": "tanh({0})",
    "maximum": "{1} if {1} > {0} or {1} != {1} else {0}",
    "minimum": "{1} if {1} < {0} or {1} != {1} else {0}",
    "logical_and": "bool({0}) & bool({1})",
    "logical_or": "bool({0}) | bool({1})",
    "logical_not": "not {0}",
    "where": "{1} if {0} else {2}",
    **{word: f"math.{word}({{0}})" for word in MATHEMATICS},
}


RESERVED = set("row j real tanh plus math np abs bool range kernel inline njit".split())  # noqa: SIM905


class Kernel:
    """One kernel while it is written."""

    def __init__(self, emitter: Emitter, group: Group, f: Function) -> None:
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
        self.f.totals.append(outer)
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
        wish = emitter.wish_of_place(place)
        if region.in_loop:
            key = (place, shape)
            f.keys[key] = f.name(("loop", key), wish)
            return f.keys[key]
        return emitter.whole(place, shape, wish.upper(), f)

    def _parameter(self, value: Symbol) -> str:
        part = columns_of(value)
        if part is not None and value.ndim == 1 and value.inputs[0].op == "leaf":
            whole = self._parameter(value.inputs[0])
            if value.shape == (1,):
                return whole.replace("[j]", f"[{part[0]}]")
            return whole.replace("[j]", f"[{part[0]} + j]") if part[0] else whole
        key = ("parameter", value.id)
        if key not in self.scope.names:
            outer = self.emitter.value(
                value, self.f, Region.STEP if self.group.region.in_loop else self.group.region
            )
            name = self.scope.name(key, outer if outer.isidentifier() else "p")
            self.arguments.append(outer)
            self.parameters.append(name)
        name = self.scope.names[key]
        last = "j" if value.shape and value.shape[-1] > 1 else "0"
        return {0: f"{name}[()]", 1: f"{name}[{last}]", 2: f"{name}[0, {last}]"}[value.ndim]
