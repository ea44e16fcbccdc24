"""A file is the old one or the new one, whatever goes wrong in between."""

import os
import stat

import pytest

from tinyseq.files import atomic_write


def test_writes_and_replaces(tmp_path):
    path = tmp_path / "model.bin"
    atomic_write(path, b"first")
    atomic_write(str(path), memoryview(b"second"))
    assert path.read_bytes() == b"second"
    assert [p.name for p in tmp_path.iterdir()] == ["model.bin"]


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_a_failure_keeps_the_old_file_and_leaves_no_other(tmp_path, monkeypatch, fails):
    path = tmp_path / "model.bin"
    atomic_write(path, b"old")

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, fails, full)
    with pytest.raises(OSError, match="No space left"):
        atomic_write(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["model.bin"]


def test_an_interrupt_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupted(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        atomic_write(tmp_path / "model.bin", b"new")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        atomic_write(tmp_path / "nowhere" / "model.bin", b"")


@pytest.mark.skipif(os.name == "nt", reason="Windows has neither a umask nor plain symbolic links")
def test_permissions_follow_the_umask_and_links_stay(tmp_path):
    before = os.umask(0o022)
    try:
        atomic_write(tmp_path / "real", b"1")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "real").stat().st_mode) == 0o644
    (tmp_path / "link").symlink_to("real")
    atomic_write(tmp_path / "link", b"2")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"2"


def test_a_long_name_still_fits(tmp_path):
    atomic_write(tmp_path / ("x" * 250), b"1")
    assert (tmp_path / ("x" * 250)).read_bytes() == b"1"
