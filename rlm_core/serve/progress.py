"""How far a run is, for a client that waits: the last state counts, however slow the client."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rlm_core.events import RLMEvent


class Progress:
    """Listens in the run's thread, and is read in the event loop. Says numbers, never texts."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._told = False
        self._line = "working"

    def handle(self, event: RLMEvent) -> None:
        """Take note of an event (`rlm_core.RLMEventListener`)."""
        steps, subcalls = event.total_steps or 0, event.total_subcalls or 0
        self._line = f"{steps} steps, {subcalls} subcalls, {event.tokens_used or 0} tokens"
        if self._told:
            return
        self._told = True
        self._loop.call_soon_threadsafe(self._news.set)

    async def next(self, seconds: float) -> str:
        """How far it is: when that has changed, or after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return self._line
        self._news.clear()
        self._told = False
        return self._line
