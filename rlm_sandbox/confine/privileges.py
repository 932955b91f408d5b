"""What a process may become, who may look into it, and with whom it dies: prctl(2)."""

from __future__ import annotations

import signal

from rlm_sandbox.confine.libc import prctl

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38


def no_new_privileges() -> None:
    """No program that this process could start has more rights than it (set-uid is ignored)."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def not_dumpable() -> None:
    """No core dump, and other processes of the same user may not ptrace or read the memory."""
    prctl(_PR_SET_DUMPABLE, 0)


def die_with_parent() -> None:
    """SIGKILL when the parent's thread that forked us ends. Not inherited by fork."""
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Descendants whose parent ends become children of this process."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)
