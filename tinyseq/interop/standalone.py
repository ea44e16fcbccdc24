"""A model as one Python file that predicts with nothing but NumPy, written from the traces of its steps."""

import ast
import inspect
import io
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

import tinyseq
from tinyseq.backend import to_numpy
from tinyseq.data.tokens import capitalisation
from tinyseq.data.vocabulary import UNITS, Vocabulary
from tinyseq.engine import Tensor, no_grad
from tinyseq.errors import ConfigError
from tinyseq.files import atomic_write
from tinyseq.interop import runtime
from tinyseq.interop.model import first_of, head_of, step_of
from tinyseq.interop.parts import Parts
from tinyseq.nn import Embedding, SequenceModel, TokenFeatures
from tinyseq.tasks.reader import Reader

_HEADER = '''\
"""{module}, written by tinyseq {version}: it needs NumPy, and its weights in {module}.npz beside it.

    import {module}

    {module}.predict([{example}, {other}])
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Array = Any  # of NumPy

with np.load(Path(__file__).with_suffix(".npz"), allow_pickle=False) as _file:
'''

_START = '''\
def start(batch):
    """The state before the first step of `batch` sequences."""
    {state}
'''

_PREDICT = '''\
def predict(sequences):
    """What the model says of each sequence, {what} for each step; in the order in which they are given."""
    rows, sizes, order = pack(sequences, {shape}, ids={ids})
    rows, state = {encoder}
    {head}
    return {answer}
'''

_STEP = '''\
def step(x, state):
    """What the model says after one more step of each sequence, x: (batch, ...), and the state then."""
    rows = steps(x, {shape}, ids={ids})
    sizes, state = np.array([len(rows)]), fitting(state, start(len(rows)))
    rows, state = {encoder}
    {head}
    return answers, state
'''

_SYMBOLS = '''\
SYMBOLS = {symbols}
_ids = {{symbol: i for i, symbol in enumerate(SYMBOLS)}}


def encode({given}):
    """The ids of {what}.{unknown}"""
{check}    return np.array([{get} for symbol in {split}], np.int64)
'''

_READ = '''\
{constants}


def encode({given}):
    """The ids of {what}; the symbols stand in SYMBOLS.{more}"""
    if {wrong}:
        raise ValueError("give {what}")
    words = {split}
    looked_up = [{normal} for word in words]
    ids = np.array([_ids.get(word, {unknown}) for word in looked_up], np.int64)
    return {answer}
'''

_WITHOUT_UNKNOWN = """\
    strange = [symbol for symbol in {split} if symbol not in _ids]
    if strange:
        raise ValueError(f"there is no id for {{strange[0]!r}}")
"""

_GIVEN = """\
    if {wrong}:
        raise ValueError("give {what}")
"""

_NAMES = '''\
{constant}def decode(ids):
    """{text}"""
    if not all(isinstance(i, int | np.integer) and 0 <= i < len({names}) for i in ids):
        raise ValueError(f"ids are whole numbers from 0 to {{len({names}) - 1}}")
    return {joined}
'''


def to_python(
    model: SequenceModel,
    path: str | os.PathLike[str],
    *,
    vocabulary: Vocabulary | Reader | None = None,
    labels: Vocabulary | None = None,
) -> None:
    """Write `model` to the file `path`, NAME.py, and its weights beside it, NAME.npz; they need NumPy only.

    The file's `predict(sequences)` takes an array of ids or features for each sequence, of any lengths, and
    answers what `model.predict` does in evaluation mode, one array for each. Where no step waits for a later
    one, its `start(batch)` and `step(x, state)` read step by step. With the `vocabulary` of the ids, the file
    has `encode(text)` and `decode(ids)` too; with the `labels` of what is predicted, they are of a list of
    words and of labels. With the Reader of a task, `encode` does all that it does but cut a text into words.
    Bad input is a ValueError there, in one sentence. Raises ConfigError, which names the part of the model,
    for one that cannot be written; no file is written then.
    """
    target = Path(path)
    if target.suffix != ".py" or not target.stem.isidentifier():
        raise ConfigError(
            f"{target} cannot be imported: give the name of a Python module, such as tagger.py."
        )
    if not isinstance(model, SequenceModel):
        raise ConfigError(f"to_python() writes a SequenceModel, not a {type(model).__name__}.")
    with no_grad(), model.evaluating():
        program = _Program(model)
        source = program.source(target.stem, vocabulary, labels)
    weights = io.BytesIO()
    np.savez(weights, **program.weights)
    atomic_write(target.with_suffix(".npz"), weights.getvalue())
    atomic_write(target, source.encode())


