"""What loading and giving weights share: which of a model's parts another library has, and under which names.

A library is a table of Formats by the registered name of the part. What has no Format is refused, whole.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from tinyseq.errors import ConfigError, DataError, brief, listed, near
from tinyseq.interop.arrays import Array
from tinyseq.nn import Module
from tinyseq.registry import entry_of

Arrays = dict[str, Array]


class Format(NamedTuple):
    """How a part's Parameters are written elsewhere, and read back; what makes it impossible, if anything.

    give(part, ours) -> theirs; take(part, theirs) -> ours; refusal(part) -> a sentence, or "".
    """

    give: Callable[[Any, Arrays], Arrays]
    take: Callable[[Any, Arrays], Arrays]
    refusal: Callable[[Any], str] = lambda part: ""
    optional: tuple[str, ...] = ()  # biases, which are 0 where another library's layer has none


class Part(NamedTuple):
    """A part of a model, the path of its Parameters here, and the name that each of its arrays has there."""

    path: str
    module: Any
    format: Format
    key: Callable[[str], str]


def kind_of(module: Any) -> str:
    """Kind and name of a component of tinyseq's own, as "cell:gru"; "" for any other."""
    entry = entry_of(type(module))
    return f"{entry.kind.name}:{entry.name}" if entry and entry.distribution == "tinyseq" else ""


def give(parts: list[Part]) -> Arrays:
    """The arrays of all parts under their names elsewhere."""
    found: Arrays = {}
    for part in parts:
        for name, array in part.format.give(part.module, part.module.state_dict()).items():
            found[part.key(name)] = np.array(array, order="C")
    return found


def take(layer: Module, parts: list[Part], found: Mapping[str, Array], library: str) -> None:
    """Give the Parameters of all parts the values of `found`.

    Raises DataError that names every missing, unexpected and ill-fitting array; then nothing is loaded.
    """
    shapes = {key: array.shape for key, array in give(parts).items()}
    absent = _without_biases(parts, found)
    problems = [
        f"{key} is missing{near(key, found)}" for key in shapes if key not in found and key not in absent
    ]
    problems += [f"{brief(key)} is {_unknown(key, shapes)}" for key in found if key not in shapes]
    for key, shape in shapes.items():
        if key not in found:
            continue
        if found[key].shape != shape:
            problems.append(f"{key} has shape {found[key].shape} where {shape} belongs")
        elif found[key].dtype.kind != "f":
            problems.append(f"{key} holds {found[key].dtype}, not floating-point numbers")
    if problems:
        raise DataError(
            f"These weights of {library} do not fit {type(layer).__name__}: {listed(problems, 8, '; ')}."
        )
    values = {}
    for part in parts:
        theirs = part.format.give(part.module, part.module.state_dict())
        arrays = {
            name: _widened(found[part.key(name)], array) if part.key(name) in found else np.zeros_like(array)
            for name, array in theirs.items()
        }
        values[part.path] = part.format.take(part.module, arrays)
    for part in parts:
        part.module.load_state_dict(values[part.path])


def _widened(array: Array, ours: Array) -> Array:
    """`array` in the finer of both dtypes, in which two biases are added up."""
    return array.astype(np.result_type(array.dtype, ours.dtype))


def _without_biases(parts: list[Part], found: Mapping[str, Array]) -> set[str]:
    """The biases of layers that were made without any: all are missing, or one is a fault of the file."""
    biases = {part.key(name) for part in parts for name in part.format.optional}
    return set() if any(key in found for key in biases) else biases


def _unknown(key: str, shapes: Mapping[str, Any]) -> str:
    if "weight_hr" in key:
        return "a projection of the output (proj_size), which no cell here has"
    return "not in the layer"


def walk(
    layer: Module,
    formats: Mapping[str, Format],
    stack: Callable[[Module, str, str], Iterator[Part] | None],
    library: str,
    joint: str,
) -> list[Part]:
    """All parts of `layer` that hold Parameters; `stack` reads what another library has as one layer.

    stack(module, path here, prefix there) gives the parts of a recurrence, or None for any other module.
    Raises ConfigError for a part that the library has not.
    """

    def of(module: Module, path: str, prefix: str) -> Iterator[Part]:
        stacked = stack(module, path, prefix)
        if stacked is not None:
            yield from stacked
            return
        form = formats.get(kind_of(module))
        if form is not None:
            yield Part(path, module, form, (prefix + "{}").format)
            return
        for name, member in module.members():
            if not isinstance(member, Module):
                raise ConfigError(
                    f"{library} has no {type(module).__name__}, so its parameter "
                    f"{path}{name} cannot be exchanged: exchange the other parts by themselves."
                )
            if any(True for _ in member.parameters()):
                yield from of(member, f"{path}{name}.", prefix + name.replace(".", joint) + joint)

    parts: list[Part] = []
    known: set[int] = set()
    for part in of(layer, "", ""):
        refused = part.format.refusal(part.module)
        if refused:
            raise ConfigError(refused)
        if id(part.module) not in known:
            known.add(id(part.module))
            parts.append(part)
    return parts


# What both libraries write alike, but for the names.


def renamed(turn: bool = False, **names: str) -> Format:
    """Arrays under other names, matrices turned around if `turn`; names: ours=theirs."""
    back = {theirs: ours for ours, theirs in names.items()}

    def view(array: Array) -> Array:
        return array.T if turn and array.ndim == 2 else array

    return Format(
        lambda part, ours: {names[name]: view(array) for name, array in ours.items()},
        lambda part, theirs: {back[name]: view(array) for name, array in theirs.items()},
    )


def negated(block: int, blocks: int, array: Array) -> Array:
    """`array` with one of the equal blocks of its last axis negated.

    That is how a gate that keeps becomes one that lets in: 1 - sigmoid(u) = sigmoid(-u).
    """
    signs = np.ones(blocks, array.dtype)
    signs[block] = -1
    return array * np.repeat(signs, array.shape[-1] // blocks)


def reordered(order: tuple[int, ...], array: Array) -> Array:
    """`array` with the equal blocks of its last axis in another order."""
    blocks = np.split(array, len(order), axis=-1)
    return np.concatenate([blocks[i] for i in order], axis=-1)
