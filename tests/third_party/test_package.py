"""A stranger's package, from `pip install` to `pip uninstall`, in an environment of its own.

`tinyseq plugins new cell mgu` writes it, what lies in package/ is added, and pip builds and installs it
outside this repository. The environment sees tinyseq and its dependencies through a .pth file, so nothing is
downloaded; hatchling, which builds it, comes with the extra `test`. The tests run in the order of the file.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ADDED = Path(__file__).parent / "package"
ROOT = Path(__file__).parents[2]
TEXT = "the cat sat on the mat. the dog sat on the log. " * 30
NAMES = ("cell mgu", "cell layer-norm-lstm", "loss focal", "head mixture-of-softmaxes")


class Place:
    """A folder to work in, with an environment and the sources of the package."""

    def __init__(self, folder):
        self.folder = folder
        self.source = folder / "tinyseq-example"
        venv.create(folder / "venv", with_pip=False)
        self.python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
        packages = self.run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
        parent = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})"  # with its own .pth files
        Path(packages, "parent.pth").write_text(parent + "\n")

    def run(self, *arguments, code=0, folder=None):
        """The output of the environment's Python, which must end with `code`."""
        ours = ("PYTHONPATH", "TINYSEQ_PLUGINS", "PYTEST_ADDOPTS")
        kept = {k: v for k, v in os.environ.items() if k not in ours}
        done = subprocess.run(
            [self.python, *map(str, arguments)],
            cwd=folder or self.folder,
            env={**kept, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def pip(self, *arguments):
        """Run this Python's pip on the environment, which has none."""
        command = [sys.executable, "-m", "pip", "--python", self.python, "--disable-pip-version-check"]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("elsewhere"))
    place.run("-m", "tinyseq", "plugins", "new", "cell", "mgu", "--package", "tinyseq-example")
    for part in ("src", "tests"):
        shutil.copytree(ADDED / part, place.source / part, dirs_exist_ok=True)
    project = place.source / "pyproject.toml"
    own, added = project.read_text(), (ADDED / "entry_points.toml").read_text()
    (group, cells), *others = re.findall(r"^(\[project.*\])\n((?:.+\n)+)", added, re.M)
    assert group in own
    tables = "".join(f"\n{name}\n{points}" for name, points in others)
    project.write_text(own.replace(f"{group}\n", f"{group}\n{cells}") + tables)
    (place.folder / "text.txt").write_text(TEXT)
    shutil.copy(ADDED / "run.toml", place.folder)
    # With what it depends on: tinyseq is there, and nothing has to be found on an index.
    place.pip("install", "--quiet", "--no-index", "--no-build-isolation", str(place.source))
    shutil.rmtree(place.source / "src")  # what is installed must be whole
    return place


def test_it_is_discovered_and_nothing_of_it_is_imported(place):
    listed = place.run("-m", "tinyseq", "plugins")
    for name in NAMES:
        kind, word = name.split()
        assert re.search(rf"^{kind} +{word} +- +tinyseq-example 0\.1\.0 +available$", listed, re.M), listed
    listed = place.run("-m", "tinyseq", "plugins", "--load")
    assert len(re.findall(r" 1 +tinyseq-example 0\.1\.0 +loaded$", listed, re.M)) == len(NAMES)


def test_it_keeps_the_laws(place):
    done = place.run("-m", "pytest", "-q", "-p", "no:cacheprovider", folder=place.source)
    assert int(re.search(r"^(\d+) passed", done, re.M)[1]) > 80, done


def test_its_cell_trains_by_name_and_writes(place):
    sizes = ["--hidden", 8, "--embedding", 4, "--batch", 4, "--window", 16, "--epochs", 2]
    train = ["train-lm", "--text", "text.txt", "--cell", "mgu", "--save", "lm", *sizes]
    first, second = map(float, re.findall(r"perplexity (\S+)", place.run("-m", "tinyseq", *train)))
    assert second < first
    assert len(place.run("-m", "tinyseq", "sample", "lm", "--length", 20).strip()) > 10


def test_a_run_file_composes_all_of_it(place):
    assert place.run("-m", "tinyseq", "check", "run.toml") == "run.toml: no mistakes\n"
    out = place.run("-m", "tinyseq", "train", "run.toml")
    first, second = map(float, re.findall(r"perplexity (\S+)", out))
    assert second < first
    program = """
import numpy as np, tinyseq
model = tinyseq.load("run/model.safetensors")
from tinyseq_example.mgu import MGU
assert type(model.encoder.layers[1].cell) is MGU
assert tinyseq.describe("run/model.safetensors").packages["tinyseq-example"] == "0.1.0"
features, _ = model.encoder.layers[1].scan(tinyseq.Tensor(np.ones((2, 5, 12), np.float32)))
inner = features.source[0]
while inner.name != "scan":  # one node for the whole batch: the compiled path
    inner = inner.parents[0][0]
"""
    place.run("-c", program)


def test_the_core_never_mentions_it():
    sources = [*ROOT.glob("tinyseq/**/*"), *ROOT.glob("plugins/**/*"), ROOT / "pyproject.toml"]
    texts = [path.read_text() for path in sources if path.suffix in (".py", ".txt", ".toml")]
    assert len(texts) > 100
    assert not [text for text in texts if re.search("tinyseq[-_]example", text)]


@pytest.mark.parametrize("kind", ["optimizer", "metric", "initializer", "loss"])
def test_a_new_package_is_installed_as_its_page_says_and_its_tests_pass(place, kind):
    name = f"some-{kind}"
    place.run("-m", "tinyseq", "plugins", "new", kind, name)
    source = place.folder / f"tinyseq-{name}"
    place.pip("install", "--quiet", "--no-index", "--no-build-isolation", str(source))
    assert re.search(rf"^{kind} +{name} ", place.run("-m", "tinyseq", "plugins"), re.M)
    assert " passed" in place.run("-m", "pytest", "-q", "-p", "no:cacheprovider", folder=source)
    assert place.run("-c", f"import tinyseq; print(tinyseq.registry.registries[{kind!r}][{name!r}])")
    place.pip("uninstall", "--quiet", "--yes", source.name)


def test_without_it_a_model_says_what_to_install(place):
    place.pip("uninstall", "--quiet", "--yes", "tinyseq-example")
    assert "example" not in place.run("-m", "tinyseq", "plugins", "--load")
    said = place.run("-m", "tinyseq", "sample", "lm", code=2)
    assert said.startswith("tinyseq: lm/model.safetensors: encoder.cell.class: No cell named 'mgu@1'.")
    promised = "It was saved with tinyseq-example 0.1.0, as the file says: pip install tinyseq-example\n"
    assert said.endswith(promised)
    mistakes = place.run("-m", "tinyseq", "check", "run.toml", code=2)
    assert [line.split(": No")[0] for line in mistakes.splitlines() if line.startswith("run.toml")] == [
        "run.toml, line 9: model.encoder.layers.0.class",
        "run.toml, line 10: model.encoder.layers.1.class",
        "run.toml, line 14: model.head.class",
        "run.toml, line 17: model.head.loss.class",
    ]
