"""Where the code's prints go: kept up to a limit, sent in parts, stopped when they never end."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable

from rlm_sandbox.worker.render import encodable

FLUSH_CHARS = 4_096
"""Text is sent when so much has gathered, so that little is lost when a step is killed."""

PART_CHARS = 8 * 1024
"""Longest text in one message: it takes 32 KiB at most, half of protocol.ENVELOPE_BYTES."""

ENDLESS_FACTOR = 64
"""A step that prints so many times the limit (and a megabyte at least) is stopped."""


class OutputLimitReached(BaseException):
    """The step printed without end. Not an Exception, so that a bare retry loop does not eat it."""


class CapturedOutput(io.TextIOBase):
    """`sys.stdout` and `sys.stderr` of the code, for all its threads.

    What a thread prints after its step has ended is kept for the next one: between steps nothing
    may be sent.
    """

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, limit: int, send: Callable[[str], None]) -> None:
        super().__init__()
        self._limit = limit
        self._endless = max(1_000_000, ENDLESS_FACTOR * limit)
        self._send = send
        self.reopen()
        self._in_step = False
        self._parts: list[str] = []
        self._held = 0
        self._printed = 0

    def reopen(self) -> None:
        """In a woken checkpoint: a thread that is no more may have held the lock."""
        # reentrant: a destructor that prints may run in the midst of a print
        self._lock = threading.RLock()

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        size = len(text)
        with self._lock:
            room = self._limit - self._printed
            self._printed += size
            if room > 0 and size:
                self._keep(text if size <= room else text[:room])
            elif size and self._printed > self._endless:
                raise OutputLimitReached
        return size

    def _keep(self, text: str) -> None:
        self._parts.append(text)
        self._held += len(text)
        if self._in_step and self._held >= FLUSH_CHARS:
            self._flush()

    def _flush(self) -> None:
        text = self._take()
        for start in range(0, len(text), PART_CHARS):
            self._send(text[start : start + PART_CHARS])

    def _take(self) -> str:
        parts, self._parts, self._held = self._parts, [], 0
        return encodable("".join(parts))

    def begin_step(self) -> None:
        """From here on what gathers is sent."""
        with self._lock:
            self._in_step = True
            if self._held >= FLUSH_CHARS:
                self._flush()

    def end_step(self) -> tuple[str, bool]:
        """What was not sent yet, and whether anything of this step was cut."""
        with self._lock:
            self._in_step = False
            truncated = self._printed > self._limit
            self._printed = 0
            return self._take(), truncated
