"""What is asked of every peer that keeps a session: the same work, whoever it is."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import Any, Protocol

from scripts.benches.contenders import kernels
from scripts.benches.contenders.stage import (
    Tasks,
    descendants,
    now,
    numbered,
    place,
    proportional_memory,
)


class Session(Protocol):
    """A live session of a peer. In it `f` is a host function that gives its argument back."""

    def run(self, code: str) -> str:
        """What the code prints. Raises whatever the peer raises if it fails."""
        ...

    def give(self, name: str, text: str) -> None:
        """Set a variable."""
        ...

    def close(self) -> None:
        """End it, with its process."""
        ...


def give_back(value: Any) -> Any:
    """The function of the host."""
    return value


class Work:
    """The tasks of a peer, given how it opens a session."""

    def __init__(self, fresh: Callable[[], Session], spare: Callable[[], Session] | None) -> None:
        self._fresh = fresh
        self._spare = spare or fresh
        self._live: Session | None = None
        self._lines = numbered("x = {}")

    def tasks(self, *without: str) -> Tasks:
        """All tasks but those that the peer cannot do."""
        names = ("fresh", "spare", "tasks", "steps", "callbacks", "computed", "idle", "from_str")
        found: dict[str, Callable[..., Any]] = {
            name: getattr(self, f"_{name}_of") for name in names
        }
        return {name: task for name, task in found.items() if name not in without}

    def _fresh_of(self, count: int) -> list[float]:
        return [_first_result(self._fresh) for _ in range(count)]

    def _spare_of(self, count: int) -> list[float]:
        return [_first_result(self._spare) for _ in range(count)]

    def _tasks_of(self, count: int, threads: int, work: str) -> list[float]:
        workers = [threading.Thread(target=self._some, args=(count, work)) for _ in range(threads)]
        began = now()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return [count * threads / (now() - began)]

    def _some(self, count: int, work: str) -> None:
        for _ in range(count):
            with closing(self._fresh()) as session:
                session.run(work)

    def _session(self, apart: list[list[int]] | None) -> Session:
        """The one that stays from round to round, on its cores."""
        if self._live is None:
            self._live = self._spare()
            self._live.run("x = 0")
        if apart is not None:
            place(*map(set, apart))
        return self._live

    def _steps_of(self, count: int, apart: list[list[int]] | None = None) -> list[float]:
        session = self._session(apart)
        seconds = []
        for _ in range(count):
            line = next(self._lines)
            began = now()
            session.run(line)
            seconds.append(now() - began)
        return seconds

    def _callbacks_of(self, count: int, apart: list[list[int]] | None = None) -> list[float]:
        session = self._session(apart)
        began = now()
        session.run(f"for i in range({count}):\n    f(i)\n")
        return [count / (now() - began)]

    def _computed_of(self, kernel: str) -> list[float]:
        with closing(self._spare()) as session:
            return [min(map(float, session.run(kernels.timed_source(kernel)).split()))]

    def _idle_of(self, count: int) -> list[float]:
        """Bytes (PSS) of one more session, after its first step."""
        with ExitStack() as stack:
            self._open(stack, 2)
            before = proportional_memory(descendants(os.getpid()))
            self._open(stack, count)
            return [(proportional_memory(descendants(os.getpid())) - before) / count]

    def _open(self, stack: ExitStack, count: int) -> None:
        for _ in range(count):
            stack.enter_context(closing(self._fresh())).run("x = 1")

    def _from_str_of(self, size: int, kind: str) -> list[float]:
        text = kernels.text(size, kind).decode()
        with closing(self._spare()) as session:
            session.run("x = 1")
            began = now()
            session.give("P", text)
            told = session.run("print(len(P))")
            seconds = now() - began
        if told.strip() != str(len(text)):
            raise RuntimeError(f"P is not what was given: {told[:200]!r}")
        return [seconds]


def _first_result(make: Callable[[], Session]) -> float:
    began = now()
    with closing(make()) as session:
        session.run("x = 1")
        return now() - began
