"""The body of one HTTP reply as a JSON value, whether it comes whole or as a stream of events."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING

from rlm_core.adapters.errors import BadReply
from rlm_core.adapters.event_stream import MEDIA_TYPE, EventDecoder, looks_like_events

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    import httpx

    from rlm_core.adapters.endpoint import Endpoint
    from rlm_core.adapters.event_stream import ServerEvent
    from rlm_core.adapters.wire import Assembler

DRAIN_SECONDS = 0.5  # what ends a stream comes with its last event or not at all
MISSHAPEN = (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError)
"""What reading a JSON value of another shape raises."""


class BrokenStream(Exception):
    """A stream ended before its reply did."""


async def read_body(endpoint: Endpoint, response: httpx.Response) -> bytes:
    """The whole body. Raises BadReply when it is larger than allowed, and what httpx raises."""
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        _check_size(endpoint, response, len(content))
    return bytes(content)


async def read_reply(
    endpoint: Endpoint, response: httpx.Response, assembler: Callable[[], Assembler]
) -> object:
    """The JSON value of a reply, put together if it is streamed, asked for or not.

    Raises BadReply (too large, not JSON, events of another shape), BrokenStream, ReportedError for
    an error in the stream, and what httpx raises.
    """
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == MEDIA_TYPE:
        return await _streamed(endpoint, response, assembler())
    content = await read_body(endpoint, response)
    if looks_like_events(content):
        return _replayed(endpoint, content, assembler())
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        start = endpoint.hide(content[:80].decode("utf-8", "replace"))
        raise BadReply(
            f"the reply of {endpoint.shown} is not JSON (it begins {start!r}): "
            f"{endpoint.address_hint}",
            status=200,
        ) from None


async def _streamed(
    endpoint: Endpoint, response: httpx.Response, assembler: Assembler
) -> dict[str, object]:
    import httpx

    decoder = EventDecoder()
    chunks = response.aiter_bytes()
    size = 0
    try:
        async for chunk in chunks:
            size += len(chunk)
            _check_size(endpoint, response, size)
            if _fed(endpoint, assembler, decoder.feed(chunk)):
                await _drain(chunks)
                return assembler.reply()
    except httpx.TransportError:
        if assembler.complete:  # all is said; only the usage is lost
            return assembler.reply()
        raise
    return _ended(endpoint, assembler, decoder)


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    """Read to the end, so that the connection can be used again; but some servers never end."""
    import httpx

    with suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(DRAIN_SECONDS):
            async for _ in chunks:
                pass


def _replayed(endpoint: Endpoint, content: bytes, assembler: Assembler) -> dict[str, object]:
    """A stream under the wrong media type, which was read to its end before it was recognised."""
    decoder = EventDecoder()
    if _fed(endpoint, assembler, decoder.feed(content)):
        return assembler.reply()
    return _ended(endpoint, assembler, decoder)


def _ended(endpoint: Endpoint, assembler: Assembler, decoder: EventDecoder) -> dict[str, object]:
    """The connection is closed: that is fine if the reply was said to its end."""
    try:
        last = _fed(endpoint, assembler, decoder.end())
    except BadReply:  # cut in the middle of an event
        last = False
    if last or assembler.complete:
        return assembler.reply()
    raise BrokenStream


def _fed(endpoint: Endpoint, assembler: Assembler, events: Iterable[ServerEvent]) -> bool:
    """Whether the last event was among these."""
    try:
        return any(assembler.feed(event) for event in events)
    except MISSHAPEN as error:
        reason = endpoint.hide(f"{type(error).__name__}: {error}")
        raise BadReply(
            f"the stream of {endpoint.shown} is not a chat reply ({reason}): "
            f"{endpoint.address_hint}",
            status=200,
        ) from None


def _check_size(endpoint: Endpoint, response: httpx.Response, size: int) -> None:
    if size > endpoint.max_reply_bytes:
        raise BadReply(
            f"the reply of {endpoint.shown} is larger than {endpoint.max_reply_bytes} bytes, "
            f"which no chat reply is: check the address",
            status=response.status_code,
        )
