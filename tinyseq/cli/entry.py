"""The entry point: one parser, one command each, and no traceback for what a user can mend."""

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper

import tinyseq
from tinyseq.cli import (
    demo,
    devices,
    evaluate,
    export,
    inspect,
    plugins,
    predict,
    replay,
    report,
    run,
    sample,
    sweep,
    train,
    train_lm,
)
from tinyseq.cli.arguments import WRONG, Formatter, Parser
from tinyseq.cli.processes import INTERRUPTED
from tinyseq.errors import ConfigError, TinyseqError
from tinyseq.processes.mpi import begun_by_launcher


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `tinyseq ARGUMENTS`, by default the command line's; gives the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a letter shows a question mark
    args = parser().parse_args(arguments)
    try:
        if args.run is not train.train and begun_by_launcher():
            raise ConfigError("mpirun began several processes: only tinyseq train has work for them.")
        with devices.computing_with(getattr(args, "backend", None)):
            code = args.run(args)  # None where all is well
        sys.stdout.flush()
    except TinyseqError as error:
        return _say(f"tinyseq: {error}", WRONG)
    except MemoryError as error:
        return _say(f"tinyseq: this does not fit into memory ({error}): use a smaller model or batch.", WRONG)
    except KeyboardInterrupt as stop:
        return _say(f"\ntinyseq: {stop if stop.args else 'stopped'}", INTERRUPTED)
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return int(code or 0)


def parser() -> Parser:
    """The parser of all commands."""
    top = Parser(
        prog="tinyseq",
        description="Sequence models on NumPy and CuPy.",
        epilog="Start with: tinyseq demo",
        formatter_class=Formatter,
    )
    top.add_argument("--version", action="version", version=f"tinyseq {tinyseq.__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    trained = (predict, evaluate, inspect, report, export, replay)
    for command in (demo, run, train_lm, sample, train, *trained, sweep, plugins, devices):
        command.add_parser(commands)
    where = "where to compute (default: the environment's TINYSEQ_BACKEND, or numpy)"
    for name, its in commands.choices.items():
        if name not in ("plugins", "devices", "check"):
            its.add_argument("--backend", choices=["numpy", "cupy"], help=where)
    return top


def _say(sentence: str, code: int) -> int:
    print(sentence, file=sys.stderr, flush=True)
    return code
