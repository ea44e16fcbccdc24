"""tinyseq devices: where arrays can be computed here."""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tinyseq.backend import backend, use
from tinyseq.cli.arguments import Formatter
from tinyseq.errors import BackendError


def add_parser(commands: Any) -> None:
    """Add the command to `tinyseq`."""
    parser = commands.add_parser(
        "devices",
        help="what can compute here: the CPU, and GPUs through CuPy",
        description="Say what can compute here, and what is missing where something cannot.",
        formatter_class=Formatter,
    )
    parser.set_defaults(run=run)


@contextmanager
def computing_with(name: str | None) -> Iterator[None]:
    """Compute with a backend, in threads too, until the end of the block; None: with the one in use."""
    if name is None:
        yield
        return
    chosen = use(name)
    try:
        yield
    finally:
        with chosen:  # from here on in this block alone, which ends
            pass


def run(args: argparse.Namespace) -> None:
    """Print it."""
    print(f"numpy     the CPU: {os.cpu_count()} cores")
    try:
        gpus = backend("cupy").devices()
    except BackendError as error:
        print(f"cupy      {error}")
        return
    for number, text in enumerate(gpus):
        print(f"cupy {number:<4} {text}")
    print("Say tinyseq.use('cupy', device=0), --backend cupy, or backend = \"cupy\" in a run file.")
