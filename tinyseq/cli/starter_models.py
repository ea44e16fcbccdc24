"""The models that `tinyseq train --init` writes: what works on files that nobody has seen."""

from collections.abc import Callable
from typing import Any, NamedTuple

Row = tuple[str, Any, str]
"""An option of a run file, its value, and what it means."""


class Sizes(NamedTuple):
    """What the data decides."""

    unit: str
    scheme: str | None
    hidden: int
    batch: int


WORDS = """\
[model.embed]
class = "embedding"
num_embeddings = "data.vocabulary_size"   # "data...": what the data tells
embedding_size = 64
"""

SPELLING = """\
[model.embed]                             # of a word: itself, capitals, characters
class = "token-features"
word = { class = "embedding", num_embeddings = "data.vocabulary_size", embedding_size = 64 }
case = { class = "embedding", num_embeddings = 6, embedding_size = 4 }
character = { class = "embedding", num_embeddings = "data.characters", embedding_size = 16 }
spelling = { class = "gru", input_size = 16, hidden_size = 24 }
pooling = "last"
"""


def encoder(width: int, hidden: int, dropout: float, cell: str = "lstm") -> str:
    """Both directions of a recurrence, between dropout."""
    made = f'{{ class = "{cell}", input_size = {width}, hidden_size = {hidden} }}'
    return f"""
[model.encoder]
class = "deep"

[[model.encoder.layers]]
class = "dropout"
p = {dropout}

[[model.encoder.layers]]
class = "bidirectional"
forward = {made}
backward = {made}

[[model.encoder.layers]]
class = "dropout"
p = {dropout}
"""


FEATURES: Row = ("features", "spelling", '"word" for an embedding of words alone')
LOWER: Row = ("lowercase", True, "")
RARE: Row = ("min_count", 2, "words seen less often are read as unknown ones")


def tagging(sizes: Sizes, data: dict[str, Any]) -> tuple[str, list[Row], str]:
    """A bidirectional LSTM over words and their spelling; for spans, a CRF."""
    width, hidden = 64 + 4 + 24, sizes.hidden
    head = f'\n[model.head]\nclass = "tagger"\ninput_size = {2 * hidden}\ntags = "data.tags"\n'
    if sizes.scheme is not None:
        head += f'names = "data.tag_names"\nscheme = "{sizes.scheme}"\n'
        head += 'loss = { class = "crf", tags = "data.tags" }   # neighbours depend on each other\n'
    rows: list[Row] = [
        ("words", data.get("words", 0), "the column of words"),
        ("tags", data.get("tags", -1), "the column of tags; -1 is the last"),
        FEATURES, RARE, ("batch", min(16, sizes.batch), ""),
    ]  # fmt: skip
    monitor = "accuracy" if sizes.scheme is None else "span_f1"
    return SPELLING + encoder(width, hidden, 0.4) + head, rows, monitor


def classification(sizes: Sizes, data: dict[str, Any]) -> tuple[str, list[Row], str]:
    """A bidirectional GRU: of words, what is largest; of characters, its ends."""
    hidden, spelled = sizes.hidden, sizes.unit == "char"
    pooling, dropout = ("ends", 0.3) if spelled else ("max", 0.5)
    head = (
        f'\n[model.head]\nclass = "classifier"\ninput_size = {2 * hidden}\nclasses = "data.classes"\n'
        f'pooling = "{pooling}"\n'
    )
    rows: list[Row] = [
        ("text", data.get("text", "text"), "the column of texts"),
        ("label", data.get("label", "label"), "the column of classes"),
        ("unit", sizes.unit, '"word" or "char": what is read one by one'),
        *([] if spelled else [LOWER]),
        RARE,
        ("batch", sizes.batch, ""),
    ]
    return WORDS + encoder(64, hidden, dropout, "gru") + head, rows, "macro_f1"


def pairs(sizes: Sizes, data: dict[str, Any]) -> tuple[str, list[Row], str]:
    """One bidirectional GRU reads both texts; the mean of what it reads is a text's vector."""
    hidden = sizes.hidden
    head = f'\n[model.head]\nclass = "siamese"\ninput_size = {2 * hidden}\npooling = "mean"\n'
    rows: list[Row] = [
        ("first", data.get("first", "first"), "the column of a text,"),
        ("second", data.get("second", "second"), "that of another,"),
        ("label", data.get("label", "label"), "and that of 1 if they say the same, else 0"),
        LOWER, RARE, ("batch", 2 * sizes.batch, "all other texts of a batch say something else"),
    ]  # fmt: skip
    return WORDS + encoder(64, hidden, 0.2, "gru") + head, rows, "recall_at_1"


def rewriting(sizes: Sizes, data: dict[str, Any]) -> tuple[str, list[Row], str]:
    """A bidirectional GRU reads, another writes, and looks back at what was read by attention."""
    width = 2 * sizes.hidden
    head = f"""
[model.head]
class = "decoder"
input_size = {width}
vocabulary_size = "data.target_size"
cell = {{ class = "gru", input_size = 64, hidden_size = {width} }}
end = 0
attention = "general"
pooling = "mean"
dropout = 0.3
"""
    rows: list[Row] = [
        ("source", data.get("source", "source"), "the column that is read"),
        ("target", data.get("target", "target"), "the column that is written"),
        ("unit", sizes.unit, '"word" or "char": what is read and written one by one'),
        *([] if sizes.unit == "char" else [LOWER]),
        RARE,
        ("batch", sizes.batch, ""),
    ]
    return WORDS + encoder(64, sizes.hidden, 0.3, "gru") + head, rows, "error_rate"


MODELS: dict[str, Callable[[Sizes, dict[str, Any]], tuple[str, list[Row], str]]] = {
    "tagging": tagging,
    "classification": classification,
    "pairs": pairs,
    "sequence-to-sequence": rewriting,
}
