"""From a schedule and its storage to readable source: the NumPy emitter, whose words CuPy shares.

Loops hold nothing but calls with `out=`: every slice of every step is prepared by the workspace and arrives
as a loop variable. Lower case names rows of one step, upper case rows of all steps.
"""

import textwrap
from typing import Any

from tinyseq.backend.symbols import POINTWISE, Level, Symbol
from tinyseq.scan.emitters.numpy.source import (
    OPERATORS,
    SPELLED,
    Function,
    call,
    index,
    is_short,
    loop,
    number,
    plain,
    section,
)
from tinyseq.scan.graph import ancestors, columns_of, root_of
from tinyseq.scan.memory.places import Key, Kind, Place, Store
from tinyseq.scan.memory.storage import Storage
from tinyseq.scan.passes.partition import Operation, Region, Schedule

COMMENTS = {
    Region.BEFORE: "known from the inputs alone: all steps at once",
    Region.STEP: "the recurrence: what the next state needs",
    Region.AFTER: "no state depends on these: all steps at once",
    Region.BACK_STEP: "the recurrence backward: what the cotangent of the state before needs",
    Region.REST: "everything else: all steps at once",
}


def _of_wholes(s: Symbol) -> Symbol | None:
    """The same on whole parameters, where `s` is of one part of each: b[0:2] + d[0:2] is (b + d)[0:2]."""
    if s.op not in POINTWISE or len(s.symbols) != len(s.inputs) or s.ndim != 1 or s.level > Level.PARAMETER:
        return None
    parts = [(columns_of(i), i.inputs[0].shape) for i in s.symbols if i.op == "getitem"]
    same = len(parts) == len(s.inputs) > 1 and parts.count(parts[0]) == len(parts) and parts[0][0]
    return s.graph.apply(s.op, *[i.inputs[0] for i in s.symbols], **s.static) if same else None


