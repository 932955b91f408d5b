"""Files, listeners and a process that nobody but the audit may touch."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

from rlm_sandbox.audit import seal

ANSWER_SECONDS = 5.0
"""How long the victim may take to answer; one that was stopped never does."""

_Address = str | tuple[str, int]


class Folder:
    """A temporary folder that everyone may write, with a canary file; all else in it is a trace."""

    def __init__(self, secret: str) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="rlm-audit-", dir=_open_to_all()))
        self.path.chmod(0o755)  # or nobody else could reach what is in it
        self.open = self.path / "open"
        self.open.mkdir()
        self.open.chmod(0o777)
        self.canary = self.open / "canary"
        self.secret_file = self.path / "secret"
        self.secret_file.write_text(secret)
        self.link = self.path / "link"
        self.link.symlink_to(secret)
        self.database = self.path / "database"
        self._fill_database(secret)
        self._named = f"named-{secret}"
        self.reset()

    def _fill_database(self, secret: str) -> None:
        with contextlib.closing(sqlite3.connect(self.database)) as base:
            base.execute("CREATE TABLE secret (text)")
            base.execute("INSERT INTO secret VALUES (?)", (secret,))
            base.commit()

    def reset(self) -> None:
        """As new: after a program that has changed something."""
        for entry in self.open.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        self.canary.write_text("untouched\n")
        self.canary.chmod(0o666)
        (self.open / self._named).touch()
        (self.open / "empty").mkdir()
        (self.open / "empty").chmod(0o777)
        self._before = self._look()

    def _look(self) -> dict[str, object]:
        found: dict[str, object] = {
            entry.name: entry.lstat().st_mode for entry in self.open.iterdir()
        }
        with contextlib.suppress(OSError):
            info = self.canary.stat()
            found["its times"] = (info.st_mtime_ns, info.st_ctime_ns, info.st_nlink)
            found["its content"] = self.canary.read_bytes()[:200]
            found["its attributes"] = os.listxattr(self.canary)
        return found

    def changes(self) -> list[str]:
        """What is not as it was left, in words."""
        now = self._look()
        names = sorted({*now, *self._before})
        return [f"{name} has changed" for name in names if now.get(name) != self._before.get(name)]

    def close(self) -> None:
        shutil.rmtree(self.path)


def _open_to_all() -> str | None:
    """Where temporary files can be reached by every user: else nothing but that would stop a worker
    with a user id of its own. None if there is no such place."""
    for folder in (tempfile.gettempdir(), "/tmp", "/var/tmp"):  # noqa: S108 - looked at, not used
        path = Path(folder).resolve()
        if path.is_dir() and all(part.stat().st_mode & 0o001 for part in (path, *path.parents)):
            return folder
    return None


class Listeners:
    """Sockets on the loopback interface, in a folder and at an abstract name: none may hear."""

    def __init__(self, folder: Path) -> None:
        self._sockets: dict[str, socket.socket] = {}
        self.ports: dict[str, int] = {}
        self.paths: dict[str, str] = {}
        self._listen("tcp4", socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
        self._listen("udp4", socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
        with contextlib.suppress(OSError):  # a host without IPv6
            self._listen("tcp6", socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0))
        self.ports.setdefault("tcp6", 9)
        stream, datagram = str(folder / "stream"), str(folder / "datagram")
        self._listen("unix_stream", socket.AF_UNIX, socket.SOCK_STREAM, stream)
        self._listen("unix_datagram", socket.AF_UNIX, socket.SOCK_DGRAM, datagram)
        abstract = f"rlm-audit-{uuid.uuid4().hex}"
        self._listen("abstract", socket.AF_UNIX, socket.SOCK_STREAM, "\0" + abstract)
        for path in (stream, datagram):
            Path(path).chmod(0o777)
        self.paths = {"unix_stream": stream, "unix_datagram": datagram, "abstract": abstract}

    def _listen(self, name: str, family: int, kind: int, address: _Address) -> None:
        listener = self._sockets[name] = socket.socket(family, kind)
        listener.bind(address)
        if kind == socket.SOCK_STREAM:
            listener.listen()
        listener.settimeout(0)
        if family in {socket.AF_INET, socket.AF_INET6}:
            self.ports[name] = listener.getsockname()[1]

    def heard(self) -> list[str]:
        """Which have been reached since the last look."""
        return [name for name, listener in self._sockets.items() if _was_reached(listener)]

    def close(self) -> None:
        for listener in self._sockets.values():
            listener.close()


def _was_reached(listener: socket.socket) -> bool:
    reached = False
    while select.select([listener], [], [], 0)[0]:
        reached = True
        if listener.type == socket.SOCK_STREAM:
            listener.accept()[0].close()
        else:
            listener.recv(100)
    return reached


class Victim:
    """A process of the audit's own: alive, and as the kernel described it at first."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self.revive()

    def revive(self) -> None:
        """Start it, or another in its place: not while it is traced, or its end is not heard of."""
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
            (sys.executable, "-I", "-S", "-c", _ANSWER, self._secret),
            bufsize=0,
            env={"SECRET": self._secret},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self._process.stdout.read(1)
        self.pid = self._process.pid
        self._before = self._look()

    def _look(self) -> tuple[seal.Seal, set[int]]:
        return seal.take(self.pid), os.sched_getaffinity(self.pid)

    def harm(self) -> list[str]:
        """What has been done to it, in words."""
        self._await_answer()
        if (status := self._process.poll()) is not None:
            found = [f"the victim has ended with status {status}"]
        else:
            (now, processors), (before, processors_before) = self._look(), self._before
            found = [f"the victim: {text}" for text in now.broken_since(before)]
            if processors != processors_before:
                found.append("the victim has other processors")
        return found

    def _await_answer(self) -> None:
        """A signal that was sent to it has done what it does once it answers, or has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(b"\n")
        ready, _, _ = select.select([self._process.stdout], [], [], ANSWER_SECONDS)
        if ready and not self._process.stdout.read(1):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(ANSWER_SECONDS)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


_ANSWER = "import sys\nprint(end='.', flush=True)\nfor line in sys.stdin: print(flush=True)"
