"""The file system that a worker sees: the standard library, libraries, two devices, its own /tmp.

Built once in the zygote, which lives in it; a worker gets a copy of it and a /tmp of its own. There
is no /proc, /sys or /etc. mount(2), pivot_root(2), mount_setattr(2).
"""

from __future__ import annotations

import os
import stat
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
_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV, _ATTR_NOEXEC = 0x1, 0x2, 0x4, 0x8

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
    for place in _outermost(sources):
        _bind(os.path.realpath(place), place, _ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NODEV)
    for device in DEVICES:  # read-only as well: only their data may be written, not their times
        _bind(device, device, _ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NOEXEC)
    Path(_BASE + SCRATCH).mkdir(exist_ok=True)
    os.chdir(_BASE)
    # pivot_root(".", "."): the old root ends up on top of the new one, and is taken off
    libc.syscall(_pivot_root_number(), b".", b".", name="pivot_root")
    libc.unmount(".", _DETACH)
    os.chdir("/")
    libc.mount("none", "/", None, _REMOUNT | _BIND | _RDONLY | _NOSUID | _NODEV)


def kept_in_scratch(sources: Iterable[str]) -> tuple[str, ...]:
    """Those of the root's sources that lie below /tmp."""
    return tuple(path for path in _outermost(sources) if Path(path).is_relative_to(SCRATCH))


def mount_scratch(size: int, owner: int, sources: Iterable[str]) -> None:
    """A private /tmp of `size` bytes, writable by the user id `owner`. Raises OSError.

    The `sources`, which lie below /tmp, stay where they are.
    """
    kept = [(path, _detached_copy(path)) for path in sources]
    inodes = max(size // _BYTES_A_FILE, 16) + 4 * len(kept)
    options = f"size={max(size, 4096)},nr_inodes={inodes},mode=700,uid={owner},gid={owner}"
    libc.mount("tmpfs", SCRATCH, "tmpfs", _NOSUID | _NODEV | _NOEXEC, options)
    for path, tree in kept:
        _make_place(path, is_folder=stat.S_ISDIR(os.fstat(tree).st_mode))
        libc.syscall(
            libc.MOVE_MOUNT, tree, b"", _AT_FDCWD, path.encode(), _MOVE_EMPTY, name="move_mount"
        )
        os.close(tree)


def _detached_copy(path: str) -> int:
    """A mount of `path` that is nowhere yet: open_tree(2)."""
    flags = _OPEN_TREE_CLONE | _AT_RECURSIVE | os.O_CLOEXEC
    return libc.syscall(libc.OPEN_TREE, _AT_FDCWD, path.encode(), flags, name="open_tree")


def _outermost(paths: Iterable[str]) -> list[str]:
    """Existing paths, as given and without links, less those that lie inside another one."""
    existing = [path for path in paths if Path(path).exists()]
    kept: list[str] = []
    for path in sorted({*map(os.path.realpath, existing), *map(os.path.abspath, existing)}):
        if not (kept and Path(path).is_relative_to(kept[-1])):
            kept.append(path)
    return kept


def _bind(source: str, place: str, attributes: int) -> None:
    """Show `source` at `place` in the new root, with what is mounted below it."""
    target = _BASE + place
    _make_place(target, is_folder=Path(source).is_dir())
    libc.mount(source, target, None, _BIND | _REC)
    _set_attributes(target, struct.pack("=QQQQ", attributes, 0, 0, 0))


def _make_place(path: str, *, is_folder: bool) -> None:
    """Something of the right kind to mount on."""
    if is_folder:
        Path(path).mkdir(parents=True, exist_ok=True)
    else:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()


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


def _pivot_root_number() -> int:
    return {"x86_64": 155, "aarch64": 41}[os.uname().machine]
