"""One session process as the kernel shows it: metered, signalled, held by pidfd.

What is measured here comes from the kernel, not from the worker. A signal never reaches a stranger
that was given a recycled process id.
"""

from __future__ import annotations

import contextlib
import math
import os
import resource
import select
import signal
import socket
import threading
import time
from dataclasses import dataclass

from rlm_sandbox.confine.kernel_files import told

_PAGE = resource.getpagesize()
_PROCESS_CPU_CLOCK = 2  # CPUCLOCK_SCHED, for the whole process: <linux/posix-timers.h>

GLIMPSE_SECONDS = 0.0003
"""So short a step takes some megabytes at most and gives them back: in its result they are left
out."""


@dataclass(frozen=True)
class Death:
    """How a session process ended. `signal` is 0 if it exited by itself, with `exit_code`."""

    signal: int
    exit_code: int
    out_of_memory: bool = False
    """The kernel killed it because the worker's control group held too much."""
    cpu_seconds: float = 0.0
    """All that it had used in its life, as the kernel counts it."""
    peak_memory: int = 0
    """Its largest resident set, in bytes."""


class ProcessGone(Exception):
    """The process ended before it could be looked at."""


class SessionProcess:
    """A process that runs the user's code, and the socket that leads to it."""

    def __init__(self, number: int, pidfd: int, sock: socket.socket) -> None:
        """Takes over the descriptor and the socket. Raises ProcessGone."""
        self.number = number
        self.socket = sock
        self._pidfd = pidfd
        self._statm = self._status = -1
        self._peak = 0  # as far as it is known
        self._peak_is_known = False
        self._closing = threading.Lock()  # another thread may signal it just then
        try:
            self.pid = _pid_of(pidfd)
            self._statm = os.open(f"/proc/{self.pid}/statm", os.O_RDONLY | os.O_CLOEXEC)
            self._status = os.open(f"/proc/{self.pid}/status", os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, ProcessGone):
            self.close()
            raise ProcessGone from None
        except BaseException:
            self.close()
            raise
        self._cpu_clock = (~self.pid << 3) | _PROCESS_CPU_CLOCK  # as clock_getcpuclockid(3) does

    @property
    def closed(self) -> bool:
        """True once its descriptors were given back."""
        return self._pidfd < 0

    def cpu_seconds(self) -> float:
        """CPU time of all threads so far. Raises OSError when the process is gone."""
        return time.clock_gettime(self._cpu_clock)

    def resident_bytes(self) -> int:
        """Memory that it has in use now; 0 when it is gone."""
        try:
            fields = os.pread(self._statm, 128, 0).split()
        except OSError:
            return 0
        return int(fields[1]) * _PAGE if fields else 0

    def peak_bytes(self, seconds: float = math.inf) -> int:
        """Its largest resident set so far; when it is gone 0, or what was known of it.

        If it has run for only so few `seconds` since this was asked last, what it holds now is
        looked at instead: to ask the kernel takes longer than a short step.
        """
        if seconds < GLIMPSE_SECONDS and self._peak_is_known:
            self._peak = max(self._peak, self.resident_bytes())
            return self._peak
        try:
            status = os.pread(self._status, 4096, 0)
        except OSError:
            return 0
        # from the line's start: the code chooses its own name, which comes first
        _, _, rest = status.partition(b"\nVmHWM:")
        peak = int(rest.split(maxsplit=1)[0]) * 1024 if rest else 0
        self._peak = max(self._peak, peak)
        self._peak_is_known = True
        return peak

    def ran(self) -> None:
        """It was set going without its peak being asked for: what is known of that is old."""
        self._peak_is_known = False

    def queued_seconds(self) -> float:
        """How long its first thread has waited for a processor so far; 0 if that is not told."""
        try:
            times = told(f"/proc/{self.pid}/schedstat").split()
        except OSError:  # it is gone, or the kernel keeps no such account
            return 0.0
        return int(times[1]) / 1e9 if len(times) == 3 else 0.0

    def has_spoken(self) -> bool:
        """True if there is something to be read on its socket, or its end."""
        poll = select.poll()
        try:
            poll.register(self.socket, select.POLLIN)
        except ValueError:  # it was closed
            return False
        return bool(poll.poll(0))

    def interrupt(self) -> None:
        """Ask the code to stop: it can refuse."""
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        """End it, whatever it does."""
        self._signal(signal.SIGKILL)

    def pause(self) -> None:
        """Stop it where it is, with all its threads, until it is told to go on."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let a paused process run again."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        with self._closing, contextlib.suppress(ProcessLookupError):  # it has ended by itself
            if self._pidfd >= 0:
                signal.pidfd_send_signal(self._pidfd, number)

    def hang_up(self) -> None:
        """End the talk on its socket, whoever holds the other side; what came can be read."""
        with contextlib.suppress(OSError):  # it is disconnected already
            self.socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give back the socket and the descriptors; the process sees the end of its socket."""
        self.hang_up()
        self.socket.close()
        with self._closing:
            descriptors = (self._pidfd, self._statm, self._status)
            self._pidfd = self._statm = self._status = -1
        for descriptor in descriptors:
            if descriptor >= 0:
                os.close(descriptor)


def death_of(
    status: int, *, out_of_memory: bool, cpu_seconds: float = 0.0, peak_memory: int = 0
) -> Death:
    """What a status of `os.waitpid` says, with what the kernel measured."""
    code = os.waitstatus_to_exitcode(status)
    killed = -code == signal.SIGKILL
    return Death(max(-code, 0), max(code, 0), killed and out_of_memory, cpu_seconds, peak_memory)


def _pid_of(pidfd: int) -> int:
    """The process id that a pidfd from another pid namespace has in ours (proc_pid_fdinfo(5))."""
    _, _, rest = told(f"/proc/self/fdinfo/{pidfd}").partition(b"\nPid:")
    pid = int(rest.split(maxsplit=1)[0]) if rest else -1
    if pid <= 0:
        raise ProcessGone
    return pid
