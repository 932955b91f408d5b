"""What the kernel shows of a process that we hold by pidfd."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from rlm_sandbox.host.process import GLIMPSE_SECONDS, Death, ProcessGone, SessionProcess, death_of

BUSY = "x = b'x' * 50_000_000\nprint('up', flush=True)\nwhile True: pass"


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        yield process
        process.kill()


@pytest.fixture
def held(child: subprocess.Popen[bytes]) -> Iterator[SessionProcess]:
    ours, theirs = socket.socketpair()
    process = SessionProcess(7, os.pidfd_open(child.pid), ours)
    with theirs:
        yield process
        process.close()


def test_it_is_the_process_that_the_pidfd_names(
    child: subprocess.Popen[bytes], held: SessionProcess
) -> None:
    assert (held.pid, held.number) == (child.pid, 7)


def test_its_memory_and_its_time_are_metered(held: SessionProcess) -> None:
    assert 50_000_000 < held.resident_bytes() <= held.peak_bytes() < 500_000_000
    before = held.cpu_seconds()
    while held.cpu_seconds() <= before:  # it is busy
        pass


def test_its_peak_after_a_short_time_is_what_it_holds_if_that_is_more_than_before(
    held: SessionProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    peak = held.peak_bytes()
    for resident, seconds, told in [
        (peak + 10, 0.0, peak + 10),
        (peak - 10, 0.0, peak + 10),
        (peak + 20, GLIMPSE_SECONDS, peak),
    ]:
        monkeypatch.setattr(held, "resident_bytes", lambda resident=resident: resident)
        assert held.peak_bytes(seconds) == told


def test_its_peak_is_asked_for_where_it_has_run_unlooked_at(
    held: SessionProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "resident_bytes", lambda: 1)
    assert held.peak_bytes(0.0) > 1
    monkeypatch.setattr(held, "_peak", 0)
    assert held.peak_bytes(0.0) == 1
    held.ran()
    assert held.peak_bytes(0.0) > 1


def test_its_wait_for_a_processor_is_metered(held: SessionProcess) -> None:
    before = held.queued_seconds()
    with contextlib.ExitStack() as stack:
        for _ in range(2 * (os.cpu_count() or 1)):
            rival = stack.enter_context(
                subprocess.Popen([sys.executable, "-c", "while True: pass"])
            )
            stack.callback(rival.kill)
        deadline = time.monotonic() + 30
        while held.queued_seconds() <= before:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_what_it_said_and_nobody_has_read_is_seen() -> None:
    ours, theirs = socket.socketpair()
    process = SessionProcess(7, os.pidfd_open(os.getpid()), ours)
    assert not process.has_spoken()
    theirs.send(b"x")
    assert process.has_spoken()
    ours.recv(1)
    assert not process.has_spoken()
    theirs.close()
    assert process.has_spoken()
    process.close()
    assert not process.has_spoken()


def test_a_process_that_is_gone_holds_nothing_and_takes_every_signal(
    child: subprocess.Popen[bytes], held: SessionProcess
) -> None:
    held.kill()
    assert child.wait(60) == -signal.SIGKILL
    assert (held.resident_bytes(), held.peak_bytes()) == (0, 0)
    held.kill()
    held.interrupt()
    with pytest.raises(OSError, match=r"Invalid argument|No such process"):
        held.cpu_seconds()


def test_an_interrupt_can_be_heard(child: subprocess.Popen[bytes], held: SessionProcess) -> None:
    held.interrupt()
    assert child.wait(60) in {1, -signal.SIGINT, 130}


def test_hanging_up_leaves_what_has_come_to_be_read() -> None:
    ours, theirs = socket.socketpair()
    process = SessionProcess(0, os.pidfd_open(os.getpid()), ours)
    with theirs:
        theirs.sendall(b"last words")
        process.hang_up()
        assert ours.recv(100) == b"last words"
        assert ours.recv(100) == b""
        assert theirs.recv(100) == b""
        process.hang_up()
        process.close()


def test_a_process_that_has_ended_before_it_was_looked_at_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pidfd = os.pidfd_open(process.pid)
    ours, theirs = socket.socketpair()
    with theirs, pytest.raises(ProcessGone):
        SessionProcess(0, pidfd, ours)


@pytest.mark.parametrize(
    ("status", "death"), [(0, Death(0, 0)), (7 << 8, Death(0, 7)), (11, Death(11, 0))]
)
def test_a_status_says_how_it_died(status: int, death: Death) -> None:
    assert death_of(status, out_of_memory=False) == death


def test_a_process_that_was_closed_says_so_and_nothing_else(held: SessionProcess) -> None:
    assert not held.closed
    held.close()
    assert held.closed
    assert (held.resident_bytes(), held.peak_bytes(), held.has_spoken()) == (0, 0, False)
    held.interrupt()
    held.kill()
