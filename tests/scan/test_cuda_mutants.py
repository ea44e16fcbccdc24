"""Faults planted in the kernels of the cuda emitter and in what writes them: random orders of threads, guard
pages and the tape find each of them."""

import faulthandler
import inspect
import os
import re
import signal
import textwrap
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyseq
from tests.scan import fuzz
from tests.scan.cuda_faults import CLUSTERS, FAULTS, ROWS, SLIPS, SOURCES, STREAMS, Fault, Slip
from tests.scan.recurrences import program_of, recurrences
from tinyseq.scan.emitters.cuda import emitter
from tinyseq.scan.emitters.cuda.loops import LoopText
from tinyseq.scan.emitters.cuda.plan import Strategy
from tinyseq.scan.emitters.cuda.text import KernelText
from tinyseq.scan.running.program import Options


def case(name: str, strategy: Strategy) -> fuzz.Case:
    """A step of 6 inputs and 6 units; four sequences."""
    shapes: dict[str, tuple[int, ...]] = {"p0": (6, 24), "p1": (6, 24), "p2": (24,), "p3": (12, 12)}
    if name != "joins":
        del shapes["p3"]
    options = Options(emitter="cuda", strategy=strategy)
    return fuzz.Case(1, SOURCES[name], shapes, [(6,), (6,)], [6], [3, 5, 2, 5], False, True, options)


def is_right(of: fuzz.Case) -> bool:
    """Whether the kernels agree with the tape, in three orders of threads."""
    from cpucuda import ORDERS, thread_order

    tinyseq.clear_cache()
    for order in ORDERS:
        with thread_order(order):
            if not max(np.nan_to_num(e, nan=9.0) for e in fuzz.errors(of).values()) < fuzz.TOLERANCE:
                return False
    return True


def respell(slip: Slip, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the function with its slip in place."""
    function = vars(slip.where)[slip.name]
    function = function.fget if isinstance(function, property) else function
    source = textwrap.dedent(inspect.getsource(function))
    assert slip.old in source, "the slip is in no source any more"
    scope = dict(function.__globals__)
    exec(source.replace(slip.old, slip.new), scope)
    monkeypatch.setattr(slip.where, slip.name, scope[slip.name])


def spoil(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plant a fault."""

    def spoilt(make: Callable[..., str]) -> Callable[..., str]:
        def text(*arguments: Any) -> str:
            return str(make(*arguments)).replace(fault.old, fault.new)

        return text

    if fault.text == "rows.cuh":
        monkeypatch.setattr(emitter, "loop_header", spoilt(emitter.loop_header))
    elif fault.text == "common.cuh":
        monkeypatch.setattr(emitter, "header", spoilt(emitter.header))
    else:
        where = LoopText if fault.text == "loop" else KernelText
        monkeypatch.setattr(where, "text", spoilt(where.text))


@pytest.mark.usefixtures("counts")
@pytest.mark.parametrize("strategy", [CLUSTERS, ROWS, STREAMS], ids=["clusters", "rows", "streams"])
@pytest.mark.parametrize("name", SOURCES)
def test_unspoilt_kernels_are_right(name: str, strategy: Strategy) -> None:
    with tinyseq.use("cupy"):
        assert is_right(case(name, strategy))


def verdict(judge: Callable[[], bool]) -> str:
    """What a copy of this process finds out, which may well crash: "right", "wrong", or the signal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # no thread of ours is running
        child = os.fork()
    if child == 0:
        faulthandler.disable()
        found = 2
        try:
            found = int(judge())
        finally:
            os._exit(found)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return {0: "wrong", 1: "right"}.get(os.waitstatus_to_exitcode(status), "an error")


@pytest.mark.usefixtures("counts")
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_a_fault_in_the_text_is_found(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(fault, monkeypatch)
    with tinyseq.use("cupy"):
        assert verdict(lambda: is_right(case(fault.case, fault.strategy))) in ("wrong", "SIGSEGV")


@pytest.mark.usefixtures("counts")
@pytest.mark.parametrize("slip", SLIPS, ids=lambda slip: slip.what)
def test_a_slip_of_the_emitter_is_found(slip: Slip, monkeypatch: pytest.MonkeyPatch) -> None:
    respell(slip, monkeypatch)
    with tinyseq.use("cupy"):
        assert verdict(lambda: is_right(case(slip.case, slip.strategy))) in ("wrong", "SIGSEGV", "SIGABRT")


def sums_without_an_owner(name: str) -> list[str]:
    """Where kernels of a cell add to what threads of other rows or blocks may add to: lost on a GPU alone."""
    source = program_of(recurrences()[name](3, 4)).kernel_source
    sums = re.findall(r"parts\[(.*?)\]", source)
    assert sums
    return [at for at in sums if not at.startswith(("(long long)row *", "blockIdx.x *"))]


@pytest.mark.parametrize("name", ["lstm", "layer-norm-lstm", "gru-after"])
def test_every_sum_has_one_owner(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not sums_without_an_owner(name)
    monkeypatch.setattr(
        LoopText, "part", "0"
    )  # threads run one at a time here, so the numbers would be right
    tinyseq.clear_cache()
    assert sums_without_an_owner(name)
    tinyseq.clear_cache()
