"""This project's own sandbox, in the tier `full`."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rlm_sandbox import Limits, Sandbox, State
from scripts.benches.contenders import kernels
from scripts.benches.contenders.stage import (
    descendants,
    now,
    numbered,
    parent,
    place,
    private_memory,
    proportional_memory,
    timed,
)

LONG = Limits(step_seconds=600, cpu_seconds=600, memory="16GiB", host_calls=10**9)
WITHOUT_CHECKPOINTS = Limits(step_seconds=600, cpu_seconds=600, host_calls=10**9, checkpoints=0)

Apart = list[list[int]] | None
"""Cores of the controller, and of everything below it; None: as the kernel likes."""


def opened(limits: Limits | None = None, **options: object) -> Sandbox:
    """A sandbox in the tier that everything here is measured in."""
    return Sandbox(isolation="full", limits=limits, **options)  # ty: ignore[invalid-argument-type]


def zygote() -> list[float]:
    """Seconds from nothing to a zygote that is ready, its rehearsal done."""
    from rlm_sandbox.host.nursery import NURSERY, Breed

    breed = Breed("full")
    NURSERY.retire(breed)
    return timed(partial(NURSERY.tier, breed), 1)


# --- starting -----------------------------------------------------------------------------------


def fresh(count: int) -> list[float]:
    """Seconds from nothing but a zygote to the first result."""
    opened().close()
    return [_first_result() for _ in range(count)]


def _first_result() -> float:
    began = now()
    with opened() as box:
        box.exec("x = 1")
        return now() - began


def tasks(count: int, threads: int, work: str) -> list[float]:
    """Tasks a second of so many threads, each task in a sandbox of its own."""
    opened().close()
    workers = [threading.Thread(target=_tasks, args=(count, work)) for _ in range(threads)]
    began = now()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return [count * threads / (now() - began)]


def _tasks(count: int, work: str) -> None:
    for _ in range(count):
        with opened() as box:
            _sound(box, work)


# --- steps --------------------------------------------------------------------------------------


class _Live:
    """Sessions that stay open from round to round, by how they were opened."""

    def __init__(self) -> None:
        self._boxes: dict[tuple[bool, bool], Sandbox] = {}
        self.lines = numbered("x = {}")

    def session(self, *, checkpoints: bool, apart: Apart) -> Sandbox:
        key = (checkpoints, apart is not None)
        if key not in self._boxes:
            limits = LONG if checkpoints else WITHOUT_CHECKPOINTS
            self._boxes[key] = opened(limits, functions={"f": _nothing})
        if apart is not None:
            place(*map(set, apart))
        return self._boxes[key]


LIVE = _Live()


def _nothing(value: object = None) -> object:
    return value


def steps(
    count: int, *, checkpoints: bool = False, thinking: float = 0.0, apart: Apart = None
) -> list[float]:
    """Seconds of short lines in a live session, each different, after so long a pause."""
    box = LIVE.session(checkpoints=checkpoints, apart=apart)
    seconds = []
    pause = threading.Event()
    for _ in range(count):
        line = next(LIVE.lines)
        if thinking:
            pause.wait(thinking)
        began = now()
        box.exec(line)
        seconds.append(now() - began)
    return seconds


def callbacks(count: int, apart: Apart = None) -> list[float]:
    """Calls of a host function a second, out of a loop in one step."""
    box = LIVE.session(checkpoints=False, apart=apart)
    began = now()
    _sound(box, f"for i in range({count}):\n    f(i)")
    return [count / (now() - began)]


def computed(kernel: str) -> list[float]:
    """Seconds of a kernel, measured inside: the best of a few."""
    with opened(LONG, imports="all") as box:
        return [min(map(float, _sound(box, kernels.timed_source(kernel)).split()))]


def _sound(box: Sandbox, code: str) -> str:
    """What the code prints. Raises RuntimeError if it does not run to its end."""
    result = box.exec(code)
    if result.error is not None:
        raise RuntimeError(f"{result.outcome}: {result.error}")
    return result.stdout


# --- when a step goes wrong ---------------------------------------------------------------------

DEATHS = {
    "exit": "import os\nos._exit(1)",
    "segfault": "import ctypes\nctypes.string_at(0)",
    "memory": "whole = b'x' * (8 << 30)",
    "memory-slow": "parts = []\nwhile True: parts.append(b'x' * (1 << 20))",
}


def hang(limit: float, code: str, count: int) -> list[float]:
    """Seconds over the limit until the state is there again, a step that never ends having run."""
    with opened(Limits(step_seconds=limit), imports="all") as box:
        return [_back(box, code) - limit for _ in range(count)]


def death(kind: str, count: int) -> list[float]:
    """Seconds from the start of a step that dies until the state of the step before is there."""
    with opened(Limits(memory="512MiB"), imports="all") as box:
        box.exec("import ctypes, os")
        return [_back(box, DEATHS[kind]) for _ in range(count)]


def _back(box: Sandbox, code: str) -> float:
    token = int.from_bytes(os.urandom(6))
    box.exec(f"token = {token}")
    threading.Event().wait(0.02)  # the model thinks
    began = now()
    result = box.exec(code)
    found = box.get("token")
    seconds = now() - began
    if found != token or result.state is State.LOST or result.error is None:
        raise RuntimeError(f"the state is not as it was: {result}")
    return seconds


# --- memory -------------------------------------------------------------------------------------


def idle(count: int, *, stepped: bool) -> dict[str, float]:
    """Bytes of one more worker: PSS of everything below this process, before and after `count`.

    Also the private bytes of its processes, by what they are.
    """
    with _some(2, stepped=stepped):
        before = _settled()
        with _some(count, stepped=stepped):
            after = _settled()
            inits = [pid for pid in descendants(os.getpid()) if _depth(pid) == 2]
            parts = _by_role([init for init in inits if descendants(init)])
    return {"total": (after - before) / count, **parts}


@contextmanager
def _some(count: int, *, stepped: bool) -> Generator[Sequence[Sandbox]]:
    boxes = [opened() for _ in range(count)]
    try:
        for box in boxes if stepped else ():
            box.exec("x = 1")
        yield boxes
    finally:
        for box in boxes:
            box.close()


def _settled() -> int:
    """PSS of everything below, once checkpoints are taken and ended processes gone."""
    threading.Event().wait(0.5)
    return proportional_memory(descendants(os.getpid()))


def _depth(process: int | None) -> int:
    """How many generations below this process."""
    depth = 0
    while process is not None and process != os.getpid():
        process = parent(Path(f"/proc/{process}"))
        depth += 1
    return depth


def _by_role(inits: Sequence[int]) -> dict[str, float]:
    """Mean private bytes: the init, its session process, what that has forked to keep the state.

    An init without a session stands ready for the next worker.
    """
    families = [(init, *descendants(init)) for init in inits]
    roles = ("init", "session", "checkpoint")
    return {
        role: sum(private_memory(family[place]) for family in families) / len(families)
        for place, role in enumerate(roles)
        if all(len(family) > place for family in families)
    }


TASKS = {
    "zygote": zygote,
    "fresh": fresh,
    "tasks": tasks,
    "steps": steps,
    "callbacks": callbacks,
    "computed": computed,
    "hang": hang,
    "death": death,
    "idle": idle,
}
