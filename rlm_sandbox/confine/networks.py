"""Network namespaces with nothing in them, each for one worker at a time.

To make one and to end it takes the kernel longer than all other namespaces together. One whose
processes have all ended is good for another worker, since nothing can be left in it: an interface
or a rule takes rights over it that no worker has, and a socket ends with its last holder.
"""

from __future__ import annotations

import os

from rlm_sandbox.confine import libc, namespaces

MOST_FREE = 16
"""So many that nobody is in are kept."""


class Networks:
    """Those of one zygote. It moves into one, and what it forks then is there."""

    def __init__(self, proc: int) -> None:
        """`proc` is a descriptor of a /proc that shows this process."""
        self._proc = proc
        self._here: int | None = None  # where this process is, if no worker is there
        self._free: list[int] = []
        self._taken: dict[int, int] = {}  # by the process id of the worker's init
        self._ended: set[int] = set()  # inits that have ended before `take` was told of them

    def enter_free(self) -> None:
        """Move this process into one that no worker is in. Raises OSError."""
        self._ended.clear()  # of others: processes that a module has started
        while self._here is None and self._free:
            found = self._free.pop()  # first of all: `leave` may put another there at any moment
            try:
                libc.setns(found, namespaces.NEWNET)
            except OSError:  # a filter may refuse this alone
                os.close(found)
            else:
                self._here = found
        if self._here is None:
            libc.unshare(namespaces.NEWNET)
            flags = os.O_RDONLY | os.O_CLOEXEC
            self._here = os.open("self/ns/net", flags, dir_fd=self._proc)

    def take(self, init: int) -> None:
        """This init was forked here: it and all below it have this one for themselves."""
        assert self._here is not None
        self._taken[init], self._here = self._here, None
        if init in self._ended:
            self._ended.remove(init)
            self.leave(init)

    def leave(self, init: int) -> None:
        """This init has ended, and with it all below it. May be called by a signal's handler."""
        descriptor = self._taken.pop(init, None)
        if descriptor is None:
            self._ended.add(init)
        elif len(self._free) < MOST_FREE:
            self._free.append(descriptor)
        else:
            os.close(descriptor)
