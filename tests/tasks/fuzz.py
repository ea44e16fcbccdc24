"""Run files and data files of the tasks, mutated: each is checked, or refused in sentences.

By hand, ten thousand of them: python -m tests.tasks.fuzz --count 10000
"""

import argparse
import contextlib
import io
import random
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

from tests.tasks.runs import ENCODERS, HEADS, run_text, write_data
from tinyseq.cli import main

PIECES = [
    "=", '"', "[", "]", "{", "}", ",", "\n", "#", "0", "-1", "1e400", "true", "nan", "null", "\\u0000", "é",
    '"data.tags"', '"data.target_size"', "[data]", "[[data]]", '"pairs"', '"char"', '"spelling"', '"gru"',
    "text = 3", "words = 7", "tags = 0", 'valid = "data.csv"', 'valid = "."', "min_count = 99", 'train = "."',
    "valid_fraction = 0.0", "valid_fraction = 0.99", 'encoding = "utf-16"', 'encoding = "ascii"', "batch = 0",
    'vectors = "data.csv"', 'label = "id"', 'unit = "char"', 'features = "case"', "lowercase = true",
    "digits = true", 'monitor = "bleu"', "epochs = 1", 'directory = "."', 'optimizer = { class = "sgd" }',
]  # fmt: skip
BYTES = [
    b"\t", b"\n", b"\n\n", b" ", b"\r", b"\0", b"\xff", b'"', b",", b"O", b"B-", b"I-LOC", b"1", b"0", b"yes",
    b"-DOCSTART- O\n", b"\xef\xbb\xbf", b"\xe2\x80\x8d", b"\xed\xa0\x80", b"x" * 50, b"first\tsecond\n",
]  # fmt: skip


def mutated_text(text: str, rng: random.Random) -> str:
    """The text with pieces cut out and put in."""
    for _ in range(rng.choice([1, 1, 2, 4])):
        if rng.random() < 0.3:  # a whole line, or a value, is another one
            lines = text.split("\n")
            i = rng.randrange(len(lines))
            key, equals, _ = lines[i].partition(" = ")
            lines[i] = (
                f"{key} = {rng.choice(PIECES)}" if equals and rng.random() < 0.6 else rng.choice(PIECES)
            )
            text = "\n".join(lines)
        else:
            at, cut = rng.randrange(len(text) + 1), rng.choice([0, 0, 1, 8, 30])
            text = text[:at] + rng.choice(["", rng.choice(PIECES)]) + text[at + cut :]
    return text


def mutated_bytes(content: bytes, rng: random.Random) -> bytes:
    """The bytes with some cut out, put in, or repeated."""
    for _ in range(rng.choice([1, 1, 2, 5])):
        at, cut = rng.randrange(len(content) + 1), rng.choice([0, 0, 1, 5, 40, len(content)])
        content = content[:at] + rng.choice([b"", rng.choice(BYTES)]) + content[at + cut :]
    return content


def outcome(folder: Path, command: str = "check") -> str:
    """What the command says of run.toml: "accepted" or "refused"; anything else escapes."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a head may warn of its encoder
        code = main([command, str(folder / "run.toml")])
    said = (out.getvalue() + err.getvalue()).strip()
    assert code in (0, 2), (code, said)
    assert "Traceback" not in said
    if code == 0:
        return "accepted"
    for line in said.splitlines():
        assert 10 < len(line) < 1500, line
        assert line.rstrip()[-1] in ".?!", line
    return "refused"


def attempt(folder: Path, number: int, seed: int = 0) -> str:
    """One attack; the number and the seed decide what is drawn."""
    rng = random.Random(f"{seed} {number}")
    task = rng.choice(list(HEADS))
    features = rng.choice(["word", "case", "spelling"])
    name = write_data(task, folder)
    text = run_text(task, name, head=rng.randrange(2), encoder=rng.choice(list(ENCODERS)), features=features)
    if rng.random() < 0.5:
        text = mutated_text(text, rng)
    else:
        (folder / name).write_bytes(mutated_bytes((folder / name).read_bytes(), rng))
    (folder / "run.toml").write_bytes(text.encode("utf-8", "surrogatepass"))
    return outcome(folder)


def run() -> None:
    """Attack, and say what became of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    seen: Counter[str] = Counter()
    began, slowest = time.perf_counter(), 0.0
    with tempfile.TemporaryDirectory() as name:
        for number in range(args.first, args.first + args.count):
            before = time.perf_counter()
            try:
                seen[attempt(Path(name), number, args.seed)] += 1
            except BaseException as error:
                seen["escaped"] += 1
                print(f"{number}: {type(error).__name__}: {error!s:.600}", file=sys.stderr, flush=True)
            slowest = max(slowest, time.perf_counter() - before)
    print(f"{dict(seen)} in {time.perf_counter() - began:.0f} s; the slowest took {slowest:.2f} s")


if __name__ == "__main__":
    run()
