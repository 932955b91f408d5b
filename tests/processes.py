"""The processes below one, and their ends, as the kernel tells them."""

from __future__ import annotations

import os
import select
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import psutil


def descendants(pid: int) -> set[int]:
    """The ids of all processes below this one, those included that nobody has waited for yet."""
    families = _families()
    found: set[int] = set()
    generation = families.get(pid, [])
    while generation:
        found.update(generation)
        generation = [child for parent in generation for child in families.get(parent, ())]
    return found


def children(pids: Iterable[int]) -> set[int]:
    """The ids of the processes right below these."""
    families = _families()
    return {child for pid in pids for child in families.get(pid, ())}


def _families() -> dict[int, list[int]]:
    """The children of every process that has some."""
    families: dict[int, list[int]] = defaultdict(list)
    for name in os.listdir("/proc"):  # noqa: PTH208 - names are all that is needed
        if name.isdigit() and (parent := _parent_of(name)) is not None:
            families[parent].append(int(name))
    return families


def _parent_of(pid: str) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:  # it is gone by now
        return None
    return int(stat.rpartition(b")")[2].split(maxsplit=2)[1])


def newest() -> int:
    """The id that was given to a process or thread last: while it is the same, none was born."""
    return int(Path("/proc/loadavg").read_bytes().split()[-1])


def outliving(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait until all of these have ended; those that run on after so many seconds.

    A process that has ended has ended, whether or not its parent knows it: an orphan's parent is
    pid 1, and some look after their orphans every other second only.
    """
    deadline = time.monotonic() + seconds
    return [process for process in processes if not _ends_by(deadline, process)]


def _ends_by(deadline: float, process: psutil.Process) -> bool:
    try:
        pidfd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return True
    try:
        if not process.is_running():  # the id is another's by now
            return True
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))
    finally:
        os.close(pidfd)
