"""Whoever closes a sandbox does not wait for the kernel; what it had is given back all the same."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlm_sandbox.host import undertaker
from rlm_sandbox.host.undertaker import Departed, Undertaker, gone
from tests.rlm_sandbox import program

PATIENCE = 30.0


@pytest.fixture
def lasting() -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs until it is killed."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"]) as process:
        yield process
        process.kill()


def settled(one: Undertaker) -> bool:
    return one.settle(PATIENCE)


def test_its_descriptor_is_given_back_when_it_has_ended(lasting: subprocess.Popen[bytes]) -> None:
    one = Undertaker()
    pidfd = os.pidfd_open(lasting.pid)
    one.take(Departed(pidfd, None))
    assert not one.settle(0.0)
    os.fstat(pidfd)
    lasting.kill()
    assert settled(one)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(pidfd)


def test_one_that_does_not_end_is_killed(
    lasting: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undertaker, "END_SECONDS", 0.05)
    one = Undertaker()
    one.take(Departed(os.pidfd_open(lasting.pid), None))
    assert settled(one)
    assert lasting.wait(PATIENCE) == -9


def test_beyond_so_many_the_caller_waits_for_his_own(
    lasting: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undertaker, "WAITING_AT_MOST", 1)
    one = Undertaker()
    one.take(Departed(os.pidfd_open(lasting.pid), None))
    with subprocess.Popen([sys.executable, "-c", ""]) as short:
        pidfd = os.pidfd_open(short.pid)
        one.take(Departed(os.pidfd_open(short.pid), None))
        assert gone(pidfd, 0.0)
        os.close(pidfd)
    assert not one.settle(0.0)
    lasting.kill()
    assert settled(one)


def test_where_no_thread_can_be_had_the_caller_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with subprocess.Popen([sys.executable, "-c", ""]) as short:
        pidfd = os.pidfd_open(short.pid)
        Undertaker().take(Departed(pidfd, None))
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(pidfd)


def test_a_program_that_closes_many_and_ends_leaves_nothing_running() -> None:
    out = program.run("""
        import psutil
        from rlm_sandbox import Sandbox
        boxes = [Sandbox() for _ in range(5)]
        print(*(child.pid for child in psutil.Process().children(recursive=True)))
        for box in boxes: box.close()
    """)
    pids = [int(word) for word in out.split()]
    assert len(pids) >= 10
    deadline = time.monotonic() + PATIENCE
    while any(map(_runs, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}
