"""Starts the zygote, a clean interpreter, and has it fork workers.

The controller never forks itself: a forked child would hold its memory, with every secret in it.
"""

from __future__ import annotations

import atexit
import os
import platform
import socket
import subprocess
import sys
import threading
from pathlib import Path

import msgspec

from rlm_sandbox.errors import IsolationUnavailable, StartFailed
from rlm_sandbox.protocol import Spawn, encode

START_SECONDS = 30.0
"""How long a zygote may take to say that it is ready; 0.1 s is usual."""

SCRIPT = Path(__file__).parent.parent / "worker" / "zygote.py"

ENVIRONMENT = {
    # malloc asks for huge pages: a large context decodes 4 x faster and forks 20 x faster
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    # one arena more than the main one: threads do not reserve 64 MB of address space each
    "MALLOC_ARENA_MAX": "2",
}
"""All that the zygote's environment holds."""


class Zygote:
    """One zygote process. Threads may spawn from it at once."""

    def __init__(self) -> None:
        if platform.system() != "Linux":
            raise IsolationUnavailable(
                f"rlm_sandbox needs Linux; this is {platform.system()}. Run it in a Linux "
                "container or virtual machine."
            )
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and script
                [
                    *(sys.executable, "-I", "-S", "-X", "utf8", str(SCRIPT)),
                    str(theirs.fileno()),
                    *_import_paths(),
                ],
                cwd="/",
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # so that Ctrl-C in a terminal reaches only the controller
            )
        self._socket = ours
        self._sending = threading.Lock()
        try:
            self._await_ready()
        except BaseException:
            self.close()
            raise

    def _await_ready(self) -> None:
        assert self._process.stderr is not None
        self._socket.settimeout(START_SECONDS)
        try:
            ready = self._socket.recv(16)
        except TimeoutError:
            raise StartFailed(f"the zygote was not ready within {START_SECONDS:.0f} s") from None
        if not ready:
            said = self._process.stderr.read(4_000).decode(errors="replace").strip()
            raise StartFailed(f"the zygote ended while it started: {said or 'it said nothing'}")
        self._socket.settimeout(None)
        self._process.stderr.close()

    def spawn(self, spawn: Spawn, control: socket.socket, session: socket.socket) -> None:
        """Have a worker forked that holds these sockets. Raises OSError if the zygote is gone."""
        with self._sending:
            socket.send_fds(self._socket, [encode(spawn)], [control.fileno(), session.fileno()])

    @property
    def pid(self) -> int:
        return self._process.pid

    def close(self) -> None:
        """End the zygote; workers that it has forked live on until they are closed."""
        self._socket.close()
        if self._process.stderr is not None:
            self._process.stderr.close()
        try:
            self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _import_paths() -> list[str]:
    """The folders that hold this package and msgspec."""
    msgspec_file = msgspec.__file__
    assert msgspec_file is not None
    packages = (Path(__file__).parent.parent.parent, Path(msgspec_file).parent.parent)
    return list(dict.fromkeys(str(path) for path in packages))


class _Nursery:
    """This process's zygote: started when first needed, again when it has died."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._zygote: Zygote | None = None

    def spawn(self, spawn: Spawn, control: socket.socket, session: socket.socket) -> None:
        with self._lock:
            if self._zygote is not None:
                try:
                    self._zygote.spawn(spawn, control, session)
                except OSError:  # it was killed: its workers live on, new ones need a new zygote
                    self._zygote.close()
                else:
                    return
            self._zygote = Zygote()
            self._zygote.spawn(spawn, control, session)

    @property
    def pid(self) -> int | None:
        """The zygote's process id, or None when there is none."""
        return None if self._zygote is None else self._zygote.pid

    def close(self) -> None:
        with self._lock:
            if self._zygote is not None:
                self._zygote.close()
                self._zygote = None

    def forget(self) -> None:
        """In a forked child of the controller: the zygote is the parent's."""
        self._lock = threading.Lock()
        self._zygote = None


NURSERY = _Nursery()
atexit.register(NURSERY.close)
os.register_at_fork(after_in_child=NURSERY.forget)
