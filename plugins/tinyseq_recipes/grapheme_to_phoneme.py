"""Grapheme to phoneme: how a word sounds, from its letters.

Letters and sounds go roughly side by side, but neither one by one nor by fixed rules: attention finds which
letters a sound comes from. The baseline is the sound of the known word that is spelled most alike.
"""

import unicodedata
from pathlib import Path

import tinyseq
from tinyseq.data import likely_encoding, read_lines
from tinyseq.training import Outcome
from tinyseq_recipes.common import split
from tinyseq_recipes.made.pairs import spellings
from tinyseq_recipes.two_columns import Pair, PairModel, compared, figures, letter_pairs, nearest_answers


def grapheme_to_phoneme(
    data: Path | None = None,
    *,
    cell: str = "gru",
    attention: str | None = "general",
    embedding: int = 48,
    hidden: int = 128,
    dropout: float = 0.1,
    beam: int = 5,
    epochs: int = 8,
    batch: int = 64,
    lr: float = 3e-3,
    examples: int = 3000,
    words: int = 30_000,
    encoding: str | None = None,
    seed: int = 0,
) -> list[Outcome]:
    """How a word sounds, from its letters, beside the word that is spelled most alike.

    Data: a pronouncing dictionary, WORD and its sounds in each line, or its folder.
    """
    known = read_dictionary(data, encoding) if data else spellings(examples)
    train, valid, test = split(known, 0.9, 0.02, 0.02) if data else split(known, 0.8, 0.1, 0.1)
    train = train[:words]
    print(f"{len(train):,} words to learn from; {len(test):,} are for the test")
    spelled, wanted = [a for a, _ in test], [b for _, b in test]
    baseline = figures(nearest_answers(train, spelled, letter_pairs), wanted)
    print(f"baseline: the sound of the word with most pairs of letters in common, {baseline}")

    tinyseq.seed(seed)
    pairs = PairModel(
        train, cell=cell, attention=attention, embedding=embedding, hidden=hidden, dropout=dropout
    )
    trainer = pairs.fit(train, valid, epochs=epochs, batch=batch, lr=lr)

    print(f"greedy: {figures(pairs.answers(spelled), wanted)}")
    answers = pairs.answers(spelled, beam=beam)
    for word, answer, right in list(zip(spelled, answers, wanted, strict=True))[:5]:
        print(f"  {''.join(word):<14} {' '.join(answer):<28} ({' '.join(right)})")
    found = figures(answers, wanted)
    model = f"{cell}, {attention or 'no'} attention, beam {beam}"
    return compared(model, found, baseline, trainer, ("phoneme error rate", "words right"))


def read_dictionary(data: Path, encoding: str | None = None) -> list[Pair]:
    """Words of letters only, each with its first pronunciation, without marks of stress and comments."""
    file = next(iter(sorted(data.glob("*.dict*"))), data / "words.dict") if data.is_dir() else data
    known = (
        line.partition("#")[0].split()
        for line in read_lines(file, encoding=encoding or likely_encoding(file))
    )
    return [
        (list(entry[0].lower()), [sound.rstrip("012") for sound in entry[1:]])
        for entry in known
        if len(entry) > 1 and _is_spelled(entry[0])  # not a(2), which is another way to say a
    ]


def _is_spelled(word: str) -> bool:
    """Whether there are letters only, and what is put on letters in scripts that do that."""
    return word[0].isalpha() and all(unicodedata.category(c)[0] in "LM" for c in word)
