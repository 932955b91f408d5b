"""One request and its response: counted, and answered with a problem where there is no answer."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from rlm_core.serve.connection import ClientGone, Response
from rlm_core.serve.failure import problem_of
from rlm_core.serve.problem import Closing, Failed
from rlm_core.serve.reply import DONE, failure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from rlm_core.serve.connection import Receive, Send
    from rlm_core.serve.problem import Problem
    from rlm_core.serve.service import Service

JSON = "application/json"
logger = logging.getLogger(__name__)


@dataclass
class Exchange:
    """What is known of one request while it is answered."""

    service: Service
    headers: Mapping[str, str]
    path_params: Mapping[str, Any]
    receive: Receive
    send: Send
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    profile_name: str = ""
    way: str = "none"
    """Which way the answer took; for the metrics."""

    def __post_init__(self) -> None:
        self.response = Response(self.send, self.request_id)
        self._started = time.monotonic()

    async def serve(self, answer: Callable[[Exchange], Awaitable[None]]) -> None:
        """Have it answered, and count how that ended."""
        try:
            await answer(self)
        except ClientGone:
            self._gone()
        except asyncio.CancelledError:  # the server's grace is over
            await self._refuse(Closing("this server has ended", retry_after=1.0))
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the client is told something
            await self._refuse(self._problem_of(error))
        self._count()

    async def json(self, data: object, status: int = 200) -> None:
        """Answer with one JSON object."""
        await self.response.whole(status, msgspec.json.encode(data), JSON)

    def _problem_of(self, error: Exception) -> Problem:
        problem = problem_of(error)
        if isinstance(problem, Failed):
            logger.error("request %s: %r", self.request_id, error, exc_info=error)
        elif problem.status >= 500:
            logger.warning("request %s: %s: %s", self.request_id, type(error).__name__, error)
        else:
            logger.info("request %s: %r", self.request_id, problem.message)  # no lines of its own
        return problem

    async def _refuse(self, problem: Problem) -> None:
        """Say what is wrong: as the response, or within the stream that was begun."""
        self.service.metrics.problems.add(problem.code or "invalid_request")
        try:
            if self.response.status is None:
                body = msgspec.json.encode(problem.body())
                await self.response.whole(problem.status, body, JSON, problem.headers())
            else:
                await self.response.piece(failure(problem) + DONE)
                await self.response.end()
        except ClientGone:
            self._gone()

    def _gone(self) -> None:
        self.service.metrics.gone.add()
        logger.info("request %s: the client is gone", self.request_id)

    def _count(self) -> None:
        metrics, status = self.service.metrics, self.response.status
        shown = "gone" if status is None else str(status)
        metrics.requests.add(self.profile_name, self.way, shown)
        metrics.seconds.see(self.way, seconds=time.monotonic() - self._started)
