"""Programs that run as in a container or on an older kernel: both imitated by a seccomp filter.

What such a place refuses, the filter refuses; what an old kernel does not have, it answers with
ENOSYS. The program then starts sandboxes as any controller does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec
import psutil
import pytest

from tests.rlm_sandbox.program import PACKAGE_ROOT, SECONDS

SPARE_UID = 1_879_000_000
"""Nobody's, and below those that workers get."""

DOCKER_CAPABILITIES = (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31)
ALL_CAPABILITIES = tuple(range(41))

LANDLOCK = (444, 445, 446)
MOUNT_SETATTR = (442,)
PIDFD_OPEN = (434,)

_PROGRAM = """
import errno, json, os, struct, sys
from rlm_sandbox.confine import bpf, libc, privileges, seccomp, syscalls
from rlm_sandbox.confine.bpf import ALLOW, Argument, Rule, errno_action

place = json.loads(sys.argv[1])
EPERM, ENOSYS = errno_action(errno.EPERM), errno_action(errno.ENOSYS)
x86 = os.uname().machine == "x86_64"
# unshare setns mount umount2 pivot_root open_tree move_mount fsopen fsconfig fsmount fspick
NAMESPACES = (272, 308, 165, 166, 155) if x86 else (97, 268, 40, 39, 41)
NAMESPACES += (428, 429, 430, 431, 432, 433, 442)
rules = [Rule(number, ENOSYS) for number in place["hidden"]]
if place["confined"]:
    clone = syscalls.number("clone", os.uname().machine)
    rules += [Rule(number, EPERM) for number in NAMESPACES if number not in place["hidden"]]
    rules += [Rule(clone, ALLOW, (Argument(0, (0,), mask=0x7E020000),), otherwise=EPERM)]
    rules += [Rule(435, ENOSYS)]  # clone3
if not place["listener"]:
    no_listener = (Argument(1, (0,), mask=8),)
    number = syscalls.number("seccomp", os.uname().machine)
    rules += [Rule(number, ALLOW, no_listener, otherwise=errno_action(errno.EINVAL))]
if os.geteuid() == 0 and place["uid"] != 0:
    privileges.become(place["uid"])
if not privileges.holds(privileges.CAP_SYS_ADMIN):
    privileges.no_new_privileges()
arch = syscalls.ARCHITECTURES[os.uname().machine]
seccomp.install(bpf.pack(bpf.assemble(arch, rules, default=ALLOW, foreign=bpf.KILL_PROCESS)))
if os.geteuid() == 0:
    for number in range(41):
        if number not in place["capabilities"]:
            libc.prctl(24, number)  # PR_CAPBSET_DROP
    _, permitted, _ = privileges.capabilities()
    held = permitted & sum(1 << number for number in place["capabilities"])
    sets = struct.pack("=6I", *[held & 0xFFFFFFFF] * 3, *[held >> 32] * 3)
    libc.syscall(126 if x86 else 91, struct.pack("=Ii", 0x20080522, 0), sets, name="capset")
del sys.argv[1]
"""


@dataclass(frozen=True)
class Place:
    """Where a program runs. The default is Docker's."""

    uid: int = 0
    confined: bool = True
    """Namespaces and mounts are refused, as Docker's filter does."""
    capabilities: tuple[int, ...] = DOCKER_CAPABILITIES
    """What root has; another user has none."""
    hidden: tuple[int, ...] = ()
    """System calls that the kernel does not have."""
    listener: bool = True

    def run(self, source: str, *, python: str | None = None) -> str:
        """Run a program there and return what it printed. Fails with its errors if it fails."""
        if os.geteuid() != 0 and self.uid != os.geteuid():
            pytest.skip("to be another user, the tests must run as root")
        place = {name: getattr(self, name) for name in self.__dataclass_fields__}
        done = subprocess.run(
            [python or readable_python(), "-c", _PROGRAM + source, json.dumps(place)],
            env={
                "PATH": os.defpath,
                "PYTHONPATH": os.pathsep.join(_import_paths()),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert not done.stderr
        return done.stdout


def user() -> int:
    """An ordinary user: whoever runs the tests, or nobody in particular if that is root."""
    return os.geteuid() or SPARE_UID


def _import_paths() -> list[str]:
    extensions = {str(Path(str(module.__file__)).parent.parent) for module in (msgspec, psutil)}
    return [str(PACKAGE_ROOT), *sorted(extensions)]


@cache
def readable_python() -> str:
    """An interpreter of this version that every user may start and whose library all may read."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/local/bin/{version}", f"/usr/bin/{version}"):
        if Path(python).exists() and all(map(_open_to_all, [*_homes(python), *_import_paths()])):
            return python
    pytest.skip(f"no {version} here, with its packages, lies where every user can read it")


def _homes(python: str) -> list[str]:
    shown = subprocess.run(
        [python, "-I", "-S", "-c", "import os, sys; print(os.__file__, sys._base_executable)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return shown.stdout.split()


def _open_to_all(path: str) -> bool:
    real = Path(path).resolve()
    return all(folder.stat().st_mode & 0o001 for folder in [real, *real.parents] if folder.is_dir())
