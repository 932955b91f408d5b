"""The leak check notices each kind of thing that can be left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from rlm_sandbox import Sandbox
from tests.census import Census
from tests.waiting import until


def test_a_process_is_noticed_until_it_is_waited_for() -> None:
    before = Census.take()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        words = f"process {child.pid}: "
        # A program that was only just begun has no command line yet, for a moment.
        until(
            lambda: any(
                leak.startswith(words) and "input()" in leak
                for leak in Census.take().leaked_since(before)
            )
        )
        assert child.stdin is not None
        child.stdin.write(b"\n")
    assert Census.take().leaked_since(before) == []


def test_a_sandbox_is_noticed_until_it_is_closed() -> None:
    before = Census.take()
    with Sandbox():
        found = Census.take().leaked_since(before)
        assert any(leak.startswith("process") for leak in found)
        assert any("descriptor" in leak for leak in found)


def test_a_thread_is_noticed() -> None:
    before = Census.take()
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="forgotten")
    thread.start()
    found = Census.take().leaked_since(before)
    end.set()
    thread.join()
    assert found == ["thread forgotten"]


def test_a_descriptor_is_noticed() -> None:
    before = Census.take()
    ends = os.pipe()
    found = Census.take().leaked_since(before)
    for end in ends:
        os.close(end)
    assert found == ["2 descriptor(s) more of pipe"]


def test_a_temporary_file_is_noticed() -> None:
    before = Census.take()
    descriptor, name = tempfile.mkstemp(prefix="forgotten")
    os.close(descriptor)
    found = Census.take().leaked_since(before)
    Path(name).unlink()
    assert found == [f"temporary file {Path(name).name}"]
