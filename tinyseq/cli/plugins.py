"""tinyseq plugins: what is installed, whether it keeps the laws, and a beginning for one's own."""

import argparse
import shlex
import textwrap
import tomllib
from contextlib import suppress
from typing import Any

from tinyseq.cli import skeleton
from tinyseq.cli.arguments import BROKEN, Formatter, whole
from tinyseq.errors import ConfigError, PluginError
from tinyseq.registry import Record, build, problems, registries
from tinyseq.registry.catalogue import locate
from tinyseq.registry.discovery import VARIABLE, switched_off

DECLARE = "see the options, or declare more in a test: test_it = tinyseq.testing.conformance(...)"

EXAMPLES = """\
examples:
  tinyseq plugins
  tinyseq plugins --load
  tinyseq plugins check gru
  tinyseq plugins check cell:mgu input_size=3 hidden_size=5
  tinyseq plugins check recurrent 'cell={class="gru", input_size=3, hidden_size=5}'
  tinyseq plugins check cross-entropy --inputs 4
  tinyseq plugins new cell mgu
"""


def add_parser(commands: Any) -> None:
    """Add the command to `tinyseq`."""
    parser = commands.add_parser(
        "plugins",
        help="list, check and begin plugins: cells, layers, losses, heads and more",
        description="List what is installed, by name; check that a plugin keeps the laws; begin a new one.",
        epilog=EXAMPLES,
        formatter_class=Formatter,
    )
    parser.set_defaults(run=show)
    parser.add_argument(
        "--load", action="store_true", help="import every plugin, which shows its version and what is broken"
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION")
    _add_check(actions)
    _add_new(actions)


def _add_check(actions: Any) -> None:
    parser = actions.add_parser(
        "check",
        help="try every law of its kind on one plugin",
        description="Try every law of its kind on one plugin; the exit code is 1 if one is broken.",
        formatter_class=Formatter,
    )
    parser.set_defaults(run=check)
    parser.add_argument("name", metavar="NAME", help="as listed; kind:name where two kinds have it")
    parser.add_argument(
        "arguments",
        metavar="KEY=VALUE",
        nargs="*",
        type=_argument,
        help="what to make it with (default: small sizes for what it requires)",
    )
    parser.add_argument(
        "--inputs",
        metavar="N",
        type=whole(1),
        help="features that a layer reads, or classes of a loss, a head or a model",
    )
    parser.add_argument(
        "--context", metavar="STEPS", help="what a layer's output depends on: past, both, ..."
    )
    parser.add_argument("--ignored", metavar="TARGET", type=int, help="the target that a loss ignores")
    parser.add_argument(
        "--mines", action="store_true", help="it compares the rows or sequences of a batch with each other"
    )


def _add_new(actions: Any) -> None:
    parser = actions.add_parser(
        "new",
        help="write a package for a new plugin into this folder",
        description="Write a package, tested and ready to be installed, for a new plugin into this folder.",
        formatter_class=Formatter,
    )
    parser.set_defaults(run=new)
    parser.add_argument("kind", metavar="KIND", choices=skeleton.KINDS, help=", ".join(skeleton.KINDS))
    parser.add_argument("name", metavar="NAME", help="lower-case words with hyphens between them")
    parser.add_argument("--package", metavar="NAME", help="the package to make (default: tinyseq-NAME)")


def show(args: argparse.Namespace) -> None:
    """List every plugin; without --load nothing is imported, and so no version is known."""
    if args.load:
        for registry in registries.values():
            for entry in registry.spellings().values():
                with suppress(PluginError):  # which the list then shows
                    entry.load()
    records = [record for registry in registries.values() for record in registry.records()]
    rows = [("KIND", "NAME", "VERSION", "DISTRIBUTION", "STATE"), *map(_row, records)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for said in (*(record.cause for record in records if record.cause), *problems()):
        print(f"\n{textwrap.indent(said, '  ').strip()}")
    if switched_off():
        print(f"\nInstalled packages are not looked at, because {VARIABLE}=0.")


def _row(record: Record) -> tuple[str, ...]:
    version = "-" if record.version is None else str(record.version)
    return record.kind, record.name, version, record.distribution, record.state


def check(args: argparse.Namespace) -> int:
    """Print the kit's report."""
    from tinyseq.testing import kit  # no other command needs it

    entry = locate(args.name)
    try:
        component = entry.load()
    except PluginError as error:
        print(error)
        return BROKEN
    kind = entry.kind.name
    declared = {name: getattr(args, name) for name in ("inputs", "context", "ignored", "mines")}
    cases = [build(dict(args.arguments))] if args.arguments else kit.default_cases(component, kind)
    _require_declared(component, kind, cases, args.inputs)
    report = kit.check(component, cases, kind=kind, **declared)
    print(report)
    if report.ok:
        return 0
    print(f"\nIf this is not what {report.component} reads, {DECLARE}.")
    return BROKEN


def _require_declared(component: Any, kind: str, cases: Any, inputs: int | None) -> None:
    """Raise ConfigError where a law would be broken only because the kit knows too little."""
    if kind == "loss" and inputs is None:
        raise ConfigError(
            f"The kit cannot know what {component.__name__} compares: say --inputs N for scores of N "
            f"classes; for anything else, {DECLARE}."
        )
    if kind in ("optimizer", "initializer"):
        return  # whose cases are the options of a call
    for case in cases:
        try:
            component(**case)
        except Exception as error:  # a stranger's constructor
            given = ", ".join(f"{key}={value!r}" for key, value in case.items()) or "no arguments"
            raise ConfigError(
                f"{component.__name__} cannot be made with {given}: {error} Say KEY=VALUE for each argument, "
                f"or {DECLARE}."
            ) from None


def _argument(text: str) -> tuple[str, Any]:
    """A constructor's argument in TOML, of which a table with a class is a component; else a string."""
    key, equals, value = text.partition("=")
    if not (key.isidentifier() and equals):
        raise argparse.ArgumentTypeError(f"expected KEY=VALUE, such as hidden_size=5, not {text!r}")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value


def new(args: argparse.Namespace) -> None:
    """Write the package, and say what to do with it."""
    root = skeleton.write(args.kind, args.name, args.package)
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        print(path)
    where = shlex.quote(str(root))
    print(f'\nTry it, where tinyseq is installed: cd {where} && pip install -e ".[test]" && pytest')
