"""Arrays of others: from mappings of anything array-like, and from safetensors files."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinyseq.engine import Tensor
from tinyseq.errors import DataError, brief, listed
from tinyseq.files.container import check_header

Array = np.ndarray[Any, Any]
Source = Mapping[str, Any] | str | os.PathLike[str]

_DTYPES = {
    "F16": "<f2", "F32": "<f4", "F64": "<f8", "BF16": "<u2", "I8": "<i1", "I16": "<i2", "I32": "<i4",
    "I64": "<i8", "U8": "<u1", "U16": "<u2", "U32": "<u4", "U64": "<u8", "BOOL": "?",
}  # fmt: skip


def arrays_of(source: Source, prefix: str = "") -> dict[str, Array]:
    """The arrays whose names begin with `prefix`, under the rest of their names.

    source: a mapping, or the path of a safetensors file; of the file nothing is run and nothing guessed.
    Raises DataError for a file that is missing or damaged, for a value that is no array of numbers, and
    where no name begins with `prefix`.
    """
    if isinstance(source, str | os.PathLike):
        found: Mapping[str, Any] = read_safetensors(source)
    elif isinstance(source, Mapping):
        found = source
    else:
        raise DataError(
            f"Weights come as a mapping of names to arrays, such as a state dict, or as the path of a "
            f"safetensors file, not as {type(source).__name__}."
        )
    for name in found:
        if not isinstance(name, str):
            raise DataError(f"The names of weights are strings, not {brief(name)}.")
    chosen = {name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix)}
    if prefix and not chosen:
        raise DataError(f"No weight's name begins with {prefix!r}; there are {_some(list(found))}.")
    return {name: as_array(name, value) for name, value in chosen.items()}


def as_array(name: str, value: Any) -> Array:
    """`value`, a Tensor of whatever library or anything NumPy reads, as an array in host memory."""
    if isinstance(value, Tensor):
        return value.numpy()
    for method in ("detach", "cpu"):  # torch's spelling of: without its history, in host memory
        if hasattr(value, method):
            value = getattr(value, method)()
    if str(getattr(value, "dtype", "")) == "torch.bfloat16":  # NumPy has none
        value = value.float()
    try:
        array = np.asarray(value)
    except Exception as error:
        raise DataError(f"{brief(name)} cannot be read as an array: {brief(str(error))}.") from None
    if array.dtype.kind not in "biuf":
        raise DataError(f"{brief(name)} holds {array.dtype}, not numbers.")
    return array


def read_safetensors(path: str | os.PathLike[str]) -> dict[str, Array]:
    """Every array of a safetensors file, whoever wrote it; bfloat16 becomes float32.

    Raises DataError, in one sentence, for a file that is missing, damaged, or of a type that NumPy lacks.
    """
    from safetensors import SafetensorError, deserialize

    path = Path(path)
    _refuse_others(path)
    check_header(path)
    try:
        read: Any = deserialize  # which has no types
        entries = read(path.read_bytes())
    except SafetensorError as error:
        raise DataError(f"{path} is no safetensors file, or was cut short ({brief(str(error))}).") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None
    arrays = {}
    for name, entry in entries:
        dtype = _DTYPES.get(entry["dtype"])
        if dtype is None:
            raise DataError(f"{path}: {brief(name)} holds {entry['dtype']}, which NumPy cannot read.")
        array: Array = np.frombuffer(entry["data"], dtype).reshape(entry["shape"])
        if entry["dtype"] == "BF16":  # the upper half of a float32
            array = (array.astype("<u4") << 16).view("<f4")
        arrays[name] = array
    return arrays


_OTHERS = {
    b"PK": "a zip file, as torch.save and Keras write",
    b"\x80": "a pickle, which may run any code",
    b"\x89HDF": "an HDF5 file, as Keras writes",
}


def _refuse_others(path: Path) -> None:
    """Raise DataError for a file of another format that weights often come in."""
    try:
        with open(path, "rb") as file:
            start = file.read(16)
    except OSError:
        return  # said where the file is read
    # no header of safetensors is as long as these bytes would say, or begins with anything but a brace
    found = [said for magic, said in _OTHERS.items() if start.startswith(magic) and start[8:9] != b"{"]
    if found:
        raise DataError(f"{path} is {found[0]}: save the weights as safetensors there, or pass the arrays.")


def write_safetensors(path: str | os.PathLike[str], arrays: Mapping[str, Array]) -> None:
    """The arrays as a plain safetensors file, which is the old one or the new one at any instant."""
    from safetensors.numpy import save

    from tinyseq.files import atomic_write

    try:
        atomic_write(path, save({name: np.asarray(array, order="C") for name, array in arrays.items()}))
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}.") from None


def _some(names: list[str]) -> str:
    return listed(map(brief, names)) or "none"
