"""The command, run in this process."""

import pytest

from tinyseq.cli import main

RUN = """\
[model.embed]
class = "embedding"
num_embeddings = "data.vocabulary_size"
embedding_size = 4

[model.encoder]
class = "recurrent"
cell = { class = "gru", input_size = 4, hidden_size = 8 }

[model.head]
class = "language-model"
input_size = 8
vocabulary_size = "data.vocabulary_size"

[data]
text = "text.txt"
batch = 4
window = 16

[training]
epochs = 2
directory = "run"
optimizer = { class = "adam", lr = 2e-3 }
"""


@pytest.fixture
def command(capsys):
    """Run `tinyseq ARGUMENTS` in this process: exit code, standard output, standard error."""

    def run(*arguments):
        try:
            code = main([str(a) for a in arguments])
        except SystemExit as stop:  # argparse
            code = stop.code
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


@pytest.fixture
def refused(command):
    """Run a command that is refused: the sentence on standard error that goes with exit code 2."""

    def run(*arguments):
        code, _, err = command(*arguments)
        assert code == 2
        assert "Traceback" not in err
        assert err.endswith("\n")
        return err.rstrip("\n")

    return run


@pytest.fixture
def file(tmp_path):
    """A run of two epochs in a file, beside its text."""
    (tmp_path / "text.txt").write_text("the cat sat on the mat. the dog sat on the log. " * 30)
    path = tmp_path / "book.toml"
    path.write_text(RUN)
    return path
