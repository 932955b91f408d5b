"""A streamed message of Anthropic's, put together to the object that comes unstreamed. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rlm_core.adapters.reported import ReportedError, reported_in

if TYPE_CHECKING:
    from rlm_core.adapters.event_stream import ServerEvent

_GROWING = {"text_delta": "text", "thinking_delta": "thinking"}
"""The deltas that are kept, and the field of their block that they are added to."""


class MessageAssembler:
    """Takes the events of one stream; kinds of event that it does not know are passed over."""

    def __init__(self) -> None:
        self._message: dict[str, object] = {}
        self._blocks: dict[int, dict[str, object]] = {}
        self._pieces: dict[int, list[str]] = {}
        self._usage: dict[str, object] = {}

    @property
    def complete(self) -> bool:
        """Whether the model has ended and said why."""
        return isinstance(self._message.get("stop_reason"), str)

    def feed(self, event: ServerEvent) -> bool:
        """Take an event; True when it was the last. Raises ReportedError, ValueError, TypeError."""
        data = json.loads(event.data)
        if not isinstance(data, Mapping):
            raise TypeError(f"an event of the stream is of type {type(data).__name__}")
        match data.get("type") or event.name:
            case "message_start":
                self._message = dict(_object(data, "message"))
                self._count(self._message)
            case "content_block_start":
                self._blocks[_index(data)] = dict(_object(data, "content_block"))
            case "content_block_delta":
                self._grow(_index(data), _object(data, "delta"))
            case "message_delta":
                self._message |= _object(data, "delta")
                self._count(data)
            case "message_stop":
                return True
            case "error":
                raise ReportedError(reported_in(data))
            case _:
                pass  # pings, the ends of blocks, and what may come to be
        return False

    def reply(self) -> dict[str, object]:
        """The whole message. Without content, if the stream had no message."""
        if not self._message:
            return {}
        content = [self._whole(index) for index in sorted(self._blocks)]
        return {**self._message, "content": content, "usage": self._usage}

    def _count(self, said: Mapping[str, object]) -> None:
        """Counts are told at the start and again, larger, at the end."""
        usage = said.get("usage")
        if isinstance(usage, Mapping):
            self._usage |= {name: count for name, count in usage.items() if count is not None}

    def _grow(self, index: int, delta: Mapping[str, object]) -> None:
        block = self._blocks.setdefault(index, {"type": "text"})
        field = _GROWING.get(str(delta.get("type")))
        piece = delta.get(field) if field is not None else None
        if isinstance(piece, str) and field == block.get("type"):
            self._pieces.setdefault(index, []).append(piece)

    def _whole(self, index: int) -> dict[str, object]:
        block = self._blocks[index]
        field = str(block.get("type"))
        if field not in _GROWING.values():
            return block
        begun = block.get(field)
        start = begun if isinstance(begun, str) else ""
        return {**block, field: start + "".join(self._pieces.get(index, []))}


def _object(data: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = data.get(name)
    if not isinstance(value, Mapping):
        raise TypeError(f"an event {data.get('type')!r} of the stream has no {name}")
    return value


def _index(data: Mapping[str, object]) -> int:
    index = data.get("index")
    if not isinstance(index, int):
        raise TypeError(f"an event {data.get('type')!r} of the stream has no index")
    return index
