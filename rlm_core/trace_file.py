"""A trace on disk: one JSON object a line, written and flushed the moment it happens.

{"kind": "run_started", "format": 1, ...}   what is run: see `rlm_core.header`
{"kind": "run_resumed"}                     it was cut off; what follows is its continuation
{"kind": "session_started", ...}            isolation and layers, as the sandbox reports them
{"kind": "reply", "key": ..., ...}          a model's whole reply, or a tool's: what was paid for
{"kind": "root_call", "step_id": 1, ...}    a step (`TraceStep`), its long texts cut
{"kind": "run_finished", ...}               how it ended
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

    from rlm_core.redaction import Redaction
    from rlm_core.trace import TraceStep

FORMAT = 1
_encode = msgspec.json.Encoder().encode


class TraceFile:
    """Appends records to a file. Thread-safe. Close it when the run ends."""

    def __init__(
        self, path: Path | str, *, redaction: Redaction | None = None, append: bool = False
    ) -> None:
        from pathlib import Path as FilePath

        path = FilePath(path)
        if append:
            _end_half_a_line(path)
        self._file = path.open("ab" if append else "wb")
        self._redaction = redaction
        self._lock = threading.Lock()

    def write(self, step: TraceStep) -> None:
        """Append a step; what there is nothing to say of is left out."""
        self.record({name: value for name, value in step.to_dict().items() if value is not None})

    def record(self, record: dict[str, object]) -> None:
        """Append a record and flush, so that a reader sees it while the run goes on."""
        line = _line_of(record)
        if self._redaction is not None and self._redaction.concerns(line):
            line = _line_of(self._redaction.of_record(record))
        with self._lock:
            if not self._file.closed:
                self._file.write(line + b"\n")
                self._file.flush()

    def hides(self, data: bytes) -> bool:
        """True for what must not be in the file, not even in another encoding."""
        return self._redaction is not None and self._redaction.is_in(data)

    def close(self) -> None:
        """Close the file. Idempotent."""
        with self._lock:
            self._file.close()


def _line_of(record: dict[str, object]) -> bytes:
    """JSON in ASCII, so that no reader finds more line ends in it, and without its own."""
    try:
        line = _encode(record)
    except ValueError:  # a lone surrogate
        return json.dumps(record).encode()
    return line if line.isascii() else json.dumps(record).encode()


def _end_half_a_line(path: Path) -> None:
    """Take half a line away that a run left when it was cut off: nobody could read it."""
    raw = path.read_bytes()
    whole = raw.rfind(b"\n") + 1
    if whole < len(raw):
        with path.open("r+b") as file:
            file.truncate(whole)
