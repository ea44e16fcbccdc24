"""Bars and drawings in a notebook that is executed."""

import pytest

TRAINING = """
import numpy as np
import tinyseq
from tinyseq.nn import Embedding, SequenceModel
from tinyseq.optim import Adam
from tinyseq.training import Trainer

batch = (tinyseq.Sequences.from_list([[1, 2, 3], [4, 5]]), np.array([0, 2]))
head = tinyseq.heads["classifier"](4, 3)
model = SequenceModel(Embedding(6, 4), tinyseq.cells["gru"](4, 4), head)
trainer = Trainer(model, Adam(model, lr=0.01))
trainer.fit([batch] * 3, [batch], epochs=2)
"""


@pytest.mark.filterwarnings("ignore")  # what Jupyter imports is not ours
@pytest.mark.parametrize("widgets", [True, False])
def test_fit_shows_its_bars_and_its_curve(widgets):
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    pytest.importorskip("ipywidgets", reason="ipywidgets is not installed")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    hidden = "" if widgets else "import sys\nsys.modules['ipywidgets'] = None\n"
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(hidden + TRAINING), nbformat.v4.new_code_cell("model")]
    )
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata["kernelspec"] = kernel
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    outputs = notebook.cells[0].outputs
    shown = "".join(output.get("text", "") for output in outputs)
    assert "epoch 1" in shown or any("widget-view" in kind for o in outputs for kind in o.get("data", {}))
    pages = [output.data["text/html"] for output in outputs if "text/html" in output.get("data", {})]
    assert any("<svg" in page for page in pages)
    assert "Embedding(6, 4)" in notebook.cells[1].outputs[0].data["text/html"]
