"""What this process has at a moment: processes, threads, descriptors, temporary files."""

from __future__ import annotations

import gc
import os
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import psutil

from rlm_sandbox.host.zygote import NURSERY

LASTING_THREADS = frozenset({"rlm-watch"})  # one for the whole process, asleep when nothing runs
GRACE_SECONDS = 5.0  # what is ending may take this long to be gone


@dataclass(frozen=True)
class Census:
    """A count of everything that a test may leave behind."""

    processes: frozenset[int]
    threads: frozenset[threading.Thread]
    descriptors: Counter[str]
    files: frozenset[str]

    @classmethod
    def take(cls) -> Census:
        """Count now. The zygote and the watch thread belong to the process and are left out."""
        own = set(NURSERY.pids())
        return cls(
            frozenset(
                child.pid
                for child in psutil.Process().children(recursive=True)
                if child.pid not in own
            ),
            frozenset(
                thread for thread in threading.enumerate() if thread.name not in LASTING_THREADS
            ),
            _descriptors(),
            frozenset(entry.name for entry in Path(tempfile.gettempdir()).iterdir()),
        )

    def leaked_since(self, before: Census) -> list[str]:
        """What is there now and was not before, in words."""
        return [
            *(f"process {pid}: {_command(pid)}" for pid in self.processes - before.processes),
            *(f"thread {thread.name}" for thread in self.threads - before.threads),
            *(
                f"{count} descriptor(s) more of {kind}"
                for kind, count in (self.descriptors - before.descriptors).items()
            ),
            *(f"temporary file {name}" for name in self.files - before.files),
        ]


def settle(before: Census) -> tuple[Census, list[str]]:
    """The census once nothing is left over, or after the grace, and what is left over then."""
    deadline = time.monotonic() + GRACE_SECONDS
    now = Census.take()
    while (leaked := now.leaked_since(before)) and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.02)
        now = Census.take()
    return now, leaked


def _descriptors() -> Counter[str]:
    """How many descriptors of each kind are open, without the zygotes'; files are a kind each."""
    kinds: Counter[str] = Counter()
    lasting = set(map(str, NURSERY.descriptors()))
    for entry in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names are all that is needed
        if entry in lasting:
            continue
        try:
            target = os.readlink(f"/proc/self/fd/{entry}")  # noqa: PTH115 - it may be no path
        except OSError:  # the descriptor of this very listing
            continue
        kinds[target.partition(":")[0] if target.startswith(("socket:", "pipe:")) else target] += 1
    return kinds


def _command(pid: int) -> str:
    try:
        return " ".join(psutil.Process(pid).cmdline()) or "a zombie"
    except psutil.Error:
        return "gone by now"
