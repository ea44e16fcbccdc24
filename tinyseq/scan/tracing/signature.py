"""What a compiled step depends on: its code, its configuration, and the shapes that go in."""

import functools
import sys
import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence, Set
from operator import is_
from types import FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from tinyseq.engine import Tensor
from tinyseq.nn.module import Module
from tinyseq.scan.tracing.trace import names_in

LIBRARIES = {"tinyseq", "numpy", "cupy", "cupyx", "torch"}
LARGE = 4096  # elements, beyond which a container counts as itself and not as what it holds
SIZED = (Sequence, Mapping, Set, deque)
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
        self._contents: list[tuple[Callable[[], Any], Any]] = []  # the same for what changes in its place
        self._foreign = 0  # above 0 within what the compiler does not exchange Tensors in
        self.key = Key(self._key_of(step))
        self.tensors = list(self._tensors.values())

    def holds(self) -> bool:
        """Whether a new reading would bring the same; a fraction of its cost."""
        for look, before in self._places:
            now = look()
            if len(now) != len(before) or not all(map(is_, now, before)):
                return False
        return all(look() == before for look, before in self._contents)

    def mentions(self, owner: Any) -> bool:
        """Whether `owner` stands at one of the places, so that keeping this would keep it alive."""
        found = [value for _, before in self._places for value in before]
        return any(v is owner or (isinstance(v, MethodType) and v.__self__ is owner) for v in found)

    def _look(self, look: Callable[[], list[Any]]) -> None:
        self._places.append((look, look()))

    def _key_of(self, value: Any) -> Any:
        if isinstance(value, Tensor) and self._foreign:
            return _Identity(value)
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
            parts = [(k, self._key_of(v)) for k, v in attributes.items() if k != "_init_arguments"]
            return type(value), value.training, tuple(parts)
        if isinstance(value, MethodType):
            owner = self._key_of(value.__self__)
            return self._key_of(value.__func__), owner, self._class_part(value.__func__, value.__self__)
        if isinstance(value, FunctionType):
            return _Identity(value) if hasattr(value, "rule") else self._function(value)  # an op is itself
        if isinstance(value, list | tuple):
            self._look(lambda: [*value])
            return type(value), tuple(map(self._key_of, value))
        if type(value) is dict:
            self._look(lambda: [*value, *value.values()])
            return dict, tuple([(k, self._key_of(v)) for k, v in value.items()])
        return self._foreign_part(value)

    def _foreign_part(self, value: Any) -> Any:
        """What a value holds in which the compiler exchanges no Tensors: they count as themselves there."""
        self._foreign += 1
        try:
            return self._contents_of(value)
        finally:
            self._foreign -= 1

    def _contents_of(self, value: Any) -> Any:
        if max(len(value) if isinstance(value, SIZED) else 0, len(self._places)) > LARGE:
            return _Identity(value)  # a data set, not a setting
        if isinstance(value, np.generic):
            return type(value), value.item()
        if isinstance(value, np.ndarray):
            return self._content(lambda: (value.dtype.str, value.shape, zlib.crc32(value.tobytes())))
        if isinstance(value, Set):
            return type(value), self._content(lambda: tuple(map(repr, value)))
        if isinstance(value, Mapping):
            self._look(lambda: [*value, *value.values()])
            return type(value), tuple([(k, self._key_of(v)) for k, v in value.items()])
        if isinstance(value, Sequence | deque):
            self._look(lambda: [*value])
            return type(value), tuple(map(self._key_of, value))
        if isinstance(value, functools.partial):
            return functools.partial, *map(self._key_of, (value.func, value.args, value.keywords))
        if isinstance(value, FunctionType) and not is_library(value.__module__):
            return self._key_of(value)
        if _is_of_library(type(value)) and not isinstance(value, SimpleNamespace):
            return _Identity(value)
        return self._object(value)

    def _object(self, value: Any) -> Any:
        """The attributes of an object, in its dict and in its slots."""
        held = getattr(value, "__dict__", {})
        slots = [name for cls in type(value).__mro__ for name in vars(cls).get("__slots__", ())]
        look: Callable[[], list[Any]] = lambda: [getattr(value, name, None) for name in slots]
        self._look(lambda: [*held, *held.values()])
        self._look(look)
        parts = [(k, self._key_of(v)) for k, v in held.items()]
        attributes: dict[str, Any] = dict(vars(type(value)))
        called = self._class_part(attributes.get("__call__"), value)
        return type(value), tuple(parts), tuple(map(self._key_of, look())), called

    def _content(self, look: Callable[[], Any]) -> Any:
        found = look()
        self._contents.append((look, found))
        return found

    def _class_part(self, function: Any, owner: Any) -> Any:
        """What a method reads from the classes of its object, by name: values, properties, other methods."""
        if not isinstance(function, FunctionType) or is_library(function.__module__):
            return None
        return self._named(type(owner), names_in(function.__code__), owner)

    def _named(self, holder: Any, names: list[str], owner: Any = None) -> Any:
        """The attributes of a class, or of a module, that a function's code names."""
        holders = [holder]
        if isinstance(holder, type):
            holders = [cls for cls in holder.__mro__ if not _is_of_library(cls)]
        found: list[Any] = []
        for name in dict.fromkeys(names):
            look = functools.partial(_looked_up, holders, name)
            (value,) = look()
            if value is None:
                continue
            self._look(look)
            value = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
            if isinstance(value, FunctionType):
                if id(value) not in self._seen and not is_library(value.__module__):
                    part = self._key_of(value)  # first, as a method may name itself, by way of super()
                    found.append((name, part, None if owner is None else self._class_part(value, owner)))
            elif isinstance(value, type) or not hasattr(value, "__get__"):
                found.append((name, self._key_of(value)))
        return tuple(found)

    def _global(self, value: Any, names: list[str]) -> Any:
        """A global of another kind than the compiler looks into: what the code reads of it counts."""
        if isinstance(value, type | ModuleType):
            known = _is_of_library(value) if isinstance(value, type) else is_library(value.__name__)
            if known or id(value) in self._seen:
                return _Identity(value)
            self._seen[id(value)] = len(self._seen)
            self._foreign += 1
            try:
                return _Identity(value), self._named(value, names)
            finally:
                self._foreign -= 1
        return self._foreign_part(value)

    def _function(self, function: FunctionType) -> Any:
        scope = function.__globals__
        every = names_in(function.__code__)
        names = [n for n in every if n in scope]
        closure = function.__closure__ or ()
        named = function.__kwdefaults__ or {}
        self._look(lambda: [function.__code__, function.__defaults__, *named.values()])
        self._look(lambda: [scope.get(n) for n in names])
        self._look(lambda: [c.cell_contents for c in closure])
        used = [
            (n, self._key_of(scope[n]))
            for n in names
            if isinstance(scope[n], Tensor | Module | int | float | str)
            or (isinstance(scope[n], FunctionType) and scope[n].__globals__ is scope)
        ]
        others = [(n, self._global(scope[n], every)) for n in names if n not in dict(used)]
        cells = [self._key_of(c.cell_contents) for c in closure]
        defaults = tuple(map(self._key_of, (*(function.__defaults__ or ()), *named.values())))
        return function.__code__, tuple(used), tuple(others), tuple(cells), defaults


