"""The init's answers to what a session process may not do by itself: fork, signal, sleep.

Nothing a session process asks for is believed but what the kernel says of it: its process id and
the registers of its call. It may signal itself. It may fork once when the controller, having seen
its step end, has permitted that; the fork must then lie down to sleep, and is stopped, so that no
process runs but those the controller has woken. The session process is stopped with it: between
two steps nothing of it runs, whatever threads the step has left.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import time
from dataclasses import dataclass

from rlm_sandbox.confine import libc, notify, syscalls
from rlm_sandbox.confine.notify import Question
from rlm_sandbox.confine.seccomp import RENDEZVOUS
from rlm_sandbox.protocol import Permit, Wake
from rlm_sandbox.worker import checkpoint

SECONDS_TO_LIE_DOWN = 8.0
"""How long a permitted fork may take to sleep; one that takes longer has been taken over."""


ORPHAN_SECONDS = 0.1
"""The same for one whose parent has died in the meantime: it may have died in the midst of it."""


@dataclass(frozen=True)
class Process:
    """A session process, as its init knows it."""

    pid: int
    pidfd: int


@dataclass
class Sleeper:
    """A checkpoint's process. While it is stopped it asks nothing; waking it asks again."""

    pid: int
    pidfd: int
    waking: tuple[Wake, int] | None = None
    """As what to go on, and with which descriptor."""


@dataclass(frozen=True)
class Asleep:
    """The fork that was permitted sleeps, or there is none, for this reason."""

    permit: Permit
    failure: str | None


@dataclass(frozen=True)
class Awake:
    """A checkpoint goes on as a session process."""

    wake: Wake
    process: Process


@dataclass(frozen=True)
class Lost:
    """A checkpoint that was to be woken is dead."""

    wake: Wake


News = Asleep | Awake | Lost


