"""POST /v1/chat/completions: whole or streamed."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from rlm_core.serve.connection import end, read_body, while_connected
from rlm_core.serve.problem import NoAnswer, TookTooLong, WrongMediaType
from rlm_core.serve.progress import Progress
from rlm_core.serve.reply import DONE, Envelope, comment, event, usage_of
from rlm_core.serve.request import read_request

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from rlm_core.serve.answer import Answer
    from rlm_core.serve.exchange import Exchange
    from rlm_core.serve.keys import Client
    from rlm_core.serve.request import ApiRequest
    from rlm_core.serve.service import Work

EVENT_STREAM = "text/event-stream; charset=utf-8"
ALIVE_SECONDS = 10.0
"""At least this often a stream says that the server is at work; proxies close what is silent."""
PAUSE_SECONDS = 0.2
"""At most this often."""


async def chat(exchange: Exchange) -> None:
    """Answer a chat request. Raises Problem, ClientGone, and what jobs raise."""
    service, headers = exchange.service, exchange.headers
    client = service.client(headers.get("authorization"), headers.get("host"))
    _require_json(headers.get("content-type", ""))
    with service.inside(client):
        settings = service.settings
        raw = await read_body(
            headers,
            exchange.receive,
            most_bytes=settings.most_bytes,
            seconds=settings.body_seconds,
        )
        request = read_request(raw)
        del raw  # a large request is in memory once
        respond = _streamed if request.streamed else _whole
        await while_connected(exchange.receive, respond(exchange, request, client))


async def _whole(exchange: Exchange, request: ApiRequest, client: Client) -> None:
    async with exchange.service.admitted(request, client, None) as work:
        answer = await _answer_of(exchange, work)
    await exchange.json(Envelope.of(exchange.request_id, request.model).whole(answer))


async def _streamed(exchange: Exchange, request: ApiRequest, client: Client) -> None:
    progress, response = Progress(), exchange.response
    async with exchange.service.admitted(request, client, progress) as work:
        await response.begin(200, EVENT_STREAM, {"x-accel-buffering": "no"})
        async with _telling(exchange, progress):
            answer = await _answer_of(exchange, work)
    envelope = Envelope.of(exchange.request_id, request.model)
    for chunk in envelope.chunks(answer, tells_usage=request.tells_usage):
        await response.piece(event(chunk))
    await response.piece(DONE)
    await response.end()


async def _answer_of(exchange: Exchange, work: Work) -> Answer:
    exchange.profile_name, exchange.way = work.profile_name, work.way
    try:
        return await work.job.answer()
    except (NoAnswer, TookTooLong) as problem:
        problem.usage = usage_of(work.job.spent())
        raise


@asynccontextmanager
async def _telling(exchange: Exchange, progress: Progress) -> AsyncGenerator[None]:
    """While this lasts, the client is told how far it is."""
    telling = asyncio.ensure_future(_tell(exchange, progress))
    try:
        yield
    finally:
        await end(telling)


async def _tell(exchange: Exchange, progress: Progress) -> None:
    while True:
        await exchange.response.piece(comment(await progress.next(ALIVE_SECONDS)))
        await asyncio.sleep(PAUSE_SECONDS)


def _require_json(media_type: str) -> None:
    """A page in a browser can send any text unasked, and JSON only after asking this server."""
    if media_type.partition(";")[0].strip().lower() != "application/json":
        raise WrongMediaType("send JSON, and say so: Content-Type: application/json")
