"""What is looked at from outside while a hostile program runs, and afterwards."""

from __future__ import annotations

import contextlib
import os
import resource
import threading
import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rlm_sandbox.audit import seal
from rlm_sandbox.audit.program import Aim, Program
from rlm_sandbox.audit.stage import Names, processes_named
from rlm_sandbox.errors import SandboxError
from rlm_sandbox.limits import Limits
from rlm_sandbox.result import ExecResult
from rlm_sandbox.sandbox import Sandbox

PATIENCE_SECONDS = 15.0
"""How long beyond its own limit a step may take to come back; then the sandbox is closed."""

SURVIVAL_SECONDS = 10.0
"""How long after the close of its sandbox a process may take to disappear."""

LOOK_SECONDS = 0.2

GROWTH_BYTES = 96 * 1024 * 1024
"""By how much one program may make this process grow: its values, decoded, and the allocator."""

MEMORY_SLACK_BYTES = 96 * 1024 * 1024
"""The interpreter itself, and what a page fault hands out between two looks of the watch."""

SECONDS_SLACK = 1.5

_REPLY = b"x" * 900_000


@dataclass
class Trial:
    """What was seen of one run."""

    names: Names
    outcome: str = ""
    findings: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    """Everything that came from inside."""
    result: ExecResult | None = None

    def heard(self, text: object) -> str:
        """A host function: keeps what it was told, and says it back."""
        self.texts.append(str(text)[:10_000])
        return "heard"

    def big(self) -> bytes:
        """A host function whose reply fills the socket."""
        return _REPLY


@contextlib.contextmanager
def saviour(box: Sandbox, program: Program, trial: Trial) -> Generator[None]:
    """Note what a step must not do to its caller: raise, or not come back."""

    def save() -> None:
        trial.findings.append("controller: the step did not come back in time")
        box.close()

    timer = threading.Timer(program.limits.step_seconds + PATIENCE_SECONDS, save)
    timer.start()
    try:
        yield
    except SandboxError:
        raise
    except Exception as error:  # noqa: BLE001 - exec never raises for what the code does
        trial.outcome = type(error).__name__
        trial.findings.append(f"controller: exec raised {type(error).__name__}: {error}")
    finally:
        timer.cancel()
        timer.join()


@contextlib.contextmanager
def marks_seen(program: Program, trial: Trial) -> Generator[None]:
    """Look for marked processes while the step runs: what becomes one may end with it."""
    if program.aim is not Aim.PROCESS:
        yield
        return
    over = threading.Event()

    def look() -> None:
        seen = set(processes_named(trial.names.mark))
        while not over.wait(LOOK_SECONDS):
            seen |= set(processes_named(trial.names.mark))
        seen |= set(processes_named(trial.names.mark))  # what the step has left
        trial.findings += [f"process: {pid} bore the mark" for pid in seen]

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def go_on(box: Sandbox, trial: Trial) -> None:
    """Use the session as if nothing had happened: what it says may be wrong, but must come."""
    uses = (
        lambda: box.set("probe", "x" * 300_000),
        lambda: box.get("loot"),
        box.describe,
        lambda: box.exec("print('here')").stdout,
    )
    for use in uses:
        try:
            trial.texts.append(_shown(use()))
        except SandboxError:
            continue
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            trial.findings.append(f"controller: afterwards {type(error).__name__}: {error}")


def _shown(value: object) -> str:
    """Text of a value, which may hold numbers that are too long to print."""
    try:
        return str(value)[:100_000]
    except ValueError:
        return "(too long)"


def seals(name: str) -> dict[int, seal.Seal]:
    seals = {}
    for pid in processes_named(name):
        with contextlib.suppress(OSError):
            seals[pid] = seal.take(pid)
    return seals


def watch_idle(program: Program, trial: Trial) -> None:
    """A session that nobody uses may not go on working for ever."""
    before = _cpu_seconds(trial.names.process)
    time.sleep(program.idle_seconds)
    used = _cpu_seconds(trial.names.process) - before
    if used > program.limits.cpu_seconds + SECONDS_SLACK / 2:
        trial.findings.append(f"usage: {used:.1f} s of CPU after its step")


def _cpu_seconds(name: str) -> float:
    seconds = 0.0
    for pid in processes_named(name):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
            seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return seconds


def excess(result: ExecResult, limits: Limits) -> list[str]:
    """What the kernel has measured beyond the limits."""
    found = []
    if result.peak_memory > limits.memory + MEMORY_SLACK_BYTES:
        found.append(f"usage: {result.peak_memory >> 20} MiB of memory")
    if result.cpu_seconds > limits.cpu_seconds + SECONDS_SLACK / 2:
        found.append(f"usage: {result.cpu_seconds:.1f} s of CPU")
    if result.wall_seconds > limits.step_seconds + SECONDS_SLACK:
        found.append(f"usage: {result.wall_seconds:.1f} s of time")
    if len(result.stdout) > limits.output_chars + 100:
        found.append(f"usage: {len(result.stdout)} characters of output")
    return found


def survivors(names: Names) -> list[str]:
    """Processes of a program that are there when its sandbox has been closed."""
    deadline = time.monotonic() + SURVIVAL_SECONDS
    while left := processes_named(names.process, names.mark):
        if time.monotonic() > deadline:
            end(left)
            return [f"process: {pid} has survived its sandbox" for pid in left]
        time.sleep(0.01)
    return []


def alive(pids: Iterable[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def end(pids: Iterable[int]) -> None:
    """Kill what a program has left: only processes that bear its mark are here."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, 9)


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
