"""Tensor: an array and where it came from."""

import html
import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyseq.backend import WORDS, Array, backend, to_numpy, words_of
from tinyseq.errors import GraphError, ShapeError

Hook = Callable[["Tensor"], "Tensor | None"]
Source = tuple["Node | Leaf", int, tuple[int, ...]]  # what made it, which output of that, its shape

next_serial = itertools.count(1).__next__


class Leaf:
    """Where a gradient ends up. Nodes point to Leaves, never to Tensors, so the tape pins no data."""

    __slots__ = ("changed_at", "dtype", "grad", "hooks")

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        self.grad: Array = None
        self.hooks: list[Hook] | None = None
        self.changed_at = 0  # serial number at the last change in place


class Node:
    """One application of a rule: whom its gradients go to (`parents`), and how to get them (`pullback`)."""

    __slots__ = ("__dict__", "name", "outputs", "parents", "pullback", "serial")

    # Few nodes have these, so they are class attributes until they are set.
    hooks: dict[int, list[Hook]] | None = None
    replay: Callable[[], Any] | None = None  # the rule again, on Tensors; under higher_order() only
    where: str | None = None  # the user's line; under detect_anomaly() only

    def __init__(
        self, name: str, parents: list[Source | None], pullback: Callable[..., Any], outputs: int
    ) -> None:
        self.serial = next_serial()
        self.name = name
        self.parents: list[Source | None] | None = parents
        self.pullback: Callable[..., Any] | None = pullback
        self.outputs = outputs  # 0: the rule returned one array; n: a tuple of n


