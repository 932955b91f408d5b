"""What a Sandbox owns: one session, used by one thread at a time, whose steps become results."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

from msgspec.structs import replace

from rlm_sandbox import values
from rlm_sandbox.errors import (
    CheckpointUnavailable,
    SandboxBusy,
    SandboxClosed,
    SandboxError,
    SessionLost,
)
from rlm_sandbox.host import loss
from rlm_sandbox.host.lifeline import Lifeline
from rlm_sandbox.host.link import Link
from rlm_sandbox.host.nursery import Breed
from rlm_sandbox.host.setup import SetUp, Variable
from rlm_sandbox.host.terms import Functions, Terms
from rlm_sandbox.host.turn import Turn
from rlm_sandbox.protocol import Done, Spawn
from rlm_sandbox.result import ExecResult, Outcome
from rlm_sandbox.session import ProtocolViolation, WorkerGone
from rlm_sandbox.verdict import Evidence, Remains, verdict

_Ending = Done | WorkerGone | ProtocolViolation


class Keeper:
    """A session on its lifeline, and whose turn it is to use it."""

    def __init__(self, life: Lifeline) -> None:
        self.life = life
        self._turn = Turn()
        self._branching = threading.Lock()  # whoever has it may wake what the running step needs
        self._stepping: Link | None = None  # the one that runs a step
        self._untold: str | None = None  # a loss that the caller has not heard of
        self._handles = 0

    @classmethod
    def start(cls, breed: Breed, spawn: Spawn, terms: Terms) -> Keeper:
        """A keeper with a fresh worker."""
        keeper = cls(Lifeline(breed, spawn, terms))
        keeper.life.new_worker()
        return keeper

    @property
    def breed(self) -> Breed:
        """What kind of worker the session lives in."""
        return self.life.breed

    @property
    def closed(self) -> bool:
        """True once it was closed."""
        return self.life.ended

    def rehearse(self) -> None:
        """Make the first step as fast as any other. Raises SessionLost."""
        with self.asking() as link:
            link.rehearse()

    def lend(self, functions: Functions) -> None:
        """Be somebody's from now on, with these host functions; his time begins to run.

        Only before the first step. Raises SessionLost.
        """
        assert self.life.pristine
        self._begin(Terms.from_now(self.life.terms.limits, functions))

    def _begin(self, terms: Terms) -> None:
        """Go on under these terms. Raises SessionLost."""
        self.life.terms = terms
        self.life.spawn = replace(self.life.spawn, functions=tuple(terms.functions))
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
        self.life.save_first(link)
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
            self.life.pristine = False
            self.life.save(link)
            return verdict(evidence, self.life.terms.limits, Remains.ALL)
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
            remains = self.life.recover(link)
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
        return verdict(evidence, self.life.terms.limits, remains)

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

    # --- after a loss ---------------------------------------------------------------------------

    def _go_back(self, link: Link) -> None:
        """After an exception that came at any moment: leave nothing half done."""
        if self.life.link is link and link.idle:
            return
        remains = Remains.NOTHING
        try:
            if self.life.link is link:
                remains = self.life.recover(link)
            elif self.life.link is not None:  # it is the one that was about to take over
                remains = Remains.AS_BEFORE if self.life.link.idle else Remains.NOTHING
        finally:
            if remains is Remains.NOTHING:
                self.life.drop()
            self._untold = loss.untold(remains)

    def _current(self) -> Link:
        """The link, or a new one. Raises SessionLost once if the session was lost untold."""
        untold, self._untold = self._untold, None
        if untold is not None:
            raise SessionLost(untold)
        return self.life.link or self.life.new_worker()

    # --- between steps --------------------------------------------------------------------------

    def set(self, name: str, value: object) -> None:
        """Give the session a variable. Raises ValueRefused."""
        self.add(Variable(name, values.encode_capped(value, self.life.terms.limits.value_bytes)))

    def add(self, item: SetUp) -> None:
        """Apply something now, and again to every process that replaces this one without it."""
        with self.asking() as link:
            self.life.give(link, item)

    @contextmanager
    def asking(self) -> Generator[Link]:
        """The link, for a question between steps. Raises AnswerLost or SessionLost."""
        with self._taking_turn():
            link = self._current()
            try:
                yield link
            except (WorkerGone, ProtocolViolation) as error:
                raise loss.over_a_question(self.life.recover(link), error) from None
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
            self.life.pinned[self._handles] = number
            return self._handles

    def restore(self, handle: int) -> None:
        """Go back to a checkpoint, which stays. Raises CheckpointUnavailable."""
        with self._taking_turn():
            number = self.life.pinned.get(handle)
            link = self.life.link
            if number is None or link is None:
                raise CheckpointUnavailable(
                    "this checkpoint is gone: it was closed, or its worker was lost"
                )
            if (last := link.detach()) is not None:
                link.worker.drop(last)
            del self.life.pinned[handle]
            self.life.since.clear()
            try:
                woken = self.life.replace(link, number)
            except BaseException:
                self.life.drop()
                self._untold = loss.untold(Remains.NOTHING)
                raise
            if not woken:
                self.life.drop()
                raise CheckpointUnavailable(
                    "this checkpoint could not be woken; the session is lost, the next use starts "
                    "empty"
                )
            try:
                self._save_again(handle)
            except CheckpointUnavailable:
                raise
            except BaseException:
                assert self.life.link is not None
                self._go_back(self.life.link)
                raise

    def _save_again(self, handle: int) -> None:
        """A checkpoint of the caller's is used up once it was woken: make another of that state."""
        assert self.life.link is not None
        try:
            self.life.pinned[handle] = self._saved_now(self.life.link)
        except (WorkerGone, ProtocolViolation, CheckpointUnavailable) as error:
            raise CheckpointUnavailable(
                f"the session is as at the checkpoint, which could not be kept, though: {error}"
            ) from None

    def forget(self, handle: int) -> None:
        """Free a checkpoint."""
        self.life.unpin(handle)

    def fork(self, functions: Functions | None = None) -> Keeper:
        """A keeper of an independent session that goes on from here.

        From before the step, while one runs. Raises CheckpointUnavailable.
        """
        with self._branching:
            stepping = self._stepping
            branch = None if stepping is None or self.life.pristine else self._branch(stepping)
        revived = branch if stepping is not None else self._wake_beside()
        life = Lifeline(self.breed, self.life.spawn, self.life.terms.apart())
        life.setup = list(self.life.setup)
        life.link = revived
        life.pristine = revived is None
        twin = Keeper(life)
        try:
            if revived is None:
                life.new_worker()
            else:
                revived.adopt(life.terms)
            if functions is not None:
                twin._begin(self.life.terms.offering(functions))
        except BaseException:
            twin.close()
            raise
        return twin

    def _branch(self, link: Link) -> Link:
        """Another process of the state before the step that runs. Raises CheckpointUnavailable."""
        self._require_saves()
        reason = "it could not be saved, or is gone"
        try:
            revived = link.branch([item.apply for item in self.life.since])
        except (OSError, WorkerGone, ProtocolViolation, SandboxError) as error:
            revived, reason = None, str(error)
        if revived is None:
            raise CheckpointUnavailable(f"the state before this step cannot be had: {reason}")
        self.life.since.clear()
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
        limits = self.life.terms.limits
        if len(self.life.pinned) >= limits.checkpoints:
            raise CheckpointUnavailable(
                f"{len(self.life.pinned)} checkpoints are alive, as many as Limits.checkpoints "
                "allows: close one first"
            )
        link.save()
        self.life.since.clear()
        self.life.pristine = False
        failure = link.settle()
        number = link.detach() if failure is None else None
        if number is None:
            raise CheckpointUnavailable(f"the session could not be saved: {failure}")
        return number

    def _require_saves(self) -> None:
        if not self.life.saves:
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
                    self.life.drop()
            finally:
                self._turn.give_back()

    def close(self) -> None:
        self.life.ended = True
        if self._turn.foreign:
            return  # a fork of the process whose worker it is
        if self._dropped():
            return
        # Whoever has the turn drops the worker when he gives it back, or was past that already.
        self.life.cancel()
        self._turn.wait()
        self._dropped()

    def _dropped(self) -> bool:
        """Give the processes back, if nobody has the turn."""
        try:
            self._turn.take()
        except SandboxBusy:
            return False
        try:
            self.life.drop()
        finally:
            self._turn.give_back()
        return True


def _run(link: Link, code: str) -> _Ending:
    try:
        return link.run(code)
    except (WorkerGone, ProtocolViolation) as ending:
        return ending
