"""What this process has at a moment: processes, threads, descriptors, temporary files."""

from __future__ import annotations

import gc
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from rlm_core import calls
from rlm_sandbox.host import host_calls
from rlm_sandbox.host.nursery import NURSERY
from tests.processes import below, born_between, children, everyone, newest, parent_of

LASTING_THREADS = frozenset({"rlm-watch", "rlm-undertaker"})  # asleep when nothing runs or ends
GRACE_SECONDS = 20.0  # what is ending may take this long to be gone


@dataclass(frozen=True)
class Census:
    """A count of everything that a test may leave behind."""

    processes: frozenset[int]
    threads: frozenset[threading.Thread]
    descriptors: Counter[str]
    files: frozenset[str]
    newest: int
    """The process of this machine that was born last, when the count began."""

    @classmethod
    def take(cls, before: Census | None = None) -> Census:
        """Count now. The zygote and the watch thread belong to the process and are left out.

        With `before`, processes that were there then are not looked at again: a look at all of
        this machine's is dear, and most tests start none.
        """
        born = newest()
        return cls(
            _processes(everyone())
            if before is None
            else before.processes | _processes(born_between(before.newest, born)),
            frozenset(
                thread for thread in threading.enumerate() if thread.name not in LASTING_THREADS
            ),
            _descriptors(),
            frozenset(entry.name for entry in Path(tempfile.gettempdir()).iterdir()),
            born,
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
    now = Census.take(before)
    pause = 0.005
    while (leaked := now.leaked_since(before)) and time.monotonic() < deadline:
        calls.THREADS.end_idle()
        host_calls.THREADS.end_idle()
        if pause > 0.1:  # it does not end by itself, as most does; a collection is dear
            gc.collect()
        time.sleep(pause)
        pause = min(2 * pause, 0.5)
        now = Census.take(before)
    return now, leaked


def _processes(among: Iterable[int]) -> frozenset[int]:
    """Those of these processes that are below this one, and will not stand there for good."""
    zygotes = NURSERY.pids()
    return frozenset(
        pid
        for pid in below(os.getpid(), among)
        if pid not in zygotes and not (_name(pid) == "rlm-cradle" and parent_of(pid) in zygotes)
    )


def standing() -> set[int]:
    """The processes that are there for good: the zygotes, and the cradle of each."""
    zygotes = set(NURSERY.pids())
    return zygotes | {pid for pid in children(zygotes) if _name(pid) == "rlm-cradle"}


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:  # it is gone by now
        return ""


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
