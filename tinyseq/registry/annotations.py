"""What a constructor's annotations say about plain values and components, as far as that can be told."""

import collections.abc
import functools
import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

from tinyseq.nn import Module

LISTS = (list, tuple, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)
TABLES = (dict, collections.abc.Mapping)
WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    type(None): "nothing",
}


@functools.lru_cache
def annotations(cls: type) -> dict[str, Any]:
    """The annotations of a constructor's parameters; none if some can be resolved by type checkers only."""
    try:
        return get_type_hints(cls.__init__)  # type: ignore[misc]
    except (NameError, AttributeError, TypeError):
        return {}


def fits(value: Any, wanted: Any) -> bool:
    """Whether `value` can be what the annotation `wanted` asks for; what cannot be judged fits."""
    origin, arguments = get_origin(wanted), get_args(wanted)
    kind = origin or wanted
    if _cannot_be_judged(kind):
        return True
    if origin in (Union, types.UnionType):
        return any(fits(value, option) for option in arguments)
    if origin is Literal:
        return any(type(value) is type(option) and value == option for option in arguments)
    if kind is collections.abc.Callable:
        return callable(value)
    if kind in LISTS:
        return isinstance(value, list) and _items_fit(value, kind, arguments)
    if kind in TABLES:
        return isinstance(value, dict)
    if wanted is float:
        return isinstance(value, float | int) and not isinstance(value, bool)
    if wanted in (None, type(None), bool, int, str):
        return type(value) is (type(None) if wanted is None else wanted)
    if isinstance(value, Module) or (isinstance(kind, type) and issubclass(kind, Module)):
        return not isinstance(kind, type) or isinstance(value, kind)
    return True


def _cannot_be_judged(kind: Any) -> bool:
    """Whether isinstance() gives no answer for an annotation: Any, a Protocol, a TypedDict."""
    if kind is Any or is_typeddict(kind):
        return True
    return getattr(kind, "_is_protocol", False) and not getattr(kind, "_is_runtime_protocol", False)


def _items_fit(value: list[Any], kind: Any, arguments: tuple[Any, ...]) -> bool:
    if not arguments:
        return True
    if kind is tuple and arguments[-1] is not Ellipsis:
        return len(value) == len(arguments) and all(map(fits, value, arguments))
    return all(fits(item, arguments[0]) for item in value)


def expected(wanted: Any) -> str:
    """An annotation in words."""
    origin, arguments = get_origin(wanted), get_args(wanted)
    kind = origin or wanted
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(map(expected, arguments)))
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if kind in LISTS:
        items = ", ".join(expected(item) for item in arguments if item is not Ellipsis)
        return f"a list ({items})" if items else "a list"
    if kind in TABLES:
        return "a table"
    if kind is collections.abc.Callable:
        return "a component that can be called"
    return WORDS.get(wanted, f"a {getattr(wanted, '__name__', wanted)}")
