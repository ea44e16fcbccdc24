"""A folder of shared objects built by g++, named by what they were built from and shared by all processes."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from .errors import CompilationError, InstallError


def folder() -> Path:
    """`CPUCUDA_CACHE` if set, else `tinyseq-cpucuda` in the user's cache directory."""
    if chosen := os.environ.get("CPUCUDA_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tinyseq-cpucuda"


def digest(parts: Iterable[str]) -> str:
    """A short name for the texts that determine a build."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]


def build(name: str, sources: Mapping[str, str], flags: Sequence[str]) -> Path:
    """The shared object `name`, compiled from `sources` (file name -> text) unless it exists already.

    It is built in a private folder and then moved into place, so another process sees all of it or nothing.
    """
    target = folder() / name
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="building-") as work:
        for file, text in sources.items():
            Path(work, file).write_text(text)
        units = [file for file in sources if file.endswith(".cpp")]
        run(["g++", "-std=c++17", "-shared", "-fPIC", *units, *flags, "-o", name], cwd=work)
        os.replace(Path(work, name), target)
    return target


def run(command: Sequence[str], cwd: str | None = None) -> str:
    """The standard output of a command that must succeed."""
    if shutil.which(command[0]) is None:
        raise InstallError(f"cpucuda needs {command[0]}, which is not on PATH: install g++ and binutils.")
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise CompilationError(f"{' '.join(command)}\n{done.stderr[-6000:]}")
    return done.stdout
