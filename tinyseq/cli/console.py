"""What the terminal shows: aligned lines that read well in a log, too."""

import shutil
import textwrap
from collections.abc import Callable, Iterable

from tinyseq.training import Epoch, Trainer


def show_table(rows: Iterable[tuple[str, str]]) -> None:
    """Names and values in two columns."""
    rows = list(rows)
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}   {value}", flush=True)


def epoch_printer(epochs: int, targets: str = "chars") -> Callable[[Trainer, Epoch], None]:
    """A function for `Trainer(after_epoch=...)` that prints one line per epoch.

    Where the terminal is too narrow, speed and figures that nobody watches are left out.
    """
    digits = len(str(epochs))

    def show(trainer: Trainer, epoch: Epoch) -> None:
        rate = epoch.targets / max(epoch.seconds, 1e-9)
        figures = {
            name: f"{name} {value:.{2 if name == 'perplexity' else 4}f}"
            for name, value in epoch.metrics.items()
        }
        parts = {
            "number": f"epoch {epoch.number:>{digits}}/{epochs}",
            "train": f"train {epoch.train_loss:.4f}",
            "valid": "" if epoch.valid_loss is None else f"valid {epoch.valid_loss:.4f}",
            **figures,
            "rate": f"{rate:>7,.0f} {targets}/s",
            "seconds": f"{duration(epoch.seconds):>5}",
            "mark": "no better",
        }
        spare = ["rate", *(name for name in reversed(figures) if name != trainer.monitor.name)]
        while spare and len(_line(parts)) > shutil.get_terminal_size().columns:
            del parts[spare.pop(0)]
        print(_line(parts | ({"mark": ""} if epoch.best else {})), flush=True)

    return show


def _line(parts: dict[str, str]) -> str:
    return "  ".join(filter(None, parts.values()))


def duration(seconds: float) -> str:
    """1 h 02 min, 3 min 20 s, or 41 s."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 60} min {whole % 60:02} s" if whole >= 60 else f"{whole} s"


def indented(text: str) -> str:
    """A text of long lines, wrapped for the terminal and set in by two spaces."""
    width = min(100, shutil.get_terminal_size().columns)
    fill = textwrap.TextWrapper(width, initial_indent="  ", subsequent_indent="  ").fill
    return "\n".join(fill(line) for line in text.splitlines())
