"""Ends steps that use more than they may.

One thread for the whole process looks at every running step: first when its time is up, and every
TICK_SECONDS for what it uses. A step that is over its wall-clock limit is interrupted, so that its
partial work is kept, and killed if it has not ended GRACE_SECONDS later; while it waits for a
processor on a busy machine, or we have not read what it said, this grace does not run. CPU time and
the session's deadline are treated alike; for memory it is killed at once: there may be none left to
answer with. Between steps there is nothing to watch: the session process stands still, from
REST_SECONDS after the last one on.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass

from rlm_sandbox.errors import ControllerExhausted
from rlm_sandbox.host.process import SessionProcess
from rlm_sandbox.limits import Limits
from rlm_sandbox.result import Outcome
from rlm_sandbox.session import Step

TICK_SECONDS = 0.005
"""A page fault hands out about 2.4 GB/s: between two looks a step can take about 12 MB."""

GRACE_SECONDS = 0.1
"""How long an interrupted step may take to end by itself, waiting for a processor not counted."""

LONGEST_GRACE_SECONDS = 1.0
"""How long it may take at most, all waiting included."""

REST_SECONDS = 0.005
"""A session that is used again within this time need not be stopped and set going again."""

IDLE_SECONDS = 0.5
"""The thread stays awake for so long after the last step, so that fast steps need not wake it."""


@dataclass(frozen=True)
class Grace:
    """The time that an interrupted step still has."""

    seconds: float
    since: float
    queued_before: float
    """Seconds that its process had waited for a processor by then."""

    def left(self, now: float, queued: float) -> float:
        """Seconds until it is killed, if its process has not waited for a processor meanwhile."""
        if not self.goes_on(now):
            return 0.0
        return self.seconds - (now - self.since) + (queued - self.queued_before)

    def goes_on(self, now: float) -> bool:
        """False if it has lasted as long as any may."""
        return self.seconds > 0 and now - self.since < LONGEST_GRACE_SECONDS


class Guard:
    """Watches one step of one session process."""

    def __init__(
        self,
        process: SessionProcess,
        step: Step,
        limits: Limits,
        memory: int,
        deadline: float | None,
        cpu_before: float | None = None,
    ) -> None:
        """`cpu_before`: CPU seconds of its process that are not this step's; None: all so far."""
        self._process = process
        self._step = step
        self._limits = limits
        self._memory = memory
        self._deadline = deadline
        self._cpu_seen = 0.0
        self.cpu_before = 0.0
        """CPU seconds of the process's earlier steps."""
        self.cpu_before = self._process_cpu() if cpu_before is None else cpu_before
        self._grace: Grace | None = None
        self._lock = threading.Lock()
        self._over = False
        self.peak = 0
        self.stopped: Outcome | None = None
        """Why the step was ended from outside, if it was."""

    def cpu_seconds(self) -> float:
        """What the step has used so far; what was seen last when the worker is gone."""
        self._cpu_seen = max(self._cpu_seen, self._process_cpu() - self.cpu_before)
        return self._cpu_seen

    @property
    def cpu_after(self) -> float:
        """CPU seconds of the process when its step was last looked at."""
        return self.cpu_before + self._cpu_seen

    def _process_cpu(self) -> float:
        try:
            return self._process.cpu_seconds()
        except OSError:  # it has ended
            return 0.0

    def finish(self) -> None:
        """The step has ended: after this call it is neither interrupted nor killed."""
        with self._lock:
            self._over = True

    def look(self, now: float) -> float | None:
        """Check the limits; returns when to look next, or None when the step is over."""
        with self._lock:
            if self._over or self._process.closed:
                return None
            if self._grace is not None:
                left = self._grace.left(now, self._process.queued_seconds())
                if left <= 0 and not (self._process.has_spoken() and self._grace.goes_on(now)):
                    end(self._process)
                return now + max(left, TICK_SECONDS / 5)
            return self._check(now)

    def _check(self, now: float) -> float:
        left = self._limits.step_seconds - self._step.clock.own(now)
        held = self._process.resident_bytes()
        self.peak = max(self.peak, held)
        if held == 0:  # it has ended; a process that it forked may still hold its socket
            self._process.hang_up()
        elif held > self._memory:
            self._stop(Outcome.MEMORY, kill=True)
        elif left <= 0 or (self._deadline is not None and now >= self._deadline):
            self._stop(Outcome.TIMEOUT, kill=False)
        elif self.cpu_seconds() >= self._limits.cpu_seconds:
            self._stop(Outcome.CPU, kill=False)
        return now + min(TICK_SECONDS, max(left, 0.0))

    def _stop(self, outcome: Outcome, *, kill: bool) -> None:
        if self.stopped is None:
            self.stopped = outcome
        if kill:
            end(self._process)
        else:
            self._process.interrupt()
        seconds = 0.0 if kill else GRACE_SECONDS
        self._grace = Grace(seconds, time.monotonic(), self._process.queued_seconds())


class Rest:
    """A session process that is to stand still, unless it is asked for something right away.

    To stop it and to have it go on takes longer than most steps.
    """

    def __init__(self, process: SessionProcess) -> None:
        self._process = process
        self._since = time.monotonic()
        self._lock = threading.Lock()
        self._over = False

    def look(self, now: float) -> float | None:
        """Stop the process when it is time; returns when to look next, or None when it is done."""
        with self._lock:
            if not self._over and now < self._since + REST_SECONDS:
                return self._since + REST_SECONDS
            if not self._over:
                self._process.pause()
                self._over = True
            return None

    def call_off(self) -> bool:
        """The process is to work on. False if it stands still already."""
        with self._lock:
            running = not self._over
            self._over = True
            return running


def end(process: SessionProcess) -> None:
    """Kill a session process, and have whoever reads its socket see the end of it."""
    process.kill()
    process.hang_up()


class Watch:
    """The thread that looks at every running step, and at the sessions that come to rest."""

    def __init__(self) -> None:
        self._guards: set[Guard | Rest] = set()
        self._awake = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def add(self, guard: Guard | Rest) -> None:
        self.start()
        self._guards.add(guard)
        if not self._awake.is_set():
            self._awake.set()

    def remove(self, guard: Guard) -> None:
        guard.finish()
        self._guards.discard(guard)

    def start(self) -> None:
        """Have the thread there before anything is added. Raises ControllerExhausted."""
        if self._thread is not None:
            return
        with self._starting:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="rlm-watch", daemon=True)
                try:
                    thread.start()
                except RuntimeError as error:
                    raise ControllerExhausted(f"no step can be watched: {error}") from None
                self._thread = thread

    def _run(self) -> None:
        try:
            self._look_on()
        finally:  # one that an error has ended must be replaced: without it no limit holds
            with self._starting:
                self._thread = None

    def _look_on(self) -> None:
        last_busy = time.monotonic()
        while True:
            now = time.monotonic()
            guards = self._guards.copy()
            if guards:
                last_busy = now
            elif now - last_busy > IDLE_SECONDS:
                self._awake.clear()
                if not self._guards:  # looked at again: one may have come before the clear
                    self._awake.wait()
                last_busy = time.monotonic()
                continue
            next_look = now + TICK_SECONDS
            for guard in guards:
                then = guard.look(now)
                if then is None:
                    self._guards.discard(guard)
                else:
                    next_look = min(next_look, then)
            time.sleep(max(next_look - time.monotonic(), 0.0002))

    def forget(self) -> None:
        """In a forked child of the controller: the thread is the parent's."""
        self.__init__()


WATCH = Watch()
os.register_at_fork(after_in_child=WATCH.forget)
