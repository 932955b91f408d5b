"""Where a contender stands: a process that carries out tasks on request, a line of JSON each way.

It runs in environments of other projects, on Pythons of theirs: the standard library only.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

now = time.perf_counter

Tasks = Mapping[str, Callable[..., Any]]


def serve(module: str) -> None:
    """Answer requests for the `TASKS` of a module from standard input until it ends.

    What a task prints goes to standard error, so that it is not taken for an answer.
    """
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    try:
        tasks: Tasks = importlib.import_module(module).TASKS
    except Exception as error:  # noqa: BLE001 - whatever is missing, the bench reports it
        _say(answers, _failure(error))
        return
    _say(answers, {"tasks": sorted(tasks)})
    for line in requests:
        request = json.loads(line)
        gc.collect()
        gc.freeze()  # what earlier tasks have left is not looked through again
        try:
            answer = {"value": tasks[request["task"]](**request["arguments"])}
        except Exception as error:  # noqa: BLE001 - whatever it is, the bench reports it
            answer = _failure(error)
        _say(answers, answer)


def _failure(error: Exception) -> dict[str, object]:
    return {"error": f"{type(error).__name__}: {error}"}


def _say(answers: TextIO, answer: Mapping[str, object]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def timed(action: Callable[[], object], count: int) -> list[float]:
    """Seconds of each of so many calls."""
    seconds = []
    for _ in range(count):
        began = now()
        action()
        seconds.append(now() - began)
    return seconds


def numbered(form: str) -> Iterator[str]:
    """Lines of code, each different from all before it."""
    number = 0
    while True:
        number += 1
        yield form.format(number)


def place(controller: set[int], children: set[int]) -> None:
    """Put every thread of this process on some cores, and every process below it on others."""
    for process in descendants(os.getpid()):
        _pin(process, children)
    _pin(os.getpid(), controller)


def descendants(process: int) -> list[int]:
    """The process ids of all children, their children and so on."""
    below: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (above := parent(entry)) is not None:
            below.setdefault(above, []).append(int(entry.name))
    found = [process]
    for one in found:
        found += below.get(one, [])
    return found[1:]


def parent(entry: Path) -> int | None:
    """Of a process by its directory in /proc. Its name, which comes before, is any bytes."""
    try:
        return int((entry / "stat").read_bytes().rpartition(b")")[2].split()[1])
    except (OSError, IndexError):  # it has ended meanwhile
        return None


def _pin(process: int, cores: set[int]) -> None:
    try:
        threads = [int(entry.name) for entry in Path(f"/proc/{process}/task").iterdir()]
        for thread in threads:
            os.sched_setaffinity(thread, cores)
    except (ProcessLookupError, FileNotFoundError):  # it has ended meanwhile
        return


def proportional_memory(processes: list[int], kind: str = "Pss:") -> int:
    """PSS of these processes together, in bytes: what they share is counted once."""
    return sum(_rollup(process, kind) for process in processes)


def private_memory(process: int) -> int:
    """Bytes that only this process holds."""
    return _rollup(process, "Private_Clean:") + _rollup(process, "Private_Dirty:")


def _rollup(process: int, field: str) -> int:
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return 0
    lines = [line.split() for line in text.splitlines()]
    return sum(int(words[1]) * 1024 for words in lines if words[0] == field)


def complain(text: str) -> None:
    """A word to whoever looks on."""
    print(text, file=sys.stderr, flush=True)
