"""Replies: a remark in, an answer out, from any file of two columns; a chat bot of the size of its file.

The same encoder, decoder and attention as for translation. The baseline answers as the most similar remark
was answered, which is how the first chat bots worked; a model of few examples is not far from that. What is
measured is agreement with the one reply that was given, although many would do.
"""

from pathlib import Path

import tinyseq
from tinyseq.training import Outcome
from tinyseq_recipes.common import split
from tinyseq_recipes.made.pairs import small_talk
from tinyseq_recipes.translation import words
from tinyseq_recipes.two_columns import PairModel, compared, figures, nearest_answers, read_pairs


def reply(
    data: Path | None = None,
    *,
    cell: str = "gru",
    attention: str | None = "general",
    embedding: int = 64,
    hidden: int = 96,
    dropout: float = 0.2,
    temperature: float = 0.7,
    epochs: int = 12,
    batch: int = 32,
    lr: float = 3e-3,
    examples: int = 1500,
    seed: int = 0,
) -> list[Outcome]:
    """What to reply to a remark, beside the reply to the most similar one.

    Data: a file with a remark and a reply in each line, a tab between them.
    """
    train, valid, test = read_pairs(data, words) if data else split(small_talk(examples), 0.8, 0.1, 0.1)
    print(f"{len(train):,} remarks to learn from; {len(test):,} are for the test")
    remarks, wanted = [a for a, _ in test], [b for _, b in test]
    baseline = figures(nearest_answers(train, remarks), wanted)
    print(f"baseline: what was replied to the most similar remark, {baseline}")

    tinyseq.seed(seed)
    pairs = PairModel(
        train,
        cell=cell,
        attention=attention,
        embedding=embedding,
        hidden=hidden,
        dropout=dropout,
        min_count=2,
    )
    trainer = pairs.fit(train, valid, epochs=epochs, batch=batch, lr=lr)

    for remark in remarks[:5]:
        drawn = pairs.answers([remark], temperature=temperature)[0]
        print(f"  {' '.join(remark)}  ->  {' '.join(drawn)}")
    found = figures(pairs.answers(remarks), wanted)
    model = f"{cell}, {attention or 'no'} attention"
    return compared(model, found, baseline, trainer)
