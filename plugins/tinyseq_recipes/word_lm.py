"""Word language model: the same idea with words, of which most are rare.

The table that reads words also writes them (tied weights, Press and Wolf 2017): most parameters of a word
model are there. Dropout keeps it from learning a small text by heart. Words seen once are <unk>.
"""

from pathlib import Path

from tinyseq_cells.deep import Deep
from tinyseq_heads.language_model import LanguageModelHead

import tinyseq
from tinyseq.baselines import NGram
from tinyseq.data import ContiguousWindows, Vocabulary, demo_text, read_text
from tinyseq.data import words as words_of
from tinyseq.decoding import generate
from tinyseq.nn import Dropout, Embedding, SequenceModel
from tinyseq.optim import Adam
from tinyseq.training import Outcome, Trainer, carried_state
from tinyseq_recipes.common import losses, show, show_epoch


def word_lm(
    data: Path | None = None,
    *,
    cell: str = "lstm",
    hidden: int = 128,
    dropout: float = 0.4,
    order: int = 3,
    epochs: int = 8,
    batch: int = 16,
    window: int = 32,
    lr: float = 3e-3,
    words: int = 10_000_000,
    seed: int = 0,
) -> list[Outcome]:
    """A word model with tied weights, beside n-grams.

    Data: a text file (default: Python's own help texts).
    """
    text = read_text(data) if data else demo_text()
    lines = text.lower().split("\n")
    tokens = [word for line in lines for word in (*words_of(line), "\n")][:-1][:words]
    cuts = len(tokens) * 8 // 10, len(tokens) * 9 // 10
    vocabulary = Vocabulary.build(
        tokens[: cuts[0]], unit="word", min_count=2, specials=["<unk>"], unknown="<unk>"
    )
    ids = vocabulary.encode(tokens)
    train, valid, test = ids[: cuts[0]], ids[cuts[0] : cuts[1]], ids[cuts[1] :]
    unknown = vocabulary.id("<unk>")
    share = float((test == unknown).mean()) if len(test) else 0.0
    print(f"{len(ids):,} words, {len(vocabulary):,} different; the last tenth is the test, {share:.1%} <unk>")

    ngram = NGram([train], len(vocabulary), order=order)
    baseline = ngram.perplexity([test], unit="word").value()
    print(f"baseline: Kneser-Ney {order}-gram, perplexity {baseline:.1f} a word, {ngram.nbytes / 1e6:.1f} MB")

    tinyseq.seed(seed)
    table = Embedding(len(vocabulary), hidden, init="uniform")
    encoder = Deep(Dropout(dropout), tinyseq.Recurrent(tinyseq.cells[cell](hidden, hidden)), Dropout(dropout))
    model = SequenceModel(table, encoder, LanguageModelHead(hidden, len(vocabulary), tied=table, unit="word"))
    print(f"model: {cell} of {hidden}, {model.parameter_count() * 4 / 1e6:.1f} MB")
    trainer = Trainer(model, Adam(model, lr=lr), carried_state, clip=1.0, after_epoch=[show_epoch])
    trainer.fit(
        ContiguousWindows(train, batch, window), ContiguousWindows(valid, batch, window), epochs=epochs
    )
    trainer.restore_best()

    perplexity = float(tinyseq.ops.exp(trainer.evaluate(ContiguousWindows(test, batch, window))).item())
    written = generate(model, train[-20:], 30, temperature=0.7, exclude=[unknown], seed=seed)
    print(f"it writes: {vocabulary.decode(written)!r}")
    outcome = Outcome(cell, "perplexity", perplexity, baseline, lower_is_better=True, losses=losses(trainer))
    return [show(outcome)]
