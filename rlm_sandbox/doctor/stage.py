"""What forbidden acts aim at, all of it the examiner's own: a file, two listeners, a process."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec


class Targets(msgspec.Struct, frozen=True):
    """Where the targets are; crosses to the prober as JSON."""

    canary: str
    """A file that every user may read."""
    private: str
    """A file that only its owner may read."""
    port: int
    """A TCP listener on 127.0.0.1."""
    abstract: str
    """An abstract UNIX stream listener, without the leading NUL."""
    pid: int
    """A process of the examiner's."""


class Stage:
    """Puts the targets up and takes them down. What reached them is seen here, from outside."""

    def __enter__(self) -> Self:
        self.secret = secrets.token_hex(16)
        self._folder = Path(tempfile.mkdtemp(prefix="rlm-doctor-"))
        self._folder.chmod(0o755)
        canary, private = self._folder / "canary", self._folder / "private"
        for file, mode in ((canary, 0o644), (private, 0o600)):
            file.write_text(self.secret)
            file.chmod(mode)
        self._tcp = socket.create_server(("127.0.0.1", 0))
        self._unix = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        abstract = f"rlm-doctor-{self.secret}"
        self._unix.bind(f"\0{abstract}")
        self._unix.listen()
        port = self._tcp.getsockname()[1]
        self.targets = Targets(str(canary), str(private), port, abstract, os.getpid())
        self._untouched = self._look()
        return self

    def _look(self) -> list[tuple[bytes, int, int] | None]:
        """Content, mode and time of each file; None for one that is gone."""
        return [_seen(Path(file)) for file in (self.targets.canary, self.targets.private)]

    def touched(self) -> bool:
        """True if a file is no longer as it was."""
        return self._look() != self._untouched

    def visitors(self) -> list[bytes]:
        """What was said by each that has connected since the last call."""
        said = []
        for listener in (self._tcp, self._unix):
            listener.settimeout(0)
            while True:
                try:
                    connection, _ = listener.accept()
                except BlockingIOError:
                    break
                with connection:
                    connection.settimeout(1.0)
                    said.append(connection.recv(64))
        return said

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._tcp.close()
        self._unix.close()
        shutil.rmtree(self._folder)


def _seen(file: Path) -> tuple[bytes, int, int] | None:
    try:
        status = file.stat()
        return file.read_bytes(), status.st_mode, status.st_mtime_ns
    except OSError:
        return None
