"""tinyseq report: a run as one page to look at."""

import argparse
from pathlib import Path
from typing import Any

from tinyseq import lens
from tinyseq.cli.arguments import Formatter
from tinyseq.data import Vocabulary
from tinyseq.decoding import generate
from tinyseq.errors import DataError
from tinyseq.files import atomic_write
from tinyseq.lens.report import page
from tinyseq.lens.report.page import recurs
from tinyseq.registry import describe
from tinyseq.registry.model_file import model_path
from tinyseq.sequences import Sequences
from tinyseq.tasks import Predictor, load
from tinyseq.training.receipts import RECEIPT, read_receipt

EXAMPLES = """\
examples:
  tinyseq report runs/names --data test.conll -o names.html
  tinyseq report runs/book --text "Once upon a time" -o book.html
"""
WRITTEN = 60  # symbols that a language model is let write, if no text is given


def add_parser(commands: Any) -> None:
    """Add the command to `tinyseq`."""
    parser = commands.add_parser(
        "report",
        help="one page about a run: model, curves, figures, examples, gates",
        description="Write one HTML page, which needs no network: the model's tree, curves, figures by "
        "class, examples right and wrong, a sentence whose gates show when one hovers over it, the receipt.",
        epilog=EXAMPLES,
        formatter_class=Formatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("model", metavar="RUN", type=Path, help="the directory of a run, or a model file")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help="the page to write")
    parser.add_argument("--data", metavar="FILE", type=Path, help="examples to judge the model by")
    parser.add_argument("--text", metavar="TEXT", help="the sentence to look into (default: one of the data)")


def run(args: argparse.Namespace) -> None:
    """Write the page."""
    path = model_path(args.model)
    found: Any = load(path)
    data = None
    if args.data is not None:
        if not isinstance(found, Predictor):
            raise DataError(f"{path} holds no task, so it cannot be judged by examples: leave out --data.")
        data = found.task.read(found.columns(args.data), args.data)
    receipt = path.parent / RECEIPT
    trace, tokens = _looked_into(found, path, args.text, data)
    html = page(
        f"tinyseq report: {args.model}",
        found,
        receipt=read_receipt(receipt) if args.model.is_dir() and receipt.is_file() else None,
        data=data,
        trace=trace,
        tokens=tokens,
    )
    try:
        atomic_write(args.output, html.encode())
    except OSError as error:
        raise DataError(f"{args.output} cannot be written: {error.strerror or error}.") from None
    print(f"{args.output}: {len(html.encode()):,} bytes")


def _looked_into(found: Any, path: Path, text: str | None, data: Any) -> tuple[Any, list[str]]:
    """The trace of one sentence and its tokens, if there is a sentence."""
    if isinstance(found, Predictor):
        if text is None and data and recurs(found.model):
            text = found.task.reader.joined(data[0][0])
        if text is None:
            return None, []
        trace = lens.trace(found, [text])
        return trace, [] if trace.tokens is None else trace.tokens[0]
    kept = describe(path).extra.get("vocabulary")
    if not isinstance(kept, str):
        if text is not None:
            raise DataError(f"{path} holds no vocabulary to read a text with: leave out --text.")
        return None, []
    vocabulary = Vocabulary.from_json(kept)
    if text is None:
        first = vocabulary.encode([vocabulary.symbols[0]])
        text = vocabulary.decode([*first, *generate(found, first, WRITTEN, temperature=0.7, seed=0)])
    ids = vocabulary.encode(text)
    if not len(ids):
        raise DataError("--text is empty: give a text, or leave it out.")
    return lens.trace(found, Sequences.from_list([ids])), [vocabulary.symbols[i] for i in ids]
