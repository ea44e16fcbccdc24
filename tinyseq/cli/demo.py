"""tinyseq demo: from nothing to a model that writes, in less than two minutes."""

import argparse
from typing import Any

from tinyseq.cli.arguments import Formatter
from tinyseq.cli.console import epoch_printer, indented, show_table
from tinyseq.cli.language_model import Corpus, Settings, trainer
from tinyseq.data import demo_text
from tinyseq.decoding import generate

SETTINGS = Settings(hidden=128, embedding=32, batch=16, window=32, lr=5e-3, valid_fraction=0.05)
EPOCHS = 5
PROMPT, LENGTH, TEMPERATURE = "\nThe ", 600, 0.5


def add_parser(commands: Any) -> None:
    """Add the command to `tinyseq`."""
    parser = commands.add_parser(
        "demo",
        help="train a small character LSTM in a minute or two, and read what it writes",
        description="Train a character LSTM on the English prose in Python's own help(), then let it write.",
        formatter_class=Formatter,
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Train and sample."""
    text = demo_text()
    corpus = Corpus.cut(text, SETTINGS)
    training = trainer(SETTINGS, corpus, after_epoch=[epoch_printer(EPOCHS)])
    show_table(
        [
            ("text", f"the prose in Python's own documentation: {len(text):,} characters"),
            ("model", f"LSTM, 1 layer of {SETTINGS.hidden}: {training.model.parameter_count():,} parameters"),
        ]
    )
    print(flush=True)
    training.fit(corpus.train, corpus.valid, epochs=EPOCHS)
    training.restore_best()
    prompt = corpus.vocabulary.encode(PROMPT)
    ids = generate(training.model, prompt, LENGTH, temperature=TEMPERATURE, seed=SETTINGS.seed)
    written = PROMPT + corpus.vocabulary.decode(ids)
    print("\nWhat it writes, character by character:\n")
    print(indented(written.strip()))
    print("\nA text of your own: tinyseq train-lm --text FILE --save DIR")
