"""Every kernel that steps become, compiled by NVIDIA's own compiler, which needs no GPU.

As a script it prints what each of them needs: PYTHONPATH=tests python -m tests.peers.test_nvidia_compiler
"""

from contextlib import suppress
from typing import Any

import pytest

pytest.importorskip("nvidia.cuda_nvrtc", reason="needs NVIDIA's compiler: pip install '.[test-cupy]'")

from cpucuda.compiler import Usage, compile_source

from tests.scan import fuzz
from tests.scan.recurrences import program_of, recurrences
from tinyseq.errors import ConfigError
from tinyseq.scan.running import compiled
from tinyseq.scan.running.program import Program

ARCHITECTURES = ("sm_70", "sm_75", "sm_80", "sm_90", "sm_100")
SIZE = 128
MOST_REGISTERS = 65536  # of a block


def usages(program: Program, architecture: str) -> list[Usage]:
    """Of a program's kernels, which must neither spill nor be larger than a block may be."""
    found = compile_source(program.kernel_source, architecture)
    assert {usage.kernel for usage in found} == set(program.kernels)
    for usage in found:
        assert usage.spilled_bytes == 0, usage
        assert usage.registers * program.kernels[usage.kernel].threads <= MOST_REGISTERS, usage
    return found


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", recurrences())
def test_kernels_of_cells(name: str, architecture: str) -> None:
    program = program_of(recurrences()[name](SIZE, SIZE))
    assert bool(program.kernel_source) != bool(program.refusal)
    if program.kernel_source:
        usages(program, architecture)


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_kernels_of_random_steps(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    programs: list[Program] = []
    start = Program.__init__

    def noted(self: Program, *arguments: Any, **options: Any) -> None:
        start(self, *arguments, **options)
        programs.append(self)

    monkeypatch.setattr(Program, "__init__", noted)
    for seed in range(first, first + 20):
        case = fuzz.case(seed)
        case.options.emitter = "cuda"
        with suppress(ConfigError):  # which NumPy raises when it is to launch them
            fuzz.results(compiled.run, case, options=case.options)
    written = [program for program in programs if program.kernel_source]
    assert len(written) > 5
    for program in written:
        usages(program, "sm_90")


def main() -> None:
    """Print what every kernel of every cell needs, as a table."""
    print("| cell | kernel | registers | spilled bytes |")
    print("|---|---|---|---|")
    for name, make in recurrences().items():
        program = program_of(make(SIZE, SIZE))
        found = {a: usages(program, a) for a in ARCHITECTURES} if program.kernel_source else {}
        for kernel in program.kernels:
            of = [next(u for u in found[a] if u.kernel == kernel) for a in ARCHITECTURES]
            registers = ", ".join(str(u.registers) for u in of)
            print(f"| {name} | {kernel} | {registers} | {sum(u.spilled_bytes for u in of)} |")


if __name__ == "__main__":
    main()
