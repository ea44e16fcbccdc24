"""What a tagger may know of a token: the word, how it is capitalised, and its characters; ids on disk."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinyseq.contracts.pairing import check_list
from tinyseq.data.files import PathLike
from tinyseq.data.vocabulary import Ids, Vocabulary
from tinyseq.errors import ConfigError, DataError

CAPITALISATIONS = ("lower", "initial", "upper", "mixed", "digits", "symbols")
"""How a word may be written; the place in this list is the id."""


def capitalisation(word: str) -> int:
    """Which of CAPITALISATIONS a word has: any digit makes it "digits", no letter "symbols"."""
    if any(c.isdigit() for c in word):
        return 4
    if not any(c.isalpha() for c in word):
        return 5
    if word == word.lower():
        return 0
    if word[0].isupper() and word[1:] == word[1:].lower():
        return 1  # a single capital as well
    return 2 if word == word.upper() else 3


def token_ids(
    words: Sequence[str], vocabulary: Vocabulary, characters: Vocabulary | None = None, *, width: int = 16
) -> Ids:
    """The ids (words, 2 + width) that TokenFeatures takes: word, capitalisation, and its first characters.

    Words are looked up in lower case, as their capitalisation has a column of its own. Where a word ends
    before `width`, the id is 0, so the first symbol of `characters` must be a special one; without
    `characters` there are two columns. Raises ConfigError if it is not, DataError for an empty word.
    """
    if characters is None:
        width = 0
    elif not characters.specials or width < 1:
        raise ConfigError(
            "token_ids() needs characters whose symbol 0 is a special one that ends words, and a width of "
            f"1 or more; got {characters!r} and width={width}."
        )
    check_list("token_ids()", "words", words)
    if "" in words:
        raise DataError(f"Word {list(words).index('')} of {list(words)[:20]} is empty.")
    ids = np.zeros((len(words), 2 + width), np.int64)
    ids[:, 0] = vocabulary.encode([word.lower() for word in words])
    ids[:, 1] = [capitalisation(word) for word in words]
    for row, word in zip(ids, words, strict=True):
        if characters is None:
            break
        row[2 : 2 + min(len(word), width)] = characters.encode(list(word[:width]))
    return ids


def store_ids(path: PathLike, pieces: Iterable[Any]) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Write pieces of ids, one after the other, to a file, and give them back as one array in that file.

    The array (ids,) is read as it is used, so ContiguousWindows can be cut from a text larger than memory:
    `store_ids("ids", (vocabulary.encode(line + "\\n") for line in read_lines(text)))`. The file has 4 bytes
    for each id and nothing else. Raises DataError without ids, and for a piece that is none or does not fit.
    """
    count = 0
    with Path(path).open("wb") as file:
        for number, piece in enumerate(pieces):
            ids = np.asarray(piece)
            whole = ids.ndim == 1 and (ids.dtype.kind in "iu" or not ids.size)
            if not whole or (ids.size and not (ids.min() >= 0 and ids.max() < 2**31)):
                raise DataError(
                    f"store_ids(): piece {number} is {ids.dtype} of shape {ids.shape}, and pieces are ids "
                    f"(tokens,) from 0 to {2**31 - 1}."
                )
            count += len(ids)
            file.write(ids.astype("<i4").tobytes())
    if not count:
        raise DataError(f"There are no ids to store in {path}.")
    return np.memmap(path, np.dtype("<i4"), "r", shape=(count,))
