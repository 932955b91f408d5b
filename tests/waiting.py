"""Waiting in tests: for a condition, never for a time; and never for ever."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

PATIENCE = 60.0
"""Seconds that a busy machine may take for anything."""


def until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait for this to be true. Raises AssertionError if it is not by then."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.005)


@contextmanager
def killed_at_last(process: subprocess.Popen[str]) -> Generator[subprocess.Popen[str]]:
    """A process that a failed test does not wait for."""
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
