"""The init's answers to what a session process may not do by itself: fork, signal, sleep.

Nothing a session process asks for is believed but what the kernel says of it: its process id and
the registers of its call. It may signal itself. It may fork once when the controller, having seen
its step end, has permitted that; the fork must then lie down to sleep, and is stopped, so that no
process runs but those the controller has woken.
"""

from __future__ import annotations

import errno
import os
import signal
from dataclasses import dataclass

from rlm_sandbox.confine import libc, notify, syscalls
from rlm_sandbox.confine.notify import Question
from rlm_sandbox.confine.seccomp import RENDEZVOUS
from rlm_sandbox.protocol import Permit, Wake
from rlm_sandbox.worker import checkpoint


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
    pid: int
    pidfd: int


class Gate:
    """Decides for the session processes of one worker, given by number and process id."""

    def __init__(self, listener: int, sessions: dict[int, int]) -> None:
        self.listener = listener
        self._sessions = sessions
        self._permit: Permit | None = None
        self._forked: Permit | None = None
        self._sleepers: dict[int, Sleeper] = {}
        machine = os.uname().machine
        self._rendezvous = syscalls.number(RENDEZVOUS, machine)
        self._tgkill = syscalls.number("tgkill", machine)
        self._signals = {syscalls.number("kill", machine), self._tgkill}

    def permit(self, permit: Permit) -> None:
        """Let the next fork of this session process through."""
        self._permit, self._forked = permit, None

    def wake(self, wake: Wake, descriptor: int) -> bool:
        """Have a checkpoint ask again; its call is then answered with the descriptor."""
        sleeper = self._sleepers.get(wake.checkpoint)
        if sleeper is None:
            return False
        sleeper.waking = (wake, descriptor)
        _signal(sleeper.pidfd, signal.SIGCONT)
        return True

    def drop(self, number: int) -> None:
        """End a checkpoint."""
        sleeper = self._sleepers.pop(number, None)
        if sleeper is not None:
            _signal(sleeper.pidfd, signal.SIGKILL)
            os.close(sleeper.pidfd)

    def forget(self, session: int) -> Asleep | None:
        """A session process has ended: what it was permitted will not come."""
        permit = self._permit or self._forked
        if permit is None or permit.session != session:
            return None
        self._permit = self._forked = None
        return Asleep(permit, "the session process ended")

    def answer(self) -> Asleep | Awake | None:
        """Answer the question that has made the listener readable; what came of it, if anything."""
        question = notify.receive(self.listener)
        if question is None:
            return None
        if question.number == self._rendezvous:
            return self._meet(question)
        if question.number in self._signals:
            allowed = self._to_itself(question)
        else:
            allowed = self._may_fork(question)
        if allowed:
            notify.let_through(self.listener, question)
        else:
            notify.refuse(self.listener, question, errno.EPERM)
        return None

    def _to_itself(self, question: Question) -> bool:
        """kill(2) and tgkill(2) name the process first; signal 0 tells whose thread is asking."""
        target = question.arguments[0]
        if target not in self._sessions.values():
            return False
        try:
            libc.syscall(self._tgkill or 0, target, question.thread, 0, name="tgkill")
        except OSError:
            return False
        return True

    def _may_fork(self, question: Question) -> bool:
        """Once a permit, in the main thread of the session process that it is for."""
        permit = self._permit
        if permit is None or self._sessions.get(permit.session) != question.thread:
            return False
        self._permit, self._forked = None, permit
        return True

    def _meet(self, question: Question) -> Asleep | Awake | None:
        """A process lies down as a checkpoint, or is to get up again, or could not fork one."""
        state, error = question.arguments[:2]
        if state == checkpoint.NOT_FORKED:
            return self._not_forked(question, error)
        for number, sleeper in self._sleepers.items():
            if sleeper.pid == question.thread and sleeper.waking is not None:
                return self._get_up(question, number, sleeper)
        return self._lie_down(question)

    def _not_forked(self, question: Question, error: int) -> Asleep | None:
        notify.refuse(self.listener, question, errno.EAGAIN)
        permit = self._permit or self._forked
        self._permit = self._forked = None
        if permit is None or self._sessions.get(permit.session) != question.thread:
            return None
        return Asleep(permit, os.strerror(error))

    def _lie_down(self, question: Question) -> Asleep | None:
        permit, self._forked = self._forked, None
        try:
            if permit is None or question.thread in self._sessions.values():
                raise ProcessLookupError
            pidfd = os.pidfd_open(question.thread)  # fails for a thread that is no process
        except OSError:
            notify.refuse(self.listener, question, errno.EPERM)
            return None
        _signal(pidfd, signal.SIGSTOP)
        self._sleepers[permit.checkpoint] = Sleeper(question.thread, pidfd)
        if permit.replaces is not None:
            self.drop(permit.replaces)
        return Asleep(permit, None)

    def _get_up(self, question: Question, number: int, sleeper: Sleeper) -> Awake | None:
        assert sleeper.waking is not None
        wake, descriptor = sleeper.waking
        given = notify.give_descriptor(self.listener, question, descriptor)
        os.close(descriptor)
        del self._sleepers[number]
        if not given:
            _signal(sleeper.pidfd, signal.SIGKILL)
        return Awake(wake, sleeper.pid, sleeper.pidfd)


def _signal(pidfd: int, number: signal.Signals) -> None:
    try:
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:  # it was killed from outside
        return
