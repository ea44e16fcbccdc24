"""Pieces of source: names, indices, calls and loops as text."""

import keyword
import re
import textwrap
from dataclasses import dataclass, field
from typing import Any

from tinyseq.backend.symbols import POINTWISE, ROWS, Symbol
from tinyseq.scan.memory.places import Key

RESERVED = {
    "parameters",
    "run",
    "xp",
    "rows",
    "inf",
    "nan",
    "copyto",
    "matmul",
    "where",
    "packed_product",
    *POINTWISE,
}


@dataclass
class Function:
    """One emitted function while it is written: its variables and its lines."""

    is_forward: bool
    names: dict[Any, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=lambda: set(RESERVED))
    keys: dict[Key, str] = field(default_factory=dict)  # of its loop, in order of first use
    parameter_lines: list[str] = field(default_factory=list)
    totals: list[str] = field(default_factory=list)  # what kernels add the rows of all steps to

    def name(self, key: Any, wish: str) -> str:
        """The variable of `key`: as wished, if that is free."""
        if key not in self.names:
            word = re.sub(r"\W", "_", wish) or "t"
            unique = word
            count = 2
            while unique in self.used or keyword.iskeyword(unique):
                unique = f"{word}_{count}"
                count += 1
            self.used.add(unique)
            self.names[key] = unique
        return self.names[key]


# The two libraries spell these differently, or not at all.
SPELLED = ("argsort", "take_along_axis", "add_along_axis")
OPERATORS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "matmul": "@"}


def section(comment: str, lines: list[str]) -> list[str]:
    return [*([f"# {comment}"] if comment else []), *lines] if lines else []


def loop(comment: str, keys: dict[Key, str], steps: str, lines: list[str]) -> list[str]:
    if not lines:
        return []
    header = f"for {', '.join(keys.values())}{',' * (len(keys) == 1)} in {steps}:"
    if len(header) > 100:
        names = textwrap.wrap(", ".join(keys.values()) + ",", 96)
        header = "for (\n" + "\n".join(f"    {n}" for n in names) + f"\n) in {steps}:"
    return [f"# {comment}", header, *[f"    {line}" for line in lines]]


def number(symbol: Symbol) -> str:
    return {"zeros": "0", "ones": "1"}[symbol.op] + ("" if symbol.dtype.kind in "iub" else ".0")


def is_short(symbol: Symbol) -> bool:
    """Whether an expression is as readable as a name for it."""
    return symbol.op == "getitem" and symbol.inputs[0].op == "leaf"


def plain(symbol: Symbol) -> str:
    return symbol.inputs[0].name or "weights"


def index(index: tuple[Any, ...], literal: bool = False) -> str:
    """The source of an index."""

    def part(i: Any) -> str:
        if not isinstance(i, slice):
            return repr(i)
        if literal:
            return repr(i)
        a, b = ("" if e is None else str(e) for e in (i.start, i.stop))
        return f"{a}:{b}" + (f":{i.step}" if i.step is not None else "")

    text = ", ".join(map(part, index))
    return f"({text},)" if literal else text


def call(s: Symbol, a: list[str]) -> str:
    """An operation on whole arrays that makes a new one."""
    if s.op in ("matmul", *POINTWISE):
        return f"{s.op}({', '.join(a)})"
    if s.op == "getitem":
        return f"{a[0]}[{index(s.static['index'])}].copy()"
    if s.op == "concatenate":
        return f"xp.concatenate(({', '.join(a)},), axis={s.static['axis']})"
    if s.op == "astype":
        return f"{a[0]}.astype(xp.{s.dtype})"
    if s.op == "copy":
        return f"{a[0]}.copy()"
    if s.op == "place":
        shape = ", ".join(["len(" + a[0] + ")" if n is ROWS else str(n) for n in s.shape])
        return f"run.words.place({a[0]}, index={index(s.static['index'], True)}, shape=({shape},))"
    if s.op == "broadcast_to":
        shape = ", ".join(["run.total" if n is ROWS else str(n) for n in s.shape])
        return f"xp.broadcast_to({a[0]}, ({shape})).copy()"
    options = "".join([f", {k}={v!r}" for k, v in s.static.items()])
    view = ".copy()" if s.op == "transpose" else ""
    library = "run.words" if s.op in SPELLED else "xp"
    return f"{library}.{s.op}({', '.join(a)}{options}){view}"
