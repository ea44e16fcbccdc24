"""Every named value inside a model's recurrences."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tinyseq import ops
from tinyseq.contracts import Cell
from tinyseq.engine import Tensor, no_grad
from tinyseq.errors import ConfigError, DataError, near
from tinyseq.lens.recording import Recording, recorded
from tinyseq.scan.state import flatten, names
from tinyseq.sequences import Sequences
from tinyseq.tasks import Predictor

LAST = "next"  # before the name of a field of the state after a step, where a local variable has that name


class Trace(Mapping[str, Sequences]):
    """Values by "layer.name", as Sequences; by their name alone, where a single layer has it.

    `layers` has them by layer and name, in the order in which the layers ran; a layer that ran again is
    "layer(2)". `tokens` are the words of each sequence, if the model was given raw text.
    """

    def __init__(
        self, layers: dict[str, dict[str, Sequences]], tokens: list[list[str]] | None = None
    ) -> None:
        self.layers = layers
        self.tokens = tokens
        self._full = {
            f"{layer}.{name}" if layer else name: values
            for layer, named in layers.items()
            for name, values in named.items()
        }

    def __getitem__(self, name: str) -> Sequences:
        """Raises ConfigError for a name that no layer has, or several have."""
        if name in self._full:
            return self._full[name]
        layers = [layer for layer, named in self.layers.items() if name in named]
        if len(layers) == 1:
            return self.layers[layers[0]][name]
        if layers:
            full = " or ".join(f"{layer}.{name}" for layer in layers)
            raise ConfigError(f"Several layers have a value {name!r}: say which, {full}.")
        raise ConfigError(
            f"There is no value {name!r}; there are {', '.join(self._full)}.{near(name, self._full)}"
        )

    def __contains__(self, name: object) -> bool:
        return name in self._full

    def __iter__(self) -> Iterator[str]:
        return iter(self._full)

    def __len__(self) -> int:
        return len(self._full)

    def __repr__(self) -> str:
        rows = [(name, repr(values)) for name, values in self.items()]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {values}" for name, values in rows)


def trace(model: Any, xs: Any, targets: Any = None) -> Trace:
    """What every local variable of every cell's `step` held when the step returned, at each position.

    model: a model, a layer, a Cell, or a Predictor of `tinyseq.load`, whose xs are raw texts. xs: what the
    model takes: Sequences, or a Tensor (batch, time, ...). With `targets` the head runs, too, as in training,
    and what it scans, such as a decoder's cell, is traced with the rest.

    A value is a Tensor with a row for each sequence, (steps, width) of each; parts of a tuple have dotted
    names, `state` is the state before the step. Beside these stand "output", and the fields of the state
    after the step, as "next.field" where a variable of that name holds something else. The values of a layer
    that reads backward stand at the positions that they are of. All is computed as in evaluation, step by
    step.

    Raises ConfigError if the model ran no recurrence, DataError for raw text without tokens.
    """
    model, xs, targets, tokens = opened(model, xs, targets)
    with no_grad(), recorded(model) as recordings:
        run(model, xs, targets)
    require(recordings, model)
    layers: dict[str, dict[str, Sequences]] = {}
    for recording in recordings:
        for layer, values in _values(recording).items():
            layers[numbered(layer, layers)] = values
    return Trace(layers, tokens)


def opened(model: Any, xs: Any, targets: Any) -> tuple[Any, Any, Any, list[list[str]] | None]:
    """A module, its inputs and targets; and the tokens of these, if they were raw text.

    The targets of raw texts are names of labels.
    """
    if isinstance(model, Cell):
        model = model.as_layer()
    if not isinstance(model, Predictor):
        return model, xs, targets, None
    xs = xs if isinstance(xs, str) else list(xs)
    if isinstance(xs, str) or not all(isinstance(text, str) for text in xs):
        raise DataError('A Predictor takes a list of texts: ["one text", "another"].')
    tokens = [model.task.reader.split(text) for text in xs]
    if not tokens or not all(tokens):
        raise DataError("Each text needs a token, or there is nothing to look at.")
    if targets is None:
        return model.model, model.task.inputs(tokens), None, tokens
    if len(targets) != len(tokens):
        raise DataError(f"{len(tokens)} texts need as many targets, not {len(targets)}.")
    return model.model, *model.task.collate(list(zip(tokens, targets, strict=True))), tokens


def run(model: Any, xs: Any, targets: Any) -> Any:
    """The model's features, or with targets its loss."""
    return model(xs) if targets is None else model.loss(xs, targets)


def require(recordings: Sequence[Recording], model: Any) -> None:
    """Raise ConfigError unless some scan ran."""
    if not recordings:
        raise ConfigError(
            f"{type(model).__name__} ran no recurrence that could be looked into: it needs a Cell, run by "
            "Recurrent or tinyseq.scan."
        )


def numbered(layer: str, taken: Mapping[str, Any]) -> str:
    """The layer's name, with how often it ran if it ran before."""
    name, count = layer, 1
    while name in taken:
        count += 1
        name = f"{layer}({count})"
    return name


def _values(recording: Recording) -> dict[str, dict[str, Sequences]]:
    """By layer and name, the values of one scan, in the order in which the step assigns them."""
    visits = recording.visits
    found: dict[str, dict[str, Sequences]] = {}
    for layer, named in visits[0].values.items():
        of_layer = found.setdefault(layer, {})
        for name in named:
            parts = [visit.values.get(layer, {}).get(name) for visit in visits]
            if (layer, name) in recording.rows and _have_rows(recording, parts):
                of_layer[name] = _joined(recording, parts)
    own = found.setdefault(recording.layer, {})
    for at, field in enumerate(names(visits[0].after)):
        _add(own, recording, field or "state", [flatten(visit.after)[at] for visit in visits])
    for at, part in enumerate(names(visits[0].output)):
        label = f"output.{part}" if part else "output"
        own[label] = _joined(recording, [flatten(visit.output)[at] for visit in visits])
    return {layer: values for layer, values in found.items() if values}


def _have_rows(recording: Recording, parts: list[Tensor | None]) -> bool:
    """Whether a variable, at every step, has a row for each sequence."""
    sizes = (recording.layout.sizes[recording.time(k)] for k in range(len(parts)))
    return all(part is not None and part.shape[:1] == (n,) for part, n in zip(parts, sizes, strict=True))


def _add(own: dict[str, Sequences], recording: Recording, name: str, parts: list[Tensor]) -> None:
    """A field of the state after each step, unless a variable of that name holds it already."""
    held = [visit.values.get(recording.layer, {}).get(name) for visit in recording.visits]
    if name not in own:
        own[name] = _joined(recording, parts)
    elif any(a is not b for a, b in zip(held, parts, strict=True)):
        own[f"{LAST}.{name}"] = _joined(recording, parts)


def _joined(recording: Recording, parts: list[Any]) -> Sequences:
    """The rows of all visits as Sequences."""
    in_time = parts[::-1] if recording.reverse else parts
    data: Tensor = ops.concatenate([part.detach() for part in in_time])
    return Sequences(data, recording.layout)
