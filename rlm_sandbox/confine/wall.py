"""What a zygote has prepared for the walls of its workers."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field

from rlm_sandbox.confine import libc
from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.confine.networks import Networks


@dataclass
class Wall:
    """Its layers, and what they are made of."""

    layers: frozenset[Layer]
    proc: int = -1
    """A descriptor of the host's /proc: uid maps are written there. Closed before code runs."""
    readable: tuple[str, ...] = ()
    """Folders that the code may read: the standard library, libraries, packages."""
    listable: tuple[str, ...] = ()
    """Folders of which the code may see the names: the packages' neighbours are not its own."""
    kept: tuple[str, ...] = ()
    """What must stay to be seen when a worker's own /tmp is put over the root's."""
    uids: range = range(0)
    """User ids for the workers, one each; empty: they run as this process does."""
    groups: tuple[int, ...] = ()
    """Descriptors of the folders of control groups below which workers have theirs."""
    gate: bytes = b""
    """The filter whose listener an init holds, as the kernel takes it; empty: there is none."""
    filter: bytes = b""
    """The filter of a session, as the kernel takes it; empty: each has its own."""
    uid: int = -1
    """Of `uids`, that of the worker that was started last."""
    holders: dict[int, int] = field(default_factory=dict)
    """By user id, the process id of the init that was given it last."""

    networks: Networks | None = None
    """Where workers get their network namespace from; None: each makes its own, if it has one."""

    def has(self, layer: Layer) -> bool:
        return layer in self.layers

    def choose_uid(self) -> None:
        """For the next worker: one that no worker has who lives. Raises OSError if there is none.

        It is used again as late as can be.
        """
        for step in range(1, len(self.uids) + 1):
            uid = self.uids[(self.uid - self.uids.start + step) % len(self.uids)]
            holder = self.holders.get(uid)
            if holder is None or not libc.may_signal(holder):
                self.uid = uid
                return
        if self.uids:
            raise OSError(errno.EAGAIN, f"all {len(self.uids)} user ids for workers are in use")
