"""One thread at a time uses a sandbox."""

from __future__ import annotations

import os
import threading

import pytest

from rlm_sandbox import SandboxBusy, SandboxClosed
from rlm_sandbox.host.turn import Turn
from tests.waiting import PATIENCE


def test_it_is_nobody_elses_until_it_is_given_back() -> None:
    turn = Turn()
    with turn.taken(), pytest.raises(SandboxBusy, match="Use a sandbox for each thread"):
        turn.taken().__enter__()
    with turn.taken():
        pass


def test_an_error_gives_it_back() -> None:
    turn = Turn()
    with pytest.raises(ZeroDivisionError), turn.taken():
        raise ZeroDivisionError
    with turn.taken():
        pass


def test_who_has_it_does_not_wait_for_himself() -> None:
    turn = Turn()
    with turn.taken():
        turn.wait()


def test_another_waits_until_it_is_given_back() -> None:
    turn, waited = Turn(), threading.Event()

    def wait() -> None:
        turn.wait()
        waited.set()

    thread = threading.Thread(target=wait)
    with turn.taken():
        thread.start()
        assert not waited.wait(0.05)
    assert waited.wait(PATIENCE)
    thread.join()


def test_it_is_no_turn_of_a_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    turn = Turn()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert turn.foreign
    with pytest.raises(SandboxClosed, match="the process that opened it"):
        turn.taken().__enter__()
