"""One endpoint: a JSON object is posted, tried again where that helps, and the reply read.

This file knows HTTP and nothing of chat; what is sent and how a reply is read comes in.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import threading
import time
import weakref
from typing import TYPE_CHECKING, TypeVar

from rlm_core.adapters.connections import ConnectionThread
from rlm_core.adapters.errors import (
    AdapterClosed,
    BadReply,
    ModelError,
    ModelTimeout,
    Unreachable,
)
from rlm_core.adapters.http_errors import connection_error, status_failure, timeout_error
from rlm_core.adapters.retry import ConnectionFailure, Failure, SilenceFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

    import httpx

    from rlm_core.adapters.endpoint import Endpoint

T = TypeVar("T")
logger = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0


class HttpTransport:
    """Posts JSON objects to one endpoint over one connection pool. Thread-safe.

    The pool and its thread begin with the first call and end with `close`, with the object, or
    with the interpreter.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._lock = threading.Lock()
        self._connections: ConnectionThread | None = None
        self._end: weakref.finalize[[], HttpTransport] | None = None
        self._closed = False

    def submit(self, payload: Mapping[str, object], read: Callable[[object], T]) -> Future[T]:
        """Start a call; its future gives what `read` makes of the JSON reply, or a ModelError."""
        body = json.dumps(payload).encode("ascii")  # now, so that a wrong payload raises here
        connections = self._opened()
        return connections.submit(_call(self.endpoint, connections, body, read))

    def close(self) -> None:
        """Cancel calls in flight and close the connections. Idempotent."""
        with self._lock:
            self._closed = True
            end = self._end
        if end is not None:
            end()

    def _opened(self) -> ConnectionThread:
        with self._lock:
            if self._closed:
                raise AdapterClosed("this adapter was closed: make another one")
            if self._connections is None:
                self._connections = ConnectionThread(_new_client)
                self._end = weakref.finalize(self, self._connections.close)
            return self._connections


def _new_client() -> httpx.AsyncClient:
    import httpx

    try:
        return httpx.AsyncClient(
            follow_redirects=False,  # a redirect would carry the key to a place nobody named
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=32),
        )
    except (ValueError, ImportError):  # their text may hold the proxy's password
        raise Unreachable(
            "the proxy in HTTP_PROXY, HTTPS_PROXY or ALL_PROXY cannot be used: correct or unset it"
        ) from None


async def _call(
    endpoint: Endpoint,
    connections: ConnectionThread,
    body: bytes,
    read: Callable[[object], T],
) -> T:
    deadline = endpoint.retry.deadline
    try:
        async with asyncio.timeout(deadline):
            reply = await _attempts(endpoint, connections.client, body)
    except TimeoutError as error:
        if isinstance(error, ModelError):
            raise
        raise ModelTimeout(
            f"no reply from {endpoint.shown} within {deadline:g} seconds in all: try again, or "
            f"allow more time"
        ) from None
    return _read(endpoint, reply, read)


async def _attempts(endpoint: Endpoint, client: httpx.AsyncClient, body: bytes) -> bytes:
    began = time.monotonic()
    attempt = 0
    while True:
        try:
            return await _post(endpoint, client, body)
        except _Failed as failed:
            elapsed = time.monotonic() - began
            chance = random.random()  # noqa: S311 - spreads retries, guards nothing
            wait = endpoint.retry.delay(
                failed.failure, attempt=attempt, elapsed=elapsed, chance=chance
            )
            if wait is None:
                raise failed.error from None
            logger.info("%s; trying again in %.1f s", failed.error, wait)
        await asyncio.sleep(wait)
        attempt += 1


class _Failed(Exception):
    """One attempt failed: what the retry policy reads, and what the caller sees if it gives up."""

    def __init__(self, failure: Failure, error: ModelError) -> None:
        super().__init__(str(error))
        self.failure = failure
        self.error = error


async def _post(endpoint: Endpoint, client: httpx.AsyncClient, body: bytes) -> bytes:
    import httpx

    timeout = httpx.Timeout(
        endpoint.timeout, connect=min(CONNECT_SECONDS, endpoint.timeout), pool=None
    )
    try:
        async with client.stream(
            "POST", endpoint.url, content=body, headers=dict(endpoint.headers), timeout=timeout
        ) as response:
            logger.debug("HTTP %d from %s", response.status_code, endpoint.shown)
            content = await _body(endpoint, response)
            if not response.is_success:
                raise _Failed(*status_failure(endpoint, response, content))
            return content
    except httpx.TimeoutException as error:
        raise _Failed(SilenceFailure(), timeout_error(endpoint, error)) from None
    except httpx.TransportError as error:
        raise _Failed(ConnectionFailure(), connection_error(endpoint, error)) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise BadReply(
            f"{endpoint.shown} sent a reply that cannot be decoded "
            f"({endpoint.hide(str(error))}): is it a model server?"
        ) from None


async def _body(endpoint: Endpoint, response: httpx.Response) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > endpoint.max_reply_bytes:
            raise BadReply(
                f"the reply of {endpoint.shown} is larger than {endpoint.max_reply_bytes} bytes, "
                f"which no chat reply is: check the address",
                status=response.status_code,
            )
    return bytes(content)


def _read(endpoint: Endpoint, content: bytes, read: Callable[[object], T]) -> T:
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        start = endpoint.hide(content[:80].decode("utf-8", "replace"))
        raise BadReply(
            f"the reply of {endpoint.shown} is not JSON (it begins {start!r}): check the base URL, "
            f"it usually ends in /v1",
            status=200,
        ) from None
    try:
        return read(data)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        reason = endpoint.hide(f"{type(error).__name__}: {error}")
        raise BadReply(
            f"the reply of {endpoint.shown} is not a chat reply ({reason}): check the base URL and "
            f"the model's name",
            status=200,
        ) from None
