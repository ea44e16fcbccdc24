"""A group of operations in a kernel: threads share the columns of a row, in one loop or several."""

from typing import Any

from tinyseq.backend.symbols import Symbol
from tinyseq.scan.emitters.cuda.text import TYPES, KernelText
from tinyseq.scan.emitters.spelling import ALIKE, MATHEMATICS
from tinyseq.scan.graph import columns_of, root_of
from tinyseq.scan.passes.fuse import Group

# How CUDA says each word. NumPy's maximum and minimum give NaN if either operand is.
TEXTS = {
    **ALIKE,
    "power": "pow({0}, {1})",
    "abs": "fabs({0})",
    "sign": "{0} != {0} ? {0} : real({0} > 0) - real({0} < 0)",
    "maximum": "larger({0}, {1})",
    "minimum": "smaller({0}, {1})",
    "logical_and": "bool({0}) && bool({1})",
    "logical_or": "bool({0}) || bool({1})",
    "logical_not": "!{0}",
    "where": "{0} ? {1} : {2}",
    **{word: f"{word}({{0}})" for word in ("tanh", *MATHEMATICS)},
}
NUMBERS = {"inf": "__int_as_float(0x7f800000)", "-inf": "-__int_as_float(0x7f800000)"}
NUMBERS["nan"] = "__int_as_float(0x7fffffff)"
BARRIER = "__syncthreads();"  # of a block


class GroupText:
    """The lines of one group."""

    def __init__(self, kernel: KernelText, group: Group) -> None:
        self.kernel, self.group = kernel, group
        self.inner = kernel.emitter.storage.inner
        self.locals: dict[int, str] = {}
        self.before: list[str] = []  # numbers of the row that are read before anything is written
        self.lines: list[str] = []
        self.reads: dict[
            str, str
        ] = {}  # of the current loop along the row: all of them before its first write
        for phase in range(-1, max(group.phases.values()) + 1):
            self._write([o.value for o in group.operations if group.phases[o.value.id] == phase])
        self.before += [BARRIER] if self.before else []

    def _write(self, values: list[Symbol]) -> None:
        """One loop along the row, and what there is once for each row after it."""
        in_loop = [s for s in values if self.group.in_loop(s)]
        sums = [s for s in in_loop if s.op == "sum"]
        self.lines += [f"real {self._local(s)} = real(0);" for s in sums]
        self.reads = {}
        body = [line for s in in_loop for line in self._element(s)]
        if in_loop:
            reads = [f"const auto {name} = {text};" for text, name in self.reads.items()]
            self.lines += self.kernel.loop(self.group.width, reads + body)
        for s in in_loop:
            if s.op != "sum":
                del self.locals[s.id]  # the next loop is at other columns
        for s in sums:
            self.lines += [
                f"{self.locals[s.id]} = {self.kernel.row_sum(self.locals[s.id])};",
                *self._number(s),
            ]
        for s in values:
            if not self.group.in_loop(s):
                self.lines += [self._computed(s), *self._number(s)]

    def _number(self, s: Symbol) -> list[str]:
        """Store a number of the row if it is read elsewhere: one thread does, the others wait."""
        if s.id in self.inner:
            return []
        element = self.kernel.element(s, j="0")
        wait, one = self.kernel.wait, self.kernel.one_thread
        return [wait, f"if ({one}) {element} = {self.locals[s.id]};", wait]

    def _element(self, s: Symbol) -> list[str]:
        if s.op == "sum":
            return [f"{self.locals[s.id]} += {self._operand(s.inputs[0], s)};"]
        lines = [self._computed(s)]
        if s.id not in self.inner:
            lines.append(f"{self._at(s)} = {self.locals[s.id]};")
        totals = [t for t in self.group.totals if t.inputs[0] is s]
        for total in totals:
            part = self.kernel.total(total)
            lines.append(f"{part} = {self._read(part, total)} + {self.locals[s.id]};")
        return lines

    def _read(self, text: str, value: Symbol) -> str:
        """What is read at a column: compilers cannot move it before a write, which might change it."""
        if text not in self.reads:
            wish = self.kernel.emitter.wish_of(value)
            self.reads[text] = self.kernel.name(("read", self, len(self.lines), text), wish, "_")
        return self.reads[text]

    def _computed(self, s: Symbol) -> str:
        operands = [self._operand(i, s) for i in s.inputs]
        return f"const {TYPES[str(s.dtype)]} {self._local(s)} = {TEXTS[s.op].format(*operands)};"

    def _local(self, s: Symbol) -> str:
        self.locals[s.id] = self.kernel.name(("local", s.id), self.kernel.emitter.wish_of(s), "_")
        return self.locals[s.id]

    def _at(self, s: Symbol) -> str:
        return self.kernel.element(s, j="0" if s.width == 1 else "j")

    def _operand(self, value: Any, user: Symbol) -> str:
        if not isinstance(value, Symbol):
            text = str(value).lower() if isinstance(value, bool) else repr(float(value))
            return text if isinstance(value, bool) else f"real({NUMBERS.get(text, text)})"
        if value.id in self.locals:
            return self.locals[value.id]
        if value.op in ("zeros", "ones"):
            return f"real({int(value.op == 'ones')})"
        if not value.is_row:
            text = self._parameter(value)
            return self._read(text, value) if self.group.in_loop(user) else text
        if value.width > 1 or root_of(value).id in self.group.phases:
            return self._read(self._at(value), value) if self.group.in_loop(user) else self._at(value)
        key = ("number", self, value.id)
        if key not in self.kernel.scope.names:
            name = self.kernel.name(key, self.kernel.emitter.wish_of(value), "_")
            self.before.append(f"const {TYPES[str(value.dtype)]} {name} = {self._at(value)};")
        return self.kernel.scope.names[key]

    def _parameter(self, value: Symbol) -> str:
        part = columns_of(value)
        if part is not None and value.ndim == 1 and value.inputs[0].op == "leaf":
            start, whole = part[0], self.kernel.parameter(value.inputs[0])
        else:
            start, whole = 0, self.kernel.parameter(value)
        return f"{whole}[{start} + j]" if value.shape and value.shape[-1] > 1 else f"{whole}[{start}]"
