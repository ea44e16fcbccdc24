"""Baselines that only count words."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from tinyseq.contracts.pairing import check_list
from tinyseq.data.words import words as words_of
from tinyseq.errors import DataError


class MostFrequentTag:
    """Tags each word as it was tagged most often, and an unknown one as most words were.

    Of equally frequent tags the first in the alphabet is taken. Raises DataError without any word, and
    where words and tags are not as many.
    """

    def __init__(self, sentences: Iterable[tuple[Sequence[str], Sequence[str]]]) -> None:
        by_word: defaultdict[str, Counter[str]] = defaultdict(Counter)
        overall: Counter[str] = Counter()
        for i, (words, tags) in enumerate(sentences):
            for part in (words, tags):
                check_list("MostFrequentTag", "a sentence's words and its tags, each,", part)
            if len(words) != len(tags):
                raise DataError(
                    f"MostFrequentTag: sentence {i} has {len(words)} words, but {len(tags)} tags."
                )
            overall.update(tags)
            for word, tag in zip(words, tags, strict=True):
                by_word[word][tag] += 1
        if not overall:
            raise DataError("MostFrequentTag needs at least one tagged word.")
        self.tag_of = {word: _first(tags) for word, tags in by_word.items()}
        self.unknown = _first(overall)

    def predict(self, words: Sequence[str]) -> list[str]:
        """A tag for each word."""
        check_list("MostFrequentTag", "words", words)
        return [self.tag_of.get(word, self.unknown) for word in words]


def _first(tags: Counter[str]) -> str:
    return min(tags, key=lambda tag: (-tags[tag], tag))


def word_overlap(a: str, b: str) -> float:
    """The share of the different words of two texts that both have, whatever their case; 0 without any.

    Words are as `tinyseq.data.words` finds them; composed and decomposed letters are the same. Source:
    Jaccard (1912). Whether it makes two texts duplicates is for `best_threshold` on validation data.
    """
    ours, theirs = _plain_words(a), _plain_words(b)
    return len(ours & theirs) / len(ours | theirs) if ours | theirs else 0.0


def _plain_words(text: str) -> set[str]:
    """The different words of a text, whatever their case; marks are none."""
    found = words_of(unicodedata.normalize("NFC", text.lower()))
    return {word for word in found if any(map(str.isalnum, word))}
