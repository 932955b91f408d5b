"""Which layers make which isolation tier, and what to do where a host refuses one."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from dataclasses import dataclass

from rlm_sandbox.confine import syscalls
from rlm_sandbox.confine.layers import NAMESPACES, Layer

ISOLATIONS = ("auto", "full", "standard", "none")

_HARDENING = frozenset(
    {
        *(Layer.RLIMITS, Layer.CAPABILITIES, Layer.NO_NEW_PRIVS, Layer.NOT_DUMPABLE),
        Layer.SECCOMP,
    }
)

OPTIONAL = frozenset({Layer.UID, Layer.GATE, Layer.CGROUP})
"""Used where the host has them: they add to a tier and no tier stands on them."""


@dataclass(frozen=True)
class Tier:
    """A promise: layers without which it is not kept, and layers that are used where possible."""

    name: str
    required: frozenset[Layer]
    used_where_possible: frozenset[Layer] = frozenset()

    @property
    def layers(self) -> frozenset[Layer]:
        return self.required | self.used_where_possible

    def without(self, off: Iterable[Layer]) -> Tier:
        """The same with some layers off, as the audit wants it."""
        removed = frozenset(off)
        return Tier(self.name, self.required - removed, self.used_where_possible - removed)


FULL = Tier("full", _HARDENING | NAMESPACES, OPTIONAL | {Layer.LANDLOCK})
# Landlock or, on a kernel without it, the mount and net namespaces: that is `full` again, and the
# reason why `standard` is tried with namespaces first.
STANDARD = Tier("standard", _HARDENING | {Layer.LANDLOCK}, OPTIONAL)
STANDARD_WITH_NAMESPACES = Tier("standard", FULL.required, FULL.used_where_possible)
NONE = Tier("none", frozenset({Layer.RLIMITS}))

_CHOICES = {
    "auto": (FULL, STANDARD),
    "full": (FULL,),
    "standard": (STANDARD_WITH_NAMESPACES, STANDARD),
    "none": (NONE,),
}


def choices(isolation: str) -> tuple[Tier, ...]:
    """The tiers that satisfy what was asked for, strongest first. Raises ValueError."""
    if isolation not in _CHOICES:
        raise ValueError(f"isolation must be one of {', '.join(ISOLATIONS)}, not {isolation!r}")
    return _CHOICES[isolation]


def unsupported(isolation: str) -> str | None:
    """Why this kind of machine cannot isolate like this at all, or None if it may."""
    if platform.system() != "Linux":
        return (
            f"rlm_sandbox needs Linux; this is {platform.system()}. "
            "Run it in a Linux container or virtual machine"
        )
    if isolation != "none" and platform.machine() not in syscalls.ARCHITECTURES:
        known = " and ".join(syscalls.ARCHITECTURES)
        return (
            f"the seccomp filter is known for {known}; this is {platform.machine()}. "
            "For code that you trust ask for isolation='none' by name"
        )
    return None


_REMEDIES = {
    ("unshare", "uid_map", "gid_map", "setgroups"): (
        "namespaces are refused here. On a host: `sysctl user.max_user_namespaces` must not be 0, "
        "on Debian `sysctl kernel.unprivileged_userns_clone=1`, on Ubuntu 24.04 and newer `sysctl "
        "kernel.apparmor_restrict_unprivileged_userns=0` or an AppArmor profile with `userns`. In "
        "a container: `--security-opt seccomp=unconfined --security-opt apparmor=unconfined`, or "
        "`--privileged`; in Kubernetes a pod with `hostUsers: false`"
    ),
    ("mount", "pivot_root"): (
        "mounts are refused here: Linux 5.12 or newer is needed and, in a container, "
        "`--security-opt seccomp=unconfined --security-opt apparmor=unconfined`; below chroot(8) "
        "nothing can be mounted: pivot_root(8) instead"
    ),
    ("landlock",): (
        "Landlock is not there: Linux 5.13 or newer with `landlock` in the kernel's `lsm=` list, "
        "and a container runtime whose seccomp profile knows it (Docker 23 or newer)"
    ),
    ("seccomp",): (
        "seccomp filters are refused here: Linux 4.14 or newer with CONFIG_SECCOMP_FILTER"
    ),
    ("pidfd_open",): (
        "process descriptors are missing: Linux 5.3 or newer, and a container runtime whose "
        "seccomp profile knows them"
    ),
    ("standard library",): (
        "install Python where every user can read it (not below /root), or be an ordinary user"
    ),
}
"""What helps, by words in the text of the error."""


def remedy(reason: str) -> str:
    """What to do about a layer that could not be put on, from the text of its error."""
    for words, advice in _REMEDIES.items():
        if any(word in reason for word in words):
            return advice
    return "`rlm doctor` shows what this host can enforce"
