"""Host functions as the code sees them: callables that ask the controller and wait.

Any number of the code's threads may call at once over the one socket. There is no reader thread: of
the threads that wait, one reads the socket for all (the leader); when its own result has come, it
wakes another to lead. So a call from a single-threaded program costs no thread switch.
"""

from __future__ import annotations

import builtins
import threading

from rlm_sandbox import values
from rlm_sandbox.errors import ValueRefused
from rlm_sandbox.protocol import Call, ForWorker, Raise, Return
from rlm_sandbox.worker.channel import Channel, Shield


class HostError(Exception):
    """An exception that a host function raised and that is no builtin one; subclassed by name."""

    # Python leaves out where a class comes from, and shows its name alone, for this module only.
    __module__ = "builtins"


class HostFunction:
    """A function of the controller, callable from the code."""

    def __init__(self, bridge: Bridge, index: int, name: str) -> None:
        self._bridge = bridge
        self.index: int | None = index
        """Its place among those that are offered now; None if it is not."""
        self.__name__ = self.__qualname__ = name

    def __call__(self, *args: object, **kwargs: object) -> object:
        if self.index is None:
            raise RuntimeError(f"the host function {self.__name__} is not there any more")
        return self._bridge.call(self.index, args, kwargs)

    def __repr__(self) -> str:
        return f"<host function {self.__name__}>"


class _Pending:
    """A message that a thread waits for. Its lock is free once the thread has cause to look."""

    __slots__ = ("_asleep", "message")

    def __init__(self) -> None:
        self.message: ForWorker | None = None
        self._asleep = threading.Lock()
        self._asleep.acquire()

    def sleep(self) -> None:
        self._asleep.acquire()

    def wake(self) -> bool:
        """Free the lock; False if it was free, so that the thread is about to look anyway."""
        try:
            self._asleep.release()
        except RuntimeError:
            return False
        return True


class Bridge:
    def __init__(self, channel: Channel, *, concurrent_calls: int, value_bytes: int) -> None:
        self._channel = channel
        self._concurrent_calls = concurrent_calls
        self._value_bytes = value_bytes
        self.reopen()

    def reopen(self) -> None:
        """Start anew: in a woken checkpoint no thread is left that could give back a lock."""
        self._calling = threading.Lock()
        self._calls = 0
        self._pending: dict[int, _Pending] = {}
        self._command = _Pending()
        self._reading = threading.Lock()
        self._slots = threading.BoundedSemaphore(self._concurrent_calls)
        self._open = False  # True while a step runs: a host call belongs to a step

    def call(self, index: int, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        """Ask the controller and wait for its reply. Raises what the host function raised."""
        arguments = values.encode_call(args, kwargs, self._value_bytes)
        # An interrupt that comes while the code waits is put off until the reply is there: waiting
        # costs the step nothing of its time limit.
        with Shield(self._channel):
            reply = self._ask(index, arguments)
        return self._finish(reply)

    def next_command(self) -> ForWorker:
        """The controller's next message that is no reply to a call. Main thread only."""
        command = self._wait(self._command)
        self._command = _Pending()
        return command

    def begin_step(self) -> None:
        """From here on host functions can be called; calls are numbered from 1 a step."""
        self._calls = 0
        self._open = True

    def end_step(self) -> None:
        """Calls that threads still wait for are given up: a call ends with its step."""
        with self._calling:
            self._open = False
        for call in list(self._pending):
            self._deliver(Raise(call, "RuntimeError", "the step that made this call has ended"))

    def _ask(self, index: int, arguments: bytes) -> ForWorker:
        alone = threading.active_count() == 1
        if alone and not self._pending:
            return self._ask_alone(index, arguments)
        with self._slots:
            with self._calling:  # so that calls leave in the order of their numbers
                self._check_open()
                self._calls += 1
                pending = self._pending[self._calls] = _Pending()
                self._channel.send(Call(self._calls, index, arguments, alone))
            return self._wait(pending)

    def _ask_alone(self, index: int, arguments: bytes) -> ForWorker:
        """The same where no other thread calls, waits or reads: most programs have only one."""
        self._check_open()
        self._calls += 1
        self._channel.send(Call(self._calls, index, arguments, alone=True))
        while True:
            message = self._channel.receive()
            if not isinstance(message, Return | Raise):
                self._command.message = message
                self._command.wake()
            elif message.call == self._calls:
                return message

    def _check_open(self) -> None:
        if not self._open:
            raise RuntimeError("host functions can be called only while a step runs")

    def _wait(self, pending: _Pending) -> ForWorker:
        while pending.message is None:
            if self._reading.acquire(blocking=False):
                try:
                    while pending.message is None:
                        self._read_one()
                finally:
                    self._reading.release()
                    self._wake_a_leader()
            else:
                pending.sleep()
        return pending.message

    def _read_one(self) -> None:
        message = self._channel.receive()
        if isinstance(message, Return | Raise):
            self._deliver(message)
        else:
            self._command.message = message
            self._command.wake()

    def _deliver(self, reply: Return | Raise) -> None:
        """Hand a reply to its caller; one for a call that was given up is dropped."""
        pending = self._pending.pop(reply.call, None)
        if pending is not None:
            pending.message = reply
            pending.wake()

    def _wake_a_leader(self) -> None:
        """Someone who still waits must read the socket from now on."""
        for pending in [*self._pending.values(), self._command]:
            if pending.message is None and pending.wake():
                return

    @staticmethod
    def _finish(reply: ForWorker) -> object:
        if isinstance(reply, Return):
            return values.decode(reply.value)
        assert isinstance(reply, Raise)
        raise _exception(reply.kind, reply.message)


def _exception(kind: str, message: str) -> Exception:
    """An exception of the builtin class of that name, else of a class made for it."""
    known = getattr(builtins, kind, None)
    if kind == ValueRefused.__name__:
        return ValueRefused(message)
    if isinstance(known, type) and issubclass(known, Exception):
        try:
            return known(message)
        except TypeError:  # UnicodeDecodeError and the like take more than a text
            pass
    made: type[Exception] = type(kind, (HostError,), {"__module__": HostError.__module__})
    return made(message)
