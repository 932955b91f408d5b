"""Namespaces: what the worker can see of the system, by unshare(2) and user_namespaces(7).

A worker has a user, pid, mount, net, ipc, uts and cgroup namespace of its own. Its network has no
interface that is up, not even loopback; its pid namespace ends with its init.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NoReturn

from rlm_sandbox.confine import libc

NEWNS = 0x00020000
NEWCGROUP = 0x02000000
NEWUTS = 0x04000000
NEWIPC = 0x08000000
NEWUSER = 0x10000000
NEWPID = 0x20000000
NEWNET = 0x40000000

HOSTNAME = "sandbox"

ORDINARY_ID = 1000
"""What root is called inside, where it has no other id to take: in a container that has one id."""


def fork_init(child: Callable[[], NoReturn]) -> int:
    """Fork a process that is pid 1 of a new pid namespace and runs `child`. Raises OSError.

    With clone(2): after unshare(2) only the first fork would be a pid 1.
    """
    pid = libc.fork_into(NEWPID)
    if pid == 0:
        child()
    return pid


def enter(flags: int) -> None:
    """Move this process into new namespaces of these kinds, if any. Raises OSError."""
    if flags:  # a container's filter refuses the call, even one that asks for nothing
        libc.unshare(flags)
    if flags & NEWUTS:  # the new namespace starts as a copy of the host's
        libc.set_names(HOSTNAME)


def enter_user(extra: int, proc: int) -> None:
    """Move into a new user namespace, and namespaces of the kinds `extra` that belong to it.

    The process keeps its user and group id, which are the only ones there; root gets ORDINARY_ID.
    `proc` is a descriptor of a /proc that shows this process. Raises OSError. Works in a
    single-threaded process only.
    """
    uid, gid = os.geteuid(), os.getegid()
    enter(NEWUSER | extra)
    _write(proc, "self/setgroups", "deny")  # without this an unprivileged gid map is refused
    _write(proc, "self/uid_map", f"{uid or ORDINARY_ID} {uid} 1")
    _write(proc, "self/gid_map", f"{gid or ORDINARY_ID} {gid} 1")


def _write(directory: int, path: str, text: str) -> None:
    """Write a file of /proc at once: a buffered write that fails at close is easily overlooked."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=directory)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
