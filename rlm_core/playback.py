"""Replies that were recorded, given again: each once, in their order. Thread-safe."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rlm_core.errors import NotRecorded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rlm_core.recording import RecordedReply, Recording


NOT_ASKED = "not asked"


@dataclass(frozen=True)
class Difference:
    """Something that was not as it had been recorded."""

    where: str
    recorded: str
    now: str


class Playback:
    """The replies of a recording, for a run that is replayed or continued; or none at all.

    With `live`, what is not recorded is left to the models: a run is continued. Without, it is a
    difference, and NotRecorded is raised: a run is replayed.
    """

    def __init__(self, recording: Recording | None = None, *, live: bool = True) -> None:
        replies = {} if recording is None else recording.replies
        self._left = {key: deque(each) for key, each in replies.items()}
        self._lock = threading.Lock()
        self._gone_astray: set[str] = set()
        self._live = live
        self._nothing = live and not self._left
        self.differences: list[Difference] = []

    def of_episode(self, episode: str, number: int, asked: str) -> RecordedReply | None:
        """The reply to an episode's call of that number, whose messages have this digest.

        In a replay it is given even if other messages were sent then, which is a difference; a
        run that is continued goes on live from there.
        """
        if self._nothing:
            return None
        key = episode_key(episode, number)
        with self._lock:
            found = self._head(key)
            if found is None or episode in self._gone_astray:
                return self._missing(f"call {number} of {episode}")
            if self._live and (found.asked != asked or found.error is not None):
                self._gone_astray.add(episode)
                return None
            if found.asked != asked:
                self._differ(f"messages of call {number} of {episode}", found.asked or "", asked)
            return self._left[key].popleft()

    def of_call(self, key: str, *, cached: bool) -> RecordedReply | None:
        """The reply to a sub-model's call, if it was given (or not) by the cache then as well."""
        if self._nothing:
            return None
        with self._lock:
            found = self._head(key)
            if found is not None and found.cached == cached:
                if self._live and found.error is not None:  # it may do better this time
                    self._left[key].popleft()
                    return None
                return self._left[key].popleft()
            return None if cached else self._missing(f"subcall {key[:12]}")

    def knows(self, key: str) -> bool:
        """Whether the next reply to this call is recorded."""
        if self._nothing:
            return False
        with self._lock:
            return self._head(key) is not None

    def of_tool(self, key: str, about: str) -> RecordedReply | None:
        """What a tool gave. What was left out of the trace is asked for again, if that may be."""
        with self._lock:
            if self._head(key) is None:
                return self._missing(about)
            found = self._left[key].popleft()
            if found.left_out and not self._live:
                raise NotRecorded(f"the result of {about} held a secret, and is not in the trace")
            return None if found.left_out else found

    def left(self) -> Iterator[str]:
        """Keys of replies that were not asked for this time."""
        return (key for key, replies in self._left.items() for _ in replies)

    def _head(self, key: str) -> RecordedReply | None:
        replies = self._left.get(key)
        return replies[0] if replies is not None and len(replies) else None

    def _missing(self, what: str) -> None:
        if self._live:
            return
        self._differ(what, NOT_ASKED, "asked")
        raise NotRecorded(f"{what} was not recorded: the run goes another way than it did then")

    def _differ(self, where: str, recorded: str, now: str) -> None:
        self.differences.append(Difference(where, recorded, now))


def episode_key(episode: str, number: int) -> str:
    """The key of a reply of an episode's own model."""
    return f"{episode}#{number}"
