"""What a writer of any format asks of a model: what goes in, and which head answers."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinyseq.errors import ConfigError
from tinyseq.interop.weights import kind_of
from tinyseq.nn import Embedding, Module, Residual, Sequential, TokenFeatures


def step_of(model: Any) -> tuple[tuple[int, ...], Any]:
    """The shape and dtype of one step of what `model` reads. Raises ConfigError for one that does not say."""
    first = first_of(model)
    if isinstance(first, TokenFeatures):
        return (3,), np.dtype(np.int64)
    if isinstance(first, Embedding):
        return (), np.dtype(np.int64)
    width = getattr(first, "input_size", None) or getattr(first, "size", None)
    width = width or getattr(head_of(model), "input_size", None)
    if not isinstance(width, int | np.integer):
        raise ConfigError(f"{type(first).__name__} does not say its input_size, the width of a step.")
    parameter = next(iter(model.parameters()), None)
    return (int(width),), np.dtype(np.float32) if parameter is None else parameter.dtype


def first_of(model: Any) -> Any:
    """The module that reads what goes in, None for a model that reads nothing."""
    return next(_flattened(model.embed, model.encoder), None)


def head_of(model: Any) -> Any:
    """The head that predicts: inside of one that differs from it in training only."""
    head = model.head
    while kind_of(head) == "head:activation-penalty":
        head = head.head
    return head


def _flattened(*modules: Any) -> Iterator[Any]:
    """The modules that a batch meets, those that hold others opened."""
    for module in modules:
        if type(module) is Sequential or kind_of(module) == "layer:deep":
            yield from _flattened(*module.layers)
        elif type(module) is Residual:
            yield from _flattened(module.layer)
        elif isinstance(module, Module) and not kind_of(module).endswith("dropout"):
            yield module
