"""Vectors of words that somebody else has trained."""

from collections.abc import Container, Iterator
from typing import Any

import numpy as np

from tinyseq.backend import backend_of
from tinyseq.contracts.pairing import check_list
from tinyseq.data.files import PathLike, Records, Report, lines, located
from tinyseq.data.vocabulary import Vocabulary
from tinyseq.errors import DataError, clip
from tinyseq.nn import Embedding

Vector = np.ndarray[Any, np.dtype[np.float32]]


def read_vectors(path: PathLike, words: Container[str] | None = None) -> Records[tuple[str, Vector]]:
    """The words, or those of them in `words`, and vectors of a text file as GloVe and word2vec write them.

    A line is a word and its numbers with a space between; word2vec puts a line with two counts before. As a
    word may hold spaces, the numbers are taken from the end, as many as the first line has.
    """
    check_list("read_vectors()", "words", words)
    return Records(
        path, lambda report: _vectors(lines(path, report), report, words), may_be_empty=words is not None
    )


def _vectors(
    numbered: Iterator[tuple[int, str]], report: Report, words: Container[str] | None
) -> Iterator[tuple[str, Vector]]:
    size = 0
    for number, line in numbered:
        fields = line.rstrip(" ").split(" ")
        if number == 1 and len(fields) == 2 and all(f.isdecimal() and len(f) < 20 for f in fields):
            size = int(fields[1])
            continue
        size = size or len(fields) - 1
        if not 1 <= size < len(fields):
            report(f"line {number}", f"has {len(fields) - 1} numbers, and {size or 1} are needed.")
            continue
        word = " ".join(fields[:-size])
        if words is not None and word not in words:
            continue  # of millions of words, few are wanted: no time for the numbers of others
        try:
            vector = np.array(fields[-size:], np.float32)
        except ValueError as error:
            report(f"line {number}", f"has something else than {size} numbers: {clip(str(error))}.")
            continue
        if np.isfinite(vector).all():
            yield word, vector
        else:
            report(f"line {number}", f"has a number in the vector of {word!r} that is not finite.")


def load_vectors(
    embedding: Embedding, path: PathLike, vocabulary: Vocabulary, *, lowercase: bool = False
) -> int:
    """Put the vectors of a file into the rows of `embedding` that `vocabulary` gives its words; how many.

    Words without a vector keep what they have, as special tokens do. With `lowercase`, a word that the file
    lacks gets the vector of its lower-case form. Raises DataError if sizes differ.
    """
    if embedding.num_embeddings != len(vocabulary):
        raise DataError(
            f"load_vectors(): the embedding has {embedding.num_embeddings} rows, the vocabulary "
            f"{len(vocabulary)} symbols: it needs a row for each."
        )
    rows: dict[str, list[int]] = {}
    for i, symbol in enumerate(vocabulary.symbols):
        if i >= len(vocabulary.specials):
            for form in {symbol: None, **({symbol.lower(): None} if lowercase else {})}:
                rows.setdefault(form, []).append(i)
    table = embedding.weight.numpy().copy()
    found: set[int] = set()
    for word, vector in read_vectors(path, rows):
        if len(vector) != embedding.embedding_size:
            raise DataError(
                f"{located(path)} has vectors of {len(vector)} numbers, the embedding of "
                f"{embedding.embedding_size}: make its rows as long."
            )
        for i in rows[word]:
            if i not in found or vocabulary.symbols[i] == word:
                table[i] = vector
                found.add(i)
    embedding.weight.data[...] = backend_of(embedding.weight.data).asarray(table)
    embedding.weight.changed()
    return len(found)
