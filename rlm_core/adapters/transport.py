"""One endpoint: a JSON object is posted, tried again where that helps, and the reply read.

This file knows HTTP and nothing of chat; what is sent and how a reply is read comes in.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
import weakref
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from rlm_core.adapters.connections import CALLS_A_POOL, THREAD_NAME, ConnectionThread
from rlm_core.adapters.errors import (
    AdapterClosed,
    BadReply,
    ModelError,
    ModelTimeout,
    Unreachable,
)
from rlm_core.adapters.http_errors import (
    broken_stream_error,
    connection_error,
    refusal_in,
    reported_failure,
    status_failure,
    timeout_error,
)
from rlm_core.adapters.reply_body import MISSHAPEN, BrokenStream, read_body, read_reply
from rlm_core.adapters.reported import ReportedError
from rlm_core.adapters.retry import ConnectionFailure, Failure, SilenceFailure

if TYPE_CHECKING:
    import ssl
    from concurrent.futures import Future

    import httpx

    from rlm_core.adapters.endpoint import Endpoint
    from rlm_core.adapters.reported import Reported
    from rlm_core.adapters.wire import Exchange

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

    def submit(self, exchange: Exchange[T]) -> Future[T]:
        """Start a call; its future gives what the exchange reads in the reply, or a ModelError."""
        body = exchange.body()  # now, so that a wrong payload raises here
        connections = self._opened()
        return connections.submit(_call(self.endpoint, connections, exchange, body))

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


class _NotOurs(logging.Filter):
    """Passes what other users of httpx log. It logs whole addresses, and some hold a key."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.threadName != THREAD_NAME


_NOT_OURS = _NotOurs()


def _new_client() -> httpx.AsyncClient:
    import httpx

    logging.getLogger("httpx").addFilter(_NOT_OURS)
    try:
        return httpx.AsyncClient(
            verify=_certificates(),
            follow_redirects=False,  # a redirect would carry the key to a place nobody named
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=CALLS_A_POOL),
        )
    except (ValueError, ImportError):  # their text may hold the proxy's password
        raise Unreachable(
            "the proxy in HTTP_PROXY, HTTPS_PROXY or ALL_PROXY cannot be used: correct or unset it"
        ) from None


@cache
def _certificates() -> ssl.SSLContext:
    """Reading them takes longer than many calls: once is enough."""
    import httpx

    return httpx.create_ssl_context()


async def _call(
    endpoint: Endpoint, connections: ConnectionThread, exchange: Exchange[T], body: bytes
) -> T:
    deadline = endpoint.retry.deadline
    try:
        async with asyncio.timeout(deadline):
            with connections.client() as client:
                return await _attempts(endpoint, client, exchange, body)
    except TimeoutError as error:
        if isinstance(error, ModelError):
            raise
        raise ModelTimeout(
            f"no reply from {endpoint.shown} within {deadline:g} seconds in all: try again, or "
            f"allow more time"
        ) from None


async def _attempts(
    endpoint: Endpoint, client: httpx.AsyncClient, exchange: Exchange[T], body: bytes
) -> T:
    began = time.monotonic()
    attempt = 0
    while True:
        try:
            return _read(endpoint, exchange, await _post(endpoint, client, exchange, body))
        except _Failed as failed:
            if failed.refusal is not None and exchange.adapt(failed.refusal):
                body = exchange.body()
                continue
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

    def __init__(
        self, failure: Failure, error: ModelError, refusal: Reported | None = None
    ) -> None:
        super().__init__(str(error))
        self.failure = failure
        self.error = error
        self.refusal = refusal
        """What the server said against the request, if it was the server that failed it."""


async def _post(
    endpoint: Endpoint, client: httpx.AsyncClient, exchange: Exchange[T], body: bytes
) -> object:
    import httpx

    timeout = httpx.Timeout(
        endpoint.timeout, connect=min(CONNECT_SECONDS, endpoint.timeout), pool=None
    )
    try:
        async with client.stream(
            "POST", endpoint.url, content=body, headers=dict(endpoint.headers), timeout=timeout
        ) as response:
            logger.debug("HTTP %d from %s", response.status_code, endpoint.shown)
            if not response.is_success:
                refusal = refusal_in(response, await read_body(endpoint, response))
                raise _Failed(*status_failure(endpoint, response, refusal), refusal)
            return await read_reply(endpoint, response, exchange.assembler)
    except BrokenStream:
        raise _Failed(ConnectionFailure(), broken_stream_error(endpoint)) from None
    except ReportedError as error:
        raise _reported(endpoint, error) from None
    except httpx.TimeoutException as error:
        raise _Failed(SilenceFailure(), timeout_error(endpoint, error)) from None
    except httpx.TransportError as error:
        raise _Failed(ConnectionFailure(), connection_error(endpoint, error)) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise BadReply(
            f"{endpoint.shown} sent a reply that cannot be decoded "
            f"({endpoint.hide(str(error))}): is it a model server?"
        ) from None


def _read(endpoint: Endpoint, exchange: Exchange[T], data: object) -> T:
    try:
        return exchange.read(data)
    except ReportedError as error:
        raise _reported(endpoint, error) from None
    except MISSHAPEN as error:
        reason = endpoint.hide(f"{type(error).__name__}: {error}")
        raise BadReply(
            f"the reply of {endpoint.shown} is not a chat reply ({reason}): "
            f"{endpoint.address_hint}",
            status=200,
        ) from None


def _reported(endpoint: Endpoint, error: ReportedError) -> _Failed:
    return _Failed(*reported_failure(endpoint, error.reported), error.reported)
