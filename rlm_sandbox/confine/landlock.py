"""Landlock: a process gives up access to files, ports, signals and others' sockets, for good.

Everything that the running ABI knows is denied unless granted here. Restricts this thread and what
it forks or starts later. Kernel documentation: userspace-api/landlock.rst.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Iterable

from rlm_sandbox.confine import libc

_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1

READ_FILE = 1 << 2
READ_DIR = 1 << 3
_WRITE_FILE = 1 << 1
_REMOVE_DIR = 1 << 4
_REMOVE_FILE = 1 << 5
_MAKE_DIR = 1 << 7
_MAKE_REG = 1 << 8
_REFER = 1 << 13
_TRUNCATE = 1 << 14

READ = READ_FILE | READ_DIR
WRITE = READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _REFER | _TRUNCATE
"""Reading, writing, making and removing files and folders: no devices, sockets, FIFOs or links."""

_FILE_RIGHTS = READ_FILE | _WRITE_FILE | _TRUNCATE | 1  # the rights that mean something for a file

_FS_RIGHTS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16, 6: 16, 7: 16, 8: 16, 9: 17, 10: 17}
"""How many file system rights each ABI has, counted from bit 0; the 17th: pathname UNIX sockets."""

_TCP = 0b11  # to bind and to connect, from ABI 4
_UDP = 0b1100  # to bind, and to connect or send, from ABI 10
_SCOPES = 0b11  # abstract UNIX sockets and signals, from ABI 6
_NO_LOG = 0b101  # LOG_SAME_EXEC_OFF and LOG_SUBDOMAINS_OFF, from ABI 7: hostile code could flood it

NEWEST_KNOWN_ABI = max(_FS_RIGHTS_BY_ABI)


def abi() -> int:
    """The Landlock ABI of the running kernel, or 0 if it has none."""
    try:
        return libc.syscall(
            libc.LANDLOCK_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION, name="landlock"
        )
    except OSError:
        return 0


def handled(abi: int) -> tuple[int, int, int]:
    """What is denied unless it is granted, on a kernel of this ABI: files, ports, scopes, as bits.

    An ABI that is newer than this table is taken for the newest that is known.
    """
    files = (1 << _FS_RIGHTS_BY_ABI[min(abi, NEWEST_KNOWN_ABI)]) - 1
    ports = (_TCP if abi >= 4 else 0) | (_UDP if abi >= 10 else 0)
    return files, ports, _SCOPES if abi >= 6 else 0


def restrict(grants: Iterable[tuple[str, int]]) -> None:
    """Deny all but these (path, rights); needs no_new_privs. Raises OSError.

    A path that does not exist is left out: what is not there need not be granted.
    """
    known = min(abi(), NEWEST_KNOWN_ABI)
    if known == 0:
        raise OSError(errno.ENOSYS, "landlock: this kernel has none, or it is turned off")
    files, ports, scopes = handled(known)
    attributes = struct.pack("=QQQ", files, ports, scopes)
    size = 24 if known >= 6 else 16 if known >= 4 else 8
    ruleset = libc.syscall(
        libc.LANDLOCK_CREATE_RULESET, attributes, size, 0, name="landlock_create_ruleset"
    )
    try:
        for path, rights in grants:
            _grant(ruleset, path, rights & files)
        flags = _NO_LOG if known >= 7 else 0
        libc.syscall(libc.LANDLOCK_RESTRICT_SELF, ruleset, flags, name="landlock_restrict_self")
    finally:
        os.close(ruleset)


def _grant(ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _FILE_RIGHTS  # the rights of folders are refused for a file
        rule = struct.pack("=Qi", rights, descriptor)
        libc.syscall(
            libc.LANDLOCK_ADD_RULE,
            ruleset,
            _RULE_PATH_BENEATH,
            rule,
            0,
            name=f"landlock_add_rule {path}",
        )
    finally:
        os.close(descriptor)
