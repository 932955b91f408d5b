"""A connection pool on an event loop in a thread of its own: any thread may use it and cancel.

A blocking HTTP client cannot be interrupted from another thread, and its timeouts start anew with
every byte. On an event loop a call in flight is cancelled at once and a deadline is a deadline,
while callers still see plain blocking calls or futures. The thread starts with the first call.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, TypeVar

from rlm_core.adapters.errors import AdapterClosed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Future

    import httpx

T = TypeVar("T")

NESTED_GENERATORS = 4  # httpx reads a body through that many; each lets go of the next in a task
THREAD_NAME = "rlm-connections"
JOIN_SECONDS = 5.0  # closing waits this long for the thread; it has nothing left to do by then


class ConnectionThread:
    """Runs coroutines that use one `httpx.AsyncClient`. Thread-safe."""

    def __init__(self, make_client: Callable[[], httpx.AsyncClient]) -> None:
        self._make_client = make_client
        self._client: httpx.AsyncClient | None = None
        self._loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=THREAD_NAME, daemon=True)
        self._thread.start()

    @property
    def client(self) -> httpx.AsyncClient:
        """The pool, made when it is first asked for; to be used from coroutines of this thread."""
        if self._client is None:
            self._client = self._make_client()
        return self._client

    def submit(self, work: Coroutine[object, object, T]) -> Future[T]:
        """Start `work`; cancelling the future cancels it and closes its connection."""
        with self._lock:  # what is accepted is in the loop before `close` stops it
            if self._closed:
                work.close()
                raise AdapterClosed("this adapter was closed: make another one")
            return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        """Cancel what is in flight, close the connections, end the thread. Idempotent."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._loop.call_soon_threadsafe(self._loop.stop)
        if self._thread is not threading.current_thread():
            self._thread.join(JOIN_SECONDS)

    def _run(self) -> None:
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._wind_up())
        finally:
            self._loop.close()

    async def _wind_up(self) -> None:
        in_flight = _other_tasks()
        for task in in_flight:
            task.cancel()
        await asyncio.gather(*in_flight, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
        await asyncio.get_running_loop().shutdown_asyncgens()
        for _ in range(NESTED_GENERATORS):
            await asyncio.sleep(0)
            await asyncio.gather(*_other_tasks(), return_exceptions=True)


def _other_tasks() -> set[asyncio.Task[object]]:
    return asyncio.all_tasks() - {asyncio.current_task()}
