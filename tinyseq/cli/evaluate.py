"""tinyseq evaluate: what a trained model gets right and wrong of a file."""

import argparse
import json
from pathlib import Path
from typing import Any

from tinyseq.cli.arguments import Formatter, whole
from tinyseq.cli.predict import opened_predictor

EXAMPLES = """\
examples:
  tinyseq evaluate runs/names test.conll
  tinyseq evaluate runs/reviews test.csv --worst 20
  tinyseq evaluate runs/reviews test.csv --json > figures.json
"""


def add_parser(commands: Any) -> None:
    """Add the command to `tinyseq`."""
    parser = commands.add_parser(
        "evaluate",
        help="figures, confusions and worst mistakes of a trained model on a file",
        description="Scores by class (and spans by type), what is taken for what, and the examples that went "
        "most wrong, on a file with the columns of the one that the model was trained on.",
        epilog=EXAMPLES,
        formatter_class=Formatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("model", metavar="RUN", type=Path, help="the directory of a run, or a model file")
    parser.add_argument("file", metavar="FILE", type=Path, help="the examples to try it on")
    parser.add_argument(
        "--worst", metavar="N", type=whole(0), default=5, help="how many wrong answers to show (default: 5)"
    )
    parser.add_argument("--json", action="store_true", help="write everything as one JSON object")


def run(args: argparse.Namespace) -> None:
    """Print the report."""
    found = opened_predictor(args.model).evaluate(args.file)
    if args.json:
        print(json.dumps(found.to_dict(), ensure_ascii=False))
        return
    print(f"{args.file}: {found.examples:,} examples\n")
    print(found.report(args.worst))
