"""pydantic-monty: a Python interpreter in Rust, in worker processes."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

from scripts.benches.contenders.episodes import LATENCY
from scripts.benches.contenders.sessions import Work, give_back
from scripts.benches.contenders.stage import now

PIECE = 64_000_000
"""Characters that are given at once: it refuses larger messages."""
PROCESSES = 64
CALLBACKS = 10**9
"""Calls of the host that a session may make; a thousand unless more are asked for."""
FUNCTIONS = {"f": give_back}

monty: Any = importlib.import_module("pydantic_monty")


class Sealed:
    """A session in a worker of a pool."""

    def __init__(self, pool: Any) -> None:
        self._checkout = pool.checkout(limits={"max_suspensions": CALLBACKS})
        self._session = self._checkout.__enter__()

    def run(self, code: str) -> str:
        """Output is collected, as a controller would."""
        said = monty.CollectString()
        self._session.feed_run(code, external_lookup=FUNCTIONS, print_callback=said)
        return said.output

    def give(self, name: str, text: str) -> None:
        """In pieces, put together inside."""
        self._session.feed_run("pieces = []")
        for start in range(0, len(text), PIECE):
            piece = {"piece": text[start : start + PIECE]}
            self._session.feed_run("pieces.append(piece)", inputs=piece)
        self._session.feed_run(f"{name} = ''.join(pieces)\npieces = []\npiece = ''")

    def close(self) -> None:
        """Back to the pool."""
        self._checkout.__exit__(None, None, None)


class Pool:
    """Opens sessions from a pool that is there once it is first needed."""

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._pool: Any = None

    def __call__(self) -> Sealed:
        if self._pool is None:
            self._pool = monty.Monty(max_processes=PROCESSES, **self._options).__enter__()
        return Sealed(self._pool)


FRESH = Pool(max_checkouts_per_worker=1)
"""A process for each session, the quickest of its ways to get one."""
SPARE = Pool()


def subcalls(way: str, count: int) -> list[float]:
    """Seconds of a step with so many subcalls of 50 ms at once."""
    assert way == "batch"
    return [asyncio.run(_gathered(count))]


async def _answer(_: str) -> str:
    await asyncio.sleep(LATENCY)
    return "an answer"


async def _gathered(count: int) -> float:
    code = f"import asyncio\nawait asyncio.gather(*[ask(str(i)) for i in range({count})])"
    async with monty.AsyncMonty() as pool, pool.checkout() as session:
        await session.feed_run("x = 1")
        began = now()
        answers = await session.feed_run(code, external_lookup={"ask": _answer})
        seconds = now() - began
    if answers != ["an answer"] * count:
        raise RuntimeError(f"not {count} answers: {str(answers)[:200]}")
    return seconds


TASKS = {**Work(FRESH, SPARE).tasks(), "subcalls": subcalls}
