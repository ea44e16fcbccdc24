"""tinyseq export: a trained model for other programs."""

import argparse
from pathlib import Path
from typing import Any

from tinyseq.cli.arguments import Formatter
from tinyseq.data import Vocabulary
from tinyseq.errors import ConfigError, DataError
from tinyseq.interop import to_onnx, to_python
from tinyseq.nn import SequenceModel
from tinyseq.registry import describe
from tinyseq.tasks import Predictor, load

EXAMPLES = """\
examples:
  tinyseq export runs/book book.onnx
  tinyseq export runs/book book.onnx --state
  tinyseq export runs/tagger/model.safetensors tagger.py
"""


def add_parser(commands: Any) -> None:
    """Add the command to `tinyseq`."""
    parser = commands.add_parser(
        "export",
        help="write a trained model for other programs",
        description="Write a model as ONNX (NAME.onnx, needs the package onnx), or as Python that needs "
        "NumPy only (NAME.py, with its weights in NAME.npz).",
        epilog=EXAMPLES,
        formatter_class=Formatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("model", metavar="RUN", type=Path, help="the directory of a run, or a model file")
    parser.add_argument(
        "--state", action="store_true", help="ONNX: states go in and out, to read and write piece by piece"
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="what to write: NAME.onnx or NAME.py")


def run(args: argparse.Namespace) -> None:
    """Write the file."""
    if args.file.suffix not in (".onnx", ".py"):
        raise ConfigError(f"{args.file}: say by its ending what to write, NAME.onnx or NAME.py.")
    found = load(args.model)
    model = found.model if isinstance(found, Predictor) else found
    if args.file.suffix == ".onnx":
        data = to_onnx(model, args.file, state=args.state)
        print(f"{args.file}: {len(data):,} bytes")
        return
    if args.state:
        raise ConfigError("--state is for ONNX: a file of Python reads step by step without it.")
    if not isinstance(model, SequenceModel):
        raise DataError(
            f"{args.model} holds a {type(model).__name__}; only a whole model is written as Python."
        )
    if isinstance(found, Predictor):
        task = found.task
        to_python(model, args.file, vocabulary=task.reader, labels=getattr(task, "labels", None))
    else:
        vocabulary = describe(args.model).extra.get("vocabulary")
        known = Vocabulary.from_json(vocabulary) if isinstance(vocabulary, str) else None
        to_python(model, args.file, vocabulary=known)
    print(f"{args.file}, with its weights in {args.file.with_suffix('.npz')}")
