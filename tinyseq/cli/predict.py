"""tinyseq predict: what a trained model says of standard input, as soon as it comes."""

import argparse
import json
import sys
from collections.abc import Iterator
from math import isnan
from pathlib import Path
from typing import Any, TextIO

from tinyseq.cli.arguments import Formatter
from tinyseq.errors import ConfigError, DataError
from tinyseq.tasks import Pairs, Predictor, Tagging, load

FORMATS = ("text", "conll", "jsonl")
EXAMPLES = """\
examples:
  echo "She moved to Oslo." | tinyseq predict runs/names
  tinyseq predict runs/names --format conll < texts.txt > tagged.conll
  tinyseq predict runs/names --input conll --format conll < words.conll
  tinyseq predict runs/reviews --input jsonl --format jsonl < texts.jsonl
"""


def add_parser(commands: Any) -> None:
    """Add the command to `tinyseq`."""
    parser = commands.add_parser(
        "predict",
        help="answers for each line of standard input",
        description="What a model says of standard input, on standard output, line by line as it comes: "
        "tags, classes, texts, or how alike two texts are that a tab divides.",
        epilog=EXAMPLES,
        formatter_class=Formatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("model", metavar="RUN", type=Path, help="the directory of a run, or a model file")
    parser.add_argument(
        "--input",
        choices=FORMATS,
        default="text",
        help="what is read (default: text): a text a line; a word a line and an empty one after each "
        "sentence, words first; an object a line, with the columns of training",
    )
    parser.add_argument(
        "--format", choices=FORMATS, default="text", help="what is written (default: text); jsonl has all"
    )


def run(args: argparse.Namespace) -> None:
    """Answer each line as soon as it has come."""
    predictor = opened_predictor(args.model)
    if "conll" in (args.format, args.input) and not isinstance(predictor.task, Tagging):
        raise ConfigError("conll is for taggers: use text or jsonl.")
    reading = {"text": _of_lines, "conll": _of_conll, "jsonl": _of_objects}[args.input]
    for answer, record in reading(predictor, sys.stdin):
        print(_written(answer, args.format, record), flush=True)


def opened_predictor(run: Path) -> Predictor:
    """The model of a run with its task. Raises DataError for a model without one."""
    predictor = load(run)
    if not isinstance(predictor, Predictor):
        raise DataError(f"{run} holds no task, so it cannot read raw text: train one with tinyseq train.")
    return predictor


def _lines(stream: TextIO) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, each as soon as it is there: iterating over a stream would read ahead."""
    number = 0
    while True:
        try:
            line = stream.readline()
        except UnicodeDecodeError as error:
            raise DataError(
                f"standard input, line {number + 1}: is not {error.encoding}: {error.reason}."
            ) from None
        if not line:
            return
        number += 1
        yield number, line.rstrip("\r\n")


def _of_lines(predictor: Predictor, stream: TextIO) -> Iterator[tuple[Any, dict[str, Any]]]:
    for number, line in _lines(stream):
        text: Any = line
        if isinstance(predictor.task, Pairs):
            text = tuple(line.split("\t"))
            if len(text) != 2:
                raise DataError(f"standard input, line {number}: has {len(text)} texts, not two with a tab.")
        yield predictor.predict([text])[0], {}


def _of_conll(predictor: Predictor, stream: TextIO) -> Iterator[tuple[Any, dict[str, Any]]]:
    assert isinstance(predictor.task, Tagging)
    tokens = list[str]()
    for _, line in _lines(stream):
        if line.strip():
            tokens.append(line.split("\t")[0].split()[0] if line.split("\t")[0].strip() else "_")
        elif tokens:
            yield predictor.task.answers_to_tokens(predictor.model, [tokens])[0], {}
            tokens = []
    if tokens:
        yield predictor.task.answers_to_tokens(predictor.model, [tokens])[0], {}


def _of_objects(predictor: Predictor, stream: TextIO) -> Iterator[tuple[Any, dict[str, Any]]]:
    data = predictor.columns()
    for number, line in _lines(stream):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            if not isinstance(record, dict):
                raise ValueError("is no object.")
            if isinstance(predictor.task, Tagging):
                yield _tagged(predictor, record, data.words), record
            else:
                yield predictor.predict([predictor.task.raw(record, data)])[0], record
        except json.JSONDecodeError as error:
            raise DataError(f"standard input, line {number}: is not JSON: {error.msg}.") from None
        except (ValueError, RecursionError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"standard input, line {number}: {error}") from None


def _tagged(predictor: Predictor, record: dict[str, Any], column: Any) -> Any:
    """The answer for an object with a list of words, or with a text."""
    assert isinstance(predictor.task, Tagging)
    for key in (column, "tokens", "words"):
        tokens = record.get(key)
        if isinstance(tokens, list) and tokens and all(isinstance(t, str) and t.strip() for t in tokens):
            return predictor.task.answers_to_tokens(predictor.model, [tokens])[0]
    if not isinstance(record.get("text"), str):
        raise ValueError(f"has neither a list of words, {column!r} or 'tokens', nor a 'text'.")
    return predictor.predict([record["text"]])[0]


def _written(answer: Any, form: str, record: dict[str, Any]) -> str:
    if form == "jsonl":
        fields = answer._asdict()
        fields |= {"spans": [span._asdict() for span in answer.spans]} if "spans" in fields else {}
        fields = {key: None if isinstance(v, float) and isnan(v) else v for key, v in fields.items()}
        return json.dumps({**record, **fields}, ensure_ascii=False)
    if form == "conll":
        return "".join(f"{word}\t{tag}\n" for word, tag in zip(answer.tokens, answer.tags, strict=True))
    if hasattr(answer, "tags"):
        return " ".join(f"{word}/{tag}" for word, tag in zip(answer.tokens, answer.tags, strict=True))
    if hasattr(answer, "written"):
        return answer.written or ""
    if hasattr(answer, "similarity"):
        same = {True: "same", False: "different", None: ""}[answer.same]
        return f"{same}\t{answer.similarity:.4f}\t{answer.first}\t{answer.second}"
    return f"{answer.label or ''}\t{answer.text}"
