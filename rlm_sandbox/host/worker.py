"""One worker's processes as the kernel shows them: born, metered, signalled, dead.

What is measured here comes from the kernel, not from the worker. Processes are held by pidfd, so a
signal never reaches a stranger that was given a recycled process id.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from rlm_sandbox.errors import StartFailed
from rlm_sandbox.host.zygote import NURSERY, Breed
from rlm_sandbox.protocol import AllowMemory, Born, Died, Failed, Spawn, decode_from_init, encode

START_SECONDS = 30.0
END_SECONDS = 5.0
"""How long an ended worker may take to disappear before it is killed by force."""

CONTROL_BYTES = 16 * 1024
_PAGE = resource.getpagesize()


@dataclass(frozen=True)
class Death:
    """How the session process ended. `signal` is 0 if it exited by itself, with `exit_code`."""

    signal: int
    exit_code: int


class Worker:
    """A worker's init and session process."""

    def __init__(self, breed: Breed, spawn: Spawn) -> None:
        self._control, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket, session = socket.socketpair()
        self._descriptors: list[int] = []
        self._died: Died | None = None
        try:
            with control, session:
                NURSERY.spawn(breed, spawn, control, session)
            self._await_birth()
        except BaseException:
            self.close()
            raise

    def _await_birth(self) -> None:
        self._control.settimeout(START_SECONDS)
        try:
            data, descriptors, _, _ = socket.recv_fds(self._control, CONTROL_BYTES, 2)
        except TimeoutError:
            raise StartFailed(f"no worker came up within {START_SECONDS:.0f} s") from None
        self._descriptors += descriptors
        message = decode_from_init(data) if data else Failed("its init ended without a word")
        if isinstance(message, Failed):
            raise StartFailed(f"the worker did not start: {message.reason}")
        if not isinstance(message, Born) or len(descriptors) != 2:
            raise StartFailed("out of file descriptors in this process: raise `ulimit -n`")
        self._init, self._session = descriptors
        self.pid = _pid_of(self._session)
        self._cpu_clock = (
            ~self.pid << 3
        ) | 2  # CPUCLOCK_SCHED of a process: clock_getcpuclockid(3)
        self._statm = os.open(f"/proc/{self.pid}/statm", os.O_RDONLY | os.O_CLOEXEC)
        self._descriptors.append(self._statm)

    # --- meters ---------------------------------------------------------------------------------

    def cpu_seconds(self) -> float:
        """CPU time of all threads of the session process so far; raises OSError when it is gone."""
        return time.clock_gettime(self._cpu_clock)

    def resident_bytes(self) -> int:
        """Memory that the session process has in use now; 0 when it is gone."""
        try:
            fields = os.pread(self._statm, 128, 0).split()
        except ProcessLookupError:
            return 0
        return int(fields[1]) * _PAGE if fields else 0

    def peak_bytes(self) -> int:
        """Largest resident set of the session process so far; 0 when it is gone."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii", errors="replace")
        except OSError:
            return 0
        # from the line's start: the code chooses its own name, which comes first
        _, _, rest = status.partition("\nVmHWM:")
        return int(rest.split(maxsplit=1)[0]) * 1024 if rest else 0

    def allow_memory(self, memory: int) -> None:
        """Let the session process allocate up to `memory` bytes from now on.

        Its init does it: where the worker has a user id of its own, even root may be refused.
        """
        try:
            self._control.send(encode(AllowMemory(memory)))
        except OSError:  # the init is gone: whoever uses the session socket next finds out
            return
        self._hear()

    # --- ends -----------------------------------------------------------------------------------

    def interrupt(self) -> None:
        """Ask the code to stop: it can refuse."""
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        """End the session process, whatever it does."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        try:
            signal.pidfd_send_signal(self._session, number)
        except ProcessLookupError:  # it has ended by itself
            return

    def death(self) -> Death | None:
        """How the session process ended, or None if its init does not say within END_SECONDS."""
        if self._died is None:
            self._hear()
        if self._died is None:
            return None
        code = os.waitstatus_to_exitcode(self._died.status)
        return Death(signal=max(-code, 0), exit_code=max(code, 0))

    def _hear(self) -> None:
        """Wait for what the init has to say, END_SECONDS at most; keep the news of a death."""
        self._control.settimeout(END_SECONDS)
        try:
            data = self._control.recv(CONTROL_BYTES)
        except OSError:
            return
        message = decode_from_init(data) if data else None
        if isinstance(message, Died):
            self._died = message

    def close(self) -> None:
        """End every process of the worker and wait until they are gone."""
        self._control.close()  # which tells the init to kill what it has and to leave
        with contextlib.suppress(OSError):  # the other side may be closed already
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        if len(self._descriptors) >= 2 and not _gone(self._descriptors[0], END_SECONDS):
            for descriptor in self._descriptors[:2]:
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        while self._descriptors:
            os.close(self._descriptors.pop())


def _gone(pidfd: int, seconds: float) -> bool:
    """True if the process ends within so many seconds."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _pid_of(pidfd: int) -> int:
    """The process id that a pidfd from another pid namespace has in ours (proc_pid_fdinfo(5))."""
    for line in Path(f"/proc/self/fdinfo/{pidfd}").read_text(encoding="ascii").splitlines():
        key, _, value = line.partition(":")
        if key == "Pid" and int(value) > 0:
            return int(value)
    raise StartFailed("the worker ended while it started")
