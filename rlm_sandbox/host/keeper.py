"""Keeps one session going through the lives of its processes.

Before every step a checkpoint of the session sleeps. When the step destroys its process, whatever
the way, the checkpoint is woken and is the session from then on. The checkpoint is taken right
after the step before, while the caller thinks about the next one; what the session was given since
is given again. Until the first step there is nothing to save: a new worker that is set up in the
same way is the same. If saving failed, an older checkpoint is better than none, and is said to be.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress

from msgspec.structs import replace

from rlm_sandbox import values
from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.errors import (
    CheckpointUnavailable,
    SandboxBusy,
    SandboxClosed,
    SandboxError,
    SessionLost,
)
from rlm_sandbox.host import loss
from rlm_sandbox.host.link import Link
from rlm_sandbox.host.nursery import NURSERY, Breed
from rlm_sandbox.host.setup import SetUp, Variable
from rlm_sandbox.host.terms import Functions, Terms
from rlm_sandbox.host.turn import Turn
from rlm_sandbox.protocol import Done, Spawn
from rlm_sandbox.result import ExecResult, Outcome
from rlm_sandbox.session import ProtocolViolation, WorkerGone
from rlm_sandbox.verdict import Evidence, Remains, verdict

_Ending = Done | WorkerGone | ProtocolViolation


class Keeper:
    """What a Sandbox owns and must give back."""

    def __init__(self, breed: Breed, spawn: Spawn, terms: Terms) -> None:
        self.breed = breed
        self._spawn = spawn
        self._terms = terms
        self._setup: list[SetUp] = []
        self._saves = terms.limits.checkpoints > 0 and Layer.GATE in NURSERY.layers(breed)
        self._turn = Turn()
        self._dropping = threading.Lock()  # nobody signals a worker that is being closed
        self._branching = threading.Lock()  # whoever has it may wake what the running step needs
        self._stepping: Link | None = None  # the one that runs a step
        self._link: Link | None = None
        self._pristine = True  # no step has run: a new worker with the same set-up is the same
        self._since: list[SetUp] = []  # what it was given since its last checkpoint
        self._untold: str | None = None  # a loss that the caller has not heard of
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
        self._pristine = True
        self._since.clear()
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

    def rehearse(self) -> None:
        """Make the first step as fast as any other. Raises SessionLost."""
        with self.asking() as link:
            link.rehearse()

    def lend(self, functions: Functions) -> None:
        """Be somebody's from now on, with these host functions; his time begins to run.

        Only before the first step. Raises SessionLost.
        """
        assert self._pristine
        self._begin(Terms.from_now(self._terms.limits, functions))

    def _begin(self, terms: Terms) -> None:
        """Go on under these terms. Raises SessionLost."""
        self._terms = terms
        self._spawn = replace(self._spawn, functions=tuple(terms.functions))
        with self.asking() as link:
            link.begin(terms)

    # --- steps ----------------------------------------------------------------------------------

    def exec(self, code: str) -> ExecResult:
        with self._taking_turn():
            link = self._current()
            try:
                return self._step(link, code)
            except BaseException:  # Ctrl-C while we waited: the step's end will never be read
                self._go_back(link)
                raise

    def _step(self, link: Link, code: str) -> ExecResult:
        self._save_first(link)
        started = time.monotonic()
        self._stepping = link
        try:
            ending = _run(link, code)
        finally:
            with self._branching:
                self._stepping = None
        wall = time.monotonic() - started
        if isinstance(ending, Done):
            evidence = self._evidence(link, ending, wall)
            self._pristine = False
            self._save(link)
            return verdict(evidence, self._terms.limits, Remains.ALL)
        return self._after_the_end(link, ending, wall)

    def _after_the_end(
        self, link: Link, ending: WorkerGone | ProtocolViolation, wall: float
    ) -> ExecResult:
        """The session process is gone, or must go: what it was, and what is left."""
        evidence = self._evidence(link, ending, wall)
        died = isinstance(ending, WorkerGone) and evidence.stopped is None
        if died and link.process.resident_bytes() > 0:  # memory is given back before descriptors
            evidence = replace(evidence, ending=ProtocolViolation("it closed its channel"))
            died = False
        worker, number = link.worker, link.process.number
        worker.share()  # so that it can be asked even if the session is lost
        try:
            # First wake the checkpoint: a dead process that held much takes a while to be gone.
            remains = self._recover(link)
            death = worker.death(number) if died else None
        finally:
            worker.release()
        if death is not None:
            assert link.guard is not None
            used = death.cpu_seconds - link.guard.cpu_before
            evidence = replace(
                evidence,
                death=death,
                cpu_seconds=max(evidence.cpu_seconds, used),
                peak_memory=max(evidence.peak_memory, death.peak_memory),
            )
        return verdict(evidence, self._terms.limits, remains)

    def _evidence(self, link: Link, ending: _Ending, wall: float) -> Evidence:
        guard, step, process = link.guard, link.session.step, link.process
        assert guard is not None
        cpu = guard.cpu_seconds()
        peak = max(guard.peak, process.peak_bytes(wall))
        return Evidence(
            ending=ending,
            stopped=Outcome.CANCELLED if self.closed else guard.stopped,
            death=None,
            stdout="".join(step.output),
            truncated=step.truncated,
            wall_seconds=wall,
            worker_seconds=min(wall, step.clock.own(time.monotonic())),  # it is over since then
            cpu_seconds=cpu,
            peak_memory=peak,
            host_calls=step.calls,
        )

    # --- what is saved, and what is left --------------------------------------------------------

    def _save(self, link: Link) -> None:
        """Save what a step has left, while the caller thinks. Between steps the process stands."""
        if not self._saves:
            link.rest()
            return
        with suppress(WorkerGone):  # it ended right after: the next step finds out
            link.save()
            self._since.clear()

    def _save_first(self, link: Link) -> None:
        """Have a checkpoint of the session as it is now, if there is anything to lose."""
        if self._pristine or not self._saves:
            return
        link.settle()
        if link.outdated or not link.restorable:
            self._save(link)
            link.settle()

    def _recover(self, link: Link) -> Remains:
        """The session process is lost: go back to the state before the step, if it was saved."""
        if not self.closed and self._pristine:
            self._drop()
            return Remains.AS_BEFORE
        link.process.kill()  # first: a checkpoint that it was to make will then not be waited for
        link.settle()
        remains = Remains.AS_EARLIER if link.outdated else Remains.AS_BEFORE
        checkpoint = None if self.closed else link.detach()
        if checkpoint is None or not self._replace(link, checkpoint):
            self._drop()
            return Remains.NOTHING
        return remains

    def _replace(self, link: Link, checkpoint: int) -> bool:
        """Go on with a checkpoint in place of this process."""
        try:
            revived = link.revive(checkpoint, replace=True)
        except OSError:  # this process is out of descriptors, although three have become free
            revived = None
        if revived is None:
            return False
        with self._dropping:
            self._link = revived
        self._pristine = False
        try:
            for item in self._since:
                item.apply(revived)
        except (WorkerGone, ProtocolViolation, SandboxError):
            return False
        self._save(revived)
        return True

    def _go_back(self, link: Link) -> None:
        """After an exception that came at any moment: leave nothing half done."""
        if self._link is link and link.idle:
            return
        remains = Remains.NOTHING
        try:
            if self._link is link:
                remains = self._recover(link)
            elif self._link is not None:  # it is the one that was about to take over
                remains = Remains.AS_BEFORE if self._link.idle else Remains.NOTHING
        finally:
            if remains is Remains.NOTHING:
                self._drop()
            self._untold = loss.untold(remains)

    def _current(self) -> Link:
        """The link, or a new one. Raises SessionLost once if the session was lost untold."""
        untold, self._untold = self._untold, None
        if untold is not None:
            raise SessionLost(untold)
        return self._link or self._new_worker()

    # --- between steps --------------------------------------------------------------------------

    def set(self, name: str, value: object) -> None:
        """Give the session a variable. Raises ValueRefused."""
        self.add(Variable(name, values.encode_capped(value, self._terms.limits.value_bytes)))

    def add(self, item: SetUp) -> None:
        """Apply something now, and again to every process that replaces this one without it."""
        with self.asking() as link:
            item.apply(link)
            self._since = [other for other in self._since if not item.replaces(other)] + [item]
            if self._pristine or not isinstance(item, Variable):
                self._setup = [other for other in self._setup if not item.replaces(other)] + [item]

    @contextmanager
    def asking(self) -> Generator[Link]:
        """The link, for a question between steps. Raises AnswerLost or SessionLost."""
        with self._taking_turn():
            link = self._current()
            try:
                yield link
            except (WorkerGone, ProtocolViolation) as error:
                raise loss.over_a_question(self._recover(link), error) from None
            except SandboxError:
                raise
            except BaseException:
                self._go_back(link)
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
            self._since.clear()
            try:
                woken = self._replace(link, number)
            except BaseException:
                self._drop()
                self._untold = loss.untold(Remains.NOTHING)
                raise
            if not woken:
                self._drop()
                raise CheckpointUnavailable(
                    "this checkpoint could not be woken; the session is lost, the next use starts "
                    "empty"
                )
            try:
                self._save_again(handle)
            except CheckpointUnavailable:
                raise
            except BaseException:
                assert self._link is not None
                self._go_back(self._link)
                raise

    def _save_again(self, handle: int) -> None:
        """A checkpoint of the caller's is used up once it was woken: make another of that state."""
        assert self._link is not None
        try:
            self._checkpoints[handle] = self._saved_now(self._link)
        except (WorkerGone, ProtocolViolation, CheckpointUnavailable) as error:
            raise CheckpointUnavailable(
                f"the session is as at the checkpoint, which could not be kept, though: {error}"
            ) from None

    def forget(self, handle: int) -> None:
        """Free a checkpoint."""
        number = self._checkpoints.pop(handle, None)
        with self._dropping:
            if number is not None and self._link is not None:
                self._link.worker.drop(number)

    def fork(self, functions: Functions | None = None) -> Keeper:
        """A keeper of an independent session that goes on from here.

        From before the step, while one runs. Raises CheckpointUnavailable.
        """
        with self._branching:
            stepping = self._stepping
            branch = None if stepping is None or self._pristine else self._branch(stepping)
        revived = branch if stepping is not None else self._wake_beside()
        twin = Keeper(self.breed, self._spawn, self._terms.apart())
        twin._setup = list(self._setup)
        twin._link = revived
        twin._pristine = revived is None
        try:
            if revived is None:
                twin._new_worker()
            else:
                revived.adopt(twin._terms)
            if functions is not None:
                twin._begin(self._terms.offering(functions))
        except BaseException:
            twin.close()
            raise
        return twin

    def _branch(self, link: Link) -> Link:
        """Another process of the state before the step that runs. Raises CheckpointUnavailable."""
        self._require_saves()
        reason = "it could not be saved, or is gone"
        try:
            revived = link.branch([item.apply for item in self._since])
        except (OSError, WorkerGone, ProtocolViolation, SandboxError) as error:
            revived, reason = None, str(error)
        if revived is None:
            raise CheckpointUnavailable(f"the state before this step cannot be had: {reason}")
        self._since.clear()
        return revived

    def _wake_beside(self) -> Link:
        """Another process of the state now. Raises CheckpointUnavailable."""
        with self.asking() as link:
            number = self._saved_now(link)
            revived, reason = None, "it is gone"
            try:
                revived = link.revive(number, replace=False)
            except OSError as error:
                reason = str(error)
            if revived is None:
                link.worker.drop(number)
                raise CheckpointUnavailable(f"the fork could not be woken: {reason}")
            revived.rest()
            return revived

    def _saved_now(self, link: Link) -> int:
        self._require_saves()
        limits = self._terms.limits
        if len(self._checkpoints) >= limits.checkpoints:
            raise CheckpointUnavailable(
                f"{len(self._checkpoints)} checkpoints are alive, as many as Limits.checkpoints "
                "allows: close one first"
            )
        link.save()
        self._since.clear()
        self._pristine = False
        failure = link.settle()
        number = link.detach() if failure is None else None
        if number is None:
            raise CheckpointUnavailable(f"the session could not be saved: {failure}")
        return number

    def _require_saves(self) -> None:
        if not self._saves:
            raise CheckpointUnavailable(
                "there are no checkpoints with Limits(checkpoints=0), with isolation='none', or on "
                "a kernel whose seccomp has no user notifications (before Linux 5.9)"
            )

    # --- turns and the end ----------------------------------------------------------------------

    @contextmanager
    def _taking_turn(self) -> Generator[None]:
        if self.closed:
            raise SandboxClosed("this sandbox is closed; open another")
        self._turn.take()
        try:  # in a generator, which is closed when a signal's handler raises anywhere
            yield
        finally:
            try:
                if self.closed:
                    self._drop()
            finally:
                self._turn.give_back()

    def _drop(self) -> None:
        """Give the processes back, with every checkpoint."""
        with self._dropping:
            link, self._link = self._link, None
        if self.closed:  # for good: what is loaded can be large, and this may be part of a cycle
            self._setup.clear()
            self._since.clear()
        checkpoints, self._checkpoints = self._checkpoints, {}
        if link is not None:
            try:
                for number in checkpoints.values():
                    link.worker.drop(number)
            finally:
                link.close()

    def close(self) -> None:
        self.closed = True
        if self._turn.foreign:
            return  # a fork of the process whose worker it is
        if self._dropped():
            return
        # Whoever has the turn drops the worker when he gives it back, or was past that already.
        with self._dropping:
            if self._link is not None:
                self._link.cancel()
        self._turn.wait()
        self._dropped()

    def _dropped(self) -> bool:
        """Give the processes back, if nobody has the turn."""
        try:
            self._turn.take()
        except SandboxBusy:
            return False
        try:
            self._drop()
        finally:
            self._turn.give_back()
        return True


def _run(link: Link, code: str) -> _Ending:
    try:
        return link.run(code)
    except (WorkerGone, ProtocolViolation) as ending:
        return ending
