"""A new package for a plugin: complete, tested, and ready to be installed."""

import os
import re
from importlib.resources import files
from keyword import iskeyword
from pathlib import Path
from string import Template

import tinyseq
from tinyseq.errors import ConfigError, DataError
from tinyseq.registry import registries

KINDS = ("cell", "layer", "loss", "head", "metric", "optimizer", "initializer")
"""The kinds that there is a skeleton for."""

WORDS = r"[a-z][a-z0-9]*(-[a-z0-9]+)*"


def write(kind: str, name: str, package: str | None = None, *, folder: Path = Path()) -> Path:
    """Make the folder of a package that offers the plugin `name`, by default tinyseq-NAME, and give its path.

    Raises ConfigError, before anything is written, for a name that cannot be used or a folder that is there;
    DataError where nothing can be written.
    """
    package = f"tinyseq-{name}" if package is None else package
    for what, word in (("plugin", name), ("package", package)):
        if not re.fullmatch(WORDS, word) or iskeyword(_module(word)):
            raise ConfigError(
                f"A {what} is named by lower-case words with hyphens between them, such as 'focal-loss', and "
                f"by no keyword of Python; {word!r} is not."
            )
    others = [r.distribution for r in registries[kind].records() if r.name == name]
    if others and others[0].rpartition(" ")[0] != package:
        raise ConfigError(
            f"{others[0]} already offers the {kind} {name!r}: choose another name, or users would have to "
            f"say '{package}:{name}'."
        )
    root = folder / package
    if os.path.exists(root):
        raise ConfigError(f"{root} is already there, and nothing is overwritten: move it, or use --package.")
    texts = contents(kind, name, package)
    try:
        for path, text in texts.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(f"{root} cannot be written: {error.strerror or error}.") from None
    return root


def contents(kind: str, name: str, package: str) -> dict[str, str]:
    """The text of every file of the package, by its path."""
    module, file = _module(package), _module(name)
    words = {
        "kind": kind,
        "group": registries[kind].kind.plural,
        "name": name,
        "package": package,
        "module": module,
        "file": file,
        "Class": class_name(name) if registries[kind].kind.base else file,  # a function has its own name
        "a_kind": f"an {kind}" if kind[0] in "aeiou" else f"a {kind}",
        "tinyseq": tinyseq.__version__,
    }

    def filled(template: str) -> str:
        text = files("tinyseq.cli").joinpath("skeletons", f"{template}.txt").read_text(encoding="utf-8")
        return Template(text).substitute(words)

    if kind in ("cell", "layer", "loss", "head"):  # what saved models are made of
        words["versions"] = (
            " Once others have saved models with it, raise\n`version` in the class whenever the same "
            "parameters would give other numbers."
        )
    else:
        words["versions"] = ""
    words["use"] = filled(f"{kind}.use").strip()
    return {
        "pyproject.toml": filled("pyproject.toml"),
        "README.md": filled("README.md"),
        f"src/{module}/__init__.py": filled("init.py"),
        f"src/{module}/{file}.py": filled(f"{kind}.py"),
        f"src/{module}/py.typed": "",
        f"tests/test_{file}.py": filled(f"{kind}.test.py"),
    }


def class_name(name: str) -> str:
    """focal-loss as FocalLoss; three letters, or none but consonants, are an acronym: MGU, LSTM."""
    if len(name) <= 3 or re.fullmatch(r"[^aeiouy-]+", name):
        return name.upper()
    return "".join(word.capitalize() for word in name.split("-"))


def _module(name: str) -> str:
    return name.replace("-", "_")
