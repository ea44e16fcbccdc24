"""Parameter: a Tensor that is trained. Module: whatever holds Parameters, found by walking its attributes."""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyseq.backend import Array, backend, backend_of, words_of
from tinyseq.engine import Tensor
from tinyseq.engine.tensor import next_serial
from tinyseq.errors import ConfigError, DataError

if TYPE_CHECKING:
    from typing import Self


class Parameter(Tensor):
    """A Tensor that training changes; float32 unless another dtype is given. It owns a copy of its values.

    Call `changed()` after changing `data` in place or binding it to another array.
    """

    __slots__ = ()

    def __init__(self, data: Any, dtype: Any = np.float32) -> None:
        super().__init__(data, dtype)
        self.data = backend().asarray(self.data).copy()
        self._become_leaf()

    @property
    def requires_grad(self) -> bool:
        """Whether it takes gradients; assign False to freeze it, True to train it again."""
        return self.source is not None

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if not wanted:
            self.source = None
        elif self.source is None:
            self._become_leaf()

    def changed(self) -> None:
        """Say that `data` is new, so that a backward pass through the old values is refused, not wrong."""
        leaf = self._leaf()
        if leaf is not None:
            leaf.changed_at = next_serial()
            leaf.dtype = self.data.dtype
            self.source = (leaf, 0, self.data.shape)

    def move(self, data: Array) -> None:
        """Hold `data`, the same values in another place or dtype; the gradient goes along."""
        self.data = data
        self.changed()
        leaf = self._leaf()
        if leaf is not None and leaf.grad is not None:
            leaf.grad = backend_of(data).asarray(_portable(leaf.grad, data), data.dtype)

    def __repr__(self) -> str:
        return f"Parameter(shape={self.shape}, dtype={self.dtype})"


def _portable(array: Array, target: Array) -> Array:
    """`array` as the backend of `target` can read it."""
    return array if words_of(array) is words_of(target) else backend_of(array).to_numpy(array)


