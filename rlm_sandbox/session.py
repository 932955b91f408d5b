"""One worker as the controller sees it, without any input or output.

Decoded messages and times go in; what they mean comes out, or a ProtocolViolation: the worker is
hostile, so each message is allowed in certain phases only (ALLOWED), and what it can repeat is
counted. This file imports no socket, os, time or threading: it can be run from a recording.
"""

from __future__ import annotations

from enum import Enum, auto

from msgspec import Struct, field

from rlm_sandbox.limits import Limits
from rlm_sandbox.protocol import (
    Answer,
    Attend,
    Call,
    Done,
    FromWorker,
    Output,
    Ready,
    Refusal,
)

REFUSALS_TOLERATED = 1_000
"""Calls beyond the limit that get an error each; a worker that goes on is ended."""


class ProtocolViolation(Exception):
    """The worker sent what it may not send now. Its state cannot be trusted to be in step."""


class WorkerGone(Exception):
    """The worker closed its socket: it has ended, or is ending."""


class Phase(Enum):
    STARTING = auto()
    IDLE = auto()
    RUNNING = auto()  # a step
    ASKED = auto()  # a Request


ALLOWED: dict[Phase, tuple[type, ...]] = {
    Phase.STARTING: (Ready,),
    Phase.IDLE: (),
    Phase.RUNNING: (Call, Output, Done),
    Phase.ASKED: (Attend, Answer, Refusal),
}


class Called(Struct, frozen=True):
    """The code calls a host function; then comes `Session.served`, then `Session.replying`."""

    call: Call


class CallRefused(Struct, frozen=True):
    """The code calls beyond its limits: it gets this as an exception."""

    call: int
    message: str


class Replied(Struct, frozen=True):
    """The worker has done what it was asked."""

    message: Ready | Attend | Answer | Refusal


class Ended(Struct, frozen=True):
    """The step is over."""

    done: Done


Event = Called | CallRefused | Replied | Ended


class Clock(Struct):
    """The worker's own wall time, in seconds: what passes while no host call is pending."""

    started: float
    waited: float = 0.0
    waiting_since: float | None = None

    def pause(self, now: float) -> None:
        if self.waiting_since is None:
            self.waiting_since = now

    def resume(self, now: float) -> None:
        if self.waiting_since is not None:
            self.waited += now - self.waiting_since
            self.waiting_since = None

    def own(self, now: float) -> float:
        until = now if self.waiting_since is None else self.waiting_since
        return until - self.started - self.waited


class Step(Struct):
    """What has been seen of the step that runs."""

    number: int
    clock: Clock
    calls: int = 0
    refused: int = 0
    call_bytes: int = 0
    serving: set[int] = field(default_factory=set)
    """Calls whose host function runs: the clock stands as long as there are any."""
    pending: set[int] = field(default_factory=set)
    """Calls that have no reply yet. A reply that waits for the worker to read is on its clock."""
    output: list[str] = field(default_factory=list)
    output_chars: int = 0
    truncated: bool = False


class Session:
    """What one worker may say now, and what it has said of its step."""

    def __init__(self, limits: Limits, functions: int, steps: int = 0) -> None:
        self._limits = limits
        self.functions = functions
        """How many host functions there are."""
        self.steps = steps
        self._request = 0
        self.phase = Phase.STARTING
        self.step = Step(0, Clock(0.0))

    def begin_step(self, now: float) -> Step:
        assert self.phase is Phase.IDLE
        self.phase = Phase.RUNNING
        self.steps += 1
        self.step = Step(self.steps, Clock(now))
        return self.step

    def begin_request(self) -> int:
        """The number that the worker's answer must bear."""
        assert self.phase is Phase.IDLE
        self.phase = Phase.ASKED
        self._request += 1
        return self._request

    def receive(self, message: FromWorker, now: float) -> Event | None:
        """What a message means. Raises ProtocolViolation."""
        if not isinstance(message, ALLOWED[self.phase]):
            raise ProtocolViolation(f"{type(message).__name__} while {self.phase.name.lower()}")
        match message:
            case Call():
                return self._called(message, now)
            case Output(text=text):
                return self._printed(text)
            case Done():
                return self._done(message, now)
            case Ready():
                self.phase = Phase.IDLE
            case Attend(request=request):
                self._check_request(request)
            case Answer(request=request) | Refusal(request=request):
                self._check_request(request)
                self.phase = Phase.IDLE
        return Replied(message)

    def served(self, step: Step, call: int, now: float) -> None:
        """The host function of this call is done."""
        step.serving.discard(call)
        if not step.serving:
            step.clock.resume(now)

    def replying(self, step: Step, call: int) -> bool:
        """Its reply is about to be sent. False if the step has ended: then it must not be."""
        if self.step is not step or call not in step.pending:
            return False
        step.pending.discard(call)
        return True

    def _check_request(self, request: int) -> None:
        if request != self._request:
            raise ProtocolViolation(f"an answer to request {request}, not to {self._request}")

    def _called(self, call: Call, now: float) -> Event:
        step, limits = self.step, self._limits
        if call.call != step.calls + step.refused + 1:
            raise ProtocolViolation(f"call {call.call} out of turn")
        if not 0 <= call.function < self.functions:
            raise ProtocolViolation(f"a call of host function {call.function}, which is not there")
        if len(step.pending) >= limits.concurrent_calls:
            raise ProtocolViolation(f"more than {limits.concurrent_calls} calls at once")
        step.call_bytes += len(call.arguments)
        if step.calls >= limits.host_calls or step.call_bytes > limits.call_bytes:
            return self._refuse(call.call)
        step.calls += 1
        step.serving.add(call.call)
        step.pending.add(call.call)
        step.clock.pause(now)
        return Called(call)

    def _refuse(self, call: int) -> CallRefused:
        self.step.refused += 1
        if self.step.refused > REFUSALS_TOLERATED:
            raise ProtocolViolation("a flood of host calls")
        limits = self._limits
        return CallRefused(
            call,
            f"this step has made {self.step.calls} host calls; at most {limits.host_calls} calls "
            f"and {limits.call_bytes:,} bytes of arguments a step (Limits.host_calls, "
            "Limits.call_bytes). Work with what you have, or go on in the next step.",
        )

    def _printed(self, text: str) -> None:
        step = self.step
        room = self._limits.output_chars - step.output_chars
        if len(text) > room:  # an honest worker cuts by itself
            step.truncated = True
            text = text[: max(room, 0)]
        if text:
            step.output_chars += len(text)
            step.output.append(text)

    def _done(self, done: Done, now: float) -> Ended:
        step = self.step
        if done.step != step.number:
            raise ProtocolViolation(f"the end of step {done.step} in step {step.number}")
        self._printed(done.output)
        step.truncated |= done.truncated
        step.pending.clear()
        step.serving.clear()
        step.clock.resume(now)
        self.phase = Phase.IDLE
        return Ended(done)
