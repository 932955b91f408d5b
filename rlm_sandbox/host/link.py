"""The controller's talk with one worker: sends commands, serves its calls, sees it end.

The thread that runs a step reads the worker's socket itself and, as long as the worker has no
second thread, also runs its host calls: no thread switch on the way. Other calls get a thread each.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping

import msgspec

from rlm_sandbox import values
from rlm_sandbox.errors import SessionLost, StartFailed, ValueRefused
from rlm_sandbox.framing import FrameBuffer, FrameTooLarge, frame
from rlm_sandbox.host.watch import WATCH, Guard, end
from rlm_sandbox.host.worker import Worker
from rlm_sandbox.host.zygote import Breed
from rlm_sandbox.limits import Limits
from rlm_sandbox.protocol import (
    ENVELOPE_BYTES,
    ERROR_CHARS,
    Answer,
    Attend,
    Call,
    Describe,
    Done,
    Exec,
    ForWorker,
    Get,
    Install,
    Load,
    Raise,
    Ready,
    Refusal,
    Return,
    Set,
    Spawn,
    decode_from_worker,
    encode,
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
    Step,
)

RECEIVE_BYTES = 64 * 1024
LARGEST_RECEIVE = 4 * 1024 * 1024
START_SECONDS = 30.0
ANSWER_SECONDS = 60.0
"""How long a Get, Set, Load, Install or Describe may take: a value's own code may run in it."""

TEXT_GROWTH = 4
"""A byte of UTF-8 takes at most so many bytes once decoded, at the widest character in the text."""

Functions = Mapping[str, Callable[..., object]]


class WorkerGone(Exception):
    """The worker closed its socket: it has ended, or is ending."""


