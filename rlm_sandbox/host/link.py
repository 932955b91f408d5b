"""The controller's talk with one worker: sends commands, serves its calls, sees it end.

The thread that runs a step reads the worker's socket itself.

A session process runs only while the controller waits for it. Between steps it is stopped, with
whatever threads its code has left: by the init once a checkpoint sleeps, else from here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import NoReturn

from rlm_sandbox import values
from rlm_sandbox.confine import rlimits
from rlm_sandbox.errors import SessionLost, StartFailed, ValueRefused
from rlm_sandbox.host.host_calls import HostCalls
from rlm_sandbox.host.line import Line
from rlm_sandbox.host.memory import TEXT_GROWTH, MemoryBase
from rlm_sandbox.host.nursery import NURSERY, Breed
from rlm_sandbox.host.process import SessionProcess
from rlm_sandbox.host.terms import Terms
from rlm_sandbox.host.watch import WATCH, Guard, Rest, end
from rlm_sandbox.host.worker import Vanished, Worker
from rlm_sandbox.modules import Modules
from rlm_sandbox.protocol import (
    FIRST_SESSION,
    Answer,
    Attend,
    Describe,
    Done,
    Exec,
    ForWorker,
    Get,
    Install,
    Load,
    Offer,
    Protect,
    Raise,
    Ready,
    Refusal,
    Rehearse,
    Request,
    Save,
    Set,
    Spawn,
)
from rlm_sandbox.session import (
    Called,
    CallRefused,
    Ended,
    Event,
    Phase,
    ProtocolViolation,
    Replied,
    Session,
    WorkerGone,
)

START_SECONDS = 30.0
WAKE_SECONDS = 10.0
"""How long a woken checkpoint may take to say so: code may have changed what it does then."""
SAVE_SECONDS = 10.0
"""How long a session process may take, after a step, to read that it is to be saved."""
ANSWER_SECONDS = 60.0
"""How long a Request may take: a value's own code may run in it."""
LAST_SECONDS = 5.0
"""How long it may take when the session's time is over: what it has left can be fetched yet."""

Give = Callable[["Link"], None]
"""Gives a session process what the one before it was given."""


