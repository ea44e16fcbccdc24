"""tinyseq run: whole experiments by name."""

import argparse
import inspect
import os
import shutil
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

from tinyseq.cli.arguments import Formatter
from tinyseq.cli.console import duration
from tinyseq.errors import ConfigError, PluginError, near
from tinyseq.registry import recipes
from tinyseq.registry.annotations import expected, fits

EXAMPLES = """\
examples:
  tinyseq run --list
  tinyseq run sentiment
  tinyseq run names-by-language --data names/ --set hidden=128 --set epochs=20
"""


def add_parser(commands: Any) -> None:
    """Add the command to `tinyseq`."""
    parser = commands.add_parser(
        "run",
        help="run a recipe: a whole experiment, its baseline first",
        description="Run a recipe, on made-up data or on yours; it prints its baseline before anything else.",
        epilog=EXAMPLES,
        formatter_class=Formatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("recipe", metavar="RECIPE", nargs="?", help="its name, as listed")
    parser.add_argument("--list", action="store_true", help="print one recipe a line, name first")
    parser.add_argument("--data", metavar="PATH", type=Path, help="a file or folder (default: made-up data)")
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        dest="options",
        action="append",
        type=option,
        default=[],
        help="an option of the recipe; give it as often as needed",
    )


def run(args: argparse.Namespace) -> None:
    """List the recipes, or run one."""
    if args.list:
        show_recipes()
        return
    if args.recipe is None:
        raise ConfigError("Which recipe? tinyseq run --list shows them.")
    recipe = recipes[args.recipe]
    options = checked(args.recipe, recipe, dict(args.options))
    if args.data is not None and not os.path.exists(args.data) and not os.path.exists(f"{args.data}.gz"):
        raise ConfigError(f"There is no {args.data} to read data from: check the path.")
    started = time.perf_counter()
    recipe(args.data, **options)
    print(f"in {duration(time.perf_counter() - started)}")


def show_recipes() -> None:
    """One recipe a line: its name, and the first sentence of what it says of itself."""
    width = max(map(len, recipes), default=0)
    for name in recipes:
        try:
            said = inspect.getdoc(recipes[name]) or ""
        except PluginError as error:
            said = f"broken: {error}"
        line = f"{name:<{width}}   {said.partition(chr(10))[0]}"
        columns = shutil.get_terminal_size().columns
        print(line if len(line) <= columns or not sys.stdout.isatty() else f"{line[: columns - 3]}...")


def checked(name: str, recipe: Callable[..., Any], options: dict[str, Any]) -> dict[str, Any]:
    """The options, if the recipe takes them. Raises ConfigError for the first one that it does not."""
    signature, types = inspect.signature(recipe), get_type_hints(recipe)
    known = [p.name for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY]
    for key, value in options.items():
        if key not in known:
            raise ConfigError(
                f"{name} has no option {key!r}.{near(key, known)} Its options: {', '.join(known)}."
            )
        if not fits(value, types.get(key, Any)):
            raise ConfigError(f"{name}: {key} must be {expected(types[key])}, not {value!r}.")
    return options


def option(text: str) -> tuple[str, Any]:
    """A key and its value; what is no number, list or boolean of TOML is a string."""
    key, equals, value = text.partition("=")
    if not (key.isidentifier() and equals):
        raise argparse.ArgumentTypeError(f"expected KEY=VALUE, such as epochs=5, not {text!r}")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value
