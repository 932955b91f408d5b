"""Where hostile programs play: everything they may aim at, and the view on it from outside."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from rlm_sandbox.audit.call_numbers import numbers
from rlm_sandbox.audit.canaries import Folder, Listeners, Victim

PREFIX = "rlm-secret-"
VARIABLE = "RLM_AUDIT_SECRET"

_BUFFER = b"untouched"


@dataclass(frozen=True)
class Names:
    """What one program is known by. Fresh for each, so that no two are mistaken for each other."""

    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    """The program prints it if it believes that it has succeeded."""
    process: str = field(default_factory=lambda: "rn" + uuid.uuid4().hex[:12])
    """The name of its session process, by which it is found from outside."""
    mark: str = field(default_factory=lambda: "rm" + uuid.uuid4().hex[:12])
    """In the name or command line of every process that it manages to start or to keep."""


class Stage:
    """The canaries of one audit. While it is open a secret is in this process's environment."""

    def __init__(self) -> None:
        self.secrets: set[str] = set()
        secret = self.new_secret()
        with contextlib.ExitStack() as opened:
            self.folder = Folder(self.new_secret())
            opened.callback(self.folder.close)
            self.listeners = Listeners(self.folder.path)
            opened.callback(self.listeners.close)
            self.victim = Victim(self.new_secret())
            opened.callback(self.victim.close)
            self._secret_fd = os.open(self.folder.secret_file, os.O_RDONLY | os.O_CLOEXEC)
            opened.callback(os.close, self._secret_fd)
            os.environ[VARIABLE] = secret
            opened.callback(os.environ.pop, VARIABLE)
            self._resources = opened.pop_all()
        self._in_memory = ctypes.create_string_buffer(secret.encode())
        self._buffer = ctypes.create_string_buffer(_BUFFER, 64)
        self._host_users = _first_line("/etc/passwd")
        self._meeting_port = _free_port()

    def new_secret(self, of: str = "") -> str:
        """A text that nobody inside may ever say."""
        secret = PREFIX + of + uuid.uuid4().hex
        self.secrets.add(secret)
        return secret

    def targets(self, names: Names) -> dict[str, object]:
        """`T`: what a program is told. None of the secrets is in it."""
        return {
            **self.listeners.ports,
            **self.listeners.paths,
            "token": names.token,
            "name": names.process,
            "mark": names.mark,
            "prefix": PREFIX,
            "secret_file": str(self.folder.secret_file),
            "secret_fd": self._secret_fd,
            "secret_address": ctypes.addressof(self._in_memory),
            "buffer_address": ctypes.addressof(self._buffer),
            "folder": str(self.folder.open),
            "canary": str(self.folder.canary),
            "link": str(self.folder.link),
            "database": str(self.folder.database),
            "scratch": "/tmp",  # noqa: S108 - the worker's own, unless its layers are off
            "controller": os.getpid(),
            "victim": self.victim.pid,
            "meeting_port": self._meeting_port,
            "root": os.geteuid() == 0,
            "nr": numbers(),
        }

    def changes(self) -> list[str]:
        """What of the stage has been touched, in words; it is as new afterwards."""
        found = [f"file: {text}" for text in self.folder.changes()]
        if found:
            self.folder.reset()
        found += [f"listener: {name} was reached" for name in self.listeners.heard()]
        if harm := self.victim.harm():
            found += harm
            self.victim.close()
            self.victim.revive()
        if self._buffer.value != _BUFFER:
            found.append("controller: its memory was written to")
            self._buffer.value = _BUFFER
        return found

    def told(self, text: str) -> list[str]:
        """Which secrets are in a text that came from inside."""
        known = [*self.secrets, *filter(None, [self._host_users])]
        return [f"secret: {secret[:24]}... came out" for secret in known if secret in text]

    def close(self) -> None:
        self._resources.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").partition("\n")[0]
    except OSError:
        return ""


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def processes_named(*marks: str) -> dict[int, str]:
    """Processes whose name or command line holds one of these marks: {process id: mark}."""
    wanted = {mark.encode(): mark for mark in marks}
    found = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208
        if not entry.isdigit():
            continue
        try:
            text = _names(entry)
        except OSError:  # it has ended meanwhile
            continue
        for name, mark in wanted.items():
            if name in text:
                found[int(entry)] = mark
    return found


def _names(pid: str) -> bytes:
    """What a process and each of its threads call themselves."""
    threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208
    said = [_said(f"/proc/{pid}/task/{thread}/comm") for thread in threads]
    return b"".join((_said(f"/proc/{pid}/cmdline"), *said))


def _said(path: str) -> bytes:
    """What a file of /proc says. All of this machine are read, many times: no file objects."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        pieces = []
        while piece := os.read(descriptor, 65_536):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(descriptor)
