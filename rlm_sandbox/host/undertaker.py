"""Sees ended workers off, so that nobody who closes a sandbox has to wait for the kernel.

The session process is killed before a worker comes here. What is left is its init, which ends when
its control socket does: a thread waits for that, kills it if it does not come, and gives back the
descriptors and the control group.
"""

from __future__ import annotations

import atexit
import os
import queue
import select
import signal
import threading
from dataclasses import dataclass

from rlm_sandbox.confine.cgroups import Group
from rlm_sandbox.host.groups import GROUPS

END_SECONDS = 5.0
"""How long an ended worker may take to disappear before it is killed by force."""

WAITING_AT_MOST = 64
"""Whoever closes more workers than that at once waits for his own: they hold processes still."""

EXIT_SECONDS = 10.0


@dataclass(frozen=True)
class Departed:
    """What is left of a worker whose control socket is closed."""

    init: int
    """Its pidfd."""
    group: Group | None

    def see_off(self) -> None:
        """Wait until it is gone, and give back what it had."""
        try:
            if not gone(self.init, END_SECONDS):
                signal.pidfd_send_signal(self.init, signal.SIGKILL)
        except ProcessLookupError:  # just now
            pass
        finally:  # even when Ctrl-C comes in the wait
            os.close(self.init)
            if self.group is not None:
                GROUPS.give_back(self.group)


class Undertaker:
    """The thread that sees workers off, one after the other. There when first needed."""

    def __init__(self) -> None:
        self._departed: queue.Queue[Departed] = queue.Queue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def take(self, departed: Departed) -> None:
        """See this worker off, later; at once if there are too many or no thread can be had."""
        if self._departed.unfinished_tasks < WAITING_AT_MOST and self._starts():
            self._departed.put(departed)
        else:
            departed.see_off()

    def _starts(self) -> bool:
        with self._starting:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="rlm-undertaker", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # this process may have no more threads, or is ending
                    return False
                self._thread = thread
        return True

    def _run(self) -> None:
        while True:
            departed = self._departed.get()
            try:
                departed.see_off()
            finally:
                self._departed.task_done()

    def settle(self, seconds: float) -> bool:
        """Wait until everybody who came is seen off; False if that takes longer."""
        done = self._departed.all_tasks_done
        with done:
            return done.wait_for(lambda: self._departed.unfinished_tasks == 0, seconds)

    def forget(self) -> None:
        """In a forked child of the controller: the workers are the parent's."""
        self.__init__()


def gone(pidfd: int, seconds: float) -> bool:
    """True if the process ends within so many seconds."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


UNDERTAKER = Undertaker()
atexit.register(UNDERTAKER.settle, EXIT_SECONDS)
os.register_at_fork(after_in_child=UNDERTAKER.forget)
