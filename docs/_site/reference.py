"""The pages of the reference: for every public name its signature, its docstring and an example that runs."""

import ast
import dataclasses
import inspect
import re
import textwrap
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from _site.names import KINDS, Name, public, registered

EXAMPLES = Path(__file__).parents[1] / "examples"
TITLES = {kind: kind.capitalize() for kind in KINDS}


def examples(page: str) -> dict[str, str]:
    """The examples of a page by name, as doctests; "setup" is what stands before each of them.

    In docs/examples/PAGE.txt a name stands at the beginning of a line, and its example below it, indented.
    """
    file = EXAMPLES / f"{page}.txt"
    if not file.exists():
        return {}
    blocks = re.findall(r"^(\w+)\n((?:[ ]{4}.*\n|\n)+)", file.read_text(encoding="utf-8"), re.M)
    return {name: textwrap.dedent(block).strip() for name, block in blocks}


def pages() -> dict[str, str]:
    """The text of every page by its name, in Markdown, and of the index."""
    found = public()
    described = {id(name.value): name.full for names in found.values() for name in names}
    texts = {page: _page(page, names, described) for page, names in found.items()}
    modules = "\n".join(page for page in found if page not in KINDS)
    kinds = "\n".join(page for page in found if page in KINDS)
    texts["index"] = INDEX.format(modules=modules, kinds=kinds)
    return texts


INDEX = """# Reference

Every public name, with an example that the tests run.

```{{toctree}}
:caption: Modules
:maxdepth: 1

{modules}
```

```{{toctree}}
:caption: By name, for files and the command line
:maxdepth: 1

{kinds}
```
"""


def _page(page: str, names: list[Name], described: dict[int, str]) -> str:
    shown = examples(page)
    parts = [f"# {TITLES.get(page, page)}\n"]
    if page in KINDS:
        parts += _by_name(page, described)
    else:
        doc = inspect.getdoc(import_module(page)) or ""
        parts.append(prose(re.sub(r"^Floor \d: (.)", lambda first: first[1].upper(), doc)))
    if "setup" in shown:
        parts.append(f"The examples begin with\n\n```pycon\n{shown['setup']}\n```\n")
    parts += [_entry(name, shown.get(name.name, "")) for name in names]
    return "\n".join(parts)


def _by_name(kind: str, described: dict[int, str]) -> Iterator[str]:
    yield f"`tinyseq.{kind}[name]` gives the class, and so does a file that says `class = name`.\n"
    yield "| name | what it is | |\n|---|---|---|"
    for name in registered(kind):
        line = first_sentence(inspect.getdoc(name.value) or "")
        full = described[id(name.value)]
        text = prose(line).strip().replace("|", "&#124;")
        yield f"| `{name.registered}` | {{py:obj}}`~{full}` | {text} |"
    yield ""


def first_sentence(text: str) -> str:
    """The text up to its first full stop at the end of a line or before a space."""
    return re.split(r"(?<=\.)\s", text.partition("\n\n")[0].replace("\n", " "), maxsplit=1)[0]


def _entry(name: Name, example: str) -> str:
    kind, signature, members = "data", "", []
    if inspect.isclass(name.value):
        kind, signature = "class", _signature(name.value)
        members = list(_members(name.value))
    elif inspect.isroutine(name.value):
        kind, signature = "function", _signature(name.value)
    of_ours = kind != "data" or type(name.value).__module__.startswith("tinyseq")
    body = prose(_doc(name.value)) if of_ours else ""  # else it is the docstring of int, or of tuple
    called = f'By name: `"{name.registered}"`.\n' if name.registered else ""
    run = f"```pycon\n{example}\n```\n" if example else ""
    inner = "\n".join(part for part in (called, body, run, *members) if part)
    return directive(kind, f"{name.name}{signature}", inner, name.module, 6)


def directive(kind: str, head: str, body: str, module: str, ticks: int) -> str:
    """A description of an object, in Sphinx's words."""
    option = f":module: {module}\n" if module else ""
    return f"{'`' * ticks}{{py:{kind}}} {head}\n{option}\n{body}\n{'`' * ticks}\n"


def _members(cls: type) -> Iterator[str]:
    """The methods and properties that a class documents itself."""
    for name, member in vars(cls).items():
        if name.startswith("_"):
            continue
        plain = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if isinstance(plain, property):
            doc, kind, signature = inspect.getdoc(plain), "property", ""
        elif inspect.isfunction(plain):
            doc, kind, signature = plain.__doc__ and inspect.getdoc(plain), "method", _signature(plain)
        else:
            continue
        if doc:
            yield directive(kind, name + signature, prose(doc), "", 5)


def _doc(value: Any) -> str:
    """The docstring of one's own, but for those that Python writes for tuples and dataclasses."""
    doc = vars(value).get("__doc__") if inspect.isclass(value) else getattr(value, "__doc__", "")
    if not doc or (dataclasses.is_dataclass(value) and doc.startswith(f"{value.__name__}(")):
        return ""
    return inspect.cleandoc(doc)


def _signature(value: Any) -> str:
    """The arguments, with their types as the source spells them."""
    try:
        known = inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    spelt = _spelt(value.__init__ if inspect.isclass(value) else value)
    arguments = []
    for parameter in known.parameters.values():
        if parameter.name in ("self", "cls", "xp"):  # xp is what @primitive hands in
            continue
        default = parameter.default
        if default is not parameter.empty and not isinstance(default, str | int | float | tuple | None):
            shown = spelt.get(f"={parameter.name}", "...")
            parameter = parameter.replace(default=_Shown(shown))
        written = spelt.get(parameter.name, "Any")
        annotation = parameter.empty if written == "Any" else _Shown(written)
        arguments.append(parameter.replace(annotation=annotation))
    return str(known.replace(parameters=arguments, return_annotation=known.empty))


class _Shown:
    """Prints as it is spelt."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _spelt(function: Any) -> dict[str, str]:
    """Annotations, and defaults as "=name", in the words of the source."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
    except (OSError, TypeError, SyntaxError):
        return {}
    node = tree.body[0]
    if not isinstance(node, ast.FunctionDef):
        return {}
    arguments = node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + list(arguments.defaults)
    pairs = [*zip(positional, defaults, strict=True)]
    pairs += [*zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    pairs += [(extra, None) for extra in (arguments.vararg, arguments.kwarg) if extra]
    found = {argument.arg: ast.unparse(argument.annotation) for argument, _ in pairs if argument.annotation}
    return found | {f"={argument.arg}": ast.unparse(value) for argument, value in pairs if value}


def prose(text: str) -> str:
    """A docstring as Markdown: what is indented is code already, and `<` begins no tag."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("    "):
            parts = line.split("`")
            parts[::2] = [re.sub(r"([<*_\[\]])", r"\\\1", part) for part in parts[::2]]
            line = "`".join(parts)
        lines.append(line)
    return "\n".join(lines) + "\n"
