"""Time of one Adam step and of one clip: flat against one parameter at a time, and PyTorch, in one process.

Run: python -m tests.benchmarks.optimizers
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.benchmarks import timing
from tinyseq import Tensor
from tinyseq.nn import Parameter
from tinyseq.optim import Adam, clip_grad_norm, flat

Shape = tuple[int, ...]
MODELS: dict[str, list[Shape]] = {
    "tagger: 48 small": [(64, 64), (64,)] * 24,
    "character LM": [(65, 64), (64, 1024), (256, 1024), (1024,), (256, 65), (65,)],
    "8 layers of 128": [(128, 512), (128, 512), (512,)] * 8,
    "word LM 2 x 650": [(10000, 650), *[(650, 2600), (650, 2600), (2600,)] * 2, (650, 10000), (10000,)],
}


def best_ms(function: Callable[[], Any]) -> float:
    """The shortest run, in milliseconds."""
    return timing.shortest({"it": function}, blocks=1, seconds=1.5)["it"]


def parameters(shapes: list[Shape]) -> list[Parameter]:
    rng = np.random.default_rng(0)
    made = [Parameter(rng.normal(size=shape)) for shape in shapes]
    for parameter in made:
        parameter.grad = Tensor(rng.normal(size=parameter.shape).astype(np.float32))
    return made


def one_at_a_time(shapes: list[Shape]) -> Callable[[], None]:
    """The same rule with an optimiser for each parameter, and its whole array as one block."""
    optimizers = [Adam([parameter]) for parameter in parameters(shapes)]

    def step() -> None:
        for optimizer in optimizers:
            optimizer.step()

    return step


def measure(shapes: list[Shape]) -> dict[str, float]:
    block = flat.BLOCK
    ours = {"flat, blocks": best_ms(Adam(parameters(shapes)).step)}
    try:
        flat.BLOCK = 1 << 62
        ours["flat, one block"] = best_ms(Adam(parameters(shapes)).step)
        ours["one at a time"] = best_ms(one_at_a_time(shapes))
    finally:
        flat.BLOCK = block
    within = parameters(shapes)
    ours["clip, all within"] = best_ms(lambda: clip_grad_norm(within, 1e9))
    return ours | torch_times(shapes)


def torch_times(shapes: list[Shape]) -> dict[str, float]:
    import torch

    theirs = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    for parameter in theirs:
        parameter.grad = torch.randn(parameter.shape)
    times = {
        f"torch, {name}": best_ms(torch.optim.Adam(theirs, **options).step)  # type: ignore[arg-type]
        for name, options in {"default": {}, "foreach": {"foreach": True}, "fused": {"fused": True}}.items()
    }
    return times | {"torch, clip": best_ms(lambda: torch.nn.utils.clip_grad_norm_(theirs, 1e9))}


def main() -> None:
    for name, shapes in MODELS.items():
        count = sum(int(np.prod(shape)) for shape in shapes)
        print(f"{name}: {len(shapes)} parameters, {count:,} values")
        for what, ms in measure(shapes).items():
            print(f"  {what:17} {ms:9.3f} ms")


if __name__ == "__main__":
    main()
