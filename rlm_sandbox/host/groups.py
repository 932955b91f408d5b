"""The control groups of this process's workers, where the host delegates any."""

from __future__ import annotations

import atexit
import os
import threading

from rlm_sandbox.confine import cgroups, rlimits
from rlm_sandbox.confine.cgroups import Delegation, Group
from rlm_sandbox.protocol import WorkerLimits


class Groups:
    """Found out when first asked; threads may use it at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._delegation: Delegation | None = None
        self._asked = False
        self.refusal = ""
        """Why there are none."""

    def bases(self) -> tuple[str, ...]:
        """The folders below which workers have theirs; empty where none is delegated."""
        with self._lock:
            if not self._asked:
                self._asked = True
                try:
                    self._delegation = cgroups.delegated()
                except OSError as error:
                    self.refusal = str(error)
        return tuple(map(str, self._delegation.bases)) if self._delegation else ()

    def take(self, limits: WorkerLimits) -> Group:
        """A group for one worker. Raises OSError if it cannot be made."""
        with self._lock:
            assert self._delegation is not None
            return self._delegation.take(*rlimits.group(limits))

    def give_back(self, group: Group) -> None:
        with self._lock:
            if self._delegation is not None:
                self._delegation.give_back(group)

    def close(self) -> None:
        with self._lock:
            if self._delegation is not None:
                self._delegation.close()
            self._delegation, self._asked = None, False

    def forget(self) -> None:
        """In a forked child of the controller: the groups are the parent's."""
        self.__init__()


GROUPS = Groups()
atexit.register(GROUPS.close)
os.register_at_fork(after_in_child=GROUPS.forget)
