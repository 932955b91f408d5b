"""A real worker on this host, told to break out: what reached the stage is judged from outside."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from rlm_sandbox.doctor.findings import Attempt
from rlm_sandbox.doctor.stage import Stage
from rlm_sandbox.limits import Limits
from rlm_sandbox.sandbox import Sandbox

STARTS = 5
SURVIVAL_SECONDS = 5.0
"""How long after the close of its sandbox a process may take to disappear."""
LIMITS = Limits(step_seconds=10, memory="256MiB")

_TRY = """
import os, socket, subprocess, ctypes, time
def attempt(act, *arguments):
    try:
        print(act(*arguments))
    except BaseException as error:
        print(type(error).__name__, error)
"""

_READ = """
attempt(lambda: open(canary).read())
attempt(lambda: os.read(os.open(canary, os.O_RDONLY), 100))
attempt(os.link, canary, "/tmp/link")
attempt(os.symlink, canary, "/tmp/symlink")
attempt(lambda: open("/tmp/symlink").read())
"""

_CHANGE = """
attempt(lambda: open(canary, "a").write("x"))
attempt(os.truncate, canary, 0)
attempt(os.chmod, canary, 0o777)
attempt(os.utime, canary, (1, 1))
attempt(os.rename, canary, canary + "-moved")
attempt(os.unlink, canary)
"""

_CONNECT = """
def send(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.connect(address)
        connection.sendall(b"out")
attempt(send, socket.AF_INET, ("127.0.0.1", port))
attempt(send, socket.AF_UNIX, chr(0) + abstract)
"""

_SIGNAL = """
attempt(os.kill, victim, 15)
attempt(ctypes.CDLL(None).kill, victim, 15)
"""

_RUN = """
attempt(os.system, f"echo out >> {canary}")
attempt(subprocess.run, ["/bin/sh", "-c", f"echo out >> {canary}"])
attempt(os.execv, "/bin/sh", ["sh", "-c", f"echo out >> {canary}"])
"""

_SPY = """
for name in ("environ", "cmdline", "maps"):
    attempt(lambda: open(f"/proc/{victim}/{name}", "rb").read())
attempt(lambda: dict(os.environ))
"""

_ANSWER = "import sys\nfor line in sys.stdin: print(flush=True)"

_SURVIVE = """
open("/proc/self/comm", "w").write(name) if os.path.exists("/proc/self/comm") else None
ctypes.CDLL(None).prctl(15, name.encode(), 0, 0, 0)
def survive():
    if os.fork() == 0:
        os.setsid()
        time.sleep(60)
attempt(survive)
"""


@dataclass
class Victim:
    """A process of the examiner's, with a secret in its environment, to be spied on and killed."""

    secret: str

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
            (sys.executable, "-I", "-S", "-c", _ANSWER),
            bufsize=0,
            env={"RLM_DOCTOR_SECRET": self.secret},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        return self

    @property
    def pid(self) -> int:
        return self._process.pid

    def lives(self) -> bool:
        """True if it answers: one that was killed may take a while to be dead, but never does."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(b"\n")
        except BrokenPipeError:
            return False
        return self._process.stdout.readline() == b"\n"

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()


class Trial:
    """Forbidden acts in one worker after the other."""

    def __init__(self, stage: Stage, isolation: str) -> None:
        self._stage = stage
        self._isolation = isolation

    def run(self) -> list[Attempt]:
        """Every act, and whether it was contained. Raises SandboxError if no worker starts."""
        stage = self._stage
        stage.visitors()  # those of before
        with Victim(stage.secret) as victim:
            acts: list[tuple[str, str, Callable[[str], bool]]] = [
                ("read a file", _READ, lambda said: stage.secret not in said),
                ("change a file", _CHANGE, lambda _: not stage.touched()),
                ("connect to a listener", _CONNECT, lambda _: not stage.visitors()),
                ("spy on a process", _SPY, lambda said: stage.secret not in said),
                ("signal a process", _SIGNAL, lambda _: victim.lives()),
                ("run a program", _RUN, lambda _: not stage.touched()),
            ]
            attempts = [self._attempt(*act, victim.pid) for act in acts]
        return [*attempts, self._survivor()]

    def _attempt(
        self, act: str, code: str, contained: Callable[[str], bool], victim: int
    ) -> Attempt:
        targets = self._stage.targets
        with Sandbox(isolation=self._isolation, imports="all", limits=LIMITS) as box:
            for name, value in {
                "canary": targets.canary,
                "port": targets.port,
                "abstract": targets.abstract,
                "victim": victim,
            }.items():
                box.set(name, value)
            result = box.exec(_TRY + code)
        said = " / ".join(result.stdout.split("\n")).strip(" /") or result.error or ""
        return Attempt(act, contained(result.stdout), said)

    def _survivor(self) -> Attempt:
        """A process that outlives its session would still bear the name that the code chose."""
        name = f"rlm-{self._stage.secret[:8]}"
        with Sandbox(isolation=self._isolation, imports="all", limits=LIMITS) as box:
            box.set("name", name)
            result = box.exec(_TRY + _SURVIVE)
        return Attempt("leave a process behind", not _survivors(name), result.stdout.strip())


def _survivors(name: str) -> list[int]:
    """Those of this name that are still there when all should have ended: closing does not wait."""
    deadline = time.monotonic() + SURVIVAL_SECONDS
    while (left := _processes(name)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left


def _processes(name: str) -> list[int]:
    """The process ids of all that bear this name."""
    found = []
    for comm in Path("/proc").glob("[0-9]*/comm"):
        try:
            if comm.read_text(errors="replace").strip() == name:
                found.append(int(comm.parent.name))
        except OSError:  # it ended while we looked
            continue
    return found


def start_seconds(isolation: str) -> float:
    """Median time from `Sandbox()` to the first result, of STARTS."""
    return statistics.median(_start_once(isolation) for _ in range(STARTS))


def _start_once(isolation: str) -> float:
    started = time.perf_counter()
    with Sandbox(isolation=isolation) as box:
        box.exec("1")
        return time.perf_counter() - started
