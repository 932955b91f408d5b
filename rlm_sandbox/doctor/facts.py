"""What bears on isolation on this host and is no layer: kernel, container, cgroups, sysctls."""

from __future__ import annotations

import os
import platform
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

from rlm_sandbox.confine import landlock
from rlm_sandbox.doctor.findings import Fact
from rlm_sandbox.host.groups import GROUPS

_SYSCTLS = {
    "user/max_user_namespaces": ("0", "user namespaces are turned off: set it to 10000"),
    "kernel/unprivileged_userns_clone": ("0", "user namespaces need root here: set it to 1"),
    "kernel/apparmor_restrict_unprivileged_userns": (
        "1",
        "an ordinary user's namespaces have no rights: set it to 0, or write an AppArmor profile",
    ),
    "kernel/unprivileged_bpf_disabled": ("0", "any other program of this host may load BPF"),
    "kernel/io_uring_disabled": ("", ""),
    "kernel/yama/ptrace_scope": ("", ""),
    "kernel/core_pattern": ("", ""),
    "dev/tty/legacy_tiocsti": ("", ""),
}
"""By name: the value that is bad, if there is one, and what to do about it."""


def gather() -> list[Fact]:
    """All facts; those that cannot be read are left out."""
    return [
        Fact("kernel", f"{platform.system()} {platform.release()} {platform.machine()}"),
        Fact("python", f"{platform.python_version()} at {sys.executable}"),
        _user(),
        *_library(),
        Fact("landlock abi", str(landlock.abi() or "none")),
        *_text("/sys/kernel/security/lsm", "security modules"),
        *_text("/proc/sys/kernel/seccomp/actions_avail", "seccomp actions"),
        _cgroups(),
        *(Fact("surroundings", hint) for hint in _surroundings()),
        *_sysctls(),
    ]


def _user() -> Fact:
    uid = os.geteuid()
    if uid != 0:
        return Fact("user", f"uid {uid}")
    return Fact(
        "user",
        "root",
        "the controller runs as root: workers get user ids of their own, your host functions do "
        "not. Run it as an ordinary user where you can",
    )


def _library() -> list[Fact]:
    """Root's workers are other users, and must be able to read the standard library."""
    if os.geteuid() != 0:
        return []
    closed = [
        str(folder)
        for folder in Path(os.__file__).resolve().parents
        if not folder.stat().st_mode & stat.S_IXOTH
    ]
    if not closed:
        return []
    return [
        Fact(
            "standard library",
            f"other users cannot enter {', '.join(closed)}",
            "it works with namespaces; for `standard` install Python outside of it",
        )
    ]


def _cgroups() -> Fact:
    bases = GROUPS.bases()
    if bases:
        return Fact("control groups", f"delegated below {', '.join(bases)}")
    return Fact(
        "control groups",
        f"not delegated: {GROUPS.refusal}",
        "memory is bounded by rlimits and by looking",
    )


def _surroundings() -> Iterable[str]:
    """Hints of a container or of a kernel that is none."""
    version = Path("/proc/version").read_text(errors="replace")
    if "gVisor" in version or "gvisor" in version:
        yield "gVisor: it has no Landlock; namespaces are the file system's wall"
    if "microsoft" in version.lower():
        yield "WSL: the Windows host is reachable by AF_VSOCK and interop, both refused to workers"
    if Path("/.dockerenv").exists():
        yield "a Docker container"
    if Path("/run/.containerenv").exists():
        yield "a Podman container"
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        yield "a Kubernetes pod"
    elif kind := os.environ.get("container", ""):  # noqa: SIM112 - as systemd-nspawn and Podman do
        yield f"a container ({kind})"


def _sysctls() -> Iterable[Fact]:
    for name, (bad, advice) in _SYSCTLS.items():
        for fact in _text(f"/proc/sys/{name}", name.replace("/", ".")):
            yield Fact(fact.name, fact.value, advice) if bad and fact.value == bad else fact


def _text(path: str, name: str) -> list[Fact]:
    try:
        text = Path(path).read_text(errors="replace")
    except OSError:  # this kernel does not have it, or we may not know
        return []
    return [Fact(name, " ".join(text.split()))]
