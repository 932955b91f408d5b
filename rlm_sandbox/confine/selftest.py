"""What a locked-down process tries, and must fail at, before it says that it is ready.

A return code of zero from prctl or landlock is no proof; a refused open is. The attempts are
harmless where they succeed. `doctor` and the attack corpus go further.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
from collections.abc import Callable

from rlm_sandbox.confine.lockdown import Layer, Wall


class NotContained(Exception):
    """A layer was put on and does not hold."""


def run(wall: Wall) -> None:
    """Raises NotContained, naming the layer, if something that must fail does not."""
    if wall.has(Layer.SECCOMP):
        _must_fail("seccomp", _open_a_socket, errno.EAFNOSUPPORT)
        _must_fail("seccomp", _fork, errno.EPERM)
        _must_fail("seccomp", _signal_the_parent, errno.EPERM)
    if wall.has(Layer.LANDLOCK) or wall.has(Layer.MOUNT):
        _must_fail("the file system", _list_the_users, errno.EACCES, errno.ENOENT)
    if wall.has(Layer.PID) and os.getppid() != 1:
        raise NotContained("the parent is not pid 1 of a pid namespace")
    _must_read("the standard library", os.__file__)
    if os.geteuid() == 0 and (wall.has(Layer.UID) or wall.has(Layer.USER)):
        raise NotContained("the process is root still")


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


def _list_the_users() -> None:
    os.close(os.open("/etc/passwd", os.O_RDONLY))
