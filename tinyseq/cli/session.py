"""What the commands that train have in common, from the first line to Ctrl-C."""

import hashlib
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinyseq.cli.console import show_table
from tinyseq.cli.language_model import Corpus
from tinyseq.errors import ConfigError, DataError, NonFiniteError
from tinyseq.training import Trainer
from tinyseq.training.trainer import CHECKPOINT


def carry_out(
    training: Trainer,
    corpus: Any,
    rows: Sequence[tuple[str, str]],
    *,
    epochs: int,
    resume: bool,
    resume_with: Sequence[str],
    option: str,
    calmer: str,
    use: str | None = None,
) -> None:
    """Show `rows`, train until `epochs` epochs are done, and say how to go on.

    `resume_with` are the words of the command that resumes the run, `option` where its epochs were said, with
    a place for another number, `calmer` what to try when the loss goes to infinity; `use` is a line about
    what can be done with the model.
    """
    if resume:
        training.resume()
    if not training.team.alone:
        rows = [*rows, ("processes", ", ".join(training.team.exchange(training.team.name)))]
    show_table(rows)
    print(flush=True)
    done = training.progress
    if done.epoch >= epochs:
        print(f"All {done.epoch} epochs are done; {option.format(done.epoch + 1)} would train on.")
        return
    if resume:
        print(f"goes on in epoch {done.epoch + 1} after {done.step:,} steps", flush=True)
    try:
        training.fit(corpus.train, corpus.valid, epochs=epochs)
    except NonFiniteError as error:
        raise NonFiniteError(error.args[0], calmer, *error.args[2:]) from None
    except KeyboardInterrupt as stop:
        reason = str(stop) or "stopped"
        if training.directory is None:
            raise KeyboardInterrupt(f"{reason}; nothing was saved, for want of a directory.") from None
        raise KeyboardInterrupt(f"{reason}; go on with: tinyseq {shlex.join(resume_with)}") from None
    if use is not None:
        print(f"\n{use}")
    elif training.directory is not None:
        print(f'\nLet it write: tinyseq sample {shlex.quote(str(training.directory))} --prompt "..."')


def text_rows(name: str, text: str, corpus: Corpus) -> list[tuple[str, str]]:
    """What is known of the text, for `carry_out` to show."""
    valid = 0 if corpus.valid is None else corpus.valid.tokens
    return [
        ("text", f"{name}: {len(text):,} characters, {len(corpus.vocabulary)} of them different"),
        ("parts", f"{corpus.train.tokens:,} characters to train on, {valid:,} to validate on"),
    ]


def fingerprint(text: str) -> str:
    """What tells one text from another."""
    return hashlib.sha256(text.encode()).hexdigest()


def require_fresh(directory: Path | None) -> None:
    """Raise ConfigError if there is a run in the directory, which a new one would overwrite."""
    if directory is not None and os.path.exists(directory / CHECKPOINT):
        raise ConfigError(
            f"{directory} already holds a run: go on with it by --resume, or choose another directory."
        )


def require_same_text(directory: Path, notes: dict[str, Any], name: Path | str, sha256: str) -> None:
    """Raise DataError if the run in the directory, of which these are the notes, read another text."""
    if notes.get("sha256") != sha256:
        raise DataError(
            f"{name} is not the text that the run in {directory} was trained on "
            f"({notes.get('text')}): resume with that text."
        )
