"""Keeps one session going through the lives of its processes.

Before every step a checkpoint of the session sleeps. When the step destroys its process, whatever
the way, the checkpoint is woken and is the session from then on. The checkpoint is taken right
after the step before, while the caller thinks about the next one. Until the first step there is
nothing to save: a new worker that is set up in the same way is the same.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.errors import (
    AnswerLost,
    CheckpointUnavailable,
    SandboxBusy,
    SandboxClosed,
    SandboxError,
    SessionLost,
)
from rlm_sandbox.host.link import Link, Terms, WorkerGone
from rlm_sandbox.host.zygote import NURSERY, Breed
from rlm_sandbox.protocol import Done, Spawn
from rlm_sandbox.result import ExecResult, Outcome, State
from rlm_sandbox.session import ProtocolViolation
from rlm_sandbox.verdict import Evidence, verdict

_Ending = Done | WorkerGone | ProtocolViolation


@dataclass(frozen=True)
class Text:
    """A text under a protected name."""

    name: str
    text: str = field(repr=False)

    def replaces(self, other: SetUp) -> bool:
        return isinstance(other, Text | Variable) and other.name == self.name

    def apply(self, link: Link) -> None:
        data = self.text.encode("utf-8", "surrogatepass")
        descriptor = os.memfd_create("rlm-text", os.MFD_CLOEXEC)
        try:
            _write_all(descriptor, data)
            link.load(self.name, descriptor, len(data))
        finally:
            os.close(descriptor)


@dataclass(frozen=True)
class Prelude:
    """Trusted source, and the values it is given."""

    source: str
    values: Mapping[str, object]

    def replaces(self, other: SetUp) -> bool:
        return self == other

    def apply(self, link: Link) -> None:
        link.install(self.source, self.values)


@dataclass(frozen=True)
class Variable:
    """A value that the session was given before its first step."""

    name: str
    value: object = field(repr=False)

    def replaces(self, other: SetUp) -> bool:
        return isinstance(other, Text | Variable) and other.name == self.name

    def apply(self, link: Link) -> None:
        link.set(self.name, self.value)


SetUp = Text | Prelude | Variable


class Keeper:
    """What a Sandbox owns and must give back."""

    def __init__(self, breed: Breed, spawn: Spawn, terms: Terms) -> None:
        self.breed = breed
        self._spawn = spawn
        self._terms = terms
        self._setup: list[SetUp] = []
        self._saves = terms.limits.checkpoints > 0 and Layer.GATE in NURSERY.layers(breed)
        self._turn = threading.Lock()
        self._dropping = threading.Lock()  # nobody signals a worker that is being closed
        self._pid = os.getpid()
        self._user: int | None = None  # the thread that has the turn
        self._link: Link | None = None
        self._pristine = True  # no step has run: a new worker with the same set-up is the same
        self._unsaved = True  # the session has changed since its last checkpoint
        self._checkpoints: dict[int, int] = {}  # the caller's: by handle, the number in the worker
        self._handles = 0
        self.closed = False

    @classmethod
    def start(cls, breed: Breed, spawn: Spawn, terms: Terms) -> Keeper:
        """A keeper with a fresh worker."""
        keeper = cls(breed, spawn, terms)
        keeper._new_worker()
        return keeper

    def _new_worker(self) -> Link:
        """Start a worker and give it what every worker of this sandbox has."""
        link = Link.start(self.breed, self._spawn, self._terms)
        self._pristine = self._unsaved = True
        with self._dropping:
            self._link = link
        if self.closed:  # by another thread, which had no worker to end yet
            self._drop()
            raise SandboxClosed("this sandbox was closed while it started")
        try:
            for item in self._setup:
                item.apply(link)
        except (WorkerGone, ProtocolViolation) as error:
            self._drop()
            raise SessionLost(f"the worker was lost while it was set up ({error})") from None
        except BaseException:
            self._drop()
            raise
        return link

    # --- steps ----------------------------------------------------------------------------------

    def exec(self, code: str) -> ExecResult:
        with self._taking_turn():
            link = self._link or self._new_worker()
            self._save_first(link)
            started = time.monotonic()
            try:
                ending = _run(link, code)
            except BaseException:  # Ctrl-C while we waited: the step's end will never be read
                self._recover(link)
                raise
            wall = time.monotonic() - started
            if isinstance(ending, Done):
                evidence = self._evidence(link, ending, wall)
                return verdict(evidence, self._terms.limits, self._keep(link))
            return self._after_the_end(link, ending, wall)

    def _after_the_end(
        self, link: Link, ending: WorkerGone | ProtocolViolation, wall: float
    ) -> ExecResult:
        """The session process is gone, or must go: what it was, and what is left."""
        evidence = self._evidence(link, ending, wall)
        unexplained = isinstance(ending, WorkerGone) and evidence.stopped is None
        worker, number = link.worker, link.process.number
        worker.share()  # so that it can be asked even if the session is lost
        try:
            # First wake the checkpoint: a dead process that held much takes a while to be gone.
            state = self._recover(link)
            death = worker.death(number) if unexplained else None
        finally:
            worker.release()
        return verdict(replace(evidence, death=death), self._terms.limits, state)

    def _evidence(self, link: Link, ending: _Ending, wall: float) -> Evidence:
        guard, step, process = link.guard, link.session.step, link.process
        assert guard is not None
        cpu = guard.cpu_seconds()
        peak = max(guard.peak, process.peak_bytes())
        return Evidence(
            ending=ending,
            stopped=Outcome.CANCELLED if self.closed else guard.stopped,
            death=None,
            stdout="".join(step.output),
            truncated=step.truncated,
            wall_seconds=wall,
            worker_seconds=step.clock.own(time.monotonic()),
            cpu_seconds=cpu,
            peak_memory=peak,
            host_calls=step.calls,
        )

    def _keep(self, link: Link) -> State:
        """A step has ended well: save what it left, while the caller thinks."""
        self._pristine, self._unsaved = False, True
        if self._saves:
            with suppress(WorkerGone):  # it ended right after: the next step finds out
                link.save()
                self._unsaved = False
        return State.KEPT

    def _save_first(self, link: Link) -> None:
        """Have a checkpoint of the session as it is now, if there is anything to lose."""
        if self._pristine or not self._saves:
            return
        with suppress(WorkerGone):  # the step finds out
            if self._unsaved:
                link.save()
                self._unsaved = False
            link.settle()

    def _recover(self, link: Link) -> State:
        """The session process is lost: go back to the state before the step, if it was saved."""
        if self.closed:
            self._drop()
            return State.LOST
        if self._pristine:
            self._drop()
            return State.RESTORED
        checkpoint = None if self._unsaved else link.detach()
        return State.RESTORED if self._replace(link, checkpoint) else State.LOST

    def _replace(self, link: Link, checkpoint: int | None) -> bool:
        """Go on with a checkpoint in place of this process; without it the session is lost."""
        revived = None if checkpoint is None else link.revive(checkpoint, replace=True)
        if revived is None:
            self._drop()
            return False
        with self._dropping:
            self._link = revived
        self._pristine = False
        self._keep(revived)
        return True

    # --- between steps --------------------------------------------------------------------------

    def add(self, item: SetUp) -> None:
        """Apply something now, and again to every worker that replaces this one."""
        with self.asking() as link:
            self._unsaved = True
            item.apply(link)
            if self._pristine or not isinstance(item, Variable):
                self._setup = [other for other in self._setup if not item.replaces(other)] + [item]

    @contextmanager
    def asking(self) -> Generator[Link]:
        """The link, for a question between steps. Raises AnswerLost or SessionLost."""
        with self._taking_turn():
            link = self._link or self._new_worker()
            try:
                yield link
            except (WorkerGone, ProtocolViolation) as error:
                if self._recover(link) is State.RESTORED:
                    raise AnswerLost(
                        f"the worker died while it answered ({error}); its variables are as before"
                    ) from None
                raise SessionLost(
                    f"the worker was lost while it answered ({error}); the next use starts empty"
                ) from None
            except SandboxError:
                raise
            except BaseException:
                if not link.idle:
                    self._recover(link)
                raise

    # --- the caller's checkpoints ---------------------------------------------------------------

    def checkpoint(self) -> int:
        """Save the session as it is now; returns a handle. Raises CheckpointUnavailable."""
        with self.asking() as link:
            number = self._saved_now(link)
            self._handles += 1
            self._checkpoints[self._handles] = number
            return self._handles

    def restore(self, handle: int) -> None:
        """Go back to a checkpoint, which stays. Raises CheckpointUnavailable."""
        with self._taking_turn():
            number = self._checkpoints.get(handle)
            link = self._link
            if number is None or link is None:
                raise CheckpointUnavailable(
                    "this checkpoint is gone: it was closed, or its worker was lost"
                )
            if (last := link.detach()) is not None:
                link.worker.drop(last)
            del self._checkpoints[handle]
            if not self._replace(link, number):
                raise CheckpointUnavailable("this checkpoint could not be woken; the state is lost")
            assert self._link is not None
            self._checkpoints[handle] = self._saved_now(self._link)

    def forget(self, handle: int) -> None:
        """Free a checkpoint."""
        number = self._checkpoints.pop(handle, None)
        with self._dropping:
            if number is not None and self._link is not None:
                self._link.worker.drop(number)

    def fork(self) -> Keeper:
        """A keeper of an independent session that goes on from here."""
        with self.asking() as link:
            number = self._saved_now(link)
            revived = link.revive(number, replace=False)
            if revived is None:
                raise CheckpointUnavailable("the fork could not be woken")
            twin = Keeper(self.breed, self._spawn, self._terms)
            twin._setup = list(self._setup)
            twin._link = revived
            twin._pristine = False
            return twin

    def _saved_now(self, link: Link) -> int:
        limits = self._terms.limits
        if not self._saves:
            raise CheckpointUnavailable(
                "there are no checkpoints with Limits(checkpoints=0), with isolation='none', or on "
                "a kernel whose seccomp has no user notifications (before Linux 5.9)"
            )
        if len(self._checkpoints) >= limits.checkpoints:
            raise CheckpointUnavailable(
                f"{len(self._checkpoints)} checkpoints are alive, as many as Limits.checkpoints "
                "allows: close one first"
            )
        link.save()
        failure = link.settle()
        number = link.detach()
        self._pristine, self._unsaved = False, True
        if number is None:
            raise CheckpointUnavailable(f"the session could not be saved: {failure}")
        return number

    # --- turns and the end ----------------------------------------------------------------------

    @contextmanager
    def _taking_turn(self) -> Generator[None]:
        if self.closed:
            raise SandboxClosed("this sandbox is closed; open another")
        if self._pid != os.getpid():
            raise SandboxClosed("this sandbox belongs to the process that opened it; open another")
        if not self._turn.acquire(blocking=False):
            raise SandboxBusy(
                "this sandbox is in use: it runs one step at a time. Use a sandbox for each thread."
            )
        self._user = threading.get_ident()
        try:
            yield
        finally:
            self._user = None
            if self.closed:
                self._drop()
            self._turn.release()

    def _drop(self) -> None:
        """Give the processes back, with every checkpoint."""
        with self._dropping:
            link, self._link = self._link, None
        checkpoints, self._checkpoints = self._checkpoints, {}
        if link is not None:
            for number in checkpoints.values():
                link.worker.drop(number)
            link.close()

    def close(self) -> None:
        self.closed = True
        if self._pid != os.getpid():
            return  # a fork of the process whose worker it is
        if self._turn.acquire(blocking=False):
            try:
                self._drop()
            finally:
                self._turn.release()
            return
        with self._dropping:
            if self._link is not None:
                self._link.cancel()
        if self._user != threading.get_ident():  # else: from a host function or a signal handler
            with self._turn:  # whoever has the turn drops the worker when he gives it back
                pass


def _run(link: Link, code: str) -> _Ending:
    try:
        return link.run(code)
    except (WorkerGone, ProtocolViolation) as ending:
        return ending


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:  # one write(2) moves 2 GiB at most
        rest = rest[os.write(descriptor, rest) :]
