"""From raw text to the numbers that a model reads: what is a token, and what the model is told of it."""

from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any

from tinyseq.data import Vocabulary, token_ids, words
from tinyseq.data.vocabulary import Ids
from tinyseq.errors import DataError
from tinyseq.sequences import Sequences

UNKNOWN = "<unk>"
END = "<end>"
FEATURES = ("word", "case", "spelling")


class Reader:
    """Takes texts apart and looks their tokens up.

    unit: "word" or "char". features: of each token its id ("word"), its capitalisation too ("case"), or its
    characters too ("spelling"), as `tinyseq.data.token_ids` gives them. `lowercase` and `digits`, which reads
    every digit as 0, hold for the look-up alone: characters stay as they are.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        characters: Vocabulary | None = None,
        *,
        unit: str = "word",
        features: str = "word",
        lowercase: bool = False,
        digits: bool = False,
    ) -> None:
        self.vocabulary = vocabulary
        self.characters = Vocabulary([], specials=[END], unknown=END) if characters is None else characters
        self.unit = unit
        self.features = features
        self.lowercase = lowercase
        self.digits = digits

    @classmethod
    def of(
        cls,
        sentences: Sequence[Sequence[str]],
        *,
        min_count: int = 2,
        known: Container[str] = (),
        specials: Sequence[str] = (UNKNOWN,),
        **options: Any,
    ) -> "Reader":
        """The reader of these tokens: those seen `min_count` times or more, and those among `known`."""
        empty = Vocabulary([], unit="word", specials=specials, unknown=UNKNOWN)
        reader = cls(empty, Vocabulary([], specials=[END, UNKNOWN], unknown=UNKNOWN), **options)
        tokens = [reader.normal(token) for sentence in sentences for token in sentence]
        all_of_them = Vocabulary.build(tokens, unit="word", specials=specials).symbols[len(specials) :]
        often = set(Vocabulary.build(tokens, unit="word", min_count=min_count, specials=specials).symbols)
        kept = [token for token in all_of_them if token in often or token in known]
        reader.vocabulary = Vocabulary(kept, unit="word", specials=specials, unknown=UNKNOWN)
        if reader.features == "spelling":
            letters = "".join(token for sentence in sentences for token in sentence)
            reader.characters = Vocabulary.build(letters, specials=[END, UNKNOWN], unknown=UNKNOWN)
        return reader

    def split(self, text: str) -> list[str]:
        """The tokens of a raw text; none of a blank one."""
        return self.splitter(self.unit)(text)

    @staticmethod
    def splitter(unit: str) -> Callable[[str], list[str]]:
        """What takes raw texts apart into these units."""
        return (lambda text: list(text.strip())) if unit == "char" else words

    def joined(self, tokens: Iterable[str]) -> str:
        """Tokens as a text that people can read."""
        return ("" if self.unit == "char" else " ").join(tokens)

    def normal(self, token: str) -> str:
        """The form of a token that is looked up."""
        if self.lowercase or self.features != "word":
            token = token.lower()
        return "".join("0" if c.isdigit() else c for c in token) if self.digits else token

    def ids(self, tokens: Sequence[str]) -> Ids:
        """The ids of tokens: (tokens,), or (tokens, 2), or (tokens, 2 + width)."""
        found = self.vocabulary.encode([self.normal(token) for token in tokens])
        if self.features == "word":
            return found
        table = token_ids(tokens, self.vocabulary, self.characters if self.features == "spelling" else None)
        table[:, 0] = found
        return table

    def inputs(self, sentences: Sequence[Sequence[str]]) -> Sequences:
        """The ids of several sequences of tokens."""
        return Sequences.from_list([self.ids(sentence) for sentence in sentences])

    def unknown_share(self, sentences: Iterable[Sequence[str]]) -> float:
        """The share of tokens that are not in the vocabulary."""
        tokens = [self.normal(token) for sentence in sentences for token in sentence]
        return sum(token not in self.vocabulary for token in tokens) / max(1, len(tokens))

    def told(self) -> dict[str, int]:
        """The sizes of the vocabularies, as run files name them."""
        return {"vocabulary_size": len(self.vocabulary), "characters": len(self.characters)}

    def to_record(self) -> dict[str, Any]:
        """As JSON-able values."""
        return {
            "vocabulary": self.vocabulary.to_json(),
            "characters": self.characters.to_json(),
            "unit": self.unit,
            "features": self.features,
            "lowercase": self.lowercase,
            "digits": self.digits,
        }

    @classmethod
    def from_record(cls, record: Any) -> "Reader":
        """From what `to_record` gave. Raises DataError for anything else."""
        wanted = {"vocabulary", "characters", "unit", "features", "lowercase", "digits"}
        if not isinstance(record, dict) or set(record) != wanted:
            raise DataError("its task does not say how texts are read")
        if record["unit"] not in ("word", "char") or record["features"] not in FEATURES:
            raise DataError("its task reads texts in a way that this tinyseq does not know")
        fields = dict(record)
        parts = [Vocabulary.from_json(str(fields.pop(key))) for key in ("vocabulary", "characters")]
        if any(part.unknown is None for part in parts):
            raise DataError("its task has no word that stands for unknown ones")
        return cls(*parts, **fields)


JOINER = "\uffed"
"""Stands before a token that no space divides from the one before it."""


def glued(text: str) -> list[str]:
    """The words and marks of a text, from which `unglued` makes it again, with single spaces."""
    found, at = list[str](), 0
    for word in words(text):
        start = text.index(word, at)
        found.append(JOINER + word if found and start == at else word)
        at = start + len(word)
    return found


def unglued(tokens: Iterable[str]) -> str:
    """The text of such tokens."""
    return "".join(t[1:] if t.startswith(JOINER) else f" {t}" for t in tokens).strip()


def plain_text(value: Any, column: str | int) -> str:
    """The text of a cell; a number or a truth value of JSON as it is written there.

    Raises ValueError for anything else.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    raise ValueError(f"has no text in {column!r}.")
