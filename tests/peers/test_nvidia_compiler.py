"""Every kernel that steps become, compiled by NVIDIA's own compiler, which needs no GPU.

As a script it prints what each of them needs: PYTHONPATH=tests python -m tests.peers.test_nvidia_compiler
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest

pytest.importorskip("nvidia.cuda_nvrtc", reason="needs NVIDIA's compiler: pip install '.[test-cupy]'")

from cpucuda.compiler import Usage, compile_source

from tests.scan import fuzz
from tests.scan.recurrences import program_of, recurrences
from tinyseq.errors import ConfigError
from tinyseq.scan.emitters.cuda.cards import KIB, described
from tinyseq.scan.emitters.cuda.launch import LoopLaunch
from tinyseq.scan.emitters.cuda.plan import choose
from tinyseq.scan.running import compiled
from tinyseq.scan.running.program import Program

SIZE = 128
MOST_REGISTERS = 65536  # of a block


H100 = described("a card with clusters", 132, 227 * KIB, 9)
A100 = described("a card without clusters", 108, 163 * KIB, 8)
OLD = described("an old card", 72, 64 * KIB, 7)
CARDS = {"sm_70": OLD, "sm_75": OLD, "sm_80": A100, "sm_90": H100, "sm_100": H100}
BATCHES = (1, 32, 256)


def usages(program: Program, architecture: str, batches: Sequence[int]) -> list[Usage]:
    """Of a program's kernels, which must neither spill nor be larger than a block may be."""
    found = []
    for kernel in program.kernels.values():
        card = CARDS[architecture]
        plans = {choose(kernel.shape, b, card) for b in batches} if isinstance(kernel, LoopLaunch) else {None}
        for plan in plans:
            source = kernel.source if plan is None else plan.defines() + kernel.source
            threads = kernel.threads if plan is None else plan.threads_of_block
            (usage,) = compile_source(source, architecture)
            assert usage.kernel == kernel.name
            assert usage.spilled_bytes == usage.stack_bytes == 0, (usage, plan)
            assert usage.registers * threads <= MOST_REGISTERS, (usage, plan)
            found.append(usage)
    return found


@pytest.mark.parametrize("name", recurrences())
def test_kernels_of_cells(name: str) -> None:
    program = program_of(recurrences()[name](SIZE, SIZE))
    assert bool(program.kernel_source) != bool(program.refusal)
    for architecture in ("sm_80", "sm_90", "sm_100"):
        usages(program, architecture, [32])


@pytest.mark.parametrize("architecture", CARDS)
def test_kernels_of_other_batches(architecture: str) -> None:
    usages(program_of(recurrences()["lstm"](SIZE, SIZE)), architecture, BATCHES)


@pytest.mark.parametrize("first", range(0, 30, 10))
def test_kernels_of_random_steps(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    programs: list[Program] = []
    start = Program.__init__

    def noted(self: Program, *arguments: Any, **options: Any) -> None:
        start(self, *arguments, **options)
        programs.append(self)

    monkeypatch.setattr(Program, "__init__", noted)
    for seed in range(first, first + 10):
        case = fuzz.case(seed)
        case.options.emitter = "cuda"
        with suppress(ConfigError):  # which NumPy raises when it is to launch them
            fuzz.results(compiled.run, case, options=case.options)
    written = [program for program in programs if program.kernel_source]
    assert len(written) > 2
    for program in written:
        usages(program, "sm_90", [3])


def main() -> None:
    """Print what the kernels of every cell need, as a table: the most of any plan, by architecture."""
    print("| cell | kernels | registers, " + ", ".join(CARDS) + " | spilled bytes |")
    print("|---|---|---|---|")
    for name, make in recurrences().items():
        program = program_of(make(SIZE, SIZE))
        if program.kernel_source:
            found = [usages(program, a, BATCHES) for a in CARDS]
            registers = ", ".join([str(max(u.registers for u in of)) for of in found])
            count = sum(len(of) for of in found)
            print(f"| {name} | {count} | {registers} | {sum(u.spilled_bytes for of in found for u in of)} |")


if __name__ == "__main__":
    main()
