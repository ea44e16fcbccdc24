"""tinyseq predict: what a trained model says of each line of standard input."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from tinyseq.cli.arguments import Formatter
from tinyseq.cli.language_model import MODEL
from tinyseq.errors import DataError, TinyseqError
from tinyseq.tasks import Predictor, load

FORMATS = ("text", "conll", "jsonl")
EXAMPLES = """\
examples:
  echo "She moved to Oslo." | tinyseq predict runs/names
  tinyseq predict runs/names --format conll < texts.txt > tagged.conll
  tinyseq predict runs/reviews --format jsonl < texts.txt
"""


def add_parser(commands: Any) -> None:
    """Add the command to `tinyseq`."""
    parser = commands.add_parser(
        "predict",
        help="tags or classes for each line of standard input",
        description="Tags or classes for each line of standard input, line by line, on standard output.",
        epilog=EXAMPLES,
        formatter_class=Formatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("model", metavar="RUN", type=Path, help="the directory of a run, or a model file")
    parser.add_argument(
        "--format", choices=FORMATS, default="text", help="what to write (default: text); jsonl has all"
    )


def run(args: argparse.Namespace) -> None:
    """Answer each line as soon as it has come."""
    predictor = opened_predictor(args.model)
    if args.format == "conll" and predictor.task.name != "tagging":
        raise DataError("--format conll is for taggers: use text or jsonl.")
    for number, raw in enumerate(iter(sys.stdin.readline, ""), 1):
        try:
            answer = predictor.predict([raw.rstrip("\r\n")])[0]
        except TinyseqError as error:
            raise DataError(f"Line {number} cannot be answered: {error.args[0]}") from None
        print(_written(answer, args.format), flush=True)


def model_path(run: Path) -> Path:
    """The model file of a run's directory, or the file itself."""
    return run / MODEL if run.is_dir() else run


def opened_predictor(run: Path) -> Predictor:
    """The model of a run with its task. Raises DataError for a model without one."""
    path = model_path(run)
    predictor = load(path)
    if not isinstance(predictor, Predictor):
        raise DataError(f"{path} holds no task, so it cannot read raw text: train one with tinyseq train.")
    return predictor


def _written(answer: Any, form: str) -> str:
    if form == "jsonl":
        fields = answer._asdict()
        fields |= {"spans": [span._asdict() for span in answer.spans]} if "spans" in fields else {}
        return json.dumps(fields, ensure_ascii=False)
    if hasattr(answer, "label"):
        return f"{answer.label or ''}\t{answer.text}"
    if form == "conll":
        return "".join(f"{word}\t{tag}\n" for word, tag in zip(answer.tokens, answer.tags, strict=True))
    return " ".join(f"{word}/{tag}" for word, tag in zip(answer.tokens, answer.tags, strict=True))
