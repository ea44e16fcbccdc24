"""Language to name: one symbol in, a sequence out.

A name is written letter by letter, and its language is simply the first symbol: whatever the model writes
depends on it through the state. The n-grams see the language as long as it is among the last symbols.
"""

from pathlib import Path

import numpy as np
from tinyseq_heads.language_model import LanguageModelHead

import tinyseq
from tinyseq.baselines import NGram
from tinyseq.data import LengthBatches, Vocabulary, with_tags
from tinyseq.decoding import generate
from tinyseq.nn import Embedding, SequenceModel
from tinyseq.optim import Adam
from tinyseq.training import Outcome, Trainer
from tinyseq_recipes.common import losses, names_of, show, show_epoch, split
from tinyseq_recipes.made.texts import names

END = "<end>"


def language_to_name(
    data: Path | None = None,
    *,
    cell: str = "gru",
    embedding: int = 32,
    hidden: int = 128,
    order: int = 4,
    epochs: int = 12,
    batch: int = 32,
    lr: float = 2e-3,
    examples: int = 2500,
    seed: int = 0,
) -> list[Outcome]:
    """Names in the manner of a language, beside n-grams.

    Data: a folder of LANGUAGE.txt files.
    """
    pairs = names_of(data) if data else names(examples)
    languages = sorted({language for _, language in pairs})
    symbols = Vocabulary.build("".join(name for name, _ in pairs), specials=[END, *languages])
    written = [np.append(symbols.encode([language, *name]), 0) for name, language in pairs]
    train, valid, test = split(written, 0.8, 0.1, 0.1)
    print(f"{len(pairs):,} names in {len(languages)} languages; {len(test):,} are for the test")

    ngram = NGram(train, len(symbols), order=order)
    # The language is given, not predicted: its own chance does not count.
    given = np.cumsum([0, *map(len, test[:-1])])
    baseline = -np.delete(ngram.log_probabilities(test), given).mean()
    print(f"baseline: Kneser-Ney {order}-gram, {baseline:.4f} nats a letter, {ngram.nbytes / 1e6:.1f} MB")

    tinyseq.seed(seed)
    encoder = tinyseq.Recurrent(tinyseq.cells[cell](embedding, hidden))
    model = SequenceModel(
        Embedding(len(symbols), embedding), encoder, LanguageModelHead(hidden, len(symbols))
    )
    print(f"model: {cell} of {hidden}, {model.parameter_count() * 4 / 1e6:.1f} MB")
    steps = ([(ids[:-1], ids[1:]) for ids in part] for part in (train, valid, test))
    train_steps, valid_steps, test_steps = steps
    trainer = Trainer(model, Adam(model, lr=lr), clip=5.0, after_epoch=[show_epoch])
    trainer.fit(
        LengthBatches(train_steps, batch, with_tags),
        LengthBatches(valid_steps, 256, with_tags),
        epochs=epochs,
    )
    trainer.restore_best()

    nats = trainer.evaluate(LengthBatches(test_steps, 256, with_tags))
    for language in languages[:6]:
        made = (_name(model, symbols, language, seed + i) for i in range(4))
        print(f"{language}: {', '.join(made)}")
    return [
        show(Outcome(cell, "nats a letter", nats, baseline, lower_is_better=True, losses=losses(trainer)))
    ]


def _name(model: SequenceModel, symbols: Vocabulary, language: str, seed: int) -> str:
    letters = []
    for i in generate(model, symbols.encode([language]), 20, temperature=0.7, seed=seed):
        if i < len(symbols.specials):
            break
        letters.append(symbols.symbols[i])
    return "".join(letters)
