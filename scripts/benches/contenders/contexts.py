"""A text becomes a variable of a sealed session: how long it takes, and the memory it takes."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

from rlm_sandbox import Limits, Sandbox
from scripts.benches.contenders import kernels
from scripts.benches.contenders.stage import descendants, now, proportional_memory

LOOK_SECONDS = 0.002
ROOM = Limits(memory="8GiB", step_seconds=600, cpu_seconds=600)


class _Texts:
    """The text that was asked for last: making one takes longer than loading it."""

    def __init__(self) -> None:
        self._key: tuple[int, str] | None = None
        self._text = ""

    def get(self, size: int, kind: str) -> str:
        if self._key != (size, kind):
            self._text = ""
            self._text = kernels.text(size, kind).decode()
            self._key = (size, kind)
        return self._text


TEXTS = _Texts()


def from_str(size: int, kind: str) -> list[float]:
    """Seconds from a `str` in this process to `P` in a session that stands ready."""
    text = TEXTS.get(size, kind)
    return [_loaded(lambda box: box.load("P", text), len(text), stepped=True)]


def from_file(path: str, length: int) -> list[float]:
    """Seconds from a file in the page cache to `P` in a session that has run nothing yet."""
    return [_loaded(lambda box: box.load_file("P", path), length, stepped=False)]


def _loaded(load: Callable[[Sandbox], object], length: int, *, stepped: bool) -> float:
    with Sandbox(isolation="full", limits=ROOM) as box:
        if stepped:
            box.exec("x = 1")
        began = now()
        load(box)
        result = box.exec("print(len(P))")
        seconds = now() - began
    if result.stdout.strip() != str(length):
        raise RuntimeError(f"P is not what was given: {result}")
    return seconds


def memory_from_str(size: int, kind: str) -> dict[str, float]:
    """What is held for it, as shares of the text's size: at the peak, and afterwards."""
    text = TEXTS.get(size, kind)
    return _memory(lambda box: box.load("P", text), sys.getsizeof(text))


def memory_from_file(path: str, length: int) -> dict[str, float]:
    """The same for an ASCII text of so many characters in a file, whose own pages are not ours."""
    return _memory(lambda box: box.load_file("P", path), length)


def _memory(load: Callable[[Sandbox], object], whole: int) -> dict[str, float]:
    with Sandbox(isolation="full", limits=ROOM) as box:
        with Holding() as holding:
            load(box)
            box.exec("y = len(P)")
        afterwards = holding.settled()
    return {"peak": holding.peak / whole, "afterwards": afterwards / whole}


class Holding:
    """Watches what this process, everything below it and its memfds hold, beyond the beginning.

    Anonymous memory, where pages that a fork shares are counted once, and the pages of files
    without a name, whoever maps them.
    """

    def __init__(self) -> None:
        self._over = threading.Event()
        self._watching = threading.Thread(target=self._watch)
        self._before = self.peak = 0

    def __enter__(self) -> Self:
        self._before = _held()
        self._watching.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._watching.join()

    def _watch(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            self.peak = max(self.peak, _held() - self._before)

    def settled(self) -> int:
        """Bytes held once nothing changes any more."""
        threading.Event().wait(0.5)
        return _held() - self._before


def _held() -> int:
    processes = [os.getpid(), *descendants(os.getpid())]
    files: dict[int, int] = {}
    for process in processes:
        files |= _nameless(process)
    return proportional_memory(processes, "Pss_Anon:") + sum(files.values())


def _nameless(process: int) -> dict[int, int]:
    """Bytes of pages of each memfd that a process has open, by inode."""
    found = {}
    try:
        for descriptor in Path(f"/proc/{process}/fd").iterdir():
            if str(descriptor.readlink()).startswith("/memfd:"):
                state = descriptor.stat()
                found[state.st_ino] = state.st_blocks * 512
    except (FileNotFoundError, ProcessLookupError):  # a descriptor, or the process, has gone
        return found
    return found


TASKS = {
    "from_str": from_str,
    "from_file": from_file,
    "memory_from_str": memory_from_str,
    "memory_from_file": memory_from_file,
}
