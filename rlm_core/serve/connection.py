"""The two ends of an exchange over ASGI: a request that may be hostile, a client that may go."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from rlm_core.serve.problem import BadRequest, TooLarge, TooSlow

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping

    Event = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Event]]
    Send = Callable[[Event], Awaitable[None]]

T = TypeVar("T")

SEND_SECONDS = 60.0
"""A client that takes no more bytes for so long is taken to be gone."""


class ClientGone(Exception):
    """The client closed its connection: nobody waits for an answer."""


async def read_body(
    headers: Mapping[str, str], receive: Receive, *, most_bytes: int, seconds: float
) -> bytes:
    """All bytes of a request. Raises TooLarge, TooSlow, BadRequest or ClientGone."""
    announced = headers.get("content-length", "0")
    if not (announced.isascii() and announced.isdigit()):
        raise BadRequest("Content-Length is no number")
    if len(announced) > 18 or int(announced) > most_bytes:
        raise _too_large(most_bytes)
    try:
        async with asyncio.timeout(seconds):
            return await _collected(receive, most_bytes)
    except TimeoutError:
        raise TooSlow(f"the request did not arrive within {seconds:g} seconds") from None


async def _collected(receive: Receive, most_bytes: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ClientGone
        piece: bytes = event.get("body", b"")
        size += len(piece)
        if size > most_bytes:
            raise _too_large(most_bytes)
        pieces.append(piece)
        if not event.get("more_body", False):
            return b"".join(pieces)


def _too_large(most_bytes: int) -> TooLarge:
    return TooLarge(
        f"a request may have {most_bytes} bytes: send less, or have this server started with a "
        "larger --max-request"
    )


async def while_connected(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """What the work comes to. When the client goes first, it is cancelled: raises ClientGone."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientGone
    finally:
        await end(task, gone)


async def end(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks and wait until they have ended; what they come to is of no interest."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class Response:
    """What is sent back: whole, or piece by piece."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status: int | None = None
        """Of what was begun; None where nothing was sent yet."""

    async def whole(
        self, status: int, body: bytes, media_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """A complete response."""
        length = {"content-length": str(len(body))}
        await self.begin(status, media_type, {**length, **(headers or {})})
        await self._deliver(body, more=False)

    async def begin(
        self, status: int, media_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """The head of a response; pieces follow."""
        own = {
            "content-type": media_type,
            "x-request-id": self._request_id,
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
        }
        named = [(name.encode(), value.encode("latin-1", "replace")) for name, value in
                 {**own, **(headers or {})}.items()]  # fmt: skip
        self.status = status
        await self._send({"type": "http.response.start", "status": status, "headers": named})

    async def piece(self, body: bytes) -> None:
        """More of it. Raises ClientGone where the client does not take it."""
        await self._deliver(body, more=True)

    async def end(self) -> None:
        """No more pieces."""
        await self._deliver(b"", more=False)

    async def _deliver(self, body: bytes, *, more: bool) -> None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._send({"type": "http.response.body", "body": body, "more_body": more})
        except (TimeoutError, OSError):
            raise ClientGone from None
