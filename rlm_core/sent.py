"""What an episode's model was sent, taken in as it grows: a step costs what is new in it."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

from rlm_core.conversation import tokens_in

if TYPE_CHECKING:
    from rlm_core.conversation import Message

_ENDS = 4  # messages: to compare all of a long history would cost each step as much again
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
        self._given += map(dict, new)
        self._messages = messages

    def given(self) -> list[Message]:
        """The messages for an adapter, which may do with the list what it likes.

        What the adapter before did to messages at its ends, where adapters do things, is undone.
        """
        own, given = self._messages, self._given
        if (*given[:_ENDS], *given[-_ENDS:]) != (*own[:_ENDS], *own[-_ENDS:]):
            self._given = [dict(message) for message in own]
        return list(self._given)

    def digest(self) -> str:
        """Of the messages in JSON, whatever number of steps they say that there may be."""
        whole = self._hash.copy()
        whole.update(b"]")
        return whole.hexdigest()

    def _begin(self) -> None:
        self._messages: tuple[Message, ...] = ()
        self._given: list[Message] = []
        self._hash = hashlib.sha256(b"[")
        self.tokens = 0
        """Of all messages, by rule of thumb."""
