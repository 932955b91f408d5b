"""The wall alone: two forks, namespaces and filters of `full`, put on by system calls only.

What every start stands on: no session, no talk, no proof that a layer holds, no limits, no file
system of its own.
"""

from __future__ import annotations

import os
from typing import NoReturn

from rlm_sandbox.confine import bpf, libc, namespaces, privileges, seccomp
from scripts.benches.contenders.stage import now

NAMESPACES = (
    namespaces.NEWUSER
    | namespaces.NEWPID
    | namespaces.NEWNS
    | namespaces.NEWNET
    | namespaces.NEWIPC
    | namespaces.NEWUTS
    | namespaces.NEWCGROUP
)
MACHINE = os.uname().machine
GATE = bpf.pack(seccomp.gate(MACHINE))
FILTER = bpf.pack(seccomp.wall(MACHINE, gated=True, private_root=True))


def walled(count: int) -> list[float]:
    """Seconds from nothing to a process behind the wall that has said one byte."""
    return [_one() for _ in range(count)]


def _one() -> float:
    reading, writing = os.pipe()
    began = now()
    init = libc.fork()
    if init == 0:
        _be_init(writing)
    os.close(writing)
    said = os.read(reading, 1)
    seconds = now() - began
    os.close(reading)
    os.waitpid(init, 0)
    if not said:
        raise RuntimeError("this host refuses namespaces or filters")
    return seconds


def _be_init(writing: int) -> NoReturn:
    try:
        libc.unshare(NAMESPACES)
        session = libc.fork()
        if session == 0:
            privileges.no_new_privileges()
            seccomp.install_with_listener(GATE)
            seccomp.install(FILTER)
            os.write(writing, b"!")
        else:
            os.waitpid(session, 0)
    finally:
        os._exit(0)


def walled_tasks(count: int, threads: int) -> list[float]:
    """Starts and ends a second of so many processes, each of which does one after the other."""
    began = now()
    callers = [_caller(count) for _ in range(threads)]
    statuses = [os.waitpid(caller, 0)[1] for caller in callers]
    if any(statuses):
        raise RuntimeError("this host refuses namespaces or filters")
    return [count * threads / (now() - began)]


def _caller(count: int) -> int:
    caller = libc.fork()
    if caller == 0:
        status = 1
        try:
            walled(count)
            status = 0
        finally:
            os._exit(status)
    return caller


TASKS = {"walled": walled, "walled_tasks": walled_tasks}
