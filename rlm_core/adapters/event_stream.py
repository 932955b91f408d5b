"""Server-sent events: bytes in, events out (HTML Living Standard, section 9.2). Pure."""

from __future__ import annotations

import codecs
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MEDIA_TYPE = "text/event-stream"
_BEGINNINGS = (b"data:", b"event:", b"id:", b"retry:", b":")


@dataclass(frozen=True)
class ServerEvent:
    """One event: its name ("" where it has none) and its data, lines joined by newlines."""

    name: str
    data: str


class EventDecoder:
    """Cuts a stream into events, wherever the network has cut it. Keeps no more than one event."""

    def __init__(self) -> None:
        utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = io.IncrementalNewlineDecoder(utf8, translate=True)
        self._partial: list[str] = []  # pieces of a line without end: joined once, not each time
        self._name = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """The events that are whole now."""
        first, *more = self._text.decode(chunk).split("\n")
        self._partial.append(first)
        for piece in more:
            yield from self._line("".join(self._partial))
            self._partial = [piece]

    def end(self) -> Iterator[ServerEvent]:
        """The event that the stream ended in, if its last line breaks are all that is missing."""
        yield from self._line("".join(self._partial))
        self._partial = []
        yield from self._line("")

    def _line(self, line: str) -> Iterator[ServerEvent]:
        if not line:
            event = ServerEvent(self._name, "\n".join(self._data))
            self._name, self._data = "", []
            if event.data:
                yield event
            return
        field, _, value = line.removeprefix("\ufeff").partition(":")
        if field == "data":
            self._data.append(value.removeprefix(" "))
        elif field == "event":
            self._name = value.removeprefix(" ")


def looks_like_events(content: bytes) -> bool:
    """Whether a body is a stream of events although its media type does not say so."""
    return content.lstrip(b"\xef\xbb\xbf\r\n ").startswith(_BEGINNINGS)
