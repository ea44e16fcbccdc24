"""`tinyseq train` in several processes, as if mpirun had begun them; each gives back what it showed."""

import io
import os
from contextlib import redirect_stderr, redirect_stdout

import tinyseq
from tinyseq.cli import main
from tinyseq.cli import processes as begun
from tinyseq.data import demo_text

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
batch = 5
window = 16

[training]
epochs = 2
directory = "run"
optimizer = { class = "adam", lr = LR }
"""

SCENARIOS = {}


def scenario(function):
    SCENARIOS[function.__name__] = function
    return function


def said(processes, *words):
    """Exit code, standard output and standard error of `tinyseq WORDS`."""
    before, begun.MPI = begun.MPI, lambda: processes
    os.environ["PMI_SIZE"] = str(processes.size)
    out, err = io.StringIO(), io.StringIO()
    try:
        with redirect_stdout(out), redirect_stderr(err):
            code = main([str(word) for word in words])
    except SystemExit as stop:
        code = stop.code
    finally:
        begun.MPI = before
        del os.environ["PMI_SIZE"]
    return code, out.getvalue(), err.getvalue()


def prepared(processes, folder, lr="2e-3"):
    """A run file of this process's own, beside a text that all of them read."""
    file = folder / f"run{processes.rank}.toml"
    file.write_text(RUN.replace("LR", lr))
    if processes.rank == 0:
        (folder / "text.txt").write_text(demo_text()[:2000])
    processes.allgather(None)
    return file


@scenario
def trained(processes, folder):
    prepared(processes, folder)
    file = folder / "run0.toml"
    first, again = said(processes, "train", file), said(processes, "train", file)
    file.write_text(file.read_text().replace("epochs = 2", "epochs = 3"))
    processes.allgather(None)
    resumed = said(processes, "train", file, "--resume")
    return first, again, resumed, tinyseq.load(folder / "run" / "model.safetensors").state_dict()


@scenario
def mistaken(processes, folder):
    """The file of the last process alone has a mistake."""
    file = prepared(processes, folder, "2e-3" if processes.rank < processes.size - 1 else "'fast'")
    return said(processes, "train", file)


@scenario
def different(processes, folder):
    file = prepared(processes, folder, "2e-3" if processes.rank < processes.size - 1 else "3e-3")
    return said(processes, "train", file)


@scenario
def other(processes, folder):
    return said(processes, "plugins")
