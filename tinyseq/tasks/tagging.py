"""A tag for each word, and the spans that tags stand for."""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

from tinyseq.data import words
from tinyseq.errors import ConfigError
from tinyseq.evaluation.schemes import find_scheme, lenient_spans, parse
from tinyseq.sequences import Sequences
from tinyseq.tasks.base import Example, Task


class TextSpan(NamedTuple):
    """The characters start..stop - 1 of a text."""

    type: str
    start: int
    stop: int
    text: str


class Tagged(NamedTuple):
    """A text, its words and their tags; spans, where the tags are of a scheme."""

    text: str
    tokens: list[str]
    tags: list[str]
    spans: list[TextSpan]


class Tagging(Task):
    """Examples are words and as many tags."""

    name = "tagging"
    told_by_head = "tags"

    @staticmethod
    def labels_of(examples: Sequence[Example]) -> Iterable[str]:
        """Every tag."""
        return chain.from_iterable(tags for _, tags in examples)

    def told(self) -> dict[str, Any]:
        """Sizes, and the names of the tags."""
        return {
            "vocabulary_size": len(self.vocabulary),
            "tags": len(self.labels),
            "tag_names": list(self.labels.symbols),
        }

    def collate(self, examples: list[Example]) -> tuple[Sequences, Sequences]:
        """Ids of words, and ids of their tags."""
        tags = [self.labels.encode(tags) for _, tags in examples]
        return self.inputs([sentence for sentence, _ in examples]), Sequences.from_list(tags)

    def answers(self, model: Any, texts: Sequence[str]) -> list[Tagged]:
        """Words, tags and spans of each text."""
        sentences = [words(text) for text in texts]
        found = model.predict(self.inputs(sentences)).to_list()
        named = [[self.labels.symbols[i] for i in row.numpy().tolist()] for row in found]
        return [
            Tagged(text, sentence, tags, self._spans(text, sentence, tags))
            for text, sentence, tags in zip(texts, sentences, named, strict=True)
        ]

    def nothing(self, text: str) -> Tagged:
        """No words, no tags."""
        return Tagged(text, [], [], [])

    def _spans(self, text: str, sentence: list[str], tags: list[str]) -> list[TextSpan]:
        try:
            scheme = find_scheme([self.labels.symbols])
            spans = lenient_spans([parse(tag, scheme) for tag in tags])
        except ConfigError:  # parts of speech and the like
            return []
        places, at = list[tuple[int, int]](), 0
        for word in sentence:
            start = text.index(word, at)
            at = start + len(word)
            places.append((start, at))
        edges = [(span.type, places[span.start][0], places[span.stop - 1][1]) for span in spans]
        return [TextSpan(kind, start, stop, text[start:stop]) for kind, start, stop in edges]
