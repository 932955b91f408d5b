"""Whose turn it is to use a sandbox: one thread's at a time, of the process that opened it."""

from __future__ import annotations

import os
import threading

from rlm_sandbox.errors import SandboxBusy, SandboxClosed


class Turn:
    """The turn to use one sandbox."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._user: int | None = None  # the thread that has it

    @property
    def foreign(self) -> bool:
        """True in a fork of the process that opened the sandbox."""
        return self._pid != os.getpid()

    def take(self) -> None:
        """Have the turn. Raises SandboxBusy if another has it, and SandboxClosed if foreign."""
        if self.foreign:
            raise SandboxClosed("this sandbox belongs to the process that opened it; open another")
        if not self._lock.acquire(blocking=False):
            raise SandboxBusy(
                "this sandbox is in use: it runs one step at a time. Use a sandbox for each thread."
            )
        self._user = threading.get_ident()

    def give_back(self) -> None:
        """Have it no longer."""
        self._user = None
        self._lock.release()

    def wait(self) -> None:
        """Wait until nobody has it; not for oneself, as in a host function or a signal handler."""
        if self._user != threading.get_ident():
            with self._lock:
                pass
