"""What the controller makes of a worker that does not do as its part is."""

from __future__ import annotations

import psutil
import pytest

from rlm_sandbox import Outcome, Sandbox
from rlm_sandbox.host import worker

TAKEN_OVER = """
import sys
def spin(*_):
    while True:
        pass
sys.modules["rlm_sandbox.worker.checkpoint"]._rendezvous = spin
"""


def test_a_fork_that_does_not_lie_down_ends_with_its_worker(
    free_box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "ANSWER_SECONDS", 0.5)
    before = _busy()
    assert free_box.exec(TAKEN_OVER).outcome is Outcome.OK
    assert free_box.exec("x = 1").outcome is Outcome.CRASHED
    assert free_box.exec("1 + 1").stdout == "2\n"
    assert not _busy() - before


def _busy() -> set[int]:
    """Descendants of this process that run now: a sleeping checkpoint is stopped."""
    return {
        process.pid
        for process in psutil.Process().children(recursive=True)
        if process.status() == psutil.STATUS_RUNNING
    }
