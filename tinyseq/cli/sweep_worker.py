"""A process that trains trials of a sweep, one after another, and asks after each epoch whether to go on."""

import os
import threading
from argparse import Namespace
from contextlib import redirect_stderr, redirect_stdout, suppress
from multiprocessing import connection, parent_process
from pathlib import Path
from typing import Any

from tinyseq.cli.train import train_file
from tinyseq.training import Epoch, Trainer
from tinyseq.training.receipts import RECEIPT, write_receipt
from tinyseq.training.trainer import CHECKPOINT

LOG = "log.txt"


def work(pipe: Any) -> None:
    """Train the run files that come through `pipe` until it is closed; nothing is left behind by a kill."""
    _end_with_parent()
    with suppress(EOFError, KeyboardInterrupt, BrokenPipeError):
        while True:
            pipe.send(_trained(Path(pipe.recv()), pipe))


def _trained(file: Path, pipe: Any) -> tuple[str, Any]:
    """Train what `file` describes, from where its checkpoint stands: ("done", figures) or ("failed", why)."""

    def ask(trainer: Trainer, epoch: Epoch) -> None:
        pipe.send(("epoch", (epoch.number, epoch.loss if epoch.judged is None else epoch.judged)))
        if pipe.recv() == "stop":
            trainer.stop()

    with (file.parent / LOG).open("a", encoding="utf-8") as log, redirect_stdout(log), redirect_stderr(log):
        try:
            resume = (file.parent / CHECKPOINT).exists()
            trainer = train_file(Namespace(file=file, resume=resume), after_epoch=[ask])
        except KeyboardInterrupt:
            raise
        except Exception as error:  # of one choice of values; others may do
            return "failed", str(error) or type(error).__name__
    if not (file.parent / RECEIPT).exists():  # killed between the last checkpoint and it
        write_receipt(trainer)
    best = next(epoch for epoch in reversed(trainer.history) if epoch.best)
    name = trainer.monitor.name
    return "done", {
        "judged": best.loss if best.judged is None else best.judged,
        "value": best.metrics.get(name, best.loss),
        "epochs": len(trainer.history),
        "seconds": round(sum(epoch.seconds for epoch in trainer.history), 1),
    }


def _end_with_parent() -> None:
    """End this process in the instant in which the one that began it ends, however that does."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
