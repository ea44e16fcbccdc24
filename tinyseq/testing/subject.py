"""What the laws look at: one component, made from one case, and what its author declares about it."""

import copy
import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinyseq import random
from tinyseq.contracts import Cell, Head, Loss, Metric
from tinyseq.errors import ConfigError
from tinyseq.nn import Module, Parameter
from tinyseq.optim import Optimizer

Case = Mapping[str, Any] | tuple[Any, ...] | Callable[[], Any]
"""A constructor's arguments by name or by position, or a function that makes the component."""

KINDS = ("cell", "layer", "loss", "head", "model", "metric", "optimizer", "initializer", "op")

USES = {
    "inputs": ("cell", "layer", "loss", "head", "model", "metric", "op"),
    "reference": ("cell", "layer", "loss", "metric", "optimizer", "op"),
    "context": ("layer",),
    "ignored": ("loss", "metric"),
    "mines": ("loss", "head"),
}
"""What may be declared, and for which kinds; for any other it would do nothing."""

CONTEXTS = ("position", "past", "future", "both", "halves")


@dataclass(frozen=True)
class Declared:
    """What an author says about a component that its class does not: see `conformance`."""

    kind: str
    inputs: Any = None
    reference: Callable[..., Any] | None = None
    context: str | None = None
    ignored: Any = None
    mines: bool = False
    skip: Mapping[str, str] = field(default_factory=dict)


class Undeclared(ConfigError):
    """Something that an author has to declare, or to declare otherwise, before the laws can be tried."""


class Subject:
    """`component` (a class or function) under one of its cases."""

    def __init__(self, component: Any, case: Case, declared: Declared) -> None:
        self.component = component
        self.case = case
        self.declared = declared
        self.kind = declared.kind
        self.said = ""  # the law under which it was reported that the component never runs

    @property
    def name(self) -> str:
        """The component's own name."""
        return str(getattr(self.component, "__name__", type(self.component).__name__))

    @property
    def label(self) -> str:
        """The call that makes it, as one would write it."""
        if isinstance(self.case, Mapping):
            return f"{self.name}({', '.join(f'{k}={_brief(v)}' for k, v in self.case.items())})"
        if isinstance(self.case, tuple):
            return f"{self.name}({', '.join(map(_brief, self.case))})"
        return self.name

    @property
    def is_stateful(self) -> bool:
        """Whether it carries a state from step to step."""
        return self.kind == "cell" or (self.kind == "layer" and hasattr(self.component, "scan"))

    @property
    def context(self) -> str | None:
        """Which steps an output may depend on, as declared, or by contract; None if nobody said."""
        return self.declared.context or ("past" if self.is_stateful else None)

    def make(self) -> Any:
        """The component as a user makes it; for a kind whose cases are options of a call, that call."""
        if self.kind in ("op", "initializer", "optimizer"):
            assert isinstance(self.case, Mapping)
            return functools.partial(self.component, **self.case)
        if not isinstance(self.case, Mapping | tuple):
            return self.case()
        args, kwargs = (self.case, {}) if isinstance(self.case, tuple) else ((), dict(self.case))
        try:
            inspect.signature(self.component).bind(*args, **kwargs)
        except TypeError as error:
            raise Undeclared(f"The case {self.label} is no call of {self.name}: {error}.") from None
        return self.component(*copy.deepcopy(args), **copy.deepcopy(kwargs))

    def build(self, dtype: Any = np.float64) -> Any:
        """The component in evaluation, with weights that are the same every time and special nowhere.

        Initial values would hide faults: a bias of zero, an identity, gates that are all alike.
        """
        random.seed(0)
        module = self.make()
        if isinstance(module, Module):
            module.eval()
            spread_weights(module, dtype)
        return module


def spread_weights(module: Module, dtype: Any, seed: int = 0) -> None:
    """Give every Parameter values between 0.2 and 0.9, of either sign."""
    rng = np.random.default_rng(seed)
    module.to(dtype)
    for parameter in module.parameters():
        values = rng.uniform(0.2, 0.9, parameter.shape) * rng.choice([-1.0, 1.0], parameter.shape)
        parameter.data[...] = values
        parameter.changed()


def kind_of(component: Any) -> str:
    """The kind of a component, from its base class. Raises Undeclared where there is none."""
    if isinstance(component, type):
        bases = {"cell": Cell, "loss": Loss, "head": Head, "metric": Metric, "optimizer": Optimizer}
        for kind, base in bases.items():
            if issubclass(component, base):
                return kind
        if issubclass(component, Module):
            return "model" if hasattr(component, "loss") else "layer"
    elif callable(component):
        return "op" if hasattr(component, "rule") else "initializer"
    raise Undeclared(
        f"{component!r} is no component that the conformance kit knows: pass a Cell, Layer, Loss, Head, "
        f"Metric or "
        f"Optimizer class, a primitive, or an initialiser; or say kind=, one of {', '.join(KINDS)}."
    )


def _brief(value: Any) -> str:
    if isinstance(value, Module):
        return str(repr(value).splitlines()[0].split("  #")[0])
    if isinstance(value, Parameter | np.ndarray):
        return f"array{value.shape}"
    return repr(value)
