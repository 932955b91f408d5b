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
    turn.take()
    with pytest.raises(SandboxBusy, match="Use a sandbox for each thread"):
        turn.take()
    turn.give_back()
    turn.take()


def test_who_has_it_does_not_wait_for_himself() -> None:
    turn = Turn()
    turn.take()
    turn.wait()


def test_another_waits_until_it_is_given_back() -> None:
    turn, waited = Turn(), threading.Event()

    def wait() -> None:
        turn.wait()
        waited.set()

    thread = threading.Thread(target=wait)
    turn.take()
    thread.start()
    assert not waited.wait(0.05)
    turn.give_back()
    assert waited.wait(PATIENCE)
    thread.join()


def test_it_is_no_turn_of_a_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    turn = Turn()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert turn.foreign
    with pytest.raises(SandboxClosed, match="the process that opened it"):
        turn.take()
