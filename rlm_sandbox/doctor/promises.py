"""What is not promised on this host, and why."""

from __future__ import annotations

import os
from collections.abc import Collection

from rlm_sandbox.confine.layers import Layer

ALWAYS = (
    "timing and other side channels of shared hardware: code can measure the host's load",
    "a kernel without bugs: the filter leaves few system calls, all of them in everyday use",
    "secrecy of the standard library, shared libraries and packages: code may read them",
    "what your host functions do with the arguments that the code gives them",
)

NO_TIER = "anything: no code can be isolated here, and none is run"

_WITHOUT = {
    Layer.MOUNT: "a private /tmp, and a file system of its own: names, sizes and times of the "
    "host's files can be seen, their contents cannot; nothing can be written",
    Layer.PID: "that process ids outside are unknown: whether one exists can be found out",
    Layer.NET: "a network namespace: sockets, pathname UNIX sockets among them, are refused by the "
    "seccomp filter alone",
    Layer.UTS: "that the host's name is unknown",
    Layer.USER: "a user namespace: the code has the user id of its process outside, too",
    Layer.LANDLOCK: "Landlock: the mount namespace alone keeps files away",
    Layer.GATE: "checkpoints: no process can be created at all, so a session that crashes is lost",
    Layer.CGROUP: "an exact bound on memory: without a cgroup it is measured every few "
    "milliseconds, and rlimits bound each process",
}


def not_promised(layers: Collection[str], *, uid: int | None = None) -> list[str]:
    """For workers under these layers; none of them: for a host that cannot isolate."""
    if not layers:
        return [NO_TIER]
    missing = [text for layer, text in _WITHOUT.items() if layer not in layers]
    if Layer.USER not in layers and Layer.UID not in layers:
        missing.append(
            "a bound on the number of threads beyond that of memory: RLIMIT_NPROC counts all "
            "processes of a user, and these workers have no user id of their own"
        )
        if (os.geteuid() if uid is None else uid) == 0:
            missing.append(
                "a user id other than root's: this container's root may not change its id, so the "
                "workers are root without any capability"
            )
    return [*missing, *ALWAYS]
