"""Damaged and forged files by the thousand: each is read, or refused in a sentence, in no time.

    python -m tests.registry.fuzz --count 10000 [--seed 0]

A fifth each: model files with bytes changed, with a forged record, with forged arrays; configurations; run
files. Anything but the errors that are promised ends the command with its kind and number.
"""

import argparse
import json
import random
import re
import resource
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save as safetensors_bytes

import tinyseq
from tinyseq import Recurrent
from tinyseq.errors import ConfigError, DataError, PluginError
from tinyseq.files.container import open_container
from tinyseq.nn import Embedding, Linear, Module, SequenceModel, Sequential
from tinyseq.registry import check as check_config
from tinyseq.registry.run_file import check as check_run

SENTENCE = 1500  # characters; an unknown name lists what there is

DEEP = [json.loads("[" * 500 + "]" * 500), json.loads('{"a":' * 500 + "1" + "}" * 500)]
SCALARS = [None, True, -1, 0, 3, 10**6, 10**12, 10**400, 0.5, -1e308]
STRINGS = ["", "lstm", "cell:lstm", "layer:sequential@1", "os.system", "../../x", "x" * 10**4, "\0", "\ud800"]
PARTS = [[], {}, [[]], {"class": "cell:lstm"}, {"is": "embed"}, {"class": "dropout"}, {"from": "tinyseq 1"}]
KEYS = ["class", "from", "is", "cell", "layers", "init", "x\n"]
VALUES = [*DEEP, *SCALARS, *STRINGS, *PARTS]

RUN = """\
# names of characters
[model.embed]
class = "embedding"
num_embeddings = "data.vocabulary_size"
embedding_size = 6

[model.encoder]
class = "deep"
layers = [
    { class = "lstm", input_size = 6, hidden_size = 5 },
    { class = "gru", input_size = 5, hidden_size = 6, reset = "before" },
]

[model.head]
class = "language-model"
input_size = 6
vocabulary_size = "data.vocabulary_size"
tied = { is = "embed" }

[data]
text = "novel.txt"
window = 16

[training]
epochs = 3
clip = 1
optimizer = { class = "adamw", lr = 2e-3, betas = [0.9, 0.99] }
"""
PIECES = [*RUN.split("\n"), *"\"[]{}=.,#'\\", "[[model]]", '"""', "\0", "é", "is = 3", "nan", "9" * 30]

Draw = random.Random


def damaged(content: bytes, draw: Draw) -> bytes:
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


def forged(record: Any, draw: Draw) -> Any:
    """The record with values replaced, removed, renamed, added or moved."""
    record = json.loads(json.dumps(record))
    for _ in range(draw.choice([1, 1, 2, 4])):
        found = _places(record, [])
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


def _places(value: Any, found: list[tuple[Any, Any]], depth: int = 0) -> list[tuple[Any, Any]]:
    """Every container inside a JSON value, with its keys; those far down only by what holds them."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    for key in keys if depth < 20 else []:
        found.append((value, key))
        _places(value[key], found, depth + 1)
    return found


def forged_arrays(arrays: dict[str, Any], draw: Draw) -> dict[str, Any]:
    """The arrays with one left out, named otherwise, or of another shape or type."""
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
    return forgery


def mutated(text: str, draw: Draw) -> str:
    """The text with characters cut out, and pieces of it or of TOML's grammar put in."""
    for _ in range(draw.choice([1, 1, 2, 5])):
        at = draw.randrange(len(text))
        cut = draw.choice([0, 0, 1, 9, 40])
        text = text[:at] + draw.choice(["", "", "\n", draw.choice(PIECES)]) + text[at + cut :]
    return text


def rewrite(path: Path, content: bytes) -> None:
    """Replace a file's content in place, which costs a tenth of a new file."""
    path.touch()
    with open(path, "r+b") as file:
        file.write(content)
        file.truncate()


def outcome(path: Path, content: bytes) -> str:
    """What loading gives: "loaded", or the name of the refusal; anything else escapes."""
    rewrite(path, content)
    try:
        tinyseq.describe(path)
        model = tinyseq.load(path)
    except (DataError, PluginError) as error:
        return _refusal(error)
    assert isinstance(model, Module), repr(model)
    return "loaded"


