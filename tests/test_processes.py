"""What the other tests know of processes is so."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from tests.processes import below, born_between, children, descendants, newest, outliving

PATIENCE = 60.0

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=sys.stdin)
print(child.pid, flush=True)
child.wait()
"""


def waiting(source: str = "input()") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_children_and_their_children_are_descendants() -> None:
    with waiting(PARENT) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert {parent.pid, child} <= descendants(os.getpid())
        assert descendants(parent.pid) == children([parent.pid]) == {child}
        assert child not in children([os.getpid()])
        parent.communicate("\n", timeout=PATIENCE)
    assert descendants(os.getpid()).isdisjoint({parent.pid, child})


def test_the_newest_process_is_another_when_one_was_born() -> None:
    before = newest()
    with waiting() as process:
        assert newest() != before
        process.communicate("\n", timeout=PATIENCE)


def test_what_was_born_between_two_moments_is_found() -> None:
    with waiting() as older:
        first = newest()
        with waiting() as process:
            last = newest()
            found = born_between(first, last)
            assert process.pid in found
            assert older.pid not in found
            assert below(os.getpid(), found) == {process.pid}
            assert born_between(last, last) == []
            process.communicate("\n", timeout=PATIENCE)
        older.communicate("\n", timeout=PATIENCE)


def test_ids_that_begin_again_are_newer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.processes.MOST", 1000)
    monkeypatch.setattr("tests.processes.everyone", lambda: [2, 300, 990, 995])
    assert born_between(990, 300) == [2, 300, 995]


def test_a_process_that_runs_on_is_told() -> None:
    with waiting() as process:
        running = psutil.Process(process.pid)
        assert outliving([running], 0.0) == [running]
        process.communicate("\n", timeout=PATIENCE)
    assert outliving([running], 0.0) == []


def test_a_process_that_has_ended_is_not_waited_for_until_its_parent_knows() -> None:
    with waiting() as process:
        ended = psutil.Process(process.pid)
        process.kill()
        assert outliving([ended], PATIENCE) == []
        assert ended.status() == psutil.STATUS_ZOMBIE