class Tensor:
    """An array of numbers that remembers how it was computed, so that it can be differentiated.

    `data` is anything NumPy can read, a Tensor, or an array of a backend. It is copied to the backend in use,
    so that a buffer may be filled anew before the gradient is taken; a Tensor's own array is shared. Python
    floats become float32, as parameters are; arrays keep their dtype. With `requires_grad=True` it is a leaf:
    `backward()` of what comes of it adds to its `.grad`.

    Raises TypeError for what is not made of numbers, GraphError if a gradient is wanted for integers.
    """

    __slots__ = ("data", "source")
    __array_priority__ = 1000  # so that CuPy's arrays leave `array + tensor` to us

    data: Array
    source: Source | None

    def __init__(self, data: Any, dtype: Any = None, *, requires_grad: bool = False) -> None:
        given = data
        if isinstance(data, Tensor):
            data = data.data
        elif isinstance(data, list | tuple) and any(isinstance(part, Tensor) for part in data):
            raise TypeError("Tensor() of a list of Tensors: join them with tinyseq.ops.stack() instead.")
        words = WORDS.get(type(data))
        if words is not None and words is not backend().words:
            data = to_numpy(data)  # between two backends the way leads through the host
        keeps_dtype = dtype is not None or hasattr(data, "dtype")
        array = backend().asarray(data, dtype)
        if array is given or (type(array) is np.ndarray and _shares(array, given)):
            array = array.copy()
        if not keeps_dtype and array.dtype == np.float64:
            array = array.astype(np.float32)
        if array.dtype.kind not in "biuf":
            raise TypeError(f"Tensor() takes numbers, not {type(data).__name__} of dtype {array.dtype}.")
        self.data = array
        self.source = None
        if requires_grad:
            self._become_leaf()

    def _become_leaf(self) -> None:
        if self.data.dtype.kind != "f":
            raise GraphError(
                f"Only floating-point Tensors can have gradients; this one holds {self.data.dtype}: "
                "make it float, as Tensor(data, 'float32', requires_grad=True) does."
            )
        self.source = (Leaf(self.data.dtype), 0, self.data.shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        shape: tuple[int, ...] = self.data.shape
        return shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.data.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(self.data.size)

    @property
    def dtype(self) -> Any:
        """NumPy's dtype of the elements."""
        return self.data.dtype

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow through it."""
        return self.source is not None

    @property
    def grad(self) -> "Tensor | None":
        """What `backward()` has gathered so far for this leaf; None before, and for anything else."""
        leaf = self._leaf()
        return None if leaf is None or leaf.grad is None else make_tensor(leaf.grad, None)

    @grad.setter
    def grad(self, value: "Tensor | None") -> None:
        leaf = self._leaf()
        if leaf is None:
            raise GraphError("Only leaves (made with requires_grad=True) hold a gradient.")
        if value is not None and value.shape != self.shape:
            raise ShapeError(f"a gradient of shape {value.shape} for a Tensor of shape {self.shape}.")
        leaf.grad = None if value is None else Tensor(value, self.dtype).data

    def _leaf(self) -> Leaf | None:
        owner = self.source[0] if self.source is not None else None
        return owner if isinstance(owner, Leaf) else None

    def detach(self) -> "Tensor":
        """The same values as a constant: no gradient flows back from here."""
        return make_tensor(self.data, None)

    def numpy(self) -> np.ndarray[Any, Any]:
        """The values in host memory, as NumPy's array. Read-only by convention: it may share memory."""
        return to_numpy(self.data)

    def item(self) -> Any:
        """The one element as a Python number."""
        return self.numpy().item()

    def register_hook(self, hook: Hook) -> Callable[[], None]:
        """Call `hook(gradient)` when the gradient of this Tensor is complete; what it returns replaces it.

        Returns a function that removes the hook. Raises GraphError if no gradient flows through this Tensor.
        """
        if self.source is None:
            raise GraphError(
                "register_hook() on a Tensor through which no gradient flows (requires_grad is False)."
            )
        owner, slot, _ = self.source
        if isinstance(owner, Leaf):
            owner.hooks = hooks = owner.hooks if owner.hooks is not None else []
        else:
            owner.hooks = owner.hooks if owner.hooks is not None else {}
            hooks = owner.hooks.setdefault(slot, [])
        hooks.append(hook)
        return lambda: hooks.remove(hook) if hook in hooks else None

    def __repr__(self) -> str:
        body = (
            np.array2string(self.numpy(), separator=", ", prefix="Tensor(")
            if self.is_concrete()
            else repr(self.data)
        )
        return (
            f"Tensor({body}, dtype={self.data.dtype}{', requires_grad=True' if self.requires_grad else ''})"
        )

    def _repr_html_(self) -> str:
        """Shape, dtype and values, for a notebook."""
        about = f"Tensor {self.shape}, {self.dtype}{', requires_grad' if self.requires_grad else ''}"
        values = np.array2string(self.numpy(), threshold=200) if self.is_concrete() else repr(self.data)
        return f"<div><em>{html.escape(about)}</em><pre>{html.escape(values)}</pre></div>"

    def is_concrete(self) -> bool:
        """Whether it holds numbers; False while a step is traced."""
        return words_of(self.data).name != "trace"

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a Tensor without axes.")
        return self.shape[0]

    def __bool__(self) -> bool:
        return bool(self.data)

    def __float__(self) -> float:
        return float(self.data)

    def __int__(self) -> int:
        return int(self.data)

    def __iter__(self) -> "Iterator[Tensor]":
        return (self[i] for i in range(len(self)))

    def __setitem__(self, index: Any, value: Any) -> None:
        raise GraphError(
            "Tensors are values and cannot be assigned into: build the result with where() or concatenate()."
        )

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError(
            "A Tensor does not become an array by itself, since that would lose the gradient: compute with "
            "tinyseq.ops, or take the values out with .numpy()."
        )

    def __dlpack__(self, **options: Any) -> Any:
        """The values for another library, without a copy; what is written there is written here."""
        if self.source is not None:
            raise GraphError(
                "Another library would not pass gradients back to this Tensor: hand over .detach(), which "
                "shares its values, and differentiate on either side by itself."
            )
        if not self.is_concrete():
            return self.numpy()  # which refuses
        return self.data.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        """Where the values are, in DLPack's numbers."""
        return self.data.__dlpack_device__()

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        raise _refused(function.__name__)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        # array + tensor arrives here as numpy.add(array, tensor)
        name = _REFLECTED.get(ufunc.__name__)
        if options.keys() == {"out"} and method == "__call__" and options["out"][0] is inputs[0]:
            # `array += tensor`: an array holds numbers, and no gradient could reach it
            return ufunc(*[x.numpy() if isinstance(x, Tensor) else x for x in inputs], **options)
        if options:
            raise TypeError(
                f"numpy.{ufunc.__name__} with {', '.join(options)}= would lose the gradient of a Tensor: "
                "compute with tinyseq.ops, or take the values out with .numpy()."
            )
        if method == "__call__" and name is not None and not isinstance(inputs[0], Tensor):
            return getattr(self, name)(inputs[0])
        raise _refused(ufunc.__name__)

    if TYPE_CHECKING:  # attached by sweep.py and, one floor up, by tinyseq.ops

        def backward(self, gradient: Any = None, *, retain_graph: bool = False) -> None: ...
        def __add__(self, other: Any) -> "Tensor": ...
        def __radd__(self, other: Any) -> "Tensor": ...
        def __sub__(self, other: Any) -> "Tensor": ...
        def __rsub__(self, other: Any) -> "Tensor": ...
        def __mul__(self, other: Any) -> "Tensor": ...
        def __rmul__(self, other: Any) -> "Tensor": ...
        def __truediv__(self, other: Any) -> "Tensor": ...
        def __rtruediv__(self, other: Any) -> "Tensor": ...
        def __pow__(self, other: Any) -> "Tensor": ...
        def __rpow__(self, other: Any) -> "Tensor": ...
        def __matmul__(self, other: Any) -> "Tensor": ...
        def __rmatmul__(self, other: Any) -> "Tensor": ...
        def __neg__(self) -> "Tensor": ...
        def __abs__(self) -> "Tensor": ...
        def __invert__(self) -> "Tensor": ...
        def __gt__(self, other: Any) -> "Tensor": ...
        def __ge__(self, other: Any) -> "Tensor": ...
        def __lt__(self, other: Any) -> "Tensor": ...
        def __le__(self, other: Any) -> "Tensor": ...
        def __eq__(self, other: Any) -> "Tensor": ...  # type: ignore[override]
        def __ne__(self, other: Any) -> "Tensor": ...  # type: ignore[override]
        def __and__(self, other: Any) -> "Tensor": ...
        def __or__(self, other: Any) -> "Tensor": ...
        def __getitem__(self, index: Any) -> "Tensor": ...
        def sum(self, axis: Any = None, *, keepdims: bool = False) -> "Tensor": ...
        def mean(self, axis: Any = None, *, keepdims: bool = False) -> "Tensor": ...
        def var(self, axis: Any = None, *, keepdims: bool = False) -> "Tensor": ...
        def max(self, axis: Any = None, *, keepdims: bool = False) -> "Tensor": ...
        def min(self, axis: Any = None, *, keepdims: bool = False) -> "Tensor": ...
        def argmax(self, axis: int | None = None) -> "Tensor": ...
        def argmin(self, axis: int | None = None) -> "Tensor": ...
        def take(self, indices: Any, axis: int | None = None) -> "Tensor": ...
        def reshape(self, *shape: Any) -> "Tensor": ...
        def transpose(self, *axes: Any) -> "Tensor": ...
        def swapaxes(self, axis1: int, axis2: int) -> "Tensor": ...
        def squeeze(self, axis: Any = None) -> "Tensor": ...
        def clip(self, a_min: Any = None, a_max: Any = None) -> "Tensor": ...
        def astype(self, dtype: Any) -> "Tensor": ...
        @property
        def T(self) -> "Tensor": ...

    def __copy__(self) -> "Tensor":
        return make_tensor(self.data, self.source)

    def __reduce_ex__(self, protocol: Any) -> Any:
        if self.source is not None and self._leaf() is None:
            raise GraphError(
                "This Tensor has the tape behind it, all that it was computed from: copy or pickle "
                ".detach(), or the leaves that it came from."
            )
        return super().__reduce_ex__(protocol)

    __hash__ = object.__hash__


def _shares(array: Any, given: Any) -> bool:
    """Whether a new array of NumPy's looks into memory of the caller's."""
    return isinstance(given, np.ndarray) and np.may_share_memory(array, given)


_REFLECTED = {
    "add": "__radd__", "subtract": "__rsub__", "multiply": "__rmul__", "divide": "__rtruediv__",
    "power": "__rpow__", "matmul": "__rmatmul__", "greater": "__lt__", "greater_equal": "__le__",
    "less": "__gt__", "less_equal": "__ge__", "equal": "__eq__", "not_equal": "__ne__",
    "bitwise_and": "__and__", "bitwise_or": "__or__",
}  # fmt: skip


def _refused(function: str) -> TypeError:
    ours = f"tinyseq.ops.{function}" if hasattr(WORDS.get(Tensor), function) else "tinyseq.ops"
    return TypeError(
        f"numpy.{function} was handed a Tensor. Use {ours} to keep the gradient, or take the values out "
        "with .numpy()."
    )


def make_tensor(data: Array, source: Source | None, new: Any = Tensor.__new__, kind: type = Tensor) -> Tensor:
    """A Tensor around an array that is known to be good; what ops call instead of the constructor."""
    tensor: Tensor = new(kind)
    tensor.data = data
    tensor.source = source
    return tensor