def config_outcome(config: Any) -> str:
    """What building gives: "built", or the name of the refusal; checking must say the same."""
    mistakes = check_config(config)
    if not mistakes:
        tinyseq.build(config)
        return "built"
    assert all(0 < len(str(mistake)) < SENTENCE for mistake in mistakes)
    try:
        tinyseq.build(config)
    except (ConfigError, PluginError) as error:
        return type(error).__name__
    except MemoryError:  # check() found the size of it without taking any
        return "ConfigError"
    raise AssertionError(f"check() found what build() did not: {mistakes}")


def run_outcome(path: Path, text: str) -> str:
    """What checking a run file gives: "no mistakes", or "mistakes", each of which has a line."""
    rewrite(path, text.encode())
    mistakes = check_run(path)
    for mistake in map(str, mistakes):
        found = re.match(r"line (\d+): .", mistake)
        assert found, mistake
        assert 1 <= int(found[1]) <= text.count("\n") + 1, mistake
        assert len(mistake) < 1000, mistake
    return "mistakes" if mistakes else "no mistakes"


def _refusal(error: Exception) -> str:
    assert 0 < len(str(error)) < SENTENCE, error
    return type(error).__name__


def good_model(path: Path) -> tuple[bytes, dict[str, Any], dict[str, Any]]:
    """The bytes of a good file at `path`, its record and its arrays."""
    tinyseq.seed(5)
    cells = tinyseq.cells
    encoder = tinyseq.layers["deep"](Recurrent(cells["lstm"](2, 2)), cells["gru"](2, 3))
    model = SequenceModel(Embedding(5, 2), encoder, Sequential(Linear(3, 5)))
    tinyseq.save(path, model, extra={"vocabulary": ["a", "b", "c"]})
    with open_container(path) as file:
        return path.read_bytes(), file.record, {name: file.array(name) for name in file.shapes}


def attacks(folder: Path) -> dict[str, Callable[[Draw], str]]:
    """Each kind of attack: a function that draws one, tries it in `folder`, and gives what became of it."""
    content, record, arrays = good_model(folder / "good")
    (folder / "novel.txt").write_text("once")
    file, run, text = folder / "file", folder / "run.toml", json.dumps(record)

    def packed(arrays: dict[str, Any], text: str) -> bytes:
        return safetensors_bytes(arrays, metadata={"tinyseq": text})

    return {
        "bytes of a model file": lambda draw: outcome(file, damaged(content, draw)),
        "record of a model file": lambda draw: outcome(
            file, packed(arrays, json.dumps(forged(record, draw)))
        ),
        "arrays of a model file": lambda draw: outcome(file, packed(forged_arrays(arrays, draw), text)),
        "configuration": lambda draw: config_outcome(forged(record["config"], draw)),
        "run file": lambda draw: run_outcome(run, mutated(RUN, draw)),
    }


def attempt(attack: Callable[[Draw], str], name: str, number: int, seed: int = 0) -> str:
    """What became of one attack; its number and the seed decide what is drawn."""
    return attack(random.Random(f"{name} {seed} {number}"))


def memory() -> float:
    """The most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def main() -> None:
    """Attack, and say what became of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kinds = attacks(Path(folder))
        before, files = memory(), set(Path(folder).iterdir())
        for i, (name, attack) in enumerate(kinds.items()):
            seen: Counter[str] = Counter()
            slowest = 0.0
            for number in range((args.count + i) // len(kinds)):
                began = time.perf_counter()
                try:
                    seen[attempt(attack, name, number, args.seed)] += 1
                except Exception as error:
                    sys.exit(f"{name} {number}, seed {args.seed}: {type(error).__name__}: {error}")
                slowest = max(slowest, time.perf_counter() - began)
            figures = ", ".join(f"{n:,} {what}" for what, n in sorted(seen.items()))
            print(f"{name:24}{sum(seen.values()):7,}: {figures}; the slowest took {slowest * 1e3:.0f} ms")
        left = {path.name for path in set(Path(folder).iterdir()) - files} - {"file", "run.toml"}
        print(f"memory grew by {memory() - before:.0f} MiB; files left behind: {', '.join(left) or 'none'}")


if __name__ == "__main__":
    main()
