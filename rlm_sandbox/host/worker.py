"""One worker: its init, and what is asked of it over the control socket.

A worker has one session process to begin with. Its checkpoints sleep until one is woken and becomes
a session process itself; all of them live behind the same wall and end with the init.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Sequence

import msgspec

from rlm_sandbox.confine import rlimits
from rlm_sandbox.confine.cgroups import Group
from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.errors import StartFailed
from rlm_sandbox.host.groups import GROUPS
from rlm_sandbox.host.process import Death, ProcessGone, SessionProcess, death_of
from rlm_sandbox.host.zygote import NURSERY, Breed
from rlm_sandbox.protocol import (
    FIRST_SESSION,
    Allowed,
    AllowMemory,
    Born,
    Died,
    Drop,
    Failed,
    ForInit,
    FromInit,
    Permit,
    Saved,
    Spawn,
    Wake,
    Woken,
    decode_from_init,
    encode,
)

START_SECONDS = 30.0
END_SECONDS = 5.0
"""How long an ended worker may take to disappear before it is killed by force."""

ANSWER_SECONDS = 10.0
"""How long the init may take to answer; a fork of a very large session takes a good part of one."""

CONTROL_BYTES = 16 * 1024

_Heard = tuple[FromInit, list[int]]


class Worker:
    """A worker's processes. Sandboxes that are forks of each other share one; threads may too."""

    def __init__(self, breed: Breed, spawn: Spawn) -> None:
        """Raises StartFailed."""
        self._control, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours, theirs = socket.socketpair()
        self._listening = threading.Lock()
        self._heard: dict[tuple[type, int], _Heard] = {}
        self._sessions = self._checkpoints = FIRST_SESSION
        self._users = 1
        self._init = -1
        self._group: Group | None = None
        self._oom_kills = 0
        try:
            with control, theirs:
                NURSERY.spawn(breed, self._in_group(breed, spawn), control, theirs)
            self.first = self._await_birth(ours)
        except BaseException:
            ours.close()
            self._end()
            raise

    def _in_group(self, breed: Breed, spawn: Spawn) -> Spawn:
        """The same with a control group of its own, where there are any."""
        if Layer.CGROUP not in NURSERY.layers(breed):
            return spawn
        try:
            self._group = GROUPS.take(spawn.limits)
            self._oom_kills = self._group.oom_kills()
        except OSError as error:
            raise StartFailed(f"the worker's control group cannot be set up: {error}") from None
        return msgspec.structs.replace(spawn, group=self._group.name)

    def _await_birth(self, ours: socket.socket) -> SessionProcess:
        self._control.settimeout(START_SECONDS)
        try:
            message, descriptors = self._receive()
        except TimeoutError:
            raise StartFailed(f"no worker came up within {START_SECONDS:.0f} s") from None
        except OSError:
            message, descriptors = Failed("its init ended without a word"), []
        if isinstance(message, Failed):
            raise StartFailed(f"the worker did not start: {message.reason}")
        if not isinstance(message, Born) or len(descriptors) != 2:
            _close_all(descriptors)
            raise StartFailed("out of file descriptors in this process: raise `ulimit -n`")
        self._init, session = descriptors
        try:
            return SessionProcess(FIRST_SESSION, session, ours)
        except ProcessGone:
            reason = self._answer(Failed, 0)
            why = reason[0].reason if reason and isinstance(reason[0], Failed) else "it ended"
            raise StartFailed(f"the worker did not start: {why}") from None

    # --- what can be asked of it ----------------------------------------------------------------

    def allow_memory(self, process: SessionProcess, memory: int) -> None:
        """Let a session process allocate up to `memory` bytes from now on.

        Its init does it: where the worker has a user id of its own, even root may be refused.
        """
        if self._group is not None:
            self._group.limit_memory(memory + rlimits.INTERPRETER_BYTES)
        if self._ask(AllowMemory(process.number, memory)):
            self._answer(Allowed, process.number)

    def permit(self, process: SessionProcess, *, replaces: int | None) -> int:
        """Let this process, whose step has ended, fork a checkpoint; returns its number."""
        with self._listening:
            self._checkpoints += 1
            number = self._checkpoints
        self._ask(Permit(process.number, number, replaces))
        return number

    def saved(self, checkpoint: int) -> str | None:
        """Wait until a checkpoint that was permitted sleeps; else returns why there is none.

        A fork that neither sleeps nor ends is one that hostile code has taken over: it would run
        on beside every step, and nobody would meter it. The worker is ended with it.
        """
        answer = self._answer(Saved, checkpoint)
        if answer is None or not isinstance(answer[0], Saved):
            with contextlib.suppress(OSError):  # the init has ended already
                self._control.shutdown(socket.SHUT_RDWR)
            _gone(self._init, END_SECONDS)
            return "it did not come to rest"
        return answer[0].failure

    def wake(self, checkpoint: int) -> SessionProcess | None:
        """Let a checkpoint go on as a session process; None if it is not there any more."""
        with self._listening:
            self._sessions += 1
            number = self._sessions
        ours, theirs = socket.socketpair()
        with theirs:
            asked = self._ask(Wake(checkpoint, number), [theirs.fileno()])
        answer = self._answer(Woken, number) if asked else None
        if answer is None or not answer[1]:
            ours.close()
            return None
        try:
            return SessionProcess(number, answer[1][0], ours)
        except ProcessGone:
            return None

    def drop(self, checkpoint: int) -> None:
        """End a checkpoint."""
        self._ask(Drop(checkpoint))

    def death(self, session: int) -> Death | None:
        """How a session process ended, or None if its init does not know."""
        answer = self._answer(Died, session)
        if answer is None or not isinstance(answer[0], Died) or answer[0].status is None:
            return None
        return death_of(answer[0].status, out_of_memory=self._ran_out_of_memory())

    def _ran_out_of_memory(self) -> bool:
        """True if the kernel has killed for memory since this was asked last."""
        if self._group is None:
            return False
        before, self._oom_kills = self._oom_kills, self._group.oom_kills()
        return self._oom_kills > before

    # --- the control socket ---------------------------------------------------------------------

    def _ask(self, message: ForInit, descriptors: Sequence[int] = ()) -> bool:
        """False if the init is gone: whoever uses a session socket next finds out."""
        try:
            socket.send_fds(self._control, [encode(message)], descriptors)
        except OSError:
            return False
        return True

    def _answer(self, kind: type, number: int) -> _Heard | None:
        """The init's message of this kind about this number; None if it does not come in time."""
        wanted = (kind, number)
        deadline = time.monotonic() + ANSWER_SECONDS
        with self._listening:
            while wanted not in self._heard:
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                self._control.settimeout(left)
                try:
                    heard = self._receive()
                except OSError:
                    return None
                self._heard[_subject(heard[0])] = heard
            return self._heard.pop(wanted)

    def _receive(self) -> _Heard:
        data, descriptors, _, _ = socket.recv_fds(self._control, CONTROL_BYTES, 2)
        if not data:
            raise ConnectionResetError
        return decode_from_init(data), descriptors

    # --- its end --------------------------------------------------------------------------------

    def share(self) -> None:
        """One sandbox more uses this worker."""
        with self._listening:
            self._users += 1

    def release(self) -> None:
        """A sandbox is done with it; with the last one, every process of the worker ends."""
        with self._listening:
            self._users -= 1
            last = self._users == 0
        if last:
            self._end()

    def _end(self) -> None:
        self._control.close()  # which tells the init to kill what it has and to leave
        if self._init >= 0:
            if not _gone(self._init, END_SECONDS):
                signal.pidfd_send_signal(self._init, signal.SIGKILL)
            os.close(self._init)
            self._init = -1
        for _, descriptors in self._heard.values():
            _close_all(descriptors)
        if self._group is not None:
            GROUPS.give_back(self._group)
            self._group = None


def _subject(message: FromInit) -> tuple[type, int]:
    """What a message is about, so that it is found by whoever asks for it."""
    match message:
        case Died(session=number) | Woken(session=number) | Allowed(session=number):
            return type(message), number
        case Saved(checkpoint=number):
            return Saved, number
        case _:
            return type(message), 0


def _close_all(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _gone(pidfd: int, seconds: float) -> bool:
    """True if the process ends within so many seconds."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
