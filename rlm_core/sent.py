"""What an episode's model was sent, taken in as it grows: a step costs what is new in it."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

from rlm_core.conversation import tokens_in

if TYPE_CHECKING:
    from rlm_core.conversation import Message

_STEP_COUNT = re.compile(r"^Step: \d+/\d+", re.MULTILINE)


class Sent:
    """The messages that were sent last, their tokens, and a digest that tells them from others."""

    def __init__(self) -> None:
        self._begin()

    def take(self, messages: tuple[Message, ...]) -> None:
        """These are sent now: mostly those of the last time, and some more."""
        if messages[: len(self._messages)] != self._messages:
            self._begin()
        new = messages[len(self._messages) :]
        for number, message in enumerate(new, len(self._messages)):
            content = _STEP_COUNT.sub("", message.get("content", ""))
            plain = json.dumps([message.get("role"), content])
            self._hash.update(f", {plain}".encode() if number else plain.encode())
        self.tokens += tokens_in(new)
        self._messages = messages

    def digest(self) -> str:
        """Of the messages in JSON, whatever number of steps they say that there may be."""
        whole = self._hash.copy()
        whole.update(b"]")
        return whole.hexdigest()

    def _begin(self) -> None:
        self._messages: tuple[Message, ...] = ()
        self._hash = hashlib.sha256(b"[")
        self.tokens = 0
        """Of all messages, by rule of thumb."""
