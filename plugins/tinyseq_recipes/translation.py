"""Translation: a sentence in, a sentence in another language out, in another order and of another length.

The encoder reads in both directions; the decoder writes word by word and looks back at what was read by
attention (Luong et al. 2015). It learns with the right words before it, and writes with its own: greedily,
and by beam search, which follows several beginnings at once. The baseline is a translation memory: whatever
was said for the most similar sentence.
"""

from pathlib import Path

import tinyseq
from tinyseq.data import words as words_of
from tinyseq.training import Outcome
from tinyseq_recipes.common import split
from tinyseq_recipes.made.pairs import translations
from tinyseq_recipes.two_columns import PairModel, compared, figures, nearest_answers, read_pairs


def translation(
    data: Path | None = None,
    *,
    cell: str = "gru",
    attention: str | None = "general",
    embedding: int = 96,
    hidden: int = 128,
    dropout: float = 0.3,
    beam: int = 5,
    length_penalty: float = 0.8,
    epochs: int = 10,
    batch: int = 64,
    lr: float = 3e-3,
    examples: int = 3000,
    seed: int = 0,
) -> list[Outcome]:
    """A sentence in another language, by attention, beside a translation memory.

    Data: a folder of *train*, *valid* and *test* .tsv files of two columns, or one such file.
    """
    train, valid, test = read_pairs(data, words) if data else split(translations(examples), 0.8, 0.1, 0.1)
    print(f"{len(train):,} pairs to learn from; {len(test):,} are for the test")
    questions, wanted = [a for a, _ in test], [b for _, b in test]
    baseline = figures(nearest_answers(train, questions), wanted)
    print(f"baseline: the translation of the sentence with most words in common, {baseline}")

    tinyseq.seed(seed)
    pairs = PairModel(
        train,
        cell=cell, attention=attention, embedding=embedding, hidden=hidden, dropout=dropout,
        min_count=2, max_length=2 * max(len(b) for _, b in train),
    )  # fmt: skip
    trainer = pairs.fit(train, valid, epochs=epochs, batch=batch, lr=lr)

    greedy = figures(pairs.answers(questions), wanted)
    print(f"greedy: {greedy}")
    answers = pairs.answers(questions, beam=beam, length_penalty=length_penalty)
    for question, answer, right in list(zip(questions, answers, wanted, strict=True))[:5]:
        print(f"  {' '.join(question)}  ->  {' '.join(answer)}   ({' '.join(right)})")
    found = figures(answers, wanted)
    model = f"{cell}, {attention or 'no'} attention, beam {beam}"
    return compared(model, found, baseline, trainer)


def words(text: str) -> list[str]:
    """Words and marks, in lower case; an elided word (l', d') is one."""
    return words_of(text.lower(), elided=True)
