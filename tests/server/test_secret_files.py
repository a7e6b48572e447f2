"""Secrets kept in files: made once, the owner's alone, never half-written."""

from __future__ import annotations

import errno
import os
import stat
import threading

import pytest

from cronbell.errors import SecretError
from cronbell.server.secrets import secret_from_file


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_file_and_folder_are_the_owners_alone_whatever_the_umask(tmp_path, umask):
    path = tmp_path / "data" / "secret"
    before = os.umask(umask)
    try:
        value = secret_from_file(path, variable="A_SECRET")
    finally:
        os.umask(before)
    assert len(value) >= 40
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_it_is_made_once_and_read_from_then_on(tmp_path):
    path = tmp_path / "secret"
    assert secret_from_file(path, variable="A_SECRET") == secret_from_file(
        path, variable="A_SECRET"
    )
    assert list(tmp_path.iterdir()) == [path], "no draft is left behind"


def test_processes_that_start_at_once_agree_on_one_secret(tmp_path):
    path, barrier, found = tmp_path / "secret", threading.Barrier(8), []

    def start():
        barrier.wait()
        found.append(secret_from_file(path, variable="A_SECRET"))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_file_that_others_can_read_is_refused_with_the_remedy(tmp_path, mode):
    path = tmp_path / "secret"
    secret_from_file(path, variable="A_SECRET")
    path.chmod(mode)
    with pytest.raises(SecretError, match=f"chmod 600 {path}"):
        secret_from_file(path, variable="A_SECRET")


def test_an_empty_file_is_refused(tmp_path):
    path = tmp_path / "secret"
    path.touch(mode=0o600)
    with pytest.raises(SecretError, match="is empty"):
        secret_from_file(path, variable="A_SECRET")


def test_a_disk_that_is_full_leaves_no_half_secret_behind(tmp_path, monkeypatch):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            secret_from_file(tmp_path / "secret", variable="A_SECRET")
        assert list(tmp_path.iterdir()) == []
    assert secret_from_file(tmp_path / "secret", variable="A_SECRET")