class Link:
    """One worker, alive: its processes, its socket and what it may say now."""

    def __init__(
        self,
        breed: Breed,
        spawn: Spawn,
        limits: Limits,
        functions: Functions,
        deadline: float | None,
    ) -> None:
        self._limits = limits
        self._functions = tuple(functions.values())
        self._deadline = deadline
        self._buffer = FrameBuffer(cap=limits.value_bytes + ENVELOPE_BYTES)
        self._state = threading.Lock()  # held while the session changes
        self._sending = threading.Lock()  # held while a frame leaves; taken before _state
        self.session = Session(limits, len(functions))
        self.worker = Worker(breed, spawn)
        self._socket = self.worker.socket
        try:
            self._expect(Ready, START_SECONDS)
        except WorkerGone:
            death = self.worker.death()
            self.worker.close()
            raise StartFailed(f"the worker ended before it was ready: {death}") from None
        except BaseException:
            self.worker.close()
            raise
        self._idle_bytes = self.worker.resident_bytes()
        self._context_bytes = 0
        self.guard: Guard | None = None

    # --- steps ----------------------------------------------------------------------------------

    def run(self, code: str) -> Done:
        """Run a step to its end. Raises WorkerGone or ProtocolViolation; `guard` says why."""
        now = time.monotonic()
        step = self.session.begin_step(now)
        memory = self._idle_bytes + self._context_bytes + self._limits.memory
        self.guard = guard = Guard(self.worker, step, self._limits, memory, self._deadline)
        WATCH.add(guard)
        try:
            self._send(Exec(step.number, code))
            while True:
                event = self._receive()
                match event:
                    case Called(call=call):
                        self._serve(call)
                    case CallRefused(call=call, message=message):
                        self._send(Raise(call, "RuntimeError", message))
                    case Ended(done=done):
                        return done
        finally:
            WATCH.remove(guard)

    def _serve(self, call: Call) -> None:
        step = self.session.step
        if call.alone:
            self._reply(step, self._result(call))
        else:
            threading.Thread(
                target=self._serve_aside, args=(step, call), name="rlm-host-call", daemon=True
            ).start()

    def _serve_aside(self, step: Step, call: Call) -> None:
        try:
            reply = self._result(call)
        except BaseException as error:  # noqa: BLE001 - sys.exit() ends a thread, and nobody knew
            reply = _raising(call, error)
        self._reply(step, reply)

    def _result(self, call: Call) -> Return | Raise:
        try:
            given = values.decode_untrusted(call.arguments, self._limits.value_bytes)
            args, kwargs = _arguments(given)
            result = self._functions[call.function](*args, **kwargs)
            return Return(call.call, values.encode_capped(result, self._limits.value_bytes))
        except Exception as error:  # noqa: BLE001 - it belongs to the code that called
            return _raising(call, error)

    def _reply(self, step: Step, reply: Return | Raise) -> None:
        data = frame(encode(reply))
        with self._state:
            self.session.served(step, reply.call, time.monotonic())
        with self._sending:
            with self._state:
                if not self.session.replying(step, reply.call):
                    return  # the step ended while a thread of its code was waiting
            try:
                self._socket.sendall(data)
            except OSError:  # the worker is gone: whoever reads the socket sees it too, and says so
                return

    # --- requests -------------------------------------------------------------------------------

    def get(self, name: str) -> object:
        """A variable of the session. Raises KeyError with a text if there is none."""
        answer = self._ask(Get(self.session.begin_request(), name))
        return values.decode_untrusted(answer, self._limits.value_bytes)

    def set(self, name: str, value: object) -> None:
        encoded = values.encode_capped(value, self._limits.value_bytes)
        self._ask(Set(self.session.begin_request(), name, encoded))

    def describe(self) -> object:
        answer = self._ask(Describe(self.session.begin_request()))
        return values.decode_untrusted(answer, self._limits.value_bytes)

    def install(self, source: str, given: Mapping[str, object]) -> None:
        encoded = values.encode(dict(given))
        self._ask(Install(self.session.begin_request(), source, encoded))

    def load(self, name: str, descriptor: int, size: int) -> None:
        """Give the worker a text as the file behind `descriptor`, of `size` bytes of UTF-8."""
        most = self._context_bytes + TEXT_GROWTH * size
        self.worker.allow_memory(self._limits.memory + most + size)
        before = self.worker.resident_bytes()
        number = self.session.begin_request()
        self._send(Load(number, name, size))
        if isinstance(attend := self._expect(Attend, ANSWER_SECONDS), Refusal):
            self._check(attend)
        try:
            socket.send_fds(self._socket, [b"\0"], [descriptor])
        except OSError as error:
            raise WorkerGone(str(error)) from None
        self._check(self._expect(Answer, ANSWER_SECONDS))
        grown = max(self.worker.resident_bytes() - before, 0)
        self._context_bytes = min(self._context_bytes + grown, most)
        self.worker.allow_memory(self._limits.memory + self._context_bytes)

    def _ask(self, request: Get | Set | Describe | Install) -> bytes:
        self._socket.settimeout(ANSWER_SECONDS)  # it may be one that never reads
        self._send(request)
        return self._check(self._expect(Answer, ANSWER_SECONDS))

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
            end(self.worker)
            raise WorkerGone(f"no answer within {seconds:.0f} s") from None
        finally:
            self._socket.settimeout(None)
        if isinstance(event, Replied) and isinstance(event.message, kind | Refusal):
            return event.message
        raise ProtocolViolation("an answer that was not asked for")

    # --- the socket -----------------------------------------------------------------------------

    def cancel(self) -> None:
        """End what the worker does, from another thread: whoever waits for it gets WorkerGone."""
        end(self.worker)

    def _send(self, message: ForWorker) -> None:
        data = frame(encode(message))
        try:
            with self._sending:
                self._socket.sendall(data)
        except OSError as error:
            raise WorkerGone(str(error)) from None

    def _receive(self, deadline: float | None = None) -> Event | None:
        """What the next message means; None for one that needs nothing done."""
        buffer = self._buffer
        try:
            while (payload := buffer.next_frame()) is None:
                if deadline is not None:
                    self._socket.settimeout(_seconds_left(deadline))
                data = self._socket.recv(max(RECEIVE_BYTES, min(buffer.wanted, LARGEST_RECEIVE)))
                if not data:
                    raise WorkerGone("it closed its socket")
                buffer.feed(data)
            message = decode_from_worker(payload)
        except TimeoutError:
            raise
        except OSError as error:
            raise WorkerGone(str(error)) from None
        except (msgspec.MsgspecError, RecursionError, FrameTooLarge, ValueError) as error:
            raise ProtocolViolation(str(error)) from None
        with self._state:
            return self.session.receive(message, time.monotonic())

    @property
    def idle(self) -> bool:
        return self.session.phase is Phase.IDLE


def _seconds_left(deadline: float) -> float:
    """Raises TimeoutError if there are none, which a peer that drips bytes would never meet."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _raising(call: Call, error: BaseException) -> Raise:
    """What the code gets for an exception of a host function."""
    try:
        # a KeyError's text is the repr of its key, which raising it again would quote once more
        text = str(error.args[0] if type(error) is KeyError and error.args else error)
    except Exception:  # noqa: BLE001 - its own __str__ fails
        text = "(it has no readable message)"
    text = text[:ERROR_CHARS].encode("utf-8", "backslashreplace").decode()
    return Raise(call.call, type(error).__name__, text)


def _arguments(given: object) -> tuple[list[object], dict[str, object]]:
    if (
        isinstance(given, list)
        and len(given) == 2
        and isinstance(args := given[0], list)
        and isinstance(kwargs := given[1], dict)
        and all(isinstance(key, str) for key in kwargs)
    ):
        return args, kwargs
    raise ValueRefused("arguments of a host call must be a list and a dict with text keys")
