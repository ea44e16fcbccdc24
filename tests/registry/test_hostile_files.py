"""Thousands of damaged and forged files: each loads or makes one sentence, in bounded memory and no time."""

import json
import random
import struct

import numpy as np
import pytest
from safetensors.numpy import save as safetensors_bytes

import tinyseq
from tinyseq import Recurrent
from tinyseq.errors import DataError, PluginError
from tinyseq.nn import Embedding, Linear, Module, SequenceModel, Sequential
from tinyseq.registry.container import open_container

COUNT = 2500
SENTENCE = 1500  # characters; an unknown name lists what there is


@pytest.fixture
def whole(tmp_path):
    """The bytes of a good file, its record and its arrays."""
    tinyseq.seed(5)
    model = SequenceModel(
        Embedding(5, 2),
        tinyseq.layers["deep"](Recurrent(tinyseq.cells["lstm"](2, 2)), tinyseq.cells["gru"](2, 3)),
        Sequential(Linear(3, 5)),
    )
    path = tmp_path / "good"
    tinyseq.save(path, model, extra={"vocabulary": ["a", "b", "c"]})
    with open_container(path) as file:
        return path.read_bytes(), file.record, {name: file.array(name) for name in file.shapes}


def outcome(path, content):
    """What loading gives: "loaded", or the name of the refusal; anything else escapes and fails the test."""
    path.touch()
    with open(path, "r+b") as file:  # a file that is made shorter in place costs a tenth of a new one
        file.write(content)
        file.truncate()
    try:
        tinyseq.describe(path)
        model = tinyseq.load(path)
    except (DataError, PluginError) as error:
        return type(error).__name__ if 0 < len(str(error)) < SENTENCE else str(error)
    return "loaded" if isinstance(model, Module) else repr(model)


def damaged(content, draw):
    """Bytes flipped, overwritten, cut out, doubled or cut off; mostly in the header, where it hurts."""
    data = bytearray(content)
    header = 8 + struct.unpack("<Q", content[:8])[0]
    for _ in range(draw.choice([1, 1, 2, 8])):
        at = draw.randrange(draw.choice([8, header, len(data)]) if len(data) > header else len(data) or 1)
        span = draw.choice([1, 1, 4, 64])
        kind = draw.randrange(5)
        if kind == 0:
            data[at : at + 1] = bytes([data[at] ^ 1 << draw.randrange(8)])
        elif kind == 1:
            data[at : at + span] = draw.randbytes(span)
        elif kind == 2:
            del data[at : at + span]
        elif kind == 3:
            data[at:at] = data[at : at + span]
        else:
            del data[at:]
        if not data:
            break
    return bytes(data)


DEEP = [json.loads("[" * 500 + "]" * 500), json.loads('{"a":' * 500 + "1" + "}" * 500)]
SCALARS = [None, True, -1, 0, 3, 10**6, 10**12, 10**400, 0.5, -1e308]
STRINGS = ["", "lstm", "cell:lstm", "layer:sequential@1", "os.system", "../../x", "x" * 10**4, "\0", "\ud800"]
PARTS = [[], {}, [[]], {"class": "cell:lstm"}, {"is": "embed"}, {"class": "dropout"}, {"from": "tinyseq 1"}]
KEYS = ["class", "from", "is", "cell", "layers", "init", "x\n"]
VALUES = [*DEEP, *SCALARS, *STRINGS, *PARTS]


def places(value, found, depth=0):
    """Every container inside a JSON value, with its keys; those far down only by what holds them."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    for key in keys if depth < 20 else []:
        found.append((value, key))
        places(value[key], found, depth + 1)
    return found


def forged(record, draw):
    """The record with values replaced, removed, renamed, added or moved."""
    record = json.loads(json.dumps(record))
    for _ in range(draw.choice([1, 1, 2, 4])):
        found = places(record, [])
        if not found:
            break
        container, key = draw.choice(found)
        kind = draw.randrange(4)
        if kind == 0:
            container[key] = draw.choice(VALUES)
        elif kind == 1:
            del container[key]
        elif kind == 2 and isinstance(container, dict):
            container[draw.choice(KEYS)] = container.pop(key)
        else:
            other, there = draw.choice(found)
            container[key] = json.loads(json.dumps(other[there]))
    return record


def test_damaged_files(whole, tmp_path):
    content, _, _ = whole
    draw = random.Random(1)
    seen = {outcome(tmp_path / "file", damaged(content, draw)) for _ in range(COUNT)}
    assert seen == {"loaded", "DataError", "PluginError"}


def test_forged_records(whole, tmp_path):
    _, record, arrays = whole
    draw = random.Random(2)
    seen = set()
    for _ in range(COUNT):
        text = json.dumps(forged(record, draw))
        seen.add(outcome(tmp_path / "file", safetensors_bytes(arrays, metadata={"tinyseq": text})))
    assert seen == {"loaded", "DataError", "PluginError"}


def test_forged_arrays(whole, tmp_path):
    _, record, arrays = whole
    draw = random.Random(3)
    text = json.dumps(record)
    seen = set()
    for _ in range(COUNT // 5):
        forgery = dict(arrays)
        name = draw.choice(list(forgery))
        kind = draw.randrange(5)
        if kind == 0:
            del forgery[name]
        elif kind == 1:
            forgery[draw.choice(["x", "../x", "", "embed", "\n"])] = forgery[name]
        elif kind == 2:
            forgery[name] = forgery[name].reshape(-1)
        elif kind == 3:
            forgery[name] = forgery[name].astype(draw.choice([np.int8, np.bool_, np.float64, np.uint64]))
        else:
            forgery[name] = forgery[name][:0]
        seen.add(outcome(tmp_path / "file", safetensors_bytes(forgery, metadata={"tinyseq": text})))
    assert seen == {"loaded", "DataError"}  # a Parameter in float64 is none the worse for it


def header(content, described):
    text = json.dumps(described).encode()
    return struct.pack("<Q", len(text)) + text + content


@pytest.mark.parametrize(
    "described",
    [
        {"a": {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [2**31, 2**31], "data_offsets": [0, 2**64 - 1]}},
        {"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [8, 12]}},
        {"a": {"dtype": "OBJECT", "shape": [1], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F32", "shape": [[[1]]], "data_offsets": [0, 4]}},
        {"__metadata__": {"tinyseq": {"format": "tinyseq.model"}}},
        {"__metadata__": [1]},
        [],
        None,
    ],
)
def test_forged_headers(described, tmp_path):
    assert outcome(tmp_path / "file", header(b"\0" * 16, described)) == "DataError"


def test_a_header_nested_a_million_deep(tmp_path):
    text = b"[" * 10**6
    assert outcome(tmp_path / "file", struct.pack("<Q", len(text)) + text) == "DataError"
