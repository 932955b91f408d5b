"""Connection pools on an event loop in a thread of its own: any thread may use it and cancel.

A blocking HTTP client cannot be interrupted from another thread, and its timeouts start anew with
every byte. On an event loop a call in flight is cancelled at once and a deadline is a deadline,
while callers still see plain blocking calls or futures. The thread starts with the first call.

httpx looks at every connection of a pool twice a call, so that a large pool costs more than the
calls (measured at 64 at once: two thirds of all time). There are many small ones instead.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from rlm_core.adapters.errors import AdapterClosed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from concurrent.futures import Future

    import httpx

T = TypeVar("T")

NESTED_GENERATORS = 4  # httpx reads a body through that many; each lets go of the next in a task
CALLS_A_POOL, MOST_POOLS = 4, 128
IDLE_SECONDS = 15.0
"""A pool that nobody needs for so long is closed; the first one stays."""
THREAD_NAME = "rlm-connections"
JOIN_SECONDS = 5.0  # closing waits this long for the thread; it has nothing left to do by then


@dataclass
class _Pool:
    """Some connections, and how many calls use them now."""

    client: httpx.AsyncClient
    calls: int = 0
    end: asyncio.TimerHandle | None = None
    """When it is closed, if nobody uses it before."""


class ConnectionThread:
    """Runs coroutines that use `httpx.AsyncClient`s. Thread-safe."""

    def __init__(self, make_client: Callable[[], httpx.AsyncClient]) -> None:
        self._make_client = make_client
        self._pools: list[_Pool] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=THREAD_NAME, daemon=True)
        self._thread.start()

    @contextmanager
    def client(self) -> Generator[httpx.AsyncClient]:
        """A client for one call, the one that has fewest; for coroutines of this thread."""
        pool = min(self._pools, key=_calls, default=None)
        if pool is None or (pool.calls >= CALLS_A_POOL and len(self._pools) < MOST_POOLS):
            pool = _Pool(self._make_client())
            self._pools.append(pool)
        pool.calls += 1
        if pool.end is not None:
            pool.end.cancel()
            pool.end = None
        try:
            yield pool.client
        finally:
            pool.calls -= 1
            if not pool.calls and pool is not self._pools[0]:
                pool.end = self._loop.call_later(IDLE_SECONDS, self._retire, pool)

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

    def _retire(self, pool: _Pool) -> None:
        self._pools.remove(pool)
        closing = self._loop.create_task(pool.client.aclose())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def _wind_up(self) -> None:
        in_flight = _other_tasks() - self._closing
        for task in in_flight:
            task.cancel()
        await asyncio.gather(*in_flight, return_exceptions=True)
        for pool in self._pools:
            await pool.client.aclose()
        await asyncio.get_running_loop().shutdown_asyncgens()
        for _ in range(NESTED_GENERATORS):
            await asyncio.sleep(0)
            await asyncio.gather(*_other_tasks(), return_exceptions=True)


def _calls(pool: _Pool) -> int:
    return pool.calls


def _other_tasks() -> set[asyncio.Task[object]]:
    return asyncio.all_tasks() - {asyncio.current_task()}
