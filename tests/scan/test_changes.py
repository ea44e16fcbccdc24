"""What a step reads may change between two calls, wherever it stands; programs go with their models."""

import dataclasses
import functools
import gc
import types
import weakref
from collections import ChainMap, deque
from typing import Any, NamedTuple

import numpy as np
import pytest

import tinyseq
from tinyseq import Recurrent, Sequences, Tensor, ops
from tinyseq.nn import Linear
from tinyseq.scan.running import compiled

LEAK = 1.0
TABLE = {"leak": 1.0, "deep": {"leak": 1.0}}
HELD = [1.0]
KNOBS = types.ModuleType("knobs")


class State(NamedTuple):
    h: Tensor


@dataclasses.dataclass
class Settings:
    leak: float = 1.0


class Slotted:
    __slots__ = ("leak",)

    def __init__(self) -> None:
        self.leak = 1.0


class Shared:
    leak = 1.0


class Scale:
    def __init__(self) -> None:
        self.settings = Settings()

    def __call__(self, x: Any) -> Any:
        return self.settings.leak * x


class Base(tinyseq.Cell):
    leak_of_class = 1.0

    def __init__(self) -> None:
        self.input_size, self.output_size = 3, 3
        self.linear = Linear(6, 3)
        self.leak, self.listed, self.named = 1.0, [1.0], {"leak": 1.0}
        self.settings, self.space, self.array = (
            Settings(),
            types.SimpleNamespace(leak=1.0),
            np.array(1.0, "f"),
        )
        self.slotted, self.called, self.nested = Slotted(), Scale(), [Settings()]
        self.queue, self.bytes, self.chain = deque([1.0]), bytearray([100]), ChainMap({"leak": 1.0})
        self.large = np.ones(100_000, "f")
        self.scaled = functools.partial(_times, settings=self.settings)

    def initial_state(self, batch_size: int) -> State:
        return State(self.zeros(batch_size, 3))

    def factor(self) -> Any:
        raise NotImplementedError

    def step(self, x: Any, state: Any) -> Any:
        h = self.factor() * ops.tanh(self.linear(ops.concatenate([state.h, x], axis=-1)))
        return h, State(h)

    @property
    def halved(self) -> float:
        return self.settings.leak / 2

    @staticmethod
    def static() -> float:
        return LEAK


def _times(x: Any, settings: Settings) -> Any:
    return settings.leak * x


def _set_leak(value: float) -> None:
    global LEAK
    LEAK = value


