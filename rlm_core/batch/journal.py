"""The file of results, which is also what a batch that goes on knows of itself.

Lines are appended whole and in any order, each id once. When the file is opened, half a line that
a crash left at its end is taken away; what was written whole stays. A lock keeps a second batch
out. The file is replaced in one move where lines must go: those that are to be run again, those
that a lost power supply filled with zeros, and ids that are there twice.
"""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rlm_core.batch.errors import OutputForeign, OutputInUse, OutputUnwritable, unwritable
from rlm_core.batch.ids import IdTable
from rlm_core.batch.record import may_be_torn, read_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rlm_core.batch.record import Written

MODE = 0o644


@dataclass
class Found:
    """What the file held when it was opened."""

    done: IdTable = field(default_factory=IdTable)
    """The ids that are not run again."""
    statuses: Counter[str] = field(default_factory=Counter)
    without_answer: int = 0
    cost: float = 0.0
    tokens: int = 0
    dropped: int = 0
    """Lines that went: damaged, twice, or to be run again."""
    torn: int = 0
    """Bytes of half a line at the end that were taken away."""

    def count(self, line: Written) -> None:
        """Take a line that stays into account."""
        self.done.set(line.custom_id, 1)
        self.cost += line.cost
        self.tokens += line.usage.total_tokens
        self.statuses[line.status] += 1
        self.without_answer += not line.has_answer


class Journal:
    """An open and locked file of results. `append` from one thread; close it at the end."""

    def __init__(self, path: Path | str, *, retry_failed: bool = False) -> None:
        """Raises OutputInUse, OutputForeign, OutputUnwritable."""
        self.path = Path(path)
        try:
            self._descriptor = _opened_and_locked(self.path)
            try:
                self.found = self._recover(retry_failed=retry_failed)
            except BaseException:
                os.close(self._descriptor)
                raise
        except OSError as error:
            if isinstance(error, OutputUnwritable):
                raise
            raise unwritable(self.path, error) from error
        self._size = os.fstat(self._descriptor).st_size

    def append(self, lines: list[bytes]) -> None:
        """Write these lines, all durably before this returns. Raises OutputUnwritable; then the
        file ends with the last line that was whole before.
        """
        data = b"".join(lines)
        try:
            _write_all(self._descriptor, data)
            os.fdatasync(self._descriptor)
        except OSError as error:
            with suppress(OSError):  # then the next start repairs it
                os.ftruncate(self._descriptor, self._size)
            raise unwritable(self.path, error) from error
        self._size += len(data)

    def close(self) -> None:
        """Give the file free. Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _recover(self, *, retry_failed: bool) -> Found:
        found = Found(torn=self._end_the_last_line())
        damaged = 0
        for line in self._lines():
            written = self._read(line)
            goes = retry_failed and written is not None and not written.has_answer
            if written is None or goes or written.custom_id in found.done:
                found.dropped += 1
                damaged += written is None
            else:
                found.count(written)
        if found.dropped:
            if damaged == found.dropped and not len(found.done):
                raise self._foreign(b"damaged lines only")
            self._rewrite(retry_failed=retry_failed)
        return found

    def _read(self, line: bytes) -> Written | None:
        """A line of ours; None for one that was damaged. Raises OutputForeign for another's."""
        written = read_line(line)
        if written is None and b"\0" not in line:  # a lost power supply leaves zeros
            raise self._foreign(line)
        return written

    def _foreign(self, what: bytes) -> OutputForeign:
        shown = what[:60].decode(errors="replace")
        return OutputForeign(
            f"{self.path}: holds what is no result of a batch ({shown!r}); it was left as it is: "
            "name another file for the results"
        )

    def _end_the_last_line(self) -> int:
        """Take half a line away, or end a whole one; bytes that went. Raises OutputForeign."""
        size = os.fstat(self._descriptor).st_size
        position, rest = size, b""
        while position and b"\n" not in rest:
            start = max(0, position - 65536)
            rest = os.pread(self._descriptor, position - start, start) + rest
            position = start
        torn = rest[rest.rfind(b"\n") + 1 :]
        if not torn:
            return 0
        if read_line(torn) is not None:
            _write_all(self._descriptor, b"\n")
            return 0
        if not may_be_torn(torn):
            raise self._foreign(torn)
        os.ftruncate(self._descriptor, size - len(torn))
        return len(torn)

    def _lines(self) -> Iterator[bytes]:
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            file.seek(0)
            for line in file:
                if line.strip():
                    yield line

    def _rewrite(self, *, retry_failed: bool) -> None:
        """Replace the file by one with the lines that stay, in one move."""
        seen = IdTable()
        descriptor, name = tempfile.mkstemp(
            prefix=f".{self.path.name}.", suffix=".new", dir=self.path.parent
        )
        try:
            with os.fdopen(os.dup(descriptor), "wb") as file:
                for line in self._lines():
                    written = read_line(line)
                    if written is None or (retry_failed and not written.has_answer):
                        continue
                    if written.custom_id not in seen:
                        seen.set(written.custom_id, 1)
                        file.write(line)
                file.flush()
                os.fsync(descriptor)
            os.fchmod(descriptor, os.fstat(self._descriptor).st_mode & 0o7777)
            fcntl.fcntl(descriptor, fcntl.F_SETFL, os.O_APPEND)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # before others can see it
            Path(name).replace(self.path)
        except BaseException:
            os.close(descriptor)
            Path(name).unlink(missing_ok=True)
            raise
        _sync_directory(self.path.parent)
        os.close(self._descriptor)
        self._descriptor = descriptor


def _opened_and_locked(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _require_regular(descriptor, path)
            if _is_at(descriptor, path):
                _sync_directory(path.parent)
                return descriptor
        except BlockingIOError as error:
            os.close(descriptor)
            raise OutputInUse(
                f"{path}: another batch is writing to it; wait for it, or name another file"
            ) from error
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # it was replaced while we came


def _require_regular(descriptor: int, path: Path) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise OutputForeign(f"{path}: results need a file that can be read again")


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
