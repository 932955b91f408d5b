"""The file system that a worker sees: the standard library, libraries, two devices, its own /tmp.

Built once in the zygote, which lives in it; a worker gets a copy of it and a /tmp of its own. There
is no /proc, /sys or /etc. mount(2), pivot_root(2), mount_setattr(2).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from pathlib import Path

from rlm_sandbox.confine import libc

_RDONLY = 0x1
_NOSUID = 0x2
_NODEV = 0x4
_NOEXEC = 0x8
_REMOUNT = 0x20
_BIND = 0x1000
_REC = 0x4000
_PRIVATE = 0x40000
_DETACH = 0x2  # for umount2

_AT_RECURSIVE = 0x8000
_AT_FDCWD = -100
_OPEN_TREE_CLONE = 1
_MOVE_EMPTY = 4  # MOVE_MOUNT_F_EMPTY_PATH
_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV = 0x1, 0x2, 0x4

DEVICES = ("/dev/null", "/dev/urandom")

SCRATCH = "/tmp"  # noqa: S108 - not the host's

_BASE = "/sys"
"""Where the new root is put together: a folder that is everywhere and holds none of the sources."""

_BYTES_A_FILE = 4096


def enter_minimal_root(sources: Iterable[str]) -> None:
    """Make a read-only root that holds only `sources`, at their own paths, and move into it.

    Needs a mount namespace of its own and CAP_SYS_ADMIN in its user namespace. Raises OSError.
    """
    libc.mount("none", "/", None, _REC | _PRIVATE)  # nothing we mount may reach the host
    libc.mount("tmpfs", _BASE, "tmpfs", _NOSUID | _NODEV, "size=1m,nr_inodes=1k,mode=755")
    for source in _outermost(sources):
        _bind_read_only(source)
    for device in DEVICES:
        _bind_device(device)
    Path(_BASE + SCRATCH).mkdir(exist_ok=True)
    os.chdir(_BASE)
    # pivot_root(".", "."): the old root ends up on top of the new one, and is taken off
    libc.syscall(_pivot_root_number(), b".", b".", name="pivot_root")
    libc.unmount(".", _DETACH)
    os.chdir("/")
    libc.mount("none", "/", None, _REMOUNT | _BIND | _RDONLY | _NOSUID | _NODEV)


def mount_scratch(size: int, owner: int, sources: Iterable[str]) -> None:
    """A private /tmp of `size` bytes, writable by the user id `owner`. Raises OSError.

    Those of the `sources` of the root that lie below /tmp stay where they are.
    """
    kept = [(path, _detached_copy(path)) for path in _outermost(sources) if _in_scratch(path)]
    inodes = max(size // _BYTES_A_FILE, 16) + 4 * len(kept)
    options = f"size={max(size, 4096)},nr_inodes={inodes},mode=700,uid={owner},gid={owner}"
    libc.mount("tmpfs", SCRATCH, "tmpfs", _NOSUID | _NODEV | _NOEXEC, options)
    for path, tree in kept:
        Path(path).mkdir(parents=True)
        libc.syscall(
            libc.MOVE_MOUNT, tree, b"", _AT_FDCWD, path.encode(), _MOVE_EMPTY, name="move_mount"
        )
        os.close(tree)


def _in_scratch(path: str) -> bool:
    return Path(path).is_relative_to(SCRATCH) and Path(path).is_dir()


def _detached_copy(path: str) -> int:
    """A mount of `path` that is nowhere yet: open_tree(2)."""
    flags = _OPEN_TREE_CLONE | _AT_RECURSIVE | os.O_CLOEXEC
    return libc.syscall(libc.OPEN_TREE, _AT_FDCWD, path.encode(), flags, name="open_tree")


def _outermost(paths: Iterable[str]) -> list[str]:
    """Existing paths without links, without those that lie inside another one."""
    real = sorted({os.path.realpath(path) for path in paths if Path(path).exists()})
    kept: list[str] = []
    for path in real:
        if not (kept and Path(path).is_relative_to(kept[-1])):
            kept.append(path)
    return kept


def _bind_read_only(source: str) -> None:
    target = _BASE + source
    if Path(source).is_dir():
        Path(target).mkdir(parents=True)
    else:
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        Path(target).touch()
    libc.mount(source, target, None, _BIND | _REC)
    attributes = struct.pack("=QQQQ", _ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NODEV, 0, 0, 0)
    _set_attributes(target, attributes)


def _set_attributes(target: str, attributes: bytes) -> None:
    """mount_setattr(2), which also reaches mounts below `target`."""
    libc.syscall(
        libc.MOUNT_SETATTR,
        _AT_FDCWD,
        os.fsencode(target),
        _AT_RECURSIVE,
        attributes,
        len(attributes),
        name=f"mount_setattr {target}",
    )


def _bind_device(device: str) -> None:
    target = Path(_BASE + device)
    target.parent.mkdir(exist_ok=True)
    target.touch()
    libc.mount(device, str(target), None, _BIND)


def _pivot_root_number() -> int:
    return {"x86_64": 155, "aarch64": 41}[os.uname().machine]
