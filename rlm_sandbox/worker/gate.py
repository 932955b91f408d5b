"""The init's answers to what the session process may not do by itself: fork, signal, sleep."""

from __future__ import annotations

import errno
import os

from rlm_sandbox.confine import notify, syscalls
from rlm_sandbox.confine.notify import Question


class Gate:
    """Decides for one session process. Nothing it asks for is believed but what the kernel says."""

    def __init__(self, listener: int, session: int) -> None:
        self.listener = listener
        self._session = session
        machine = os.uname().machine
        self._signals = {syscalls.number(name, machine) for name in ("kill", "tgkill")}

    def answer(self) -> None:
        """Answer the question that has made the listener readable."""
        question = notify.receive(self.listener)
        if question is None:
            return
        if question.number in self._signals and self._to_itself(question):
            notify.let_through(self.listener, question)
        else:
            notify.refuse(self.listener, question, errno.EPERM)

    def _to_itself(self, question: Question) -> bool:
        """kill(2) and tgkill(2) name the process first: the code may signal its own, no other."""
        return question.arguments[0] == self._session
