"""What the compiler makes of a step, in print."""

from typing import Any

import numpy as np

from tinyseq.backend.symbols import Symbol
from tinyseq.contracts import Cell
from tinyseq.engine import Tensor, make_tensor
from tinyseq.errors import ConfigError
from tinyseq.scan.emitters.cuda.cards import H200, card_of
from tinyseq.scan.emitters.cuda.launch import LoopLaunch
from tinyseq.scan.emitters.cuda.plan import candidates
from tinyseq.scan.emitters.numpy.emitter import COMMENTS
from tinyseq.scan.passes.partition import Region
from tinyseq.scan.running.compiled import program_for
from tinyseq.scan.running.program import Options, Program

EXAMPLES = (1, 32, 256)  # sizes of batches


def explain(step: Any, xs: Any = None, state: Any = None, *, emitter: str = "") -> None:
    """Print how a Cell or a step is compiled: its operations and when they run, the memory, and the source.

    A function needs an example of its inputs, Tensors (rows, features), and of its state. emitter: "numpy",
    "numba" or "cuda"; by default the one in use.
    """
    print(explanation(step, xs, state, emitter=emitter))


def explanation(step: Any, xs: Any = None, state: Any = None, *, emitter: str = "") -> str:
    """What `explain` prints."""
    if isinstance(step, Cell):
        state = step.initial_state(1) if state is None else state
        xs = step.zeros(1, step.input_size) if xs is None else xs
        step = step.step
    if xs is None or state is None:
        raise ConfigError("explain() of a function needs an example: explain(step, x, state).")
    if isinstance(xs, Tensor) and xs.source is None and xs.dtype.kind == "f":
        xs = make_tensor(xs.data, None)
        xs._become_leaf()
    program, _, _ = program_for(step, xs, state, Options(emitter=emitter))
    parts = [_operations(program), _memory(program)]
    if program.refusal:
        parts.append(f"There are no kernels: {program.refusal}.")
    kernels = program.kernel_source
    kernels = kernels[max(kernels.find("\n@kernel"), 0) :]
    written = [_title("Kernels") + kernels.rstrip()] if kernels else []
    return "\n\n".join([*parts, *_plans(program), *written, _source(program)])


def _plans(program: Program) -> list[str]:
    """How loops on a GPU are laid out, and why not otherwise."""
    loops = [kernel for kernel in program.kernels.values() if isinstance(kernel, LoopLaunch)]
    if not loops:
        return []
    here = program.library is not np
    card = card_of(program.library) if here else H200
    lines = []
    for loop in loops:
        for batch in EXAMPLES:
            found, refused = candidates(loop.shape, batch, card)
            lines.append(f"{loop.name}, {batch} rows: {loop.plan(batch) if here else found[0]}")
            other = next((p for p in found if p.cluster != found[0].cluster), None)
            if other is not None:
                lines.append(
                    f"    rather than: {other}, about {other.cycles / found[0].cycles:.1f} times a step"
                )
        lines += [f"{loop.name}, no {strategy}: {why}" for strategy, why in refused.items()]
    return [_title(f"Plans of the loops on {card.name}") + "\n".join(lines)]


def _title(text: str) -> str:
    return f"{text}\n{'=' * len(text)}\n"


def _source(program: Program) -> str:
    loops = "def forward_loop(" in program.kernel_source
    note = "# In a run that is long enough, the kernels forward_loop and backward_loop replace its loops.\n"
    return _title("Source") + (note if loops else "") + program.source.rstrip()


def _operations(program: Program) -> str:
    lines = []
    for region in Region:
        operations = [o for o in program.schedule.within(region) if o.slot is None]
        if operations:
            lines += [f"{COMMENTS[region]}"]
            lines += [f"    {_named(o.value)} = {_formula(o.value)}" for o in operations]
    return _title("Operations, by when their operands are known") + "\n".join(lines)


def _named(s: Any) -> str:
    if not isinstance(s, Symbol):
        return str(s)
    return s.name or f"%{s.id}"


def _formula(s: Symbol) -> str:
    operands = [_named(i) if isinstance(i, Symbol) and _is_shown(i) else _inline(i) for i in s.inputs]
    options = [f"{k}={v}" for k, v in s.static.items()]
    return f"{s.op}({', '.join([*operands, *options])})"


def _is_shown(s: Symbol) -> bool:
    return s.op == "leaf" or (s.is_row and bool(s.name))


def _inline(value: Any) -> str:
    """Views, and what is computed from parameters alone, as expressions."""
    if not isinstance(value, Symbol):
        return str(value)
    if value.op == "getitem":
        parts = [
            "{}:{}".format("" if i.start is None else i.start, "" if i.stop is None else i.stop)
            if isinstance(i, slice)
            else str(i)
            for i in value.static["index"]
        ]
        return f"{_inline(value.inputs[0])}[{', '.join(parts)}]"
    if value.op == "transpose" and value.ndim == 2:
        return f"{_inline(value.inputs[0])}.T"
    return _named(value)


def _memory(program: Program) -> str:
    rows = [
        (s.name, s.kind.name.lower(), str(s.width), str(s.dtype), s.kind.value)
        for s in program.storage.stores
    ]
    widths = [max(len(r[i]) for r in rows) for i in range(4)] if rows else []
    lines = ["  ".join([*(r[i].ljust(widths[i]) for i in range(4)), r[4]]) for r in rows]
    return _title("Memory: name, kind, columns, dtype, rows") + "\n".join(lines)
