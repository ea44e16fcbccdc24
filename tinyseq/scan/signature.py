"""What a compiled step depends on: its code, its configuration, and the shapes that go in."""

from types import FunctionType, MethodType
from typing import Any

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


def signature(step: Any) -> tuple[Any, list[Tensor]]:
    """A key that is equal for steps that compile alike, and the Tensors that the step reaches, in order.

    The key holds the step's code and every plain value that it reaches: flags, sizes, activation functions.
    Tensors count by their place alone; anything else by its identity, so a change inside it goes unseen.
    """
    tensors: dict[int, Tensor] = {}
    seen: dict[int, int] = {}

    def key(value: Any) -> Any:
        if isinstance(value, Tensor):
            tensors.setdefault(id(value), value)
            return "tensor", list(tensors).index(id(value))
        if isinstance(value, _PLAIN):
            return type(value), value
        if id(value) in seen:
            return "again", seen[id(value)]
        seen[id(value)] = len(seen)
        if isinstance(value, Module):
            parts = [(k, key(v)) for k, v in vars(value).items() if k != "_init_arguments"]
            return type(value), value.training, tuple(parts)
        if isinstance(value, MethodType):
            return key(value.__func__), key(value.__self__)
        if isinstance(value, FunctionType):
            return _function_key(value, key)
        if isinstance(value, list | tuple):
            return type(value), tuple(map(key, value))
        if type(value) is dict:
            return dict, tuple([(k, key(v)) for k, v in value.items()])
        return _Identity(value)

    return key(step), list(tensors.values())


def _function_key(function: FunctionType, key: Any) -> Any:
    scope = function.__globals__
    found = [(n, scope[n]) for n in names_in(function.__code__) if n in scope]
    used = [
        (n, key(v))
        for n, v in found
        if isinstance(v, Tensor | Module | int | float | str)
        or (isinstance(v, FunctionType) and v.__globals__ is scope)
    ]
    cells = [key(c.cell_contents) for c in function.__closure__ or ()]
    return function.__code__, tuple(used), tuple(cells), tuple(map(key, function.__defaults__ or ()))
