"""What a process may become, who may look into it, and with whom it dies: prctl(2), capset(2)."""

from __future__ import annotations

import errno
import os
import signal
import struct
from pathlib import Path

from rlm_sandbox.confine import libc

_PR_SET_PDEATHSIG = 1
_PR_GET_DUMPABLE = 3
_PR_SET_DUMPABLE = 4
_PR_CAPBSET_DROP = 24
_PR_SET_SECUREBITS = 28
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_PR_GET_NO_NEW_PRIVS = 39
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4

_SECUREBITS = 0b11101111  # noroot, no setuid fixup, no ambient raise, each locked; keep_caps locked
_CAPABILITY_VERSION_3 = 0x20080522
_CAPGET = {"x86_64": 125, "aarch64": 90}
_CAPSET = {"x86_64": 126, "aarch64": 91}

_FIRST_SPARE_UID = 1_879_048_192
_SPARE_UIDS = 256 * 1024 * 1024
"""Ids from 1,879,048,192 up to 2^31 are nobody's in any distribution (systemd: UIDS-GIDS)."""

_UIDS_A_ZYGOTE = 4096

CAP_KILL, CAP_SETGID, CAP_SETUID, CAP_SETPCAP, CAP_SYS_ADMIN = 5, 6, 7, 8, 21


def no_new_privileges() -> None:
    """No program that this process could start has more rights than it (set-uid is ignored)."""
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1)


def not_dumpable() -> None:
    """No core dump, and other processes of the same user may not ptrace or read the memory."""
    libc.prctl(_PR_SET_DUMPABLE, 0)


def dumpable() -> None:
    """Own its files in /proc again, which changing the user id has taken away."""
    libc.prctl(_PR_SET_DUMPABLE, 1)


def be_called(name: str) -> None:
    """The process's name in ps(1) and top(1): 15 characters at most."""
    libc.set_process_name(name)


def die_with_parent() -> None:
    """SIGKILL when the parent's thread that forked us ends. Not inherited by fork."""
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def hold_by_descriptor() -> None:
    """Find out whether processes can be held by descriptor. Raises OSError, naming the call."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        raise OSError(error.errno, f"pidfd_open: {error.strerror}") from None


def adopt_orphans() -> None:
    """Descendants whose parent ends become children of this process."""
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def drop_capabilities() -> None:
    """Give up every capability, and every way to get one back. Raises OSError."""
    bound_capabilities()
    if holds(CAP_SETPCAP):
        libc.prctl(_PR_SET_SECUREBITS, _SECUREBITS)
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    libc.syscall(_CAPSET[os.uname().machine], header, bytes(24), name="capset")


def bound_capabilities() -> None:
    """Empty the bounding set: no program started later has a capability. Raises OSError.

    Nothing happens without CAP_SETPCAP, which an ordinary user lacks and a change of user id takes.
    """
    if holds(CAP_SETPCAP):
        for number in range(
            64
        ):  # a container's set has gaps: dropping what is not there is no error
            try:
                libc.prctl(_PR_CAPBSET_DROP, number)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                break  # beyond the last one that this kernel knows


def capabilities() -> tuple[int, int, int]:
    """The effective, permitted and inheritable set: a bit each, by number."""
    header, sets = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), bytearray(24)
    libc.syscall(_CAPGET[os.uname().machine], header, sets, name="capget")
    lower, upper = struct.unpack("=3I", sets[:12]), struct.unpack("=3I", sets[12:])
    effective, permitted, inheritable = (
        low | high << 32 for low, high in zip(lower, upper, strict=True)
    )
    return effective, permitted, inheritable


def holds(*wanted: int) -> bool:
    """True if all of these capabilities are in effect."""
    effective, _, _ = capabilities()
    return all(effective >> number & 1 for number in wanted)


def has_no_new_privileges() -> bool:
    """What the kernel says of `no_new_privileges`."""
    return libc.prctl(_PR_GET_NO_NEW_PRIVS) == 1


def is_dumpable() -> bool:
    """What the kernel says of `not_dumpable`."""
    return libc.prctl(_PR_GET_DUMPABLE) != 0


def become(uid: int) -> None:
    """Be this user and group, with no other group, for good. Raises OSError."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def has_spare_uids() -> bool:
    """False where this user namespace maps few ids, or we may not take another one."""
    try:
        spare_uids()
    except PermissionError:
        return False
    return True


def spare_uids() -> range:
    """User ids that nobody else has, for the workers of this process.

    Raises PermissionError where there are none.
    """
    if not holds(CAP_SETUID, CAP_SETGID, CAP_KILL):  # to kill: workers are another user's then
        raise PermissionError(
            errno.EPERM, "setresuid: CAP_SETUID, CAP_SETGID or CAP_KILL is missing"
        )
    block = os.getpid() * _UIDS_A_ZYGOTE % _SPARE_UIDS
    extents = _mapped_ids()
    for first, count in extents:
        if first <= _FIRST_SPARE_UID and first + count > _FIRST_SPARE_UID + _SPARE_UIDS:
            return range(_FIRST_SPARE_UID + block, _FIRST_SPARE_UID + block + _UIDS_A_ZYGOTE)
    first, count = max(extents, key=lambda extent: extent[1])
    if count < 2 * _UIDS_A_ZYGOTE:
        raise PermissionError(errno.EPERM, "setresuid: this user namespace has too few user ids")
    # A container: the upper half of what it has, short of 65534, which stands for unmapped ids.
    last = first + count - 2 - os.getpid() % (count // 2 // _UIDS_A_ZYGOTE) * _UIDS_A_ZYGOTE
    return range(last - _UIDS_A_ZYGOTE, last)


def _mapped_ids() -> list[tuple[int, int]]:
    """(first id, how many) of each range of user ids that this user namespace has."""
    rows = [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()]
    return [(int(first), int(count)) for first, _, count in rows]
