"""The targets: what reaches them is seen."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from rlm_sandbox.doctor.stage import Stage


def test_a_touch_of_a_file_is_seen() -> None:
    for touch in (
        lambda file: file.write_text("other"),
        lambda file: file.chmod(0o777),
        lambda file: os.utime(file, (1, 1)),
    ):
        with Stage() as stage:
            assert not stage.touched()
            touch(Path(stage.targets.canary))
            assert stage.touched()


def test_whoever_connects_is_heard_once() -> None:
    with Stage() as stage:
        assert stage.visitors() == []
        with socket.create_connection(("127.0.0.1", stage.targets.port)) as client:
            client.sendall(b"one")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"\0{stage.targets.abstract}")
            client.sendall(b"two")
        assert stage.visitors() == [b"one", b"two"]
        assert stage.visitors() == []


def test_a_file_that_is_gone_is_touched() -> None:
    with Stage() as stage:
        Path(stage.targets.canary).unlink()
        assert stage.touched()
        Path(stage.targets.canary).write_text("")


def test_nothing_is_left_of_it() -> None:
    with Stage() as stage:
        folder = Path(stage.targets.canary).parent
    assert not folder.exists()
