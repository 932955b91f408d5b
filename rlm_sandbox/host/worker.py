"""One worker: its init, and what is asked of it over the control socket.

A worker has one session process to begin with. Its checkpoints sleep until one is woken and becomes
a session process itself; all of them live behind the same wall and end with the init.
"""

from __future__ import annotations

import contextlib
import errno
import os
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
from rlm_sandbox.host.nursery import NURSERY, Breed
from rlm_sandbox.host.process import Death, ProcessGone, SessionProcess, death_of
from rlm_sandbox.host.undertaker import END_SECONDS, UNDERTAKER, Departed, gone
from rlm_sandbox.protocol import (
    FIRST_SESSION,
    AllowCpu,
    Allowed,
    AllowMemory,
    Born,
    Died,
    Drop,
    Failed,
    ForInit,
    FromInit,
    Permit,
    Prepare,
    Saved,
    Spawn,
    Wake,
    Woken,
    decode_from_init,
    encode,
)

START_SECONDS = 30.0
ANSWER_SECONDS = 10.0
"""How long the init may take to answer; a fork of a very large session takes a good part of one."""

CONTROL_BYTES = 16 * 1024

HEARD_KEPT = 200
"""Messages of the init that nobody has asked for yet."""

_Heard = tuple[FromInit, list[int]]


class Vanished(StartFailed):
    """It was killed from outside, or its zygote was, just when it was to start."""


