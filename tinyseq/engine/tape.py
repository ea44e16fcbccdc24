"""primitive(rule): a rule becomes an op that computes, and that writes itself onto the tape."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from tinyseq.backend import WORDS, Words, words_of
from tinyseq.engine import anomaly
from tinyseq.engine.tensor import Node, Tensor, make_tensor
from tinyseq.errors import MixedBackendsError, ShapeError, TinyseqError, TraceError

# What an op writes down. Bits, so that the anomaly search goes with either kind of tape.
_OFF, _FIRST, _HIGHER, _ANOMALY = 0, 1, 2, 4
_mode: ContextVar[int] = ContextVar("tinyseq_mode", default=_FIRST)


@contextmanager
def _in_mode(mode: int) -> Iterator[None]:
    token = _mode.set(mode)
    try:
        yield
    finally:
        _mode.reset(token)


def no_grad() -> Any:
    """Compute without a tape: `with no_grad():` or `@no_grad()`. Other threads are not affected."""
    return _in_mode(_OFF)


def enable_grad() -> Any:
    """Write the tape again inside a `no_grad()`."""
    return _in_mode((_mode.get() & ~_HIGHER) | _FIRST)


def higher_order() -> Any:
    """Keep what derivatives of derivatives need: run the forward pass inside, then `grad(..., create_graph=True)`.

    Costs the memory of every intermediate value; a plain tape keeps only what first derivatives use.
    """
    return _in_mode((_mode.get() & ~_FIRST) | _HIGHER)


def detect_anomaly() -> Any:
    """Raise NonFiniteError at the first op whose value or gradient is NaN or infinite; names the op and your line.

    Slow (every result is inspected): for finding where a NaN is born.
    """
    return _in_mode(_mode.get() | _ANOMALY)


def is_grad_enabled() -> bool:
    """Whether ops are being written onto the tape."""
    return bool(_mode.get() & (_FIRST | _HIGHER))


def keeps_arguments() -> bool:
    """Whether the forward pass runs under higher_order()."""
    return bool(_mode.get() & _HIGHER)


def searches_anomalies() -> bool:
    """Whether the code runs under detect_anomaly()."""
    return bool(_mode.get() & _ANOMALY)


Rule = Callable[..., tuple[Any, Callable[..., Any] | None]]


def primitive(rule: Rule) -> Callable[..., Any]:
    """An op from `rule(xp, *arrays, **static) -> (y, pullback)`.

    `xp` holds NumPy's words for whatever the arrays are: NumPy, CuPy, Tensors (second order) or symbols (the
    scan compiler). `pullback(g)` returns one gradient per array: an array, None, or a function without arguments
    that is called only if that argument wants a gradient. It must not change `g`; broadcasting is undone for it.
    A pullback of None marks an op whose result is constant. See docs/write-an-op.md.

    Called without any Tensor, the op works on plain arrays and returns plain arrays.
    """
    name = rule.__name__

    @functools.wraps(rule)
    def op(*args: Any, **static: Any) -> Any:
        arrays = []
        parents: list[Any] = []
        xp: Words | None = None
        on_tape = wrap = False
        for arg in args:
            if isinstance(arg, Tensor):
                wrap = True
                source = arg.source
                if source is not None:
                    on_tape = True
                arg = arg.data
                words = WORDS[type(arg)]
                if xp is None:
                    xp = words
                elif words is not xp:
                    _refuse_mix(name, args)
            else:
                source = None
                if type(arg) is not float and type(arg) is not int:
                    arg, words = _operand(name, arg)
                    if words is not None:
                        if xp is None:
                            xp = words
                        elif words is not xp:
                            _refuse_mix(name, args)
            arrays.append(arg)
            parents.append(source)
        if xp is None:
            xp = words_of(np.float32(0))
            arrays = [np.asarray(a) for a in arrays]
        try:
            y, pullback = rule(xp, *arrays, **static) if static else rule(xp, *arrays)
        except TinyseqError:
            raise
        except (ValueError, TypeError, IndexError) as error:
            raise _explained(error, name, args, static) from error
        if not wrap:
            return y
        mode = _mode.get()
        if not (on_tape and mode & 3 and pullback is not None):
            if mode & _ANOMALY:
                anomaly.inspect(name, y, arrays)
            return tuple([make_tensor(v, None) for v in y]) if type(y) is tuple else make_tensor(y, None)
        if type(y) is tuple:
            node = Node(name, parents, pullback, len(y))
            out: Any = tuple([make_tensor(v, (node, i, v.shape)) for i, v in enumerate(y)])
        else:
            node = Node(name, parents, pullback, 0)
            out = make_tensor(y, (node, 0, y.shape))
        if mode != _FIRST:
            if mode & _HIGHER:
                node.rule, node.args, node.static = rule, args, static
            if mode & _ANOMALY:
                node.where = anomaly.inspect(name, y, arrays)
        return out

    op.rule = rule  # type: ignore[attr-defined]
    return op


def _operand(name: str, arg: Any) -> tuple[Any, Words | None]:
    """An argument that is no Tensor: a constant or an array of a backend, with that backend's words."""
    if isinstance(arg, bool):
        return arg, None
    if isinstance(arg, np.generic):  # a NumPy scalar would make float32 into float64 on its own
        return arg.item(), None
    words = WORDS.get(type(arg))
    if words is not None:
        return arg, words
    if isinstance(arg, np.ndarray):  # a subclass, such as a memory map
        return np.asarray(arg), WORDS[np.ndarray]
    raise TypeError(
        f"{name}() takes Tensors, arrays and numbers, not {type(arg).__name__}: make it a Tensor first, "
        f"tinyseq.Tensor({'...' if not isinstance(arg, list | tuple) else '[...]'})."
    )


def _refuse_mix(name: str, args: tuple[Any, ...]) -> None:
    arrays = [a.data if isinstance(a, Tensor) else a for a in args]
    names = [WORDS[type(a)].name for a in arrays if type(a) in WORDS]
    if "trace" in names:
        raise TraceError(
            f"{name}() met an array in the middle of a step that is being compiled. A step may use its inputs, its "
            "state and the Parameters of its cell: make the array a Parameter, or pass it in as an input."
        )
    raise MixedBackendsError(
        f"{name}() was given arrays of two backends ({', '.join(dict.fromkeys(names))}). Move one of them: "
        "model.to('cupy') moves a model, tinyseq.Tensor(array) moves an array to the backend in use."
    )


def _explained(error: Exception, name: str, args: tuple[Any, ...], static: dict[str, Any]) -> Exception:
    """The same error, saying which op met which shapes."""
    shapes = ", ".join(str(tuple(a.shape)) if hasattr(a, "shape") else repr(a) for a in args)
    options = "".join(f", {k}={v!r}" for k, v in static.items() if not hasattr(v, "shape"))
    text = f"{name}() of shapes {shapes}{options}: {error}"
    if isinstance(error, IndexError):
        return IndexError(text)
    return ShapeError(text) if isinstance(error, ValueError) else TypeError(text)
