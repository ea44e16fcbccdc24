"""Every key of any TOML is found on its line; each generated value is the number of the line it stands on."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from tinyseq.files.toml_lines import line_of, lines_of

NAMES = st.sampled_from(["a", "b-c", "3", '"d.e"', "'f = 1'", '"g\\"h"', '"\\u00e9"'])
NOISE = st.sampled_from(
    [
        "",
        "# [comment] a = 1",
        'text{n} = """\na = 1\n[b]\\""" """"',
        "text{n} = '''\n# a = 1\n[[b]]\n'''",
        "text{n} = \"[a] # = \\\" '''\"",
        "date{n} = 1979-05-27 07:32:00",
        "float{n} = -1.5e3 # a = 1",
        "none{n} = {{}}",
        "empty{n} = [ # ]\n]",
    ]
)
SHAPES = st.sampled_from(["plain", "dotted", "list", "long list", "inline", "nested inline", "tables"])


def pair(key, shape, line):
    """`key` with a value of that shape which begins on `line`, and holds nothing but numbers of lines."""
    return {
        "plain": f"{key} = {line}",
        "dotted": f"{key} . x.'y' = {line}",
        "list": f"{key} = [{line}, [{line}], {line},]  # , 1",
        "long list": f"{key} = [\n{line + 1}, # 1, 2\n\n[\n{line + 4}], {line + 4}\n]",
        "inline": f"{key}={{p={line}, 'q r' = {line}}}",
        "nested inline": f"{key} = {{ p.q = {{ r = [{line}] }}, s = [{{t = {line}}}, {line}] }}",
        "tables": f"{key} = [\n  {{ p = {line + 1} }},\n  {{ p = {line + 2},\tq = {line + 2} }} ]",
    }[shape]


@st.composite
def documents(draw):
    text = ""

    def body():
        nonlocal text
        for key in draw(st.lists(NAMES, unique=True, max_size=4)):
            text += draw(NOISE).format(n=text.count("\n")) + "\n"
            text += pair(key, draw(SHAPES), text.count("\n") + 1) + "\n"

    body()
    for i, name in enumerate(draw(st.lists(NAMES, max_size=4))):
        kind = draw(st.sampled_from(["[t{i}]", "[ t{i} . {name} ]", "[[t{i}]]", "[[t{i}.{name}]]"]))
        for _ in range(draw(st.integers(1, 3)) if kind.startswith("[[") else 1):
            text += kind.format(i=i, name=name) + " # [x]\n"
            body()
            if kind == "[[t{i}]]" and draw(st.booleans()):
                text += f"[t{i}.sub]\n"
                body()
    return text.replace("\n", draw(st.sampled_from(["\n", "\r\n"])))


def numbers(value, path=()):
    """Every number in a document with its path."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from numbers(item, (*path, key))
    elif isinstance(value, int):
        yield path, value


@given(documents())
def test_every_value_is_found_on_its_line(text):
    document = tomllib.loads(text)
    lines = lines_of(text)
    found = list(numbers(document))
    assert [(path, lines[path]) for path, _ in found] == found


def test_the_generator_reaches_every_shape():
    lines = lines_of('a = 1\n\n[[b.c]]\nd = { e = [\n1,\n2] }\n[b.f]\n[[b.c]]\n"g.h" = """\n"""\n')
    assert lines == {
        ("a",): 1,
        ("b",): 3,
        ("b", "c"): 3,
        ("b", "c", 0): 3,
        ("b", "c", 0, "d"): 4,
        ("b", "c", 0, "d", "e"): 4,
        ("b", "c", 0, "d", "e", 0): 5,
        ("b", "c", 0, "d", "e", 1): 6,
        ("b", "f"): 7,
        ("b", "c", 1): 8,
        ("b", "c", 1, "g.h"): 9,
    }


def test_a_missing_path_is_on_the_line_of_what_holds_it():
    lines = lines_of("\n[a]\nb = 1\n")
    assert line_of(("a", "x", 3), lines) == 2
    assert line_of(("a", "b"), lines) == 3
    assert line_of(("x",), lines) == line_of((), lines) == 1