class _Program:
    """The functions and weights of a file while it is written."""

    def __init__(self, model: SequenceModel) -> None:
        self.model = model
        self.paths = {id(p): path for path, p in model.named_parameters()}
        self.weights: dict[str, Any] = {}
        self.functions: list[str] = []
        self.names: set[str] = set()

    def source(self, module: str, vocabulary: Vocabulary | Reader | None, labels: Vocabulary | None) -> str:
        """The whole file."""
        model, parts = self.model, Parts(self)
        reads = first_of(model)
        ids = isinstance(reads, Embedding | TokenFeatures)
        step, dtype = step_of(model)
        like = np.zeros((1, *step), dtype)
        shape = (None,) if isinstance(reads, TokenFeatures) else like.shape[1:]
        embed = parts.part(model.embed, "embed", like)
        encoder = parts.part(model.encoder, "encoder", embed.gives)
        head = parts.head(head_of(model), encoder.gives)
        if embed.start:
            raise ConfigError("The embedding of a program has no state: put recurrent layers in the encoder.")
        words = {
            "what": "ids" if ids else "features",
            "shape": shape,
            "ids": ids,
            "head": "\n    ".join(head.lines),
            "answer": head.answer,
        }
        rows = f"{embed.name}(rows)"
        if encoder.start:
            state = _without_brackets(f"return {encoder.start.format(batch='batch')}")
            self.functions.append(_START.format(state=state))
        first = encoder.call(rows, "start(len(order))")
        self.functions.append(_PREDICT.format(encoder=first, **words))
        if head.streams and encoder.streams and encoder.start:
            self.functions.append(_STEP.format(encoder=encoder.call(rows), **words))
        if isinstance(vocabulary, Reader):
            self.functions += _reading(vocabulary)
            self.functions += [] if labels is None else [_labels(labels)]
        elif vocabulary is not None:
            self.functions += _symbols(vocabulary, labels)
        example = ("[3, 1, 4]", "[1, 5]") if type(reads) is Embedding else ("first", "second")
        header = _HEADER.format(
            module=module, version=tinyseq.__version__, example=example[0], other=example[1]
        )
        loaded = "\n".join(f'    {name} = _file["{name}"]' for name in self.weights) or "    pass"
        return "\n\n\n".join([header + loaded, *self._runtime(), *map(str.rstrip, self.functions)]) + "\n"

    def _runtime(self) -> list[str]:
        """The source of the functions that the file calls, directly or through others."""
        sources = {name: inspect.getsource(f) for name, f in vars(runtime).items() if inspect.isfunction(f)}
        found, waiting = set[str](), ["\n".join(self.functions)]
        while waiting:
            text = waiting.pop()
            called = [name for name in sources if name not in found and re.search(rf"\b{name}\(", text)]
            found.update(called)
            waiting += [sources[name] for name in called]
        return [source.rstrip() for name, source in sources.items() if name in found]

    def weight(self, tensor: Any) -> str:
        """The name that a weight has in the file."""
        name = self.paths.get(id(tensor), f"constant.{len(self.weights)}").replace(".", "_")
        self.weights[name] = to_numpy(tensor.data if isinstance(tensor, Tensor) else tensor)
        return name

    def function(self, wish: str, arguments: str, lines: list[str], text: str) -> str:
        """Write a function down; gives its name."""
        name = wish
        while name in self.names or hasattr(runtime, name):
            name += "_"
        self.names.add(name)
        tidy = [_without_brackets(line) for line in lines]
        body = "\n".join(f"    {line}" for line in [f'"""{text}"""', *tidy])
        self.functions.append(f"def {name}({arguments}):\n{body}")
        return name


