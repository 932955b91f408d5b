"""The names of the parts that the wall is made of."""

from __future__ import annotations

from enum import StrEnum


class Layer(StrEnum):
    """One part of the wall that can be there or not."""

    USER = "user"  # a user namespace: no capability outside of it
    PID = "pid"  # a pid namespace: no process outside of it
    MOUNT = "mount"  # a mount namespace with the minimal root and a private /tmp
    NET = "net"
    IPC = "ipc"
    UTS = "uts"
    CGROUP_VIEW = "cgroup-view"  # a cgroup namespace
    UID = "uid"  # a user id of the worker's own, where we are root
    RLIMITS = "rlimits"
    CAPABILITIES = "capabilities"  # none left
    NO_NEW_PRIVS = "no-new-privs"
    NOT_DUMPABLE = "not-dumpable"
    LANDLOCK = "landlock"
    SECCOMP = "seccomp"
    GATE = "gate"  # a trusted process decides on every fork and signal
    CGROUP = "cgroup"  # memory and processes are counted and bounded by the kernel


NAMESPACES = frozenset(
    {
        *(Layer.USER, Layer.PID, Layer.MOUNT, Layer.NET),
        *(Layer.IPC, Layer.UTS, Layer.CGROUP_VIEW),
    }
)
