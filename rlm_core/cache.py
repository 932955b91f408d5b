"""Replies of sub-models in one SQLite file, so that no question is paid for twice."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import time
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rlm_core.adapters.base import Usage

if TYPE_CHECKING:
    import sqlite3
    from types import TracebackType
    from typing import Self

FILE_NAME = "replies.sqlite3"
_LOG_PAGES = 256
"""Pages of 4 KiB of the write-ahead log, above which it is written back: whoever opens reads it."""
MOST_PENDING = 100
LOCKED_SECONDS = 30.0
"""How long to wait for another process that uses the file."""
_SELECT = "select key, text, usage from replies where key = ?"
_Row = tuple[str, str, str]
_SCHEMA = """
create table if not exists replies (
    key text primary key, text text not null, usage text not null
) without rowid
"""


@dataclass(frozen=True)
class CacheRecord:
    """A reply that was given before."""

    text: str
    usage: Usage


def cache_key(
    *,
    adapter: str,
    model: str | None,
    system_prompt: str,
    max_tokens: int,
    mode: str,
    text: str,
) -> str:
    """The key of a reply: a digest of everything that could make the reply another one."""
    parts = [adapter, model or "", system_prompt, str(max_tokens), mode, text]
    whole = json.dumps(parts).encode()
    return hashlib.sha256(whole).hexdigest()


def is_failure(error: Exception) -> bool:
    """True for what a cache raises that cannot be read or written."""
    if isinstance(error, OSError):
        return True
    import sqlite3

    return isinstance(error, sqlite3.Error)


class FileCache:
    """Replies by key, in the directory `root` (made with the first reply). Thread-safe.

    Several processes may share a directory; a reply is there whole or not at all. A file that is
    no cache raises sqlite3.DatabaseError with the first use. It is closed when it goes away, at the
    latest.
    """

    def __init__(self, root: Path | str = ".rlm_cache") -> None:
        self.root = Path(root)
        self._lock = threading.Lock()
        self._pending: dict[str, _Row] = {}
        self._connection: sqlite3.Connection | None = None
        self._closing: weakref.finalize[..., FileCache] | None = None

    @property
    def path(self) -> Path:
        """The SQLite file."""
        return self.root / FILE_NAME

    def get(self, key: str) -> CacheRecord | None:
        """The reply kept under `key`, or None."""
        with self._lock:
            row = self._pending.get(key)
            if row is None and (self._connection is not None or self.path.exists()):
                row = self._open().execute(_SELECT, (key,)).fetchone()
        return None if row is None else CacheRecord(row[1], Usage.from_dict(json.loads(row[2])))

    def set(self, key: str, record: CacheRecord) -> None:
        """Keep a reply; one that is already there is replaced."""
        self._put(key, record)
        self.flush()

    def add(self, key: str, record: CacheRecord) -> None:
        """Keep a reply, on the disk from the next `flush` or `close` on: many cost little more."""
        if type(self).set is not FileCache.set:  # a class that keeps replies in another place
            self.set(key, record)
        else:
            self._put(key, record)

    def _put(self, key: str, record: CacheRecord) -> None:
        text = record.text.encode(errors="replace").decode()
        with self._lock:
            self._pending[key] = (key, text, json.dumps(record.usage.to_dict()))
            if len(self._pending) >= MOST_PENDING:
                self._write()

    def flush(self) -> None:
        """Write what has been added."""
        with self._lock:
            self._write()

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            try:
                self._write()
            finally:
                if self._closing is not None:
                    self._closing()
                self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _write(self) -> None:
        if not self._pending:
            return
        rows = list(self._pending.values())
        try:
            with self._open() as connection:
                connection.executemany("insert or replace into replies values (?, ?, ?)", rows)
        except BaseException:  # they may be written the next time; but not without end
            for key in list(self._pending)[:-MOST_PENDING]:
                del self._pending[key]
            raise
        self._pending.clear()

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self.root.mkdir(parents=True, exist_ok=True)
            self._connection = _opened(self.path)
            self._closing = weakref.finalize(self, self._connection.close)
        return self._connection


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Have a log kept ahead of the file. Two that open a new one at once are told that it is locked
    without having waited for each other: then it is tried again."""
    import sqlite3

    deadline = time.monotonic() + LOCKED_SECONDS
    while True:
        try:
            connection.execute("pragma journal_mode = wal")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.002)
        else:
            return


def _opened(path: Path) -> sqlite3.Connection:
    import sqlite3

    connection = sqlite3.connect(path, timeout=LOCKED_SECONDS, check_same_thread=False)
    try:
        # Write-ahead logging lets processes read while one writes; a lost power supply may cost
        # the last replies, never the file.
        _write_ahead(connection)
        connection.execute("pragma synchronous = normal")
        connection.execute(f"pragma wal_autocheckpoint = {_LOG_PAGES}")
        if sys.version_info >= (3, 12):
            # The log stays beside the file: to write it back waits for the disk, for which there is
            # no need each time that a run ends.
            connection.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, True)  # noqa: FBT003
        connection.execute(_SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection
