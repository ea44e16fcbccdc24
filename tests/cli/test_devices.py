"""Where to compute: tinyseq devices, --backend, backend in run files, use(..., device=...)."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinyseq
from tinyseq import Tensor
from tinyseq.backend import backend, use
from tinyseq.cli import main
from tinyseq.cli.devices import computing_with
from tinyseq.errors import BackendError

RUN = """
[model.embed]
class = "embedding"
num_embeddings = "data.vocabulary_size"
embedding_size = 4

[model.encoder]
class = "recurrent"
cell = { class = "rnn", input_size = 4, hidden_size = 5 }

[model.head]
class = "language-model"
input_size = 5
vocabulary_size = "data.vocabulary_size"

[data]
text = "text.txt"

[training]
epochs = 1
"""


def test_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["devices"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("numpy     the CPU: ")
    assert "\ncupy" in said


def test_without_cupy_it_says_how_to_install_it() -> None:
    program = "import sys; sys.modules['cupy'] = None; import importlib.util as u; f = u.find_spec\n"
    program += "u.find_spec = lambda name, *a: None if name == 'cupy' else f(name, *a)\n"
    program += "from tinyseq.cli import main; sys.exit(main(['devices']))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "pip install 'cupy-cuda12x[ctk]'" in done.stdout


@pytest.mark.usefixtures("cupy")
def test_gpus_are_listed_and_chosen_by_number(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["devices"]) == 0
    assert "\ncupy 0    " in capsys.readouterr().out
    with use("cupy", device=0):
        assert backend().name == "cupy"
    with pytest.raises(BackendError, match=r"There is no GPU 99; CuPy sees \d+, from 0 on"):
        use("cupy", device=99)
    assert backend().name == "numpy"


def test_numpy_has_one_device() -> None:
    with use("numpy", device=0):
        assert isinstance(Tensor([1.0]).data, np.ndarray)
    with pytest.raises(BackendError, match="there is no device 1"):
        use("numpy", device=1)


def run_file(folder: Path, more: str = "") -> str:
    (folder / "text.txt").write_text("to be or not to be, that is the question. " * 40)
    file = folder / "run.toml"
    file.write_text(RUN + more)
    return str(file)


@pytest.mark.usefixtures("cupy")
@pytest.mark.parametrize(("options", "line", "name"), [
    ([], "", "numpy"),
    (["--backend", "cupy"], "", "cupy"),
    ([], 'backend = "cupy"\n', "cupy"),
    (["--backend", "numpy"], 'backend = "cupy"\n', "numpy"),
])  # fmt: skip
def test_a_run_is_computed_where_it_says(
    options: list[str], line: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    from tinyseq.training import Trainer

    train_epoch = Trainer.train_epoch

    def noted(self: Trainer, batches: Any) -> None:
        seen.append(backend().name)
        train_epoch(self, batches)

    monkeypatch.setattr(Trainer, "train_epoch", noted)
    assert main(["train", run_file(tmp_path, line), *options]) == 0
    assert seen == [name]
    assert backend().name == "numpy"


def test_a_backend_that_there_is_not_has_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", run_file(tmp_path, 'backend = "tpu"\n')]) != 0
    assert "line 21: training.backend" in capsys.readouterr().out


def test_the_choice_ends_with_the_block() -> None:
    with computing_with("numpy"):
        assert use.everywhere is backend("numpy")
    assert use.everywhere is None
    assert tinyseq.backend.backend().name == "numpy"
