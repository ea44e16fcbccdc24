"""Files that are written whole or not at all."""

import os
import secrets
from contextlib import suppress
from pathlib import Path


def atomic_write(path: str | os.PathLike[str], data: bytes | memoryview) -> None:
    """Write `data` to `path` so that a reader, or a crash, meets the old file or the new one, never a part.

    A symbolic link keeps pointing where it points: its target is replaced.
    """
    target = Path(os.path.realpath(path))
    # In the same folder, because only a rename inside one file system is atomic.
    temporary = target.with_name(f".{target.name[:200]}.{secrets.token_hex(6)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut, where the system has a way to ask for it."""
    with suppress(OSError):  # Windows opens no folders; the file itself is already safe
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