class Emitter:
    """Writes `forward(parameters, run)` and `backward(parameters, run)` for one schedule."""

    def __init__(self, schedule: Schedule, storage: Storage) -> None:
        self.schedule, self.storage, self.traced = schedule, storage, schedule.traced
        self.labels = self._labels()
        self.forward_keys: list[Key] = []
        self.backward_keys: list[Key] = []
        self.source = self._forward()
        if self.traced.trains:
            self.source += "\n\n" + self._backward()

    def _labels(self) -> dict[Place, str]:
        """What to call each place: as the step calls a value that lives there."""
        labels: dict[Place, str] = {}
        for symbol in ancestors(self.traced.roots):
            if symbol.is_row and root_of(symbol).id in self.storage.places:
                name = self.wish_of(symbol)
                if name != "t":
                    labels.setdefault(self.storage.place(symbol), name)
        return labels

    # --- variables

    @staticmethod
    def wish_of(symbol: Symbol) -> str:
        """What to call a value: as the step calls it, or what it was computed from if that is one value."""
        while not symbol.name and symbol.op in POINTWISE:
            sources = {i.id: i for i in symbol.symbols if i.is_row}
            if len(sources) != 1:
                break
            (symbol,) = sources.values()
        return symbol.name or "t"

    def wish_of_place(self, place: Place) -> str:
        """What to call what lives at a place."""
        store = place.store
        label = self.labels.get(place)
        if label is None:
            whole = (place.start, place.stop) == (0, store.width)
            label = store.name if whole else f"{store.name}_{place.start}_{place.stop}"
            if store.kind is Kind.CARRY and not place.before:
                label += "_next"
        return label

    def _row(self, symbol: Symbol, region: Region, f: Function, place: Place | None = None) -> str:
        """The variable for the rows of `symbol` in a region."""
        place = self.storage.place(symbol) if place is None else place
        shape = tuple(symbol.shape[1:])
        wish = self.wish_of_place(place)
        if shape != (place.stop - place.start,):
            wish += "_" + "x".join(map(str, shape))
        if region.in_loop:
            key: Key = (place, shape)
            f.keys[key] = f.name(("loop", key), wish)
            return f.keys[key]
        return self.whole(place, shape, wish.upper(), f)

    def whole(self, place: Place, shape: tuple[int, ...], wish: str, f: Function) -> str:
        """The variable, or a part of one, for the rows of all steps."""
        store = place.store
        base_key = ("whole", store, place.before)
        if base_key not in f.names:
            base = f.name(base_key, self.wish_of_place(Place(store, 0, store.width, place.before)).upper())
            f.parameter_lines.append(f"{base} = {self._fetch(store, place.before, f)}")
        base = f.name(base_key, wish)
        if (place.start, place.stop) != (0, store.width):
            base = f"{base}[:, {place.start}:{place.stop}]"
        if shape != (place.stop - place.start,):
            base = f"{base}.reshape(-1, {', '.join(map(str, shape))})"
        return base

    @staticmethod
    def _fetch(store: Store, before: bool, f: Function) -> str:
        if store.kind is Kind.STATE:
            return f"run.{'before' if before else 'after'}({store.name!r})"
        kept = f"run.all[{store.name!r}]"
        if store.kind is not Kind.RESULT or store.region is None or store.region.is_forward != f.is_forward:
            return kept
        new = f"run.new({store.width}, xp.{store.dtype})"
        return f"{kept} = {new}" if f.is_forward else new

    # --- expressions of parameters and of sums over rows

    def value(self, symbol: Any, f: Function, region: Region) -> str:
        """An operand: a number, a row, or the variable of an expression without rows."""
        if not isinstance(symbol, Symbol):
            return repr(symbol)
        if symbol.is_row:
            if symbol.op in ("zeros", "ones"):
                return number(symbol)
            return self._row(symbol, region, f)
        if ("value", symbol.id) in f.names:
            return f.names["value", symbol.id]
        if symbol.op == "transpose" and symbol.inputs[0].is_row and symbol.inputs[0].ndim == 2:
            return f"{self.value(symbol.inputs[0], f, Region.REST)}.T"
        text = self._expression(symbol, f, region)
        if symbol.op in ("leaf", "zeros", "ones") or (is_short(symbol) and not region.in_loop):
            return text
        wish = symbol.name or (f"{plain(symbol)}_T" if symbol.op == "transpose" else "weights")
        if symbol.level == Level.REDUCED:
            wish = symbol.name or "total"
        variable = f.name(("value", symbol.id), wish)
        f.parameter_lines.append(f"{variable} = {text}")
        return variable

    def _expression(self, s: Symbol, f: Function, region: Region) -> str:
        if s.op == "leaf":
            return f.name(("value", s.id), s.name)
        whole = _of_wholes(s)
        if whole is not None:
            return f"{self.value(whole, f, region)}[{index(s.inputs[0].static['index'])}]"
        a = [
            self.value(i, f, Region.REST if i.__class__ is Symbol and i.is_row else region) for i in s.inputs
        ]
        if s.op == "matmul":
            return f"matmul({a[0]}, {a[1]})"
        if s.op in OPERATORS and len(a) == 2:
            return f"{a[0]} {OPERATORS[s.op]} {a[1]}"
        if s.op == "transpose" and s.ndim == 2:
            return f"xp.ascontiguousarray({a[0]}.T)" if region.in_loop else f"{a[0]}.T"
        if s.op == "getitem":
            part = f"{a[0]}[{index(s.static['index'])}]"
            return f"xp.ascontiguousarray({part})" if region.in_loop and s.ndim > 1 else part
        if s.op == "concatenate":
            return f"xp.concatenate(({', '.join(a)}), axis={s.static['axis']})"
        if s.op in ("zeros", "ones"):
            return f"xp.{s.op}({s.shape}, xp.{s.dtype})"
        if s.op == "sum":
            axis = s.static["axis"]
            axis = axis[0] if axis is not None and len(axis) == 1 else axis
            keep = ", keepdims=True" if s.static["keepdims"] else ""
            return f"{a[0]}.sum(axis={axis}{keep})"
        if s.op == "reshape":
            return f"{a[0]}.reshape({s.shape})"
        if s.op == "astype":
            return f"{a[0]}.astype(xp.{s.dtype})"
        if s.op == "add_at":
            return f"run.words.add_at({a[0]}, {a[1]}, axis=0, size={s.static['size']})"
        if s.op == "place":
            return f"run.words.place({a[0]}, index={index(s.static['index'], True)}, shape={s.shape})"
        options = "".join([f", {k}={v!r}" for k, v in s.static.items()])
        library = "" if s.op in POINTWISE else "run.words." if s.op in SPELLED else "xp."
        return f"{library}{s.op}({', '.join(a)}{options})"

    # --- operations on rows

    def _lines(self, operation: Operation, f: Function) -> list[str]:
        region, s = operation.region, operation.value
        if operation.slot is not None:
            return self._carried(operation, f)
        place = self.storage.places[s.id]
        if s.op == "concatenate" and s.ndim == 2:
            return self._concatenation(s, place, region, f)
        is_new = place.store.kind is Kind.RESULT and place.stop - place.start == place.store.width
        out = "" if is_new else self._row(s, region, f)
        rows = f"len({out})" if region.in_loop else "run.total"
        texts = [
            text if s.op in POINTWISE else self._filled(i, text, rows)
            for i, text in zip(s.inputs, (self.value(i, f, region) for i in s.inputs), strict=True)
        ]
        if not out:
            return [f"{self._new_result(place, region, f)} = {call(s, texts)}"]
        if s.op in POINTWISE and s.op != "where":
            return [f"{s.op}({', '.join(texts)}, out={out})"]
        if s.op == "take":
            return [f"run.look_up({', '.join(texts)}, {out})"]
        if s.op == "matmul":
            return [f"matmul({', '.join(texts)}, out={out})"]
        if s.op in ("sum", "max", "min"):
            return [f"xp.{s.op}({texts[0]}, axis={s.static['axis']}, keepdims=True, out={out})"]
        if s.op in ("copy", "broadcast_to"):
            return [f"copyto({out}, {texts[0]})"]
        if s.op == "astype":
            return [f"copyto({out}, {texts[0]}, casting='unsafe')"]
        if s.op == "place":
            return [f"{out}[...] = 0", f"{out}[{index(s.static['index'])}] = {texts[0]}"]
        return [f"copyto({out}, {call(s, texts)})"]

    @staticmethod
    def _filled(symbol: Any, text: str, rows: str) -> str:
        """`text`, or an array where a number stands for rows of zeros or ones and an array is needed."""
        if isinstance(symbol, Symbol) and symbol.is_row and symbol.op in ("zeros", "ones"):
            return f"xp.full(({rows}, {', '.join(map(str, symbol.shape[1:]))}), {text}, xp.{symbol.dtype})"
        return text

    def _concatenation(self, s: Symbol, place: Place, region: Region, f: Function) -> list[str]:
        lines, start = [], 0
        for part in s.symbols:
            slot = place.part(start, start + part.width)
            if part.op in ("zeros", "ones") or self.storage.place(part) != slot:
                target = self._row(part, region, f, slot)
                lines.append(f"copyto({target}, {self.value(part, f, region)})")
            start += part.width
        return lines

    def _new_result(self, place: Place, region: Region, f: Function) -> str:
        """The variable of an array that the caller will own; kept if the backward pass reads it."""
        name = f.name(("whole", place.store, False), self.wish_of_place(place).upper())
        return f"{name} = run.all[{place.store.name!r}]" if region.is_forward else name

    def _carried(self, operation: Operation, f: Function) -> list[str]:
        stores = self.storage.state_stores if operation.region is Region.STEP else self.storage.carry_stores
        assert operation.slot is not None
        store = stores[operation.slot]
        target = Place(store, 0, store.width)
        value = operation.value
        if value.op not in ("zeros", "ones") and self.storage.place(value) == target:
            return []
        return [
            f"copyto({self._row(value, operation.region, f, target)}, "
            f"{self.value(value, f, operation.region)})"
        ]

    def _region(self, region: Region, f: Function) -> list[str]:
        return [line for o in self.schedule.within(region) for line in self._lines(o, f)]

    # --- functions

    def _forward(self) -> str:
        f = self._new_function(True)
        before = self._with_parameters(self._region(Region.BEFORE, f), f)
        steps = self._region(Region.STEP, f)
        setup, f.parameter_lines = f.parameter_lines, []
        after = self._region(Region.AFTER, f)
        results = [self._result(y, f) for y in self.traced.outputs]
        after = f.parameter_lines + after
        self.forward_keys = list(f.keys)
        body = [
            *section("", setup and [f"# {'from the parameters alone' if before else 'prepared'}", *setup]),
            *section(COMMENTS[Region.BEFORE], before),
            *self._loop(Region.STEP, f, "run.forward_steps", steps),
            *section(COMMENTS[Region.AFTER], after),
            f"return [{', '.join(results)}]",
        ]
        return self._define("forward", f, body)

    def _backward(self) -> str:
        f = self._new_function(False)
        steps = self._region(Region.BACK_STEP, f)
        setup, f.parameter_lines = f.parameter_lines, []
        rest: list[str] = []
        for o in self.schedule.within(Region.REST):
            lines = self._lines(o, f)
            rest += f.parameter_lines + lines
            f.parameter_lines = []
        inputs = ["None" if d is None else self._result(d, f) for d in self.traced.d_inputs]
        reduced = ["None" if d is None else self.value(d, f, Region.REST) for d in self.traced.d_parameters]
        rest += f.parameter_lines
        self.backward_keys = list(f.keys)
        body = [
            *section("", setup),
            *self._loop(Region.BACK_STEP, f, "run.backward_steps", steps),
            *section(COMMENTS[Region.REST], rest),
            f"return [{', '.join(inputs)}], [{', '.join(reduced)}]",
        ]
        return self._define("backward", f, body)

    def _loop(self, region: Region, f: Function, steps: str, lines: list[str]) -> list[str]:
        """The lines of one step, for every step."""
        return loop(COMMENTS[region], f.keys, steps, lines)

    def _new_function(self, is_forward: bool) -> Function:
        f = Function(is_forward)
        for p in self.traced.parameters:
            f.name(("value", p.id), p.name)
        return f

    def _with_parameters(self, lines: list[str], f: Function) -> list[str]:
        """`lines`, after what they need."""
        taken, f.parameter_lines = f.parameter_lines, []
        return [*taken, *lines]

    def _result(self, symbol: Symbol, f: Function) -> str:
        if symbol.op in ("zeros", "ones"):
            return self._filled(symbol, number(symbol), "run.total")
        text = self._row(symbol, Region.REST, f)
        place = self.storage.place(symbol)
        own = place.store.kind is Kind.RESULT and symbol.id in self.storage.places
        return text if own else f"{text}.copy()"

    def _define(self, name: str, f: Function, body: list[str]) -> str:
        parameters = [f.names["value", p.id] for p in self.traced.parameters]
        unpack = [f"{', '.join(parameters)}{',' * (len(parameters) == 1)} = parameters"] if parameters else []
        return f"def {name}(parameters, run):\n" + textwrap.indent("\n".join([*unpack, *body]), "    ") + "\n"
