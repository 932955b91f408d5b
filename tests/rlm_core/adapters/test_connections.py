"""The connection thread runs work from any thread, cancels it, and always ends."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import AsyncGenerator
from concurrent.futures import CancelledError
from contextlib import ExitStack

import httpx
import pytest

from rlm_core.adapters.connections import CALLS_A_POOL, ConnectionThread
from rlm_core.adapters.errors import AdapterClosed


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


async def wait_for_ever(started: threading.Event, ended: threading.Event) -> None:
    started.set()
    try:
        await asyncio.Event().wait()
    finally:
        ended.set()


def test_work_from_many_threads_comes_back_to_each() -> None:
    connections = ConnectionThread(httpx.AsyncClient)
    results: dict[int, int] = {}

    def work(number: int) -> None:
        results[number] = connections.submit(double(number)).result()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    connections.close()
    assert results == {number: 2 * number for number in range(16)}


def test_cancelling_the_future_ends_the_work() -> None:
    connections = ConnectionThread(httpx.AsyncClient)
    started, ended = threading.Event(), threading.Event()
    future = connections.submit(wait_for_ever(started, ended))
    assert started.wait(60)
    assert future.cancel()
    assert ended.wait(60)
    connections.close()


def test_closing_ends_what_is_in_flight_and_the_thread() -> None:
    before = set(threading.enumerate())
    connections = ConnectionThread(httpx.AsyncClient)
    started, ended = threading.Event(), threading.Event()
    future = connections.submit(wait_for_ever(started, ended))
    assert started.wait(60)
    connections.close()
    assert ended.is_set()
    with pytest.raises(CancelledError):
        future.result(timeout=60)
    assert set(threading.enumerate()) == before


async def held(connections: ConnectionThread, calls: int) -> list[httpx.AsyncClient]:
    with ExitStack() as stack:
        return [stack.enter_context(connections.client()) for _ in range(calls)]


def test_closing_closes_every_client() -> None:
    connections = ConnectionThread(httpx.AsyncClient)
    clients = connections.submit(held(connections, 2 * CALLS_A_POOL)).result()
    connections.close()
    assert all(client.is_closed for client in clients)


def test_few_calls_share_a_pool_and_one_after_the_other_they_have_the_same() -> None:
    connections = ConnectionThread(httpx.AsyncClient)
    one, other = (connections.submit(held(connections, 1)).result() for _ in range(2))
    assert one == other
    many = connections.submit(held(connections, 3 * CALLS_A_POOL)).result()
    connections.close()
    assert len(set(map(id, many))) == 3
    assert {list(map(id, many)).count(id(client)) for client in many} == {CALLS_A_POOL}


def test_pools_that_are_not_needed_any_more_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlm_core.adapters.connections.IDLE_SECONDS", 0.01)
    connections = ConnectionThread(httpx.AsyncClient)
    first, *_, last = connections.submit(held(connections, 3 * CALLS_A_POOL)).result()
    deadline = time.monotonic() + 60
    while not last.is_closed and time.monotonic() < deadline:
        time.sleep(0.01)
    assert last.is_closed
    assert not first.is_closed
    assert connections.submit(held(connections, 1)).result() == [first]
    connections.close()


def test_there_are_no_more_pools_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlm_core.adapters.connections.MOST_POOLS", 2)
    connections = ConnectionThread(httpx.AsyncClient)
    many = connections.submit(held(connections, 10 * CALLS_A_POOL)).result()
    connections.close()
    assert len(set(map(id, many))) == 2


async def count_up(ended: threading.Event) -> AsyncGenerator[int, None]:
    try:
        for number in itertools.count():
            yield number
    finally:
        await asyncio.sleep(0)
        ended.set()


async def fail_while_counting(ended: threading.Event) -> None:
    async for _ in count_up(ended):
        raise KeyError("enough")


def test_closing_ends_generators_that_failed_work_left_open() -> None:
    connections = ConnectionThread(httpx.AsyncClient)
    ended = threading.Event()
    failure = connections.submit(fail_while_counting(ended)).exception(timeout=60)
    assert isinstance(failure, KeyError)  # and its traceback keeps the generator alive
    connections.close()
    assert ended.is_set()


def test_closing_twice_is_closing_once() -> None:
    connections = ConnectionThread(httpx.AsyncClient)
    connections.close()
    connections.close()


def test_work_after_closing_is_refused() -> None:
    connections = ConnectionThread(httpx.AsyncClient)
    connections.close()
    with pytest.raises(AdapterClosed, match="make another"):
        connections.submit(double(1))
