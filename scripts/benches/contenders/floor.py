"""The floors: what the machine and plain Python need for the least that must be done."""

from __future__ import annotations

import mmap
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NoReturn

from scripts.benches.contenders import kernels
from scripts.benches.contenders.stage import now, numbered, place, timed

MESSAGE = b"x" * 64
MESSAGE_BYTES = 4096
SPIN_SECONDS = 50e-6
PYTHON = (sys.executable, "-I", "-S")


def spawn(count: int) -> list[float]:
    """`python -I -S -c pass`: the start of a process that can run Python at all."""
    return timed(partial(_run, "pass"), count)


def run(count: int, arguments: list[str]) -> list[float]:
    """Seconds of Python with these arguments, started as users start it."""
    return timed(partial(_run_as_user, arguments), count)


def _run_as_user(arguments: list[str]) -> None:
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)


def spawned_tasks(count: int, threads: int, work: str) -> list[float]:
    """Tasks a second of so many threads, each task a process of its own."""
    return [_rate(partial(_run, work), count, threads)]


def _run(code: str) -> None:
    """posix_spawn, the quickest way to start a program."""
    process = os.posix_spawn(PYTHON[0], [*PYTHON, "-c", code], {})
    os.waitpid(process, 0)


def _rate(action: Callable[[], None], count: int, threads: int) -> float:
    began = now()
    workers = [threading.Thread(target=timed, args=(action, count)) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return count * threads / (now() - began)


# --- a message there and back -----------------------------------------------------------------


class _Partner:
    """A child that sends every message back."""

    def __init__(self, receive: Callable[[socket.socket], bytes]) -> None:
        self._receive = receive
        self._socket, theirs = socket.socketpair()
        self._process = os.fork()
        if self._process == 0:
            self._socket.close()
            _echo(theirs, receive)
        theirs.close()

    def there_and_back(self) -> None:
        self._socket.send(MESSAGE)
        self._receive(self._socket)

    def close(self) -> None:
        self._socket.close()
        os.waitpid(self._process, 0)


def _echo(sock: socket.socket, receive: Callable[[socket.socket], bytes]) -> NoReturn:
    try:
        while data := receive(sock):
            sock.send(data)
    finally:
        os._exit(0)


def _blocking(sock: socket.socket) -> bytes:
    return sock.recv(MESSAGE_BYTES)


def _spinning(sock: socket.socket) -> bytes:
    """Look for 50 µs before blocking."""
    until = now() + SPIN_SECONDS
    while now() < until:
        try:
            return sock.recv(MESSAGE_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            continue
    return sock.recv(MESSAGE_BYTES)


RECEIVERS = {"blocking": _blocking, "spinning": _spinning}


def pingpong(
    count: int, receiver: str = "blocking", apart: list[list[int]] | None = None
) -> list[float]:
    """Seconds from a message until it is back; `apart`: the cores of the two ends."""
    partner = _Partner(RECEIVERS[receiver])
    try:
        if apart is not None:
            place(*map(set, apart))
        return timed(partner.there_and_back, count)
    finally:
        partner.close()


_LINES = numbered("x = {}")


def compiled_and_run(count: int) -> list[float]:
    """Seconds to compile a short line that was never seen before, and to execute it."""
    names: dict[str, object] = {}
    seconds = []
    for _ in range(count):
        line = next(_LINES)
        began = now()
        exec(compile(line, "<cell>", "exec"), names)
        seconds.append(now() - began)
    return seconds


# --- texts ------------------------------------------------------------------------------------


def make_text(path: str, size: int, kind: str) -> int:
    """A file of so many bytes in the page cache; returns its size."""
    Path(path).write_bytes(kernels.text(size, kind))
    return Path(path).stat().st_size


def decoded(path: str) -> list[float]:
    """Seconds to make one `str` of a file; this process must have huge pages for malloc."""
    with Path(path).open("rb") as file:
        began = now()
        with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as whole:
            text = str(whole, "utf-8")
        seconds = now() - began
        del text
        return [seconds]


def written(size: int) -> list[float]:
    """Seconds to write so many bytes into a memfd."""
    data = memoryview(bytes(size))
    descriptor = os.memfd_create("floor")
    try:
        began = now()
        while data:
            data = data[os.write(descriptor, data) :]
        return [now() - began]
    finally:
        os.close(descriptor)


# --- code that only computes --------------------------------------------------------------------


def computed(kernel: str) -> list[float]:
    """Seconds of one kernel in a clean interpreter, `python -I -S`: the best of a few."""
    code = kernels.timed_source(kernel)
    run = subprocess.run(
        [*PYTHON, "-c", code], stdout=subprocess.PIPE, text=True, check=True, env={}
    )
    return [min(map(float, run.stdout.split()))]


# --- threads that wait --------------------------------------------------------------------------


def slept(count: int, seconds: float) -> list[float]:
    """Seconds until so many threads have each waited so long, at once."""
    began = now()
    poll = select.poll()
    threads = [threading.Thread(target=poll.poll, args=(seconds * 1000,)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [now() - began]


TASKS = {
    "spawn": spawn,
    "run": run,
    "spawned_tasks": spawned_tasks,
    "pingpong": pingpong,
    "compiled_and_run": compiled_and_run,
    "make_text": make_text,
    "decoded": decoded,
    "written": written,
    "computed": computed,
    "slept": slept,
}