def _looked_up(holders: list[Any], name: str) -> list[Any]:
    """What the first of some classes, or a module, holds under a name, without asking descriptors."""
    return [next((vars(h)[name] for h in holders if name in vars(h)), None)]


def _is_of_library(cls: type) -> bool:
    """Whether a class stands in a library; one made by calling type() may only say that it does."""
    return is_library(cls.__module__) and vars(sys.modules[cls.__module__]).get(cls.__name__) is cls


def is_library(module: str | None) -> bool:
    """Whether a module belongs to Python, to an array library, or to tinyseq itself, which do not change."""
    top = (module or "builtins").partition(".")[0]
    return top in LIBRARIES or top in sys.stdlib_module_names


_readings: "WeakKeyDictionary[Module, dict[FunctionType, _Reading]]" = WeakKeyDictionary()


def signature(step: Any) -> tuple[Any, list[Tensor]]:
    """A key that is equal for steps that compile alike, and the Tensors that the step reaches, in order.

    The key holds the step's code and every value that it reaches, however deep: flags and sizes, attributes
    of objects and of classes, globals, other functions and what they read, arrays. So a change of any of them
    is seen at the next call. Tensors of the step count by their place alone. What belongs to Python, NumPy or
    tinyseq, and containers of more than some thousands of elements, count by their identity.
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
