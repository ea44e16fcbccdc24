"""Arguments: their types, and a parser whose complaints are one sentence."""

import argparse
import math
import shutil
import textwrap
from collections.abc import Callable
from typing import NoReturn

BROKEN, WRONG = 1, 2
"""Exit codes: what was to be checked is broken, or what was given cannot be used."""


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that says what is wrong, where help is, and nothing else."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Help with the options in one column."""

    def __init__(self, prog: str) -> None:
        width = min(100, shutil.get_terminal_size().columns)
        super().__init__(prog, max_help_position=32 if width > 90 else 24, width=width)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        """Sentences are wrapped, examples stay as they are."""
        if "\n" in text:
            return super()._fill_text(text, width, indent)
        return textwrap.fill(text, width, initial_indent=indent, subsequent_indent=indent)


def whole(low: int) -> Callable[[str], int]:
    """An integer, `low` or more."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if value < low:
            raise argparse.ArgumentTypeError(f"expected a whole number, {low} or more, not {text!r}")
        return value

    return parse


def number(
    low: float, high: float = math.inf, *, low_allowed: bool = False, high_allowed: bool = False
) -> Callable[[str], float]:
    """A finite number between `low` and `high`, with or without the ends."""
    bounds = f"{'at least' if low_allowed else 'above'} {low:g}"
    if high < math.inf:
        bounds += f" and {'at most' if high_allowed else 'below'} {high:g}"

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        inside = (low <= value if low_allowed else low < value) and (
            value <= high if high_allowed else value < high
        )
        if not (inside and math.isfinite(value)):
            raise argparse.ArgumentTypeError(f"expected a number {bounds}, not {text!r}")
        return value

    return parse
