"""tinyseq sample: a trained model goes on with a prompt."""

import argparse
from pathlib import Path
from typing import Any

from tinyseq.cli.arguments import Formatter, number, whole
from tinyseq.cli.language_model import open_model
from tinyseq.decoding import generate
from tinyseq.errors import DataError, NonFiniteError

EXAMPLES = """\
examples:
  tinyseq sample runs/book --prompt "Once upon"
  tinyseq sample runs/book --length 2000 --temperature 0.7 --top-k 10 --seed 1
"""


def add_parser(commands: Any) -> None:
    """Add the command to `tinyseq`."""
    parser = commands.add_parser(
        "sample",
        help="let a trained model write",
        description="Write what a model trained by train-lm expects to come next, character by character.",
        epilog=EXAMPLES,
        formatter_class=Formatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("directory", metavar="DIR", type=Path, help="the directory given to train-lm --save")
    parser.add_argument("--prompt", metavar="TEXT", help="what to go on from (default: a new line)")
    parser.add_argument(
        "--length", metavar="N", type=whole(1), default=500, help="characters to write (default: 500)"
    )
    parser.add_argument(
        "--temperature",
        metavar="X",
        type=number(0, low_allowed=True),
        default=0.8,
        help="below 1 safer, above 1 bolder, 0 always the likeliest (default: 0.8)",
    )
    parser.add_argument(
        "--top-k", metavar="N", type=whole(1), help="draw from the N likeliest characters only (default: all)"
    )
    parser.add_argument(
        "--seed",
        metavar="N",
        type=whole(0),
        help="the same seed writes the same text (default: another each time)",
    )


def run(args: argparse.Namespace) -> None:
    """Print the prompt and its continuation as it is drawn."""
    model, vocabulary = open_model(args.directory)
    prompt: str = args.prompt
    if prompt is None:  # a new line, or where the text had none its commonest character
        prompt = "\n" if "\n" in vocabulary else vocabulary.symbols[0]
    if not prompt:
        raise DataError("--prompt is empty: give at least one character to go on from, or leave it out.")
    unknown = sorted({symbol for symbol in prompt if symbol not in vocabulary})
    if unknown:
        raise DataError(
            f"--prompt has characters that the model has never seen ({' '.join(map(repr, unknown))}): leave "
            "them out."
        )
    print(prompt.lstrip("\n"), end="", flush=True)
    ids = generate(
        model,
        vocabulary.encode(prompt),
        args.length,
        temperature=args.temperature,
        top_k=args.top_k,
        seed=args.seed,
    )
    try:
        for drawn in ids:
            print(vocabulary.decode([drawn]), end="", flush=True)
    except NonFiniteError:
        raise DataError(
            f"The model in {args.directory} cannot write: its scores are no finite numbers. Train it again, "
            "at a lower rate."
        ) from None
    print()
