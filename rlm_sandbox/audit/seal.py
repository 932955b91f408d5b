"""The kernel's account of a process, read from outside: what it is, what it may, what it holds.

Only root, or the process's own user while it is dumpable, may read all of it; what cannot be read
is left out and compares as equal.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_STATUS = frozenset(
    {
        *("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"),
        *("NoNewPrivs", "Seccomp", "Seccomp_filters", "TracerPid", "VmLck"),
    }
)
_NAMESPACES = ("user", "pid", "pid_for_children", "mnt", "net", "ipc", "uts", "cgroup", "time")
_HARMLESS = ("pipe", "/", "anon_inode:[eventpoll]", "anon_inode:[eventfd]", "anon_inode:[timerfd]")
_HARMLESS_SOCKETS = frozenset({"UNIX-STREAM", "UNIX"})


@dataclass(frozen=True)
class Seal:
    """What must not change while hostile code runs."""

    facts: dict[str, str]
    descriptors: frozenset[str]
    """Kinds of descriptors that a session does not need."""

    def broken_since(self, before: Seal) -> list[str]:
        """What is different now, in words."""
        return [
            *(
                f"{name} was {before.facts[name]!r} and is {value!r}"
                for name, value in self.facts.items()
                if name in before.facts and before.facts[name] != value
            ),
            *(f"it holds {kind}" for kind in sorted(self.descriptors - before.descriptors)),
        ]


def take(pid: int) -> Seal:
    """The seal of a process. Raises OSError when it is gone."""
    facts = _status(pid)
    facts |= _stat(pid)
    for line in Path(f"/proc/{pid}/limits").read_text(encoding="ascii").splitlines()[1:]:
        name = line[:26].strip()
        if name != "Max cpu time":  # which the controller itself sets anew for each step
            facts["limit " + name] = " ".join(line[26:].split())
    for name in _NAMESPACES:
        with contextlib.suppress(OSError):
            facts["namespace " + name] = str(Path(f"/proc/{pid}/ns/{name}").readlink())
    with contextlib.suppress(OSError):
        facts["root"] = str(Path(f"/proc/{pid}/root").readlink())
    with contextlib.suppress(OSError):
        facts["personality"] = Path(f"/proc/{pid}/personality").read_text(encoding="ascii").strip()
    return Seal(facts, frozenset(_kinds(pid)))


def _status(pid: int) -> dict[str, str]:
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    rows = (line.partition(":") for line in text.splitlines())
    return {name: " ".join(value.split()) for name, _, value in rows if name in _STATUS}


def _stat(pid: int) -> dict[str, str]:
    """Priority, niceness, real-time priority and policy: proc_pid_stat(5)."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    fields = text.rpartition(")")[2].split()
    return {"nice": fields[16], "real-time priority": fields[37], "scheduler": fields[38]}


def _kinds(pid: int) -> Iterable[str]:
    try:
        descriptors = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return
    for descriptor in descriptors:
        try:
            target = os.readlink(descriptor)  # noqa: PTH115 - it may be no path
        except OSError:
            continue
        if target.startswith("socket:"):
            if (protocol := _protocol(descriptor)) not in _HARMLESS_SOCKETS:
                yield f"a socket of {protocol}"
        elif target.startswith("/memfd:") or not target.startswith(_HARMLESS):
            yield target


def _protocol(descriptor: Path) -> str:
    """What kind of socket it is: the name is an attribute of every socket's inode."""
    try:
        name = os.getxattr(descriptor, "system.sockprotoname")
    except OSError:
        return "UNIX"
    return name.rstrip(b"\0").decode("ascii", "replace")
