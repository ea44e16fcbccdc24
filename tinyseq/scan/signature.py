"""What a compiled step depends on: its code, its configuration, and the shapes that go in."""

from collections.abc import Callable
from operator import is_
from types import FunctionType, MethodType
from typing import Any
from weakref import WeakKeyDictionary

from tinyseq.engine import Tensor
from tinyseq.nn.module import Module
from tinyseq.scan.tracing import names_in

_PLAIN = (int, float, str, bool, type(None), type)


class _Identity:
    """An object that can only be compared with itself; kept alive as long as the key."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


class Key:
    """What steps that compile alike have in common, with its hash worked out once."""

    __slots__ = ("_hash", "_parts")

    def __init__(self, parts: Any) -> None:
        self._parts, self._hash = parts, hash(parts)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Key) and other._parts == self._parts)

    def __hash__(self) -> int:
        return self._hash


class _Reading:
    """What reading a step once has brought, and whether it still holds: the same objects at every place."""

    def __init__(self, step: Any) -> None:
        self._tensors: dict[int, Tensor] = {}
        self._seen: dict[int, int] = {}
        self._places: list[tuple[Callable[[], list[Any]], list[Any]]] = []  # what is there, and what was
        self.key = Key(self._part(step))
        self.tensors = list(self._tensors.values())

    def holds(self) -> bool:
        """Whether a new reading would bring the same; a fraction of its cost."""
        for look, before in self._places:
            now = look()
            if len(now) != len(before) or not all(map(is_, now, before)):
                return False
        return True

    def mentions(self, owner: Any) -> bool:
        """Whether `owner` stands at one of the places, so that keeping this would keep it alive."""
        found = [value for _, before in self._places for value in before]
        return any(value is owner or getattr(value, "__self__", None) is owner for value in found)

    def _look(self, look: Callable[[], list[Any]]) -> None:
        self._places.append((look, look()))

    def _part(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            self._tensors.setdefault(id(value), value)
            return "tensor", list(self._tensors).index(id(value))
        if isinstance(value, _PLAIN):
            return type(value), value
        if id(value) in self._seen:
            return "again", self._seen[id(value)]
        self._seen[id(value)] = len(self._seen)
        if isinstance(value, Module):
            attributes = vars(value)
            self._look(lambda: [*attributes, *attributes.values()])
            parts = [(k, self._part(v)) for k, v in attributes.items() if k != "_init_arguments"]
            return type(value), value.training, tuple(parts)
        if isinstance(value, MethodType):
            return self._part(value.__func__), self._part(value.__self__)
        if isinstance(value, FunctionType):
            return _Identity(value) if hasattr(value, "rule") else self._function(value)  # an op is itself
        if isinstance(value, list | tuple):
            self._look(lambda: [*value])
            return type(value), tuple(map(self._part, value))
        if type(value) is dict:
            self._look(lambda: [*value, *value.values()])
            return dict, tuple([(k, self._part(v)) for k, v in value.items()])
        return _Identity(value)

    def _function(self, function: FunctionType) -> Any:
        scope = function.__globals__
        names = [n for n in names_in(function.__code__) if n in scope]
        closure = function.__closure__ or ()
        self._look(lambda: [function.__code__, function.__defaults__, *[scope.get(n) for n in names]])
        self._look(lambda: [c.cell_contents for c in closure])
        used = [
            (n, self._part(scope[n]))
            for n in names
            if isinstance(scope[n], Tensor | Module | int | float | str)
            or (isinstance(scope[n], FunctionType) and scope[n].__globals__ is scope)
        ]
        cells = [self._part(c.cell_contents) for c in closure]
        defaults = tuple(map(self._part, function.__defaults__ or ()))
        return function.__code__, tuple(used), tuple(cells), defaults


_readings: "WeakKeyDictionary[Module, dict[FunctionType, _Reading]]" = WeakKeyDictionary()


def signature(step: Any) -> tuple[Any, list[Tensor]]:
    """A key that is equal for steps that compile alike, and the Tensors that the step reaches, in order.

    The key holds the step's code and every plain value that it reaches: flags, sizes, activation functions.
    Tensors count by their place alone; anything else by its identity, so a change inside it goes unseen.
    """
    owner = getattr(step, "__self__", None)
    if not isinstance(owner, Module):
        reading = _Reading(step)
        return reading.key, reading.tensors
    of_owner = _readings.setdefault(owner, {})
    known = of_owner.get(step.__func__)
    if known is None or not known.holds():
        known = _Reading(step)
        if not known.mentions(owner):
            of_owner[step.__func__] = known
    return known.key, known.tensors
