"""primitive(rule): a rule becomes an op that computes, and that writes itself onto the tape."""

import functools
import inspect
from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any, TypeVar

import numpy as np

from tinyseq.backend import WORDS, Words
from tinyseq.backend.words import UnknownWord
from tinyseq.engine import anomaly
from tinyseq.engine.tensor import Node, Tensor, make_tensor
from tinyseq.errors import MixedBackendsError, ShapeError, TinyseqError, TraceError

# What an op does beside computing, as bits: each is switched on and off by itself.
_RECORD, _KEEP_ARGUMENTS, _SEARCH = 1, 2, 4
F = TypeVar("F", bound=Callable[..., Any])
_mode: ContextVar[int] = ContextVar("tinyseq_mode", default=_RECORD)


class _Switch:
    """Bits of the mode for a while: `with switch:`, or as a decorator of a function of any kind.

    Of generators and coroutines the body runs in this mode, and what runs between its steps does not.
    """

    def __init__(self, on: int = 0, off: int = 0) -> None:
        self.on, self.off = on, off
        self._tokens: list[Token[int]] = []

    def __enter__(self) -> None:
        self._tokens.append(_mode.set(_mode.get() & ~self.off | self.on))

    def __exit__(self, *_: object) -> None:
        _mode.reset(self._tokens.pop())

    def __call__(self, function: F) -> F:
        function_: Any = function

        @functools.wraps(function_)
        def plain(*args: Any, **kwargs: Any) -> Any:
            with _Switch(self.on, self.off):
                return function_(*args, **kwargs)

        @functools.wraps(function_)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            with _Switch(self.on, self.off):
                return await function_(*args, **kwargs)

        @functools.wraps(function_)
        def generator(*args: Any, **kwargs: Any) -> Any:
            inner = function_(*args, **kwargs)
            step, sent = inner.send, None
            while True:
                try:
                    with _Switch(self.on, self.off):
                        value = step(sent)
                except StopIteration as end:
                    return end.value
                try:
                    step, sent = inner.send, (yield value)
                except GeneratorExit:
                    inner.close()
                    raise
                except BaseException as error:
                    step, sent = inner.throw, error

        @functools.wraps(function_)
        async def async_generator(*args: Any, **kwargs: Any) -> Any:
            inner = function_(*args, **kwargs)
            try:
                while True:
                    try:
                        with _Switch(self.on, self.off):
                            value = await anext(inner)
                    except StopAsyncIteration:
                        return
                    yield value
            finally:
                await inner.aclose()

        if inspect.iscoroutinefunction(function_):
            return awaited  # type: ignore[return-value]
        if inspect.isgeneratorfunction(function_):
            return generator  # type: ignore[return-value]
        if inspect.isasyncgenfunction(function_):
            return async_generator  # type: ignore[return-value]
        return plain  # type: ignore[return-value]


def no_grad() -> _Switch:
    """Compute without a tape: `with no_grad():` or `@no_grad()`. Other threads are not affected."""
    return _Switch(off=_RECORD)


def enable_grad() -> _Switch:
    """Write the tape again inside a `no_grad()`."""
    return _Switch(on=_RECORD)


def higher_order() -> _Switch:
    """Keep what derivatives of derivatives need; `grad(..., create_graph=True)` then gives the first ones.

    Costs the memory of every intermediate value; a plain tape keeps only what first derivatives use.
    """
    return _Switch(on=_RECORD | _KEEP_ARGUMENTS)


def detect_anomaly() -> _Switch:
    """Raise NonFiniteError at the first op whose value or gradient is not finite; it names your line.

    Slow (every result is inspected): for finding where a NaN is born.
    """
    return _Switch(on=_SEARCH)


def is_grad_enabled() -> bool:
    """Whether ops are being written onto the tape."""
    return bool(_mode.get() & _RECORD)


def keeps_arguments() -> bool:
    """Whether the forward pass runs under higher_order()."""
    return bool(_mode.get() & _KEEP_ARGUMENTS)


def searches_anomalies() -> bool:
    """Whether the code runs under detect_anomaly()."""
    return bool(_mode.get() & _SEARCH)


Rule = Callable[..., tuple[Any, Callable[..., Any] | None]]


