"""What a locked-down process tries, and must fail at, before it says that it is ready.

A return code of zero from prctl or landlock is no proof; a refused open is. The attempts are
harmless where they succeed. `doctor` and the attack corpus go further.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import socket
import struct
from collections.abc import Callable

from rlm_sandbox.confine import libc, mounts, namespaces, privileges
from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.confine.wall import Wall
from rlm_sandbox.protocol import WorkerLimits

HOST_FOLDERS = ("/proc", "/sys", "/etc")
_BLOCKS = 16  # a tmpfs rounds its size up to whole pages, which may be of 64 KiB

_GET_INTERFACE_FLAGS = 0x8913  # SIOCGIFFLAGS
_INTERFACE_IS_UP = 1
_INTERFACE = struct.Struct("=16sH22x")  # struct ifreq: the name and its flags


class NotContained(Exception):
    """A layer was put on and does not hold."""


def examine_place(wall: Wall, tmp_bytes: int) -> None:
    """What a process inherits from its init, in the init.

    Raises NotContained, naming the layer, if one that was promised is not there.
    """
    for layer, holds in _PLACE.items():
        if wall.has(layer):
            holds(wall, tmp_bytes)


def examine_session(wall: Wall, limits: WorkerLimits) -> None:
    """In the session process before the seccomp filter, from whose refusals nothing could be told.

    Raises NotContained.
    """
    if wall.has(Layer.RLIMITS):
        _rlimits(limits)
    if wall.has(Layer.LANDLOCK):
        _must_fail("landlock", _list_the_root, errno.EACCES)


def run(wall: Wall) -> None:
    """With all layers on. Raises NotContained if something that must fail does not."""
    if wall.has(Layer.SECCOMP):
        _must_fail("seccomp", _open_a_socket, errno.EAFNOSUPPORT)
        _must_fail("seccomp", _fork, errno.EPERM)
        _must_fail("seccomp", _signal_the_parent, errno.EPERM)
        _must_fail("seccomp", _start_a_program, errno.EPERM)
    if wall.has(Layer.LANDLOCK) or wall.has(Layer.MOUNT):
        _must_fail("the file system", _list_the_users, errno.EACCES, errno.ENOENT)
    if wall.has(Layer.PID) and os.getppid() != 1:
        raise NotContained("the parent is not pid 1 of a pid namespace")
    _must_read("the standard library", os.__file__)
    if 0 in os.getresuid() and (wall.has(Layer.UID) or wall.has(Layer.USER)):
        raise NotContained("the process is root still")


def _user(_wall: Wall, _tmp_bytes: int) -> None:
    owner = os.stat(os.devnull).st_uid  # noqa: PTH116 - a Path takes longer than all the rest
    _demand(owner != 0, "user: the host's root has a name inside")


def _mount(_wall: Wall, tmp_bytes: int) -> None:
    seen = [folder for folder in HOST_FOLDERS if os.path.lexists(folder)]
    _demand(not seen, f"mount: {', '.join(seen)} can be seen")
    for path in ("/", os.__file__):
        _demand(os.statvfs(path).f_flag & os.ST_RDONLY != 0, f"mount: {path} can be written")
    scratch = os.statvfs(mounts.SCRATCH)
    room = scratch.f_blocks * scratch.f_frsize
    most = tmp_bytes + _BLOCKS * scratch.f_frsize
    _demand(room <= most, f"mount: {mounts.SCRATCH} has {room} bytes")


def _net(_wall: Wall, _tmp_bytes: int) -> None:
    # Asked for, not tried: Landlock, which is on by now, may refuse to connect on any network.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        told = fcntl.ioctl(probe, _GET_INTERFACE_FLAGS, _INTERFACE.pack(b"lo", 0))
    _, flags = _INTERFACE.unpack(told)
    _demand(not flags & _INTERFACE_IS_UP, "net: the loopback interface is up")


def _uts(_wall: Wall, _tmp_bytes: int) -> None:
    _demand(os.uname().nodename == namespaces.HOSTNAME, "uts: the host's name can be seen")


def _uid(wall: Wall, _tmp_bytes: int) -> None:
    ids = {*os.getresuid(), *os.getresgid(), *os.getgroups()}
    spare = all(number != 0 and (not wall.uids or number in wall.uids) for number in ids)
    _demand(len(ids) == 1 and spare, f"uid: the process has the ids {ids}")


def _rlimits(limits: WorkerLimits) -> None:
    for number, most in {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_FSIZE: limits.tmp_bytes,
    }.items():
        soft, hard = resource.getrlimit(number)
        _demand(0 <= soft <= most and 0 <= hard <= most, f"rlimits: {number} is {soft}, {hard}")
    _demand(resource.getrlimit(resource.RLIMIT_DATA)[0] >= 0, "rlimits: memory has no limit")


def _capabilities(_wall: Wall, _tmp_bytes: int) -> None:
    _demand(privileges.capabilities() == (0, 0, 0), "capabilities: there are some left")
    _must_fail("capabilities", _make_a_namespace, errno.EPERM)


def _no_new_privs(_wall: Wall, _tmp_bytes: int) -> None:
    _demand(privileges.has_no_new_privileges(), "no-new-privs: it is not set")


def _not_dumpable(_wall: Wall, _tmp_bytes: int) -> None:
    _demand(not privileges.is_dumpable(), "not-dumpable: the memory can be looked into")


_PLACE: dict[Layer, Callable[[Wall, int], None]] = {
    Layer.USER: _user,
    Layer.MOUNT: _mount,
    Layer.NET: _net,
    Layer.UTS: _uts,
    Layer.UID: _uid,
    Layer.CAPABILITIES: _capabilities,
    Layer.NO_NEW_PRIVS: _no_new_privs,
    Layer.NOT_DUMPABLE: _not_dumpable,
}


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise NotContained(otherwise)


def _must_read(what: str, path: str) -> None:
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError as error:
        raise NotContained(f"{what} at {path} cannot be read inside: {error.strerror}") from None


def _must_fail(layer: str, attempt: Callable[[], object], *expected: int) -> None:
    name = getattr(attempt, "__name__", str(attempt))
    try:
        attempt()
    except OSError as error:
        if error.errno in expected:
            return
        raise NotContained(f"{layer}: {name} fails otherwise: {error}") from None
    raise NotContained(f"{layer} does not hold: {name} succeeded")


def _open_a_socket() -> None:
    socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def _signal_the_parent() -> None:
    os.kill(os.getppid(), 0 * signal.SIGTERM)


def _start_a_program() -> None:
    os.execve("/nonexistent", ["nonexistent"], {})  # noqa: S606 - which nothing may


def _list_the_users() -> None:
    os.close(os.open("/etc/passwd", os.O_RDONLY))


def _list_the_root() -> None:
    os.close(os.open("/", os.O_RDONLY | os.O_DIRECTORY))


def _make_a_namespace() -> None:
    libc.unshare(namespaces.NEWUTS)
