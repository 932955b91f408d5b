"""Where the code's prints go: kept up to a limit, sent in parts, stopped when they never end."""

from __future__ import annotations

import io
from collections.abc import Callable

FLUSH_CHARS = 4_096
"""Text is sent when so much has gathered, so that little is lost when a step is killed."""

ENDLESS_FACTOR = 64
"""A step that prints so many times the limit (and a megabyte at least) is stopped."""


class OutputLimitReached(BaseException):
    """The step printed without end. Not an Exception, so that a bare retry loop does not eat it."""


class CapturedOutput(io.TextIOBase):
    """`sys.stdout` and `sys.stderr` of the code."""

    encoding = "utf-8"
    errors = "strict"

    def __init__(self, limit: int, send: Callable[[str], None]) -> None:
        super().__init__()
        self._limit = limit
        self._endless = max(1_000_000, ENDLESS_FACTOR * limit)
        self._send = send
        self._parts: list[str] = []
        self._held = 0
        self._printed = 0

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        size = len(text)
        room = self._limit - self._printed
        self._printed += size
        if room > 0 and size:
            self._parts.append(text if size <= room else text[:room])
            self._held += min(size, room)
            if self._held >= FLUSH_CHARS:
                self._send(self.take())
        elif self._printed > self._endless:
            raise OutputLimitReached
        return size

    def take(self) -> str:
        """What has gathered since it was last taken."""
        parts, self._parts, self._held = self._parts, [], 0
        return "".join(parts)

    def end_step(self) -> bool:
        """True if anything of this step was cut; the next step starts with a full allowance."""
        truncated = self._printed > self._limit
        self._printed = 0
        return truncated
