"""Next character: a text is its own teacher.

Each character is the target of those before it. The state goes on from window to window, while gradients
stop at a window's beginning (truncated back-propagation through time). Counts of the last five characters,
well smoothed, are hard to beat, and grow with the text; the model's memory does not.
"""

from pathlib import Path

from tinyseq_heads.language_model import LanguageModelHead

import tinyseq
from tinyseq.baselines import NGram
from tinyseq.data import ContiguousWindows, Vocabulary, demo_text, read_text
from tinyseq.decoding import generate
from tinyseq.nn import Embedding, SequenceModel
from tinyseq.optim import Adam
from tinyseq.training import Outcome, Trainer, carried_state
from tinyseq_recipes.common import losses, show, show_epoch


def next_character(
    data: Path | None = None,
    *,
    cell: str = "lstm",
    embedding: int = 32,
    hidden: int = 128,
    order: int = 5,
    epochs: int = 4,
    batch: int = 32,
    window: int = 64,
    lr: float = 5e-3,
    characters: int = 10_000_000,
    seed: int = 0,
) -> list[Outcome]:
    """A character model that writes, beside n-grams.

    Data: a text file (default: Python's own help texts).
    """
    text = (read_text(data) if data else demo_text())[:characters]
    vocabulary = Vocabulary.build(text)
    ids = vocabulary.encode(text)
    train, test = ids[: len(ids) * 9 // 10], ids[len(ids) * 9 // 10 :]
    print(f"{len(ids):,} characters, {len(vocabulary)} different; the last tenth is the test")

    ngram = NGram([train], len(vocabulary), order=order)
    baseline = -ngram.log_probabilities([test]).mean()
    print(f"baseline: Kneser-Ney {order}-gram, {baseline:.4f} nats a character, {ngram.nbytes / 1e6:.1f} MB")

    tinyseq.seed(seed)
    encoder = tinyseq.Recurrent(tinyseq.cells[cell](embedding, hidden))
    head = LanguageModelHead(hidden, len(vocabulary), unit="character")
    model = SequenceModel(Embedding(len(vocabulary), embedding), encoder, head)
    print(f"model: {cell} of {hidden}, {model.parameter_count() * 4 / 1e6:.1f} MB")
    trainer = Trainer(model, Adam(model, lr=lr), carried_state, clip=5.0, after_epoch=[show_epoch])
    trainer.fit(ContiguousWindows(train, batch, window), epochs=epochs)

    nats = trainer.evaluate(ContiguousWindows(test, min(batch, len(test) - 1), window))
    written = generate(model, train[-100:], 200, temperature=0.7, seed=seed)
    print(f"it writes: {vocabulary.decode(written)!r}")
    return [
        show(Outcome(cell, "nats a character", nats, baseline, lower_is_better=True, losses=losses(trainer)))
    ]