class Link:
    """One session process, alive: its socket, what it may say now, and its last checkpoint."""

    def __init__(
        self,
        worker: Worker,
        process: SessionProcess,
        terms: Terms,
        *,
        steps: int = 0,
        base: MemoryBase | None = None,
    ) -> None:
        """Takes over a process that is about to say Ready. Raises WorkerGone, ProtocolViolation."""
        self.worker = worker
        self.process = process
        self._terms = terms
        self._limits = terms.limits
        self.session = Session(terms.limits, len(terms.functions), steps)
        self._state = threading.Lock()  # held while the session changes
        self._line = Line(process.socket, terms.limits.value_bytes)
        self._calls = HostCalls(
            self._line,
            self.session,
            self._state,
            tuple(terms.functions.values()),
            terms.limits.value_bytes,
            terms.running,
        )
        self.guard: Guard | None = None
        self._saving: int | None = None  # a checkpoint that has been asked for
        self._saved: int | None = None  # the last one that is there
        self._outdated = False  # saving has failed since
        self._torn = False  # it is not known whether the worker was told to save
        # CPU seconds of the process's life, by its rlimit. That of a fork is not known.
        self._cpu_allowed = rlimits.cpu(0.0, self._limits.cpu_seconds) if base is None else 0
        self._rest: Rest | None = None  # not None: it may be running still
        # CPU seconds that are not the next step's; None: all so far. What a checkpoint that was
        # woken has used is; what a step left running, or was slow to be saved, uses is, too.
        self._charged: float | None = 0.0 if base is not None else None
        self._expect(Ready, WAKE_SECONDS if steps or base else START_SECONDS)
        if base is None:
            base = MemoryBase(max(process.resident_bytes() - worker.held, 0), worker.held)
        self._base = base

    @classmethod
    def start(cls, breed: Breed, spawn: Spawn, terms: Terms) -> Link:
        """A new worker. Raises StartFailed."""
        try:
            worker = Worker(breed, spawn)
        except Vanished:
            NURSERY.await_loss(breed)
            worker = Worker(breed, spawn)
        try:
            link = cls(worker, worker.first, terms)
        except (WorkerGone, ProtocolViolation) as error:
            death = worker.death(FIRST_SESSION)
            _close(worker, worker.first)
            raise StartFailed(f"the worker ended before it was ready: {error}, {death}") from None
        except BaseException:
            _close(worker, worker.first)
            raise
        worker.prepare_next()
        return link

    def close(self) -> None:
        """End the session process, and the worker with the last one."""
        try:
            self.process.kill()
            if self._saved is not None:
                self.worker.drop(self._saved)
        finally:  # even when Ctrl-C comes right now
            _close(self.worker, self.process)

    # --- checkpoints ----------------------------------------------------------------------------

    def save(self) -> None:
        """Have the session, as it is now, forked into a checkpoint; does not wait for it.

        The session process stands still from then on.
        """
        self.settle()
        self._charge_on()
        self._torn = True
        self._saving = self.worker.permit(self.process, replaces=self._saved)
        self._go_on()
        self._tell(Save(), SAVE_SECONDS)
        self._torn = False

    def settle(self) -> str | None:
        """Wait until the checkpoint asked for sleeps; else returns why there is none."""
        if self._saving is None:
            return None
        failure = self.worker.saved(self._saving)
        self._outdated = failure is not None
        if not self._outdated:
            self._saved = self._saving
        self.worker.forget_saved(self._saving)
        self._saving = None
        return failure

    @property
    def restorable(self) -> bool:
        """True if there is a checkpoint, or one has been asked for."""
        return self._saved is not None or self._saving is not None

    @property
    def outdated(self) -> bool:
        """True if the last checkpoint holds an older state: saving has failed since."""
        return self._outdated

    def detach(self) -> int | None:
        """Give the last checkpoint out of hand: it is not replaced by the next one, nor dropped."""
        self.settle()
        number, self._saved = self._saved, None
        return number

    def rest(self) -> None:
        """Have the session process stand still until it is asked for something."""
        self._charge_on()
        self._rest = Rest(self.process)
        WATCH.add(self._rest)

    def _charge_on(self) -> None:
        """What the process uses from the last step's end on is the next one's."""
        if self._charged is None and self.guard is not None:
            self._charged = self.guard.cpu_after

    def _used(self) -> float:
        try:
            return self.process.cpu_seconds()
        except OSError:  # it has ended
            return 0.0

    def _go_on(self) -> None:
        """Have the session process run."""
        rest, self._rest = self._rest, None
        if rest is None or not rest.call_off():
            self.process.go_on()

    def revive(self, checkpoint: int, *, replace: bool) -> Link | None:
        """Let a checkpoint go on, in place of this session process or beside it.

        None if that failed. Raises OSError if this process has no descriptors left for it.
        """
        if replace:
            self.process.kill()
            self.process.close()  # which leaves descriptors enough for the one that replaces it
        process = self.worker.wake(checkpoint)
        if process is None:
            return None
        self.worker.share()
        try:
            link = Link(
                self.worker, process, self._terms, steps=self.session.steps, base=self._base
            )
        except (WorkerGone, ProtocolViolation):
            _end(self.worker, process)
            return None
        except BaseException:
            _end(self.worker, process)
            raise
        if replace:
            self.worker.release()
        return link

    def branch(self, since: Iterable[Give]) -> Link | None:
        """Another session process, from the last checkpoint and what was given since.

        For while a step runs: its thread uses the socket, and leaves the checkpoints alone. Waking
        a checkpoint uses it up, so the new process makes another, of the same state, for this one.
        None if there is none, or it could not be woken.
        """
        number = self.detach()
        if number is None or self._outdated:
            self._saved = number
            return None
        try:
            twin = self.revive(number, replace=False)
        except OSError:
            self._saved = number
            raise
        if twin is None:
            return None
        try:
            for give in since:
                give(twin)
            twin.save()
            self._saved = twin.detach()
        except BaseException:
            twin.close()
            raise
        return twin

    # --- steps ----------------------------------------------------------------------------------

    def run(self, code: str) -> Done:
        """Run a step to its end. Raises WorkerGone or ProtocolViolation; `guard` says why."""
        WATCH.start()
        now = time.monotonic()
        step = self.session.begin_step(now)
        memory = self._base.total + self._limits.memory
        charged, self._charged = self._charged, None
        self.guard = guard = Guard(
            self.process, step, self._limits, memory, self._terms.deadline, charged
        )
        try:
            WATCH.add(guard)
            self._allow_cpu(guard.cpu_before)
            self._go_on()
            self._line.send(Exec(step.number, code))
            while True:
                event = self._receive()
                match event:
                    case Called(call=call):
                        self._calls.serve(call)
                    case CallRefused(call=call, message=message):
                        self._line.send(Raise(call, "RuntimeError", message))
                    case Ended(done=done):
                        return done
        finally:
            WATCH.remove(guard)

    def _allow_cpu(self, used: float) -> None:
        """Keep the rlimit above what this step may use; it is moved seldom, in leaps."""
        step = self._limits.cpu_seconds
        if not rlimits.cpu_suffices(self._cpu_allowed, used, step):
            self._cpu_allowed = rlimits.cpu(used, step)
            self.worker.allow_cpu(self.process, self._cpu_allowed)

    # --- requests -------------------------------------------------------------------------------

    def get(self, name: str) -> object:
        """A variable of the session. Raises KeyError with a text if there is none."""
        answer = self._ask(Get(self.session.begin_request(), name))
        return values.decode_untrusted(answer, self._limits.value_bytes)

    def set(self, name: str, value: object) -> None:
        self.give(name, values.encode_capped(value, self._limits.value_bytes))

    def give(self, name: str, encoded: bytes) -> None:
        """Set a variable to a value that is encoded already."""
        self._ask(Set(self.session.begin_request(), name, encoded))

    def describe(self) -> object:
        answer = self._ask(Describe(self.session.begin_request()))
        return values.decode_untrusted(answer, self._limits.value_bytes)

    def install(self, source: str, given: Mapping[str, object], modules: Modules | None) -> None:
        """Run trusted source, before it the modules that it imports, if they are not there."""
        encoded = values.encode(dict(given))
        packed = b"" if modules is None else modules.packed
        self._ask(Install(self.session.begin_request(), source, encoded, packed))

    def rehearse(self) -> None:
        """Have the session process do once what every step does."""
        self._ask(Rehearse(self.session.begin_request()))

    def begin(self, terms: Terms) -> None:
        """Go on under these terms: a spare worker that has got a user."""
        if terms.functions or self.session.functions:
            self._ask(Offer(self.session.begin_request(), tuple(terms.functions)))
        self.adopt(terms)

    def adopt(self, terms: Terms) -> None:
        """Be under these terms, whose functions the worker knows."""
        self._terms, self._calls.functions = terms, tuple(terms.functions.values())
        self._calls.running = terms.running
        self.session.functions = len(terms.functions)

    def load(self, name: str, descriptor: int, size: int) -> None:
        """Give the worker a text as the file behind `descriptor`, of `size` bytes of UTF-8."""
        more = TEXT_GROWTH * size + size
        with self._asked():
            self.worker.allow_memory(self.process, self._limits.memory + self._base.contexts + more)
            before = self.process.resident_bytes()
            try:
                self._hand_over(name, descriptor, size)
                grown = self.process.resident_bytes() - before
                self._base = self._base.with_text(name, size, grown)
            finally:  # even when the text was refused
                self._allow_memory()

    def protect(self, name: str, text: bytes) -> None:
        """Give the worker a text as the bytes of its UTF-8; they count as memory of the session."""
        self._ask(Protect(self.session.begin_request(), name, text))
        before, self._base = self._base, self._base.with_text(name, len(text), 0)
        if self._base.contexts != before.contexts:  # it replaces one that did not
            with self._asked():
                self._allow_memory()

    def _allow_memory(self) -> None:
        """What the session may hold, beside the texts that it has."""
        self.worker.allow_memory(self.process, self._limits.memory + self._base.contexts)

    def _hand_over(self, name: str, descriptor: int, size: int) -> None:
        seconds = self._terms.within(ANSWER_SECONDS, LAST_SECONDS)
        number = self.session.begin_request()
        self._tell(Load(number, name, size), seconds)
        if isinstance(attend := self._expect(Attend, seconds), Refusal):
            self._check(attend)
        try:
            self._line.send_descriptor(descriptor, seconds)
        except TimeoutError:
            self._late(seconds)
        self._check(self._expect(Answer, seconds))

    def _ask(self, request: Request) -> bytes:
        seconds = self._terms.within(ANSWER_SECONDS, LAST_SECONDS)
        with self._asked():
            self._tell(request, seconds)
            return self._check(self._expect(Answer, seconds))

    def _tell(self, message: ForWorker, seconds: float) -> None:
        """Send what no guard watches over. A worker that does not read it is killed."""
        try:
            self._line.send(message, within=seconds)
        except TimeoutError:
            self._late(seconds)

    @contextmanager
    def _asked(self) -> Generator[None]:
        """The session process goes on for the time of a question."""
        self.settle()
        before = self._used()
        self._go_on()
        try:
            yield
        finally:
            self.rest()
            self.process.ran()
            if self._charged is not None:  # what a question takes is no step's
                self._charged += max(self._used() - before, 0.0)

    @staticmethod
    def _check(reply: Ready | Attend | Answer | Refusal) -> bytes:
        if isinstance(reply, Answer):
            return reply.value
        assert isinstance(reply, Refusal)
        if reply.reason == "missing":
            raise KeyError(reply.message)
        if reply.reason == "refused":
            raise ValueRefused(reply.message)
        raise SessionLost(f"the session could not do it: {reply.message}")

    def _expect(
        self, kind: type[Ready | Attend | Answer], seconds: float
    ) -> Ready | Attend | Answer | Refusal:
        """The worker's reply to a request: of this kind or a Refusal. A late worker is killed."""
        deadline = time.monotonic() + seconds
        try:
            event = self._receive(deadline)
        except TimeoutError:
            self._late(seconds)
        if isinstance(event, Replied) and isinstance(event.message, kind | Refusal):
            return event.message
        raise ProtocolViolation("an answer that was not asked for")

    def _late(self, seconds: float) -> NoReturn:
        end(self.process)
        raise WorkerGone(f"no answer within {seconds:.0f} s") from None

    def cancel(self) -> None:
        """End what the worker does, from another thread: whoever waits for it gets WorkerGone."""
        end(self.process)

    def _receive(self, deadline: float | None = None) -> Event | None:
        """What the next message means; None for one that needs nothing done."""
        message = self._line.receive(deadline)
        with self._state:
            return self.session.receive(message, time.monotonic())

    @property
    def pristine(self) -> bool:
        """True as long as only our own code has run in it."""
        return self.session.steps == 0

    @property
    def idle(self) -> bool:
        """True between steps, when nothing is half done."""
        return self.session.phase is Phase.IDLE and not self._torn


def _close(worker: Worker, process: SessionProcess) -> None:
    process.close()
    worker.release()


def _end(worker: Worker, process: SessionProcess) -> None:
    process.kill()
    _close(worker, process)
