"""The kinds of plugin: what each is called, where packages offer it, and what its classes must define."""

from typing import NamedTuple


class Kind(NamedTuple):
    """One kind of plugin; `base` is the import path of its base class, empty where any callable will do."""

    name: str
    plural: str
    base: str
    methods: tuple[str, ...] = ()
    variadic: bool = False
    """Whether a constructor may take `*parts`, as one that composes other components does."""

    @property
    def group(self) -> str:
        """The entry-point group in which a package offers plugins of this kind."""
        return f"tinyseq.{self.plural}"


KINDS = (
    Kind("cell", "cells", "tinyseq.contracts:Cell", ("initial_state", "step")),
    Kind(
        "wrapper", "wrappers", "tinyseq.contracts:Cell", ("initial_state", "step")
    ),  # a cell made of another
    Kind("layer", "layers", "tinyseq.nn:Module", ("forward",), variadic=True),
    Kind("loss", "losses", "tinyseq.contracts:Loss", ("forward",)),
    Kind("head", "heads", "tinyseq.contracts:Head", ("loss", "predict")),
    Kind("model", "models", "tinyseq.nn:Module", ("forward", "loss")),
    Kind("metric", "metrics", "tinyseq.contracts:Metric", ("update", "merge", "value")),
    Kind("optimizer", "optimizers", "tinyseq.optim:Optimizer", ("update",)),
    Kind("initializer", "initializers", ""),
    Kind("recipe", "recipes", ""),
    Kind("emitter", "emitters", ""),
)
