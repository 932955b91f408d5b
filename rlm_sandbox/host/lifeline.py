"""What keeps one session going through the lives of its processes.

Before every step a checkpoint of the session sleeps. When the step destroys its process, whatever
the way, the checkpoint is woken and is the session from then on. The checkpoint is taken right
after the step before, while the caller thinks about the next one; what the session was given since
is given again. Until the first step there is nothing to save: a new worker that is set up in the
same way is the same. If saving failed, an older checkpoint is better than none, and is said to be.
"""

from __future__ import annotations

import threading
from contextlib import suppress

from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.errors import SandboxClosed, SandboxError, SessionLost
from rlm_sandbox.host.link import Link
from rlm_sandbox.host.nursery import NURSERY, Breed
from rlm_sandbox.host.setup import SetUp, Variable
from rlm_sandbox.host.terms import Terms
from rlm_sandbox.protocol import Spawn
from rlm_sandbox.session import ProtocolViolation, WorkerGone
from rlm_sandbox.verdict import Remains


class Lifeline:
    """The process that a session lives in now, and all that another one needs to take its place.

    One thread at a time uses it; any may `cancel`, `unpin` and set `ended`.
    """

    def __init__(self, breed: Breed, spawn: Spawn, terms: Terms) -> None:
        self.breed = breed
        self.spawn = spawn
        self.terms = terms
        self.saves = terms.limits.checkpoints > 0 and Layer.GATE in NURSERY.layers(breed)
        """Whether there can be checkpoints."""
        self.link: Link | None = None
        self.pristine = True
        """No step has run: a new worker with the same set-up is the same."""
        self.setup: list[SetUp] = []
        self.since: list[SetUp] = []
        """What the session was given since its last checkpoint."""
        self.pinned: dict[int, int] = {}
        """The caller's checkpoints: by handle, the number in the worker."""
        self.ended = False
        """Nobody wants the session any more."""
        self._dropping = threading.Lock()  # nobody signals a worker that is being closed

    def new_worker(self) -> Link:
        """Start a worker and give it what every worker of this session has.

        Raises StartFailed, SessionLost, SandboxClosed.
        """
        link = Link.start(self.breed, self.spawn, self.terms)
        self.pristine = True
        self.since.clear()
        self._go_on_with(link)
        if self.ended:  # by another thread, which had no worker to end yet
            self.drop()
            raise SandboxClosed("this sandbox was closed while it started")
        try:
            for item in self.setup:
                item.apply(link)
        except (WorkerGone, ProtocolViolation) as error:
            self.drop()
            raise SessionLost(f"the worker was lost while it was set up ({error})") from None
        except BaseException:
            self.drop()
            raise
        return link

    def _go_on_with(self, link: Link) -> None:
        with self._dropping:
            self.link = link

    def give(self, link: Link, item: SetUp) -> None:
        """Apply something now, and again to every process that replaces this one without it."""
        item.apply(link)
        self.since = _with(self.since, item)
        if self.pristine or not isinstance(item, Variable):
            self.setup = _with(self.setup, item)

    # --- what is saved, and what is left --------------------------------------------------------

    def save(self, link: Link) -> None:
        """Save what a step has left, while the caller thinks. Between steps the process stands."""
        if not self.saves:
            link.rest()
            return
        with suppress(WorkerGone):  # it ended right after: the next step finds out
            link.save()
            self.since.clear()

    def save_first(self, link: Link) -> None:
        """Have a checkpoint of the session as it is now, if there is anything to lose."""
        if self.pristine or not self.saves:
            return
        link.settle()
        if link.outdated or not link.restorable:
            self.save(link)
            link.settle()

    def recover(self, link: Link) -> Remains:
        """The session process is lost: go back to the state before the step, if it was saved."""
        if not self.ended and self.pristine:
            self.drop()
            return Remains.AS_BEFORE
        link.process.kill()  # first: a checkpoint that it was to make will then not be waited for
        link.settle()
        remains = Remains.AS_EARLIER if link.outdated else Remains.AS_BEFORE
        checkpoint = None if self.ended else link.detach()
        if checkpoint is None or not self.replace(link, checkpoint):
            self.drop()
            return Remains.NOTHING
        return remains

    def replace(self, link: Link, checkpoint: int) -> bool:
        """Go on with a checkpoint in place of this process."""
        try:
            revived = link.revive(checkpoint, replace=True)
        except OSError:  # this process is out of descriptors, although three have become free
            revived = None
        if revived is None:
            return False
        self._go_on_with(revived)
        self.pristine = False
        try:
            for item in self.since:
                item.apply(revived)
        except (WorkerGone, ProtocolViolation, SandboxError):
            return False
        self.save(revived)
        return True

    # --- the end --------------------------------------------------------------------------------

    def drop(self) -> None:
        """Give the processes back, with every checkpoint."""
        with self._dropping:
            link, self.link = self.link, None
        if self.ended:  # for good: what is loaded can be large, and this may be part of a cycle
            self.setup.clear()
            self.since.clear()
        pinned, self.pinned = self.pinned, {}
        if link is not None:
            try:
                for number in pinned.values():
                    link.worker.drop(number)
            finally:
                link.close()

    def unpin(self, handle: int) -> None:
        """Free one of the caller's checkpoints, if it is there. From any thread."""
        number = self.pinned.pop(handle, None)
        with self._dropping:
            if number is not None and self.link is not None:
                self.link.worker.drop(number)

    def cancel(self) -> None:
        """End what the session does, from another thread than the one that waits for it."""
        with self._dropping:
            if self.link is not None:
                self.link.cancel()


def _with(items: list[SetUp], item: SetUp) -> list[SetUp]:
    """The items, with this one in place of what it replaces."""
    return [*(other for other in items if not item.replaces(other)), item]
