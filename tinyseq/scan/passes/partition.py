"""What is computed when: the levels of values divide the work into regions before, in and after two loops."""

from dataclasses import dataclass, field
from enum import IntEnum

from tinyseq.backend.symbols import Level, Symbol
from tinyseq.scan.graph import ancestors, is_view, rewrite
from tinyseq.scan.tracing.trace import Trace


class Region(IntEnum):
    """Where an operation stands in the compiled source."""

    BEFORE = 0  # forward, all steps at once: knows the inputs only
    STEP = 1  # forward, step by step: what the next state needs
    AFTER = 2  # forward, all steps at once: outputs that no state depends on
    BACK_STEP = 3  # backward, step by step: what the cotangent of the state before needs
    REST = 4  # backward, all steps at once: everything else

    @property
    def is_forward(self) -> bool:
        """Whether it runs before the gradient is asked for."""
        return self <= Region.AFTER

    @property
    def in_loop(self) -> bool:
        """Whether it runs once for each step."""
        return self in (Region.STEP, Region.BACK_STEP)


@dataclass(eq=False)
class Operation:
    """One value to compute in a region; or, with a `slot`, to be carried to the next step as that state."""

    value: Symbol
    region: Region
    slot: int | None = None
    at: int = 0  # its number in the order of execution

    @property
    def operands(self) -> list[Symbol]:
        """The rows that it reads."""
        return [self.value] if self.slot is not None else [s for s in self.value.symbols if s.is_row]


@dataclass
class Schedule:
    """All operations on rows, in order of execution; and the trace that they compute."""

    traced: Trace
    operations: list[Operation] = field(default_factory=list)
    forward: set[int] = field(default_factory=set)  # ids of the values of the forward pass

    def within(self, region: Region) -> list[Operation]:
        """The operations of one region, in order."""
        return [o for o in self.operations if o.region is region]

    def number(self) -> None:
        """Number the operations in their present order."""
        for at, operation in enumerate(self.operations):
            operation.at = at


def partition(traced: Trace) -> Schedule:
    """The schedule of a trace. Changes the trace where a carried cotangent is also needed after the loop."""
    _complete(traced)
    _keep_carried(traced)
    schedule = Schedule(traced)
    forward = [s for s in traced.forward() if _is_work(s)]
    schedule.forward = {s.id for s in traced.forward()}
    fed = {s.id for s in ancestors(traced.new_states)}
    add = schedule.operations.append
    for s in forward:
        if s.level <= Level.INPUT:
            add(Operation(s, Region.BEFORE))
        else:
            add(Operation(s, Region.STEP if s.id in fed else Region.AFTER))
    for slot, s in enumerate(traced.new_states):
        add(Operation(s, Region.STEP, slot))
    gradients = [*traced.d_inputs, *traced.d_states, *traced.d_parameters]
    backward = [s for s in ancestors(gradients) if s.id not in schedule.forward and _is_work(s)]
    carried = {s.id for s in ancestors(traced.d_states)}
    loop = {s.id for s in backward if (s.id in carried and s.level == Level.COTANGENT) or s.op == "copy"}
    known = {s.id for s in ancestors([s for s in backward if s.id in loop])} | _known_roots(traced)
    for s in backward:
        if s.id in loop:
            add(Operation(s, Region.BACK_STEP))
        else:
            early = s.level < Level.COTANGENT and s.id in known
            add(Operation(s, Region.BACK_STEP if early else Region.REST))
    for slot, gradient in enumerate(traced.d_states):
        if gradient is not None:
            add(Operation(gradient, Region.BACK_STEP, slot))
    schedule.operations.sort(
        key=lambda o: (o.region, o.slot is not None)
    )  # stable: causes stay before effects
    schedule.number()
    return schedule


def _is_work(s: Symbol) -> bool:
    return s.is_row and s.op not in ("leaf", "zeros", "ones") and not is_view(s)


def _known_roots(traced: Trace) -> set[int]:
    """What is carried although no cotangent goes into it."""
    early = [s for s in traced.d_states if s is not None and s.level < Level.COTANGENT]
    return {s.id for s in ancestors(early)}


def _complete(traced: Trace) -> None:
    """Where the new state does not depend on the old one, the cotangent that is carried on is zero."""
    if traced.trains:
        for slot, (gradient, state) in enumerate(zip(traced.d_states, traced.states, strict=True)):
            if gradient is None:
                zeros = state.graph.apply("zeros", shape=state.shape, dtype=state.dtype)
                traced.d_states[slot] = zeros


def _keep_carried(traced: Trace) -> None:
    """A carried cotangent lasts one step; what is computed after the loop reads a copy of every step's."""
    carried = {s.id for s in ancestors(traced.d_states)}
    leaves = {s.id: s for s in traced.d_new_states}

    def rule(symbol: Symbol, inputs: tuple[Symbol, ...]) -> Symbol | None:
        if symbol.id in leaves:
            copy: Symbol = symbol.graph.apply("copy", symbol)
            copy.name = f"{symbol.name}_all"
            return copy
        return symbol if symbol.id in carried and not is_view(symbol) else None

    late = rewrite([*traced.d_inputs, *traced.d_parameters], rule)
    traced.d_inputs[:] = late[: len(traced.d_inputs)]
    traced.d_parameters[:] = late[len(traced.d_inputs) :]