def primitive(rule: Rule) -> Callable[..., Any]:
    """An op from `rule(xp, *arrays, **static) -> (y, pullback)`.

    `xp` holds NumPy's words for whatever the arrays are: NumPy, CuPy, Tensors (second order) or symbols (the
    scan compiler). `pullback(g)` returns one gradient per array: an array, None, or a function without
    arguments that is called only if that argument wants a gradient. It must not change `g`; broadcasting is
    undone for it. A pullback of None marks an op whose result is constant. See docs/write-an-op.md.

    Called without any Tensor, the op works on plain arrays and returns plain arrays.
    """
    name = rule.__name__.lstrip("_")

    @functools.wraps(rule)
    def op(*args: Any, **static: Any) -> Any:
        arrays = []
        parents = []
        xp: Any = None
        words: Any
        on_tape = wrap = lent = False
        for arg in args:
            source = None
            if isinstance(arg, Tensor):
                wrap = True
                source = arg.source
                if source is not None:
                    on_tape = True
                arg = arg.data
                words = WORDS[type(arg)]
            elif type(arg) is float or type(arg) is int:
                words = xp
            else:
                arg, words = _operand(name, arg, xp)
                lent = lent or hasattr(arg, "copy")
            if words is not xp:
                if xp is not None:
                    raise _mixed(name, args)
                xp = words
            arrays.append(arg)
            parents.append(source)
        if lent and on_tape:  # whoever owns an array may fill it anew before the gradient is taken
            given = list(zip(args, arrays, strict=True))
            args = tuple(
                [a if isinstance(a, Tensor) or not hasattr(b, "copy") else b.copy() for a, b in given]
            )
            arrays = [a.data if isinstance(a, Tensor) else a for a in args]
        if xp is None:  # only numbers
            xp = WORDS[np.ndarray]
            arrays = [np.asarray(arg) for arg in args]
        try:
            y, pullback = rule(xp, *arrays, **static) if static else rule(xp, *arrays)
        except TraceError as error:
            if not error.where:
                error.where = f"{name}() at {anomaly.user_line()}"
                error.args = (f"{error} [{error.where}]",)
            raise
        except TinyseqError:
            raise
        except (ValueError, TypeError, IndexError) as error:
            raise _explained(error, name, args, static) from error
        except UnknownWord:
            raise
        except AttributeError as error:  # a number has no shape; anything else is a fault of the rule
            numbers = [arg for arg in args if isinstance(arg, bool | int | float)]
            if not numbers:
                raise
            raise TypeError(f"{name}() takes arrays here, not the number {numbers[0]!r}.") from error
        if not wrap:
            return y
        mode = _mode.get()
        if not (on_tape and mode & _RECORD and pullback is not None):
            if mode & _SEARCH:
                anomaly.inspect(name, y, arrays)
            return tuple([make_tensor(v, None) for v in y]) if type(y) is tuple else make_tensor(y, None)
        if type(y) is tuple:
            node = Node(name, parents, pullback, len(y))
            out: Any = tuple([make_tensor(v, (node, i, v.shape)) for i, v in enumerate(y)])
        else:
            node = Node(name, parents, pullback, 0)
            out = make_tensor(y, (node, 0, y.shape))
        if mode != _RECORD:
            if mode & _KEEP_ARGUMENTS:
                node.replay = functools.partial(rule, WORDS[Tensor], *args, **static)
            if mode & _SEARCH:
                node.where = anomaly.inspect(name, y, arrays)
        return out

    op.rule = rule  # type: ignore[attr-defined]
    return op


def _operand(name: str, arg: Any, xp: Words | None) -> tuple[Any, Words | None]:
    """An argument that is no Tensor, int or float, and its words; a constant goes with any `xp`."""
    if isinstance(arg, np.generic):  # left as it is, a float64 scalar would make float32 into float64
        return arg.item(), xp
    words = WORDS.get(type(arg))
    if words is not None:
        return arg, words
    if isinstance(arg, bool | int | float):
        return arg, xp
    if isinstance(arg, np.ndarray):  # a subclass, such as a memory map
        return np.asarray(arg), WORDS[np.ndarray]
    raise TypeError(
        f"{name}() takes Tensors, arrays and numbers, not {type(arg).__name__}: make it a Tensor first, "
        f"tinyseq.Tensor({'[...]' if isinstance(arg, list | tuple) else '...'})."
    )


def _mixed(name: str, args: tuple[Any, ...]) -> Exception:
    arrays = [a.data if isinstance(a, Tensor) else a for a in args if not isinstance(a, np.generic)]
    names = [WORDS[type(a)].name for a in arrays if type(a) in WORDS]
    if "trace" in names:
        return TraceError(
            f"{name}() met an array in the middle of a step that is being compiled. A step may use its "
            "inputs, its state, and Tensors: make the array a Tensor, tinyseq.Tensor(array), before the "
            "step, or a Parameter if it is to be trained, or an input."
        )
    return MixedBackendsError(
        f"{name}() was given arrays of two backends ({', '.join(dict.fromkeys(names))}). Move one of them: "
        "model.to('cupy') moves a model, tinyseq.Tensor(array) moves an array to the backend in use."
    )


def _explained(error: Exception, name: str, args: tuple[Any, ...], static: dict[str, Any]) -> Exception:
    """The same error, saying which op met which shapes."""
    shapes = ", ".join(str(tuple(a.shape)) if hasattr(a, "shape") else repr(a) for a in args)
    options = "".join(f", {k}={v!r}" for k, v in static.items() if not hasattr(v, "shape"))
    text = f"{name}() of shapes {shapes}{options}: {error}"
    if isinstance(error, IndexError) and not isinstance(error, ValueError):  # NumPy's AxisError is both
        return IndexError(text)
    return ShapeError(text) if isinstance(error, ValueError) else TypeError(text)