class Module:
    """A part of a model: `forward` computes; Parameters and Modules among its attributes belong to it.

    They are found in attributes, and in lists, tuples and dicts there, in the order of definition. A subclass
    defines `__init__` (no call of super() is needed) and `forward`, and stores nothing while computing.
    """

    training = True
    _init_arguments: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> "Self":
        self = super().__new__(cls)
        self._init_arguments = (args, kwargs)  # what a config is made from; copies call without any
        return self

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the result; every subclass says how."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward(), so it cannot be called.")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)

    def members(self) -> "Iterator[tuple[str, Parameter | Module]]":
        """The Parameters and Modules directly inside, each with its path from here."""
        for name, value in vars(self).items():
            if name != "_init_arguments":
                yield from _members(name, value)

    def named_modules(self) -> "Iterator[tuple[str, Module]]":
        """This module (path "") and all inside it, each once, from the outside in."""
        return _walk("", self, set())

    def modules(self) -> "Iterator[Module]":
        """This module and all inside it, each once."""
        return (module for _, module in self.named_modules())

    def children(self) -> "Iterator[Module]":
        """The modules directly inside."""
        return (member for _, member in self.members() if isinstance(member, Module))

    def named_parameters(self) -> "Iterator[tuple[str, Parameter]]":
        """Every Parameter once, with its dotted path; a tied one under the first of its paths.

        Raises ConfigError if two Parameters have one path (a dot in the key of a dict can do that).
        """
        seen: dict[str, Parameter] = {}
        known: set[int] = set()
        for path, parameter in _parameters("", self, set()):
            if id(parameter) not in known:
                if path in seen:
                    raise ConfigError(
                        f"{type(self).__name__} has two parameters at the path {path!r}: rename one."
                    )
                known.add(id(parameter))
                seen[path] = parameter
        return iter(seen.items())

    def parameters(self) -> "Iterator[Parameter]":
        """Every Parameter once, in the order of definition."""
        return (parameter for _, parameter in self.named_parameters())

    def parameter_count(self) -> int:
        """The number of values to train."""
        return sum(parameter.size for parameter in self.parameters())

    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """A copy of every Parameter's values in host memory, by path."""
        return {path: np.array(parameter.numpy(), order="C") for path, parameter in self.named_parameters()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the values that `state_dict()` of an equal model gave, on this model's backend and dtypes.

        Raises DataError that names every missing, unexpected and ill-fitting entry; then nothing is loaded.
        """
        parameters = dict(self.named_parameters())
        arrays = {path: np.asarray(value) for path, value in state.items()}
        problems = [f"{path} is missing" for path in parameters if path not in arrays]
        problems += [f"{path} is not in the model" for path in arrays if path not in parameters]
        for path, parameter in parameters.items():
            found = arrays.get(path)
            if found is None:
                continue
            if found.shape != parameter.shape:
                problems.append(f"{path} has shape {found.shape}, the model's {parameter.shape}")
            elif found.dtype.kind != "f":
                problems.append(f"{path} holds {found.dtype}, the model {parameter.dtype}")
        if problems:
            raise DataError(f"These values do not fit {type(self).__name__}: {'; '.join(problems)}.")
        for path, parameter in parameters.items():
            parameter.data[...] = backend_of(parameter.data).asarray(arrays[path], parameter.dtype)
            parameter.changed()

    def train(self, training: bool = True) -> "Self":
        """Put this module and all inside it into training (or, with False, evaluation); returns itself."""
        for module in self.modules():
            module.training = training
        return self

    def eval(self) -> "Self":
        """Put this module and all inside it into evaluation, where dropout does nothing; returns itself."""
        return self.train(False)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Evaluation for a while, `with model.evaluating():`; then every module inside is as it was."""
        were = [(module, module.training) for module in self.modules()]
        for module, _ in were:
            module.training = False
        try:
            yield
        finally:
            for module, training in were:
                module.training = training

    def to(self, target: Any) -> "Self":
        """Move every Parameter to a backend ("numpy", "cupy") or a floating dtype; returns itself.

        The Parameters stay the same objects, so an optimiser of them goes on. Raises BackendError where a
        backend cannot run, ConfigError for a target that is neither.
        """
        if isinstance(target, str) and target in ("numpy", "cupy"):
            there = backend(target)
            for parameter in self.parameters():
                if backend_of(parameter.data) is not there:
                    parameter.move(there.asarray(parameter.numpy()))
            return self
        dtype = _float_dtype(target)
        for parameter in self.parameters():
            if parameter.dtype != dtype:
                parameter.move(parameter.data.astype(dtype))
        return self

    def zero_grad(self) -> None:
        """Forget the gradients of all Parameters."""
        for parameter in self.parameters():
            if parameter.source is not None:
                parameter.grad = None

    def freeze(self, frozen: bool = True) -> "Self":
        """Keep every Parameter inside as it is (or, with False, train it again); returns itself."""
        for parameter in self.parameters():
            parameter.requires_grad = not frozen
        return self

    def _repr_html_(self) -> str:
        """The tree of modules with the shapes and counts of their Parameters, for a notebook."""
        from tinyseq.nn.summary import tree  # which knows Modules

        return tree(self)

    def __repr__(self) -> str:
        children = [f"{name}: {member!r}" for name, member in self.members() if isinstance(member, Module)]
        head = f"{type(self).__name__}({_arguments(self)})  # {self.parameter_count():,} parameters"
        return "\n".join([head, *("  " + child.replace("\n", "\n  ") for child in children)])


def _members(path: str, value: Any) -> Iterator[tuple[str, Parameter | Module]]:
    """The Parameters and Modules that a value is, or that its containers hold."""
    if isinstance(value, Parameter | Module):
        yield path, value
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from _members(f"{path}.{i}", item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _members(f"{path}.{key}", item)


def _walk(prefix: str, module: Module, seen: set[int]) -> Iterator[tuple[str, Module]]:
    if id(module) in seen:
        return
    seen.add(id(module))
    yield prefix, module
    for path, member in module.members():
        if isinstance(member, Module):
            yield from _walk(f"{prefix}.{path}" if prefix else path, member, seen)


def _parameters(prefix: str, module: Module, seen: set[int]) -> Iterator[tuple[str, Parameter]]:
    seen.add(id(module))
    for name, member in module.members():
        path = f"{prefix}.{name}" if prefix else name
        if isinstance(member, Parameter):
            yield path, member
        elif id(member) not in seen:
            yield from _parameters(path, member, seen)


def _float_dtype(target: Any) -> Any:
    try:
        dtype = np.dtype(object if target is None else target)  # NumPy reads None as float64
    except TypeError:
        dtype = np.dtype(object)
    if dtype.kind != "f":
        raise ConfigError(
            f"to({target!r}): say a backend ('numpy', 'cupy') or a floating dtype such as 'float64'."
        )
    return dtype


def _arguments(module: Module) -> str:
    """The constructor's plain arguments that are no defaults; modules among them are shown as children."""
    args, kwargs = module._init_arguments
    plain = (bool, int, float, str, type(None))
    shown = [repr(a) for a in args if isinstance(a, plain)]
    defaults = {name: p.default for name, p in inspect.signature(type(module)).parameters.items()}
    named = [f"{k}={v!r}" for k, v in kwargs.items() if isinstance(v, plain) and v != defaults.get(k, kwargs)]
    return ", ".join(shown + named)
