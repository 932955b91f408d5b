"""A number of turns, and a queue of bounded length before them. For one event loop."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque

from rlm_core.serve.problem import Busy, Closing

FIRST_GUESS = 2.0  # seconds that a turn takes, before any has ended
WEIGHT = 0.2  # of the turn that ended last, in the running average
LONGEST_RETRY = 60.0


class Turn:
    """A place in a lane; give it back once, from wherever it ends."""

    def __init__(self, lane: Lane) -> None:
        self._lane: Lane | None = lane
        self._began = time.monotonic()

    def give_back(self) -> None:
        """The next one may come. Idempotent."""
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.returned(time.monotonic() - self._began)


class Lane:
    """So many at once, and so many more that wait."""

    def __init__(self, name: str, *, turns: int, places: int) -> None:
        self.name = name
        self.turns = turns
        self.places = places
        self.running = 0
        self._waiting: deque[asyncio.Future[Turn]] = deque()
        self._average = FIRST_GUESS
        self._closing = False

    @property
    def queued(self) -> int:
        """How many wait."""
        return len(self._waiting)

    async def turn(self, seconds: float) -> Turn:
        """A turn, after at most that many seconds in the queue. Raises Busy or Closing."""
        if self._closing:
            raise Closing("this server is about to end: ask another one", retry_after=1.0)
        if self.running < self.turns and not self._waiting:
            return self._begin()
        if len(self._waiting) >= self.places:
            raise self._busy()
        waiting: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        try:
            async with asyncio.timeout(seconds):
                return await waiting
        except BaseException as error:
            self._forget(waiting)
            if isinstance(error, TimeoutError):
                raise self._busy() from None
            raise

    def returned(self, seconds: float) -> None:
        """A turn is over, after that many seconds: the next in the queue has it."""
        self._average += WEIGHT * (seconds - self._average)
        self.running -= 1
        while self._waiting and self.running < self.turns:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(self._begin())

    def close(self) -> None:
        """Nobody gets a turn any more; those who wait are told so."""
        self._closing = True
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_exception(Closing("this server is about to end", retry_after=1.0))

    def _begin(self) -> Turn:
        self.running += 1
        return Turn(self)

    def _forget(self, waiting: asyncio.Future[Turn]) -> None:
        """Whoever waited goes; a turn that came at that very moment goes to the next."""
        if waiting in self._waiting:
            self._waiting.remove(waiting)
        elif waiting.done() and not waiting.cancelled() and waiting.exception() is None:
            waiting.result().give_back()

    def _busy(self) -> Busy:
        rounds = math.ceil((len(self._waiting) + 1) / self.turns)
        return Busy(
            "this server has all the requests that it can take: come again later",
            code="server_busy",
            retry_after=min(LONGEST_RETRY, max(1.0, rounds * self._average)),
        )