class Gate:
    """Decides for the session processes of one worker, given by number.

    Several of them may have a permit at once, but only one fork at a time is on its way to sleep:
    the kernel names the process that lies down and not the one that forked it.
    """

    def __init__(self, listener: int, sessions: dict[int, Process], poll: select.poll) -> None:
        """`poll` is told of every checkpoint, whose deaths go to `lost`."""
        self.listener = listener
        self._sessions = sessions
        self._poll = poll
        self._permits: dict[int, Permit] = {}  # by session
        self._expiries: dict[int, float] = {}  # by checkpoint, until it sleeps
        self._forked: Permit | None = None
        self._deferred: list[Question] = []
        self._sleepers: dict[int, Sleeper] = {}
        self._awake: dict[int, int] = {}  # by checkpoint, the session that it has become
        machine = os.uname().machine
        self._rendezvous = syscalls.number(RENDEZVOUS, machine)
        self._tgkill = syscalls.number("tgkill", machine)
        self._signals = {syscalls.number("kill", machine), self._tgkill}

    def permit(self, permit: Permit) -> Asleep | None:
        """Let the next fork of this session process through; one that has ended will not fork."""
        if permit.session not in self._sessions:
            return Asleep(permit, "the session process had ended")
        self._permits[permit.session] = permit
        self._expiries[permit.checkpoint] = time.monotonic() + SECONDS_TO_LIE_DOWN
        return None

    @property
    def seconds_left(self) -> float | None:
        """Until a permitted fork must sleep; None if there is none under way."""
        if not self._expiries:
            return None
        return max(min(self._expiries.values()) - time.monotonic(), 0.0)

    def wake(self, wake: Wake, descriptor: int) -> bool:
        """Have a checkpoint ask again; its call is then answered with the descriptor."""
        sleeper = self._sleepers.get(wake.checkpoint)
        if sleeper is None or sleeper.waking is not None:
            os.close(descriptor)
            return False
        sleeper.waking = (wake, descriptor)
        _signal(sleeper.pidfd, signal.SIGCONT)
        return True

    def drop(self, number: int) -> None:
        """End a checkpoint, or the session process that it has become: nobody knows of that."""
        sleeper = self._sleepers.pop(number, None)
        if sleeper is not None:
            _signal(sleeper.pidfd, signal.SIGKILL)
            self._forget_sleeper(sleeper)
        elif (process := self._sessions.get(self._awake.get(number, -1))) is not None:
            _signal(process.pidfd, signal.SIGKILL)

    def lost(self, pidfd: int) -> Lost | None:
        """A checkpoint's process has died, if this is one: it cannot be woken any more."""
        for number, sleeper in self._sleepers.items():
            if sleeper.pidfd == pidfd:
                del self._sleepers[number]
                self._forget_sleeper(sleeper)
                return Lost(sleeper.waking[0]) if sleeper.waking else None
        return None

    def _forget_sleeper(self, sleeper: Sleeper) -> None:
        self._poll.unregister(sleeper.pidfd)
        os.close(sleeper.pidfd)
        if sleeper.waking is not None:
            os.close(sleeper.waking[1])

    def forget(self, session: int) -> Asleep | None:
        """A session process has ended: it will not fork any more. A fork it has made may come."""
        self._awake = {number: other for number, other in self._awake.items() if other != session}
        permit = self._permits.get(session)
        if permit is not None:
            return self._settle(permit, "the session process ended")
        if self._forked is not None and self._forked.session == session:
            self._expiries[self._forked.checkpoint] = time.monotonic() + ORPHAN_SECONDS
        return None

    @property
    def orphaned(self) -> bool:
        """True if the fork on its way, which may not have come about, has no parent any more."""
        return self._forked is not None and self._forked.session not in self._sessions

    def give_up(self) -> Asleep:
        """Expect the orphaned fork no longer. It must not be there any more."""
        assert self._forked is not None
        return self._settle(self._forked, "the session process ended")

    @property
    def known(self) -> set[int]:
        """The process ids of all sessions and checkpoints."""
        return {
            *(process.pid for process in self._sessions.values()),
            *(sleeper.pid for sleeper in self._sleepers.values()),
        }

    def answer(self) -> News | None:
        """Answer the question that has made the listener readable; what came of it, if anything."""
        question = notify.receive(self.listener)
        if question is None:
            return None
        if question.number == self._rendezvous:
            return self._meet(question)
        if question.number in self._signals:
            self._decide(question, allowed=self._to_itself(question))
        else:
            self._answer_fork(question)
        return None

    def _decide(self, question: Question, *, allowed: bool) -> None:
        if allowed:
            notify.let_through(self.listener, question)
        else:
            notify.refuse(self.listener, question, errno.EPERM)

    def _to_itself(self, question: Question) -> bool:
        """kill(2) and tgkill(2) name the process first; signal 0 tells whose thread is asking."""
        target = question.arguments[0]
        if all(process.pid != target for process in self._sessions.values()):
            return False
        try:
            libc.syscall(self._tgkill or 0, target, question.thread, 0, name="tgkill")
        except OSError:
            return False
        return True

    def _session_of(self, question: Question) -> int | None:
        """The session whose main thread is asking."""
        for session, process in self._sessions.items():
            if process.pid == question.thread:
                return session
        return None

    def _answer_fork(self, question: Question) -> None:
        """Once a permit, in the main thread of the session process that it is for."""
        session = self._session_of(question)
        permit = None if session is None else self._permits.get(session)
        if permit is not None and self._forked is not None:
            self._deferred.append(question)  # until the one on its way sleeps
            return
        if permit is not None:
            del self._permits[permit.session]
            self._forked = permit
        self._decide(question, allowed=permit is not None)

    def _meet(self, question: Question) -> News | None:
        """A process lies down as a checkpoint, or is to get up again, or could not fork one."""
        state, error = question.arguments[:2]
        if state == checkpoint.NOT_FORKED:
            return self._not_forked(question, error)
        for number, sleeper in self._sleepers.items():
            if sleeper.pid == question.thread and sleeper.waking is not None:
                return self._get_up(question, number, sleeper, sleeper.waking)
        return self._lie_down(question)

    def _not_forked(self, question: Question, error: int) -> Asleep | None:
        notify.refuse(self.listener, question, errno.EAGAIN)
        session = self._session_of(question)
        if session is None:
            return None
        permit = self._permits.get(session)
        if permit is None and self._forked is not None and self._forked.session == session:
            permit = self._forked
        return None if permit is None else self._settle(permit, os.strerror(error))

    def _lie_down(self, question: Question) -> Asleep | None:
        permit = self._forked
        try:
            if permit is None or self._session_of(question) is not None:
                raise ProcessLookupError
            pidfd = os.pidfd_open(question.thread)  # fails for a thread that is no process
        except OSError:
            notify.refuse(self.listener, question, errno.EPERM)
            return None
        _signal(pidfd, signal.SIGSTOP)
        self._sleepers[permit.checkpoint] = Sleeper(question.thread, pidfd)
        self._poll.register(pidfd, select.POLLIN)
        if permit.replaces is not None:
            self.drop(permit.replaces)
        return self._settle(permit, None)

    def _settle(self, permit: Permit, failure: str | None) -> Asleep:
        """A permit is used up. Its session stands still until the controller has it go on."""
        self._permits.pop(permit.session, None)
        self._expiries.pop(permit.checkpoint, None)
        if (process := self._sessions.get(permit.session)) is not None:
            _signal(process.pidfd, signal.SIGSTOP)
        if self._forked is permit:
            self._forked = None
            deferred, self._deferred = self._deferred, []
            for question in deferred:
                self._answer_fork(question)
        return Asleep(permit, failure)

    def _get_up(
        self, question: Question, number: int, sleeper: Sleeper, waking: tuple[Wake, int]
    ) -> Awake:
        wake, descriptor = waking
        given = notify.give_descriptor(self.listener, question, descriptor)
        os.close(descriptor)
        del self._sleepers[number]
        self._awake[number] = wake.session
        if not given:
            _signal(sleeper.pidfd, signal.SIGKILL)
        return Awake(wake, Process(sleeper.pid, sleeper.pidfd))


def _signal(pidfd: int, number: signal.Signals) -> None:
    try:
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:  # it was killed from outside
        return
