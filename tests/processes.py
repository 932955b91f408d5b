"""The processes below one, and their ends, as the kernel tells them."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Collection, Iterable
from pathlib import Path

import psutil

MOST = int(Path("/proc/sys/kernel/pid_max").read_text())
"""Ids go up to here and then begin again."""


def descendants(pid: int) -> set[int]:
    """The ids of all processes below this one, those included that nobody has waited for yet."""
    return below(pid, everyone())


def children(pids: Collection[int]) -> set[int]:
    """The ids of the processes right below these."""
    return {pid for pid in everyone() if parent_of(pid) in pids}


def below(ancestor: int, pids: Iterable[int]) -> set[int]:
    """Those of these processes that descend from one."""
    known = {0: False, 1: False, ancestor: True}
    found = set()
    for pid in pids:
        line, above = [], pid
        while above not in known:
            line.append(above)
            above = parent_of(above)
        known |= dict.fromkeys(line, known[above])
        if known[pid] and pid != ancestor:
            found.add(pid)
    return found


def everyone() -> list[int]:
    """The ids of all processes that can be seen."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208


def born_between(first: int, last: int) -> list[int]:
    """The ids of the processes that are there and were born after `first`, the last `last`."""
    span = (last - first) % MOST
    return [pid for pid in everyone() if 0 < (pid - first) % MOST <= span] if span else []


def parent_of(pid: int) -> int:
    """The id of a process's parent; 0 if it has none, or is gone."""
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY)  # a file object costs twice as much
    except OSError:
        return 0
    try:
        stat = os.read(descriptor, 4096)
    except OSError:
        return 0
    finally:
        os.close(descriptor)
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
