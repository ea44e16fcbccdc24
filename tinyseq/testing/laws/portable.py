"""Laws about other places: another backend, a configuration, a file."""

import copy
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tinyseq import random
from tinyseq.backend import backend, use, words_of
from tinyseq.errors import BackendError
from tinyseq.registry import build, config, entry_of, load, register, registries, save
from tinyseq.testing.law import RAGGED, SMALL, CannotRun, Example, equal, law
from tinyseq.testing.plays import COMPUTING, gradients, leaves_of, play, values
from tinyseq.testing.subject import Subject


@law(
    "C10",
    *COMPUTING,
    usually="a NumPy function was used where an op of the same name was meant, or an array was made with "
    "NumPy and not "
    "on the backend of the inputs",
    examples=(*RAGGED, Example((40, 3), 5)),
    shortest=None,
)
def backends(s: Subject, example: Example) -> None:
    """Every backend gives the same values and gradients."""
    try:
        with use("cupy"):
            words_of(backend().asarray(np.zeros(1)))
    except BackendError as error:
        raise CannotRun(str(error)) from None
    results = []
    for name in ("numpy", "cupy"):
        module = s.build()
        with use(name):
            module.to(name)
            p = play(s, module, example)
            results.append((values(p), gradients(p, leaves_of(module, p))))
    (ys, slopes), (other_ys, other_slopes) = results
    for what, y in ys.items():
        equal(f"the {what} on cupy", other_ys[what], "on numpy", y, 1e-8)
    for what, g in slopes.items():
        if g is not None:
            equal(f"the gradient of {what} on cupy", other_slopes[what], "on numpy", g, 1e-8)


@law(
    "C11",
    *COMPUTING,
    usually="something that matters is set after construction, a weight is no Parameter, or an argument is "
    "an array or a "
    "function: take plain values and components, and names for the rest",
    examples=SMALL[-1:],
    shortest=None,
)
def round_trip(s: Subject, example: Example) -> None:
    """A configuration of plain JSON, a copy, and a file each give an equal component."""
    module = s.build()
    wanted = values(play(s, module, example))
    with known(s.kind, type(module)), tempfile.TemporaryDirectory() as folder:
        configuration = json.loads(json.dumps(config(module)))
        random.seed(1)
        again = build(configuration).to(np.float64).eval()
        again.load_state_dict(module.state_dict())
        path = Path(folder, "component.safetensors")
        save(path, module)
        loaded = load(path).to(np.float64).eval()
    for how, other in (
        ("built and loaded", again),
        ("copied", copy.deepcopy(module)),
        ("from a file", loaded),
    ):
        outputs = values(play(s, other, example))
        for name, y in wanted.items():
            equal(f"the {name} of the one {how}", outputs[name], "of the original", y, 1e-6)


@contextmanager
def known(kind: str, component: type) -> Iterator[None]:
    """Let configurations mention a class that has no registered name yet."""
    if entry_of(component) is not None:
        yield
        return
    name = f"{component.__name__}-under-test"
    register(kind, name)(component)
    try:
        yield
    finally:
        registries[kind].remove(name)