# How a step reads a factor, and how it is changed.
WAYS: dict[str, tuple[Any, Any]] = {
    "attribute": (lambda c: c.leak, lambda c, v: setattr(c, "leak", v)),
    "list": (lambda c: c.listed[0], lambda c, v: c.listed.__setitem__(0, v)),
    "dict": (lambda c: c.named["leak"], lambda c, v: c.named.update(leak=v)),
    "dataclass": (lambda c: c.settings.leak, lambda c, v: setattr(c.settings, "leak", v)),
    "namespace": (lambda c: c.space.leak, lambda c, v: setattr(c.space, "leak", v)),
    "slots": (lambda c: c.slotted.leak, lambda c, v: setattr(c.slotted, "leak", v)),
    "array": (lambda c: float(c.array), lambda c, v: c.array.__setitem__((), v)),
    "queue": (lambda c: c.queue[0], lambda c, v: c.queue.__setitem__(0, v)),
    "bytes": (lambda c: c.bytes[0] / 100, lambda c, v: c.bytes.__setitem__(0, int(v * 100))),
    "chain of dicts": (lambda c: c.chain["leak"], lambda c, v: c.chain.update(leak=v)),
    "large array": (lambda c: float(c.large[-1]), lambda c, v: c.large.__setitem__(-1, v)),
    "keyword-only default": (lambda c, *, held=HELD: held[0], lambda c, v: HELD.__setitem__(0, v)),
    "list of objects": (lambda c: c.nested[0].leak, lambda c, v: setattr(c.nested[0], "leak", v)),
    "callable object": (lambda c: c.called(1.0), lambda c, v: setattr(c.called.settings, "leak", v)),
    "partial": (lambda c: c.scaled(1.0), lambda c, v: setattr(c.settings, "leak", v)),
    "class attribute": (lambda c: c.leak_of_class, lambda c, v: setattr(type(c), "leak_of_class", v)),
    "attribute of a base": (lambda c: c.leak_of_class, lambda c, v: setattr(Base, "leak_of_class", v)),
    "another class": (lambda c: Shared.leak, lambda c, v: setattr(Shared, "leak", v)),
    "property": (lambda c: 2 * c.halved, lambda c, v: setattr(c.settings, "leak", v)),
    "global": (lambda c: LEAK, lambda c, v: _set_leak(v)),
    "global dict": (lambda c: TABLE["leak"], lambda c, v: TABLE.update(leak=v)),
    "dict in a dict": (lambda c: TABLE["deep"]["leak"], lambda c, v: TABLE["deep"].update(leak=v)),
    "module": (lambda c: KNOBS.leak, lambda c, v: setattr(KNOBS, "leak", v)),
    "static method": (lambda c: c.static(), lambda c, v: _set_leak(v)),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_change_is_seen_at_the_next_call(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read, change = WAYS[way]
    monkeypatch.setattr(Shared, "leak", 1.0)
    monkeypatch.setattr(Base, "leak_of_class", 1.0)
    KNOBS.leak = TABLE["leak"] = TABLE["deep"]["leak"] = 1.0
    _set_leak(1.0)
    HELD[0] = 1.0
    cell = type("Reads", (Base,), {"factor": read})()
    x = Tensor(np.random.default_rng(0).standard_normal((2, 4, 3)).astype("f"))
    step_by_step = Recurrent(cell, compiled=False)
    for value in (1.0, 0.5, 0.25, 0.5):
        change(cell, value)
        np.testing.assert_allclose(Recurrent(cell)(x).numpy(), step_by_step(x).numpy(), rtol=1e-6)
        assert Recurrent(cell)(x).numpy().any()


def test_an_object_that_refuses_to_be_asked_is_no_hindrance() -> None:
    class Strict:
        def __getattr__(self, name: str) -> Any:
            raise KeyError(name)

    cell = type("Reads", (Base,), {"factor": WAYS["attribute"][0]})()
    cell.strict = Strict()
    x = Tensor(np.ones((2, 4, 3), "f"))
    np.testing.assert_allclose(
        Recurrent(cell)(x).numpy(), Recurrent(cell, compiled=False)(x).numpy(), rtol=1e-6
    )


def test_an_unchanged_step_is_not_compiled_again() -> None:
    cell = type("Reads", (Base,), {"factor": WAYS["dataclass"][0]})()
    x = Tensor(np.ones((2, 4, 3), "f"))
    Recurrent(cell)(x)
    before = len(compiled._programs)
    for _ in range(3):
        Recurrent(cell)(x)
    assert len(compiled._programs) == before


def run_once(hidden: int) -> tuple[Any, Any]:
    """A training step of a new model; the program, and a weak reference to its working memory."""
    model = Recurrent(tinyseq.cells["lstm"](8, hidden))
    xs = Sequences.from_padded(np.ones((4, 50, 8), "f"))
    model(xs).data.sum().backward()
    gc.collect()
    kept = next(reversed(compiled._programs._kept.values()))
    return kept.program, weakref.ref(kept.program.workspaces._free[0])


def test_working_memory_goes_with_the_last_model_that_used_it() -> None:
    tinyseq.clear_cache()
    program, memory = run_once(16)
    gc.collect()
    assert memory() is None
    assert len(compiled._programs) >= 1, "the code stays, for the next model of these sizes"
    again, _ = run_once(16)
    assert again is program


def test_memory_that_comes_back_after_its_model_is_not_kept() -> None:
    model = Recurrent(tinyseq.cells["gru"](8, 12))
    ys = model(Sequences.from_padded(np.ones((4, 50, 8), "f")))
    program = next(reversed(compiled._programs._kept.values())).program
    del model
    gc.collect()
    ys.data.sum().backward()
    del ys
    gc.collect()
    assert program.workspaces._free == []


def test_everything_can_be_forgotten() -> None:
    model = Recurrent(tinyseq.cells["gru"](8, 12))
    xs = Sequences.from_padded(np.ones((4, 50, 8), "f"))
    first = model(xs).data.numpy()
    tinyseq.clear_cache()
    assert len(compiled._programs) == 0
    np.testing.assert_array_equal(model(xs).data.numpy(), first)
