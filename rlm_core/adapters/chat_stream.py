"""A streamed chat completion, put together to the object that comes unstreamed. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rlm_core.adapters.reported import ReportedError, reported_in, tells_of_error

if TYPE_CHECKING:
    from rlm_core.adapters.event_stream import ServerEvent

DONE = "[DONE]"
_REASONING = ("reasoning_content", "reasoning", "thinking")
_COPIED = ("id", "object", "created", "model", "system_fingerprint")


class ChatAssembler:
    """Takes the chunks of one stream. Only the first of several choices is kept."""

    def __init__(self) -> None:
        self._head: dict[str, object] = {}
        self._text: list[str] = []
        self._thoughts: list[str] = []
        self._blocks: list[object] = []
        self._spoke = False
        self._finish: object = None
        self._usage: object = None

    @property
    def complete(self) -> bool:
        """Whether the model has ended; usage and the end of the stream may follow."""
        return self._finish is not None

    def feed(self, event: ServerEvent) -> bool:
        """Take a chunk; True when it was the last. Raises ReportedError, ValueError, TypeError."""
        if event.data.strip() == DONE:
            return True
        chunk = json.loads(event.data)
        if not isinstance(chunk, Mapping):
            raise TypeError(f"a chunk of the stream is of type {type(chunk).__name__}")
        choices = chunk.get("choices")
        if not choices and (event.name == "error" or tells_of_error(chunk)):
            raise ReportedError(reported_in(chunk))
        for name in _COPIED:
            if bool(chunk.get(name)):
                self._head.setdefault(name, chunk[name])
        self._usage = chunk.get("usage") or self._usage  # where it is in every chunk, it grows
        if isinstance(choices, list):
            self._take(choices)
        return False

    def reply(self) -> dict[str, object]:
        """The whole reply. Without one choice, if the stream had none."""
        if not self._spoke:
            return {**self._head, "choices": []}
        text = "".join(self._text)
        message: dict[str, object] = {"role": "assistant", "content": text}
        if self._blocks:
            message["content"] = [*self._blocks, {"type": "text", "text": text}]
        if self._thoughts:
            message["reasoning_content"] = "".join(self._thoughts)
        reply = {**self._head, "choices": [{"message": message, "finish_reason": self._finish}]}
        return reply if self._usage is None else {**reply, "usage": self._usage}

    def _take(self, choices: list[object]) -> None:
        for choice in choices:
            if not isinstance(choice, Mapping) or bool(choice.get("index")):
                continue
            self._spoke = True
            self._finish = choice.get("finish_reason") or self._finish
            said = choice.get("delta")
            if not isinstance(said, Mapping):  # some servers send it whole, in one chunk
                said = choice.get("message")
            if isinstance(said, Mapping):
                self._hear(said)

    def _hear(self, said: Mapping[str, object]) -> None:
        content = said.get("content")
        for part in content if isinstance(content, list) else [content]:
            if isinstance(part, Mapping) and part.get("type") != "text":
                self._blocks.append(part)
                continue
            text = part.get("text") if isinstance(part, Mapping) else part
            if isinstance(text, str):
                self._text.append(text)
        thought = next((said[key] for key in _REASONING if bool(said.get(key))), None)
        if isinstance(thought, str):
            self._thoughts.append(thought)
