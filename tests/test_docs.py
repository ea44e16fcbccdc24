"""What the documentation shows is so: its Python runs, its commands parse, its run files are right."""

import io
import re
import shlex
from pathlib import Path

import pytest

from tinyseq.cli import main
from tinyseq.cli.entry import parser
from tinyseq.registry import registries
from tinyseq.registry.run_file import check
from tinyseq.registry.sweep_file import read as read_sweep
from tinyseq.scan.running.explain import explanation

DOCS = Path(__file__).parents[1] / "docs"
OTHERS = ("index", "coming-from")  # shows no code; is compared with others in tests/peers
PAGES = sorted(page for page in DOCS.glob("*.md") if page.stem not in OTHERS)
NEEDS = {
    "exchange": "onnx",
    "scikit-learn": "sklearn",
    "see-inside": "matplotlib",
}  # the package of an extra that the code of a page needs


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), flags=re.M | re.S)


@pytest.fixture(params=PAGES, ids=lambda page: page.stem)
def page(request, tmp_path, monkeypatch):
    """A page, with a folder to work in, and names of its own."""
    monkeypatch.chdir(tmp_path)
    for registry in registries.values():
        monkeypatch.setattr(registry, "_registered", {})
    return request.param


def test_the_code_of_the_page_runs(page, tmp_path):
    """From top to bottom, as one program; the run files may use what it registers."""
    if page.stem in NEEDS:
        pytest.importorskip(NEEDS[page.stem], reason="the page shows what an extra does")
    shown = blocks(page, "python")
    assert shown, f"{page.name} shows no code"
    exec(compile("\n".join(shown), str(page), "exec"), {"__name__": page.stem})
    (tmp_path / "book.txt").touch()
    for text in blocks(page, "toml"):
        (tmp_path / "run.toml").write_text(text)
        if "[sweep]" in text:
            read_sweep(tmp_path / "run.toml")
            continue
        assert check(tmp_path / "run.toml") == []


def test_the_commands_of_the_page_can_be_given(page):
    for line in "".join(blocks(page, "sh")).splitlines():
        command, *words = shlex.split(line, comments=True)
        if command == "mpirun":
            _, _, command, *words = words
        assert command == "tinyseq"
        parser().parse_args(words)


def test_the_links_of_the_page_lead_to_files(page):
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", prose):
        if not target.startswith("reference/"):  # made with the site, whose links are checked then
            assert (page.parent / target).is_file(), target


def test_every_page_is_on_the_site():
    index = (DOCS / "index.md").read_text()
    times = {page.stem: len(re.findall(rf"^{page.stem}$", index, re.M)) for page in PAGES}
    assert times == dict.fromkeys(times, 1)


def test_the_pages_about_commands_are_among_them():
    """Patterns that find nothing would prove nothing."""
    assert len(PAGES) >= 5
    assert sum(bool(blocks(page, "sh")) for page in PAGES) >= 4
    assert sum(bool(blocks(page, "toml")) for page in PAGES) >= 2


def test_the_compiler_page_shows_what_the_compiler_writes():
    pytest.importorskip("numba", reason="one block is a kernel of the extra fast")
    compiler_page = DOCS / "from-step-to-kernel.md"
    names = {"__name__": "page"}
    exec("\n".join(blocks(compiler_page, "python")), names)
    x, h = (names["Tensor"](names["np"].zeros((1, n), "f")) for n in (3, 4))
    printed = "\n".join(explanation(names["step"], x, h, emitter=emitter) for emitter in ("numpy", "numba"))
    for block in blocks(compiler_page, "text"):
        assert block.strip() in printed


def test_the_transcripts_of_own_data_are_what_happens(tmp_path, monkeypatch, capsys):
    """Each command of the page's `console` blocks, and what it prints last."""
    monkeypatch.chdir(tmp_path)
    exec("\n".join(blocks(DOCS / "your-own-data.md", "python")), {})
    shown = blocks(DOCS / "your-own-data.md", "console")
    assert len(shown) == 2
    for block in shown:
        commands = [part.split("\n", 1) for part in block.split("$ ")[1:]]
        assert len(commands) == 3
        for command, expected in commands:
            said, _, command = command.rpartition(" | ")
            monkeypatch.setattr("sys.stdin", io.StringIO(f"{shlex.split(said)[1]}\n" if said else ""))
            assert main(shlex.split(command)[1:]) == 0
            printed = capsys.readouterr().out
            assert not expected or printed == expected
