from __future__ import annotations

import os
from pathlib import Path

import pytest

from rlm_sandbox.confine.kernel_files import told


def test_it_is_what_the_file_says_now(tmp_path: Path) -> None:
    assert told("/proc/self/status").startswith(b"Name:")
    file = tmp_path / "file"
    for text in (b"one", b"two", b""):
        file.write_bytes(text)
        assert told(file) == text


def test_no_descriptor_is_left_open() -> None:
    before = os.listdir("/proc/self/fd")  # noqa: PTH208
    for _ in range(5):
        told("/proc/self/stat")
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208


def test_what_is_not_there_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        told("/proc/self/nothing")