class Worker:
    """A worker's processes. Sandboxes that are forks of each other share one; threads may too."""

    def __init__(self, breed: Breed, spawn: Spawn) -> None:
        """Raises StartFailed."""
        self._breed = breed
        self._listening = threading.Lock()
        self._heard: dict[tuple[type, int], _Heard] = {}
        self._sessions = self._checkpoints = FIRST_SESSION
        self._users = 1
        self._init = -1
        self._group: Group | None = None
        self._oom_kills = 0
        self._limits = spawn.limits
        NURSERY.tier(breed)  # raises one's zygote
        self.held = NURSERY.held(breed)
        """Bytes of text in its memory that are its zygote's."""
        spawn = _with_room(spawn, self.held)
        self._control, control = _socket_pair(socket.SOCK_SEQPACKET)
        ours = None
        try:
            with control:
                ours, theirs = _socket_pair(socket.SOCK_STREAM)
                self._control.send(encode(spawn))
                with theirs:
                    NURSERY.spawn(breed, self._place(breed), control, theirs)
            self.first = self._await_birth(ours)
        except BaseException as error:
            if ours is not None:
                ours.close()
            self._end()
            if isinstance(error, OSError):
                raise StartFailed(f"the worker cannot be started: {_explained(error)}") from None
            raise

    def _place(self, breed: Breed) -> Prepare:
        """Where it is to be: with a control group of its own, where there are any."""
        if Layer.CGROUP not in NURSERY.layers(breed):
            NURSERY.take_cradle(breed, self._limits)
            return Prepare(self._limits.tmp_bytes)
        try:
            cradle = NURSERY.take_cradle(breed, self._limits)
            self._group = cradle.group if cradle is not None else None
            if self._group is None:
                self._group = GROUPS.take(self._limits)
            else:
                self._group.limit(*rlimits.group(self._limits))
            self._oom_kills = self._group.oom_kills()
        except OSError as error:
            raise StartFailed(f"the worker's control group cannot be set up: {error}") from None
        return Prepare(self._limits.tmp_bytes, self._group.name)

    def _await_birth(self, ours: socket.socket) -> SessionProcess:
        self._control.settimeout(START_SECONDS)
        try:
            message, descriptors = self._receive()
        except TimeoutError:
            raise StartFailed(f"no worker came up within {START_SECONDS:.0f} s") from None
        except OSError:
            raise Vanished("the worker did not start: its init ended without a word") from None
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

    def prepare_next(self) -> None:
        """Have the place for another worker like this one made ready, while this one works."""
        NURSERY.prepare(self._breed, self._limits)

    # --- what can be asked of it ----------------------------------------------------------------

    def allow_memory(self, process: SessionProcess, memory: int) -> None:
        """Let a session process allocate up to `memory` bytes from now on.

        One that holds more already, and cannot be made to give it back, is ended.
        Its init does it: where the worker has a user id of its own, even root may be refused.
        """
        if self._group is not None:
            # what the zygote holds is the zygote's; code that changes it makes it its own
            own = memory - self.held
            try:
                self._group.limit_memory(rlimits.group_memory(self._limits, own))
            except OSError as error:
                if error.errno != errno.EBUSY:
                    raise
                process.kill()
        if self._ask(AllowMemory(process.number, memory)):
            self._answer(Allowed, process.number)

    def allow_cpu(self, process: SessionProcess, seconds: int) -> None:
        """Have a session process ended once it has used so many CPU seconds in all: a backstop."""
        self._ask(AllowCpu(process.number, seconds))

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
            gone(self._init, END_SECONDS)
            return "it did not come to rest"
        return answer[0].failure

    def forget_saved(self, checkpoint: int) -> None:
        """What `saved` has said is known: until then it can be asked again."""
        with self._listening:
            self._heard.pop((Saved, checkpoint), None)

    def wake(self, checkpoint: int) -> SessionProcess | None:
        """Let a checkpoint go on as a session process; None if it is not there any more.

        One that does not get up, or whose process cannot be held, is ended: nobody would watch it.
        Raises OSError if this process has no descriptors left for it.
        """
        with self._listening:
            self._sessions += 1
            number = self._sessions
        ours, theirs = socket.socketpair()
        process = None
        try:
            with theirs:
                asked = self._ask(Wake(checkpoint, number), [theirs.fileno()])
            answer = self._answer(Woken, number) if asked else None
            if answer is not None and answer[1]:
                process = SessionProcess(number, answer[1][0], ours)
        except ProcessGone:
            pass
        finally:
            if process is None:
                self.drop(checkpoint)
                ours.close()
        return process

    def drop(self, checkpoint: int) -> None:
        """End a checkpoint."""
        self._ask(Drop(checkpoint))

    def death(self, session: int) -> Death | None:
        """How a session process ended, or None if its init does not know."""
        answer = self._answer(Died, session)
        died = answer[0] if answer is not None else None
        if not isinstance(died, Died) or died.status is None:
            return None
        return death_of(
            died.status,
            out_of_memory=self._ran_out_of_memory(),
            cpu_seconds=died.cpu_seconds,
            peak_memory=died.peak_memory,
        )

    def _ran_out_of_memory(self) -> bool:
        """True if the kernel has killed for memory since this was asked last."""
        if self._group is None:
            return False
        before = self._oom_kills
        with contextlib.suppress(OSError):  # no descriptor is left to read it with
            self._oom_kills = self._group.oom_kills()
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
                self._keep(heard)
            return self._heard[wanted] if kind is Saved else self._heard.pop(wanted)

    def _keep(self, heard: _Heard) -> None:
        """Until it is asked for; not for ever, since nobody asks how a killed process died."""
        self._heard[_subject(heard[0])] = heard
        if len(self._heard) > HEARD_KEPT:
            _close_all(self._heard.pop(next(iter(self._heard)))[1])

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
        with contextlib.suppress(OSError):  # it is disconnected already
            self._control.shutdown(socket.SHUT_RDWR)  # whoever else holds a copy of our end
        self._control.close()  # which tells the init to kill what it has and to leave
        init, self._init = self._init, -1
        group, self._group = self._group, None
        while self._heard:
            _close_all(self._heard.popitem()[1][1])
        if init >= 0:
            UNDERTAKER.take(Departed(init, group))
        elif group is not None:
            GROUPS.give_back(group)


def _with_room(spawn: Spawn, held: int) -> Spawn:
    """The same, where so many bytes that the worker starts with are not the code's."""
    if held == 0:
        return spawn
    limits = msgspec.structs.replace(spawn.limits, memory=spawn.limits.memory + held)
    return msgspec.structs.replace(spawn, limits=limits)


def _subject(message: FromInit) -> tuple[type, int]:
    """What a message is about, so that it is found by whoever asks for it."""
    match message:
        case Died(session=number) | Woken(session=number) | Allowed(session=number):
            return type(message), number
        case Saved(checkpoint=number):
            return Saved, number
        case _:
            return type(message), 0


def _socket_pair(kind: socket.SocketKind) -> tuple[socket.socket, socket.socket]:
    try:
        return socket.socketpair(socket.AF_UNIX, kind)
    except OSError as error:
        raise StartFailed(f"the worker cannot be started: {_explained(error)}") from None


def _explained(error: OSError) -> str:
    """The error, and what helps."""
    if error.errno in {errno.EMFILE, errno.ENFILE}:
        return f"{error.strerror} in this process: raise `ulimit -n`"
    return str(error)


def _close_all(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