def _without_brackets(line: str) -> str:
    """A statement without brackets that mean nothing."""
    (statement,) = ast.parse(line).body
    if isinstance(statement, ast.Return) and isinstance(statement.value, ast.Tuple):
        parts = [ast.unparse(part) for part in statement.value.elts]
        return f"return {', '.join(parts)}" if len(parts) > 1 else f"return ({parts[0]},)"
    return ast.unparse(statement)


def _symbols(vocabulary: Vocabulary, labels: Vocabulary | None) -> list[str]:
    """Functions from texts, or lists of words, to ids, and from ids to texts or labels."""
    unknown, words = vocabulary.unknown, labels is not None
    given = "words" if words else "text"
    split = given if words or vocabulary.unit == "char" else f"{given}.split()"
    what = "a list of words, cut as those that the model learnt from" if words else "a text"
    wrong = "isinstance(words, str)" if words else "not isinstance(text, str)"
    check = _GIVEN.format(wrong=wrong, what=what)
    check += _WITHOUT_UNKNOWN.format(split=split) if unknown is None else ""
    get = "_ids[symbol]" if unknown is None else f"_ids.get(symbol, {vocabulary.id(unknown)})"
    encode = _SYMBOLS.format(
        symbols=ascii(list(vocabulary.symbols)),
        given=given,
        what="a list of words" if words else f"the {vocabulary.unit}s of a text",
        unknown="" if unknown is None else f" Those that it does not know are {unknown}.",
        check=check,
        get=get,
        split=split,
    )
    if labels is None:
        joined = f"{UNITS[vocabulary.unit]!r}.join([SYMBOLS[i] for i in ids])"
        names = _NAMES.format(constant="", text="The text of ids.", names="SYMBOLS", joined=joined)
    else:
        names = _labels(labels)
    return [encode, names]


def _labels(labels: Vocabulary) -> str:
    """A function from ids to labels."""
    constant = f"LABELS = {list(labels.symbols)!a}\n\n\n"
    text, joined = "The labels of ids: of tags, or of each likeliest class.", "[LABELS[i] for i in ids]"
    return _NAMES.format(constant=constant, text=text, names="LABELS", joined=joined)


def _reading(reader: Reader) -> list[str]:
    """A function from what a task reads to ids, with what it calls."""
    constants = [f"SYMBOLS = {list(reader.vocabulary.symbols)!a}"]
    constants.append("_ids = {symbol: i for i, symbol in enumerate(SYMBOLS)}")
    columns = ["ids", *(["[capitalisation(word) for word in words]"] if reader.features != "word" else [])]
    if reader.features == "spelling":
        characters, width = reader.characters, reader.ids(["a"]).shape[1] - 2
        constants.append(f"CHARACTERS = {list(characters.symbols)!a}")
        constants.append("_characters = {symbol: i for i, symbol in enumerate(CHARACTERS)}")
        unknown = characters.id(str(characters.unknown))
        columns.append(f"spelled(words, _characters, {unknown}, {width})")
    texts = reader.unit == "char"
    normal = "word.lower()" if reader.lowercase or reader.features != "word" else "word"
    cut = " A text is cut into them by tinyseq.data.words, which is not in this file."
    encode = _READ.format(
        constants="\n".join(constants),
        given="text" if texts else "words",
        what="a text" if texts else "a list of words",
        more="" if texts else cut,
        wrong="not isinstance(text, str)"
        if texts
        else "not isinstance(words, list | tuple) or not all(isinstance(w, str) and w for w in words)",
        split="list(text.strip())" if texts else "list(words)",
        normal=f'"".join("0" if c.isdigit() else c for c in {normal})' if reader.digits else normal,
        unknown=reader.vocabulary.id(str(reader.vocabulary.unknown)),
        answer="ids" if len(columns) == 1 else f"np.column_stack([{', '.join(columns)}])",
    )
    return [*([inspect.getsource(capitalisation)] if len(columns) > 1 else []), encode]
