"""Runs the host functions that the code calls, and sends what comes of them.

As long as the worker has no second thread that could call, or be waiting for the socket, this is
done by the thread that runs the step: no thread switch on the way. Other calls get a thread each.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from functools import partial

from rlm_sandbox import values
from rlm_sandbox.errors import ValueRefused
from rlm_sandbox.framing import frame
from rlm_sandbox.host.line import Line
from rlm_sandbox.host.running import Running
from rlm_sandbox.protocol import ERROR_CHARS, Call, Raise, Return, encode
from rlm_sandbox.session import Session, Step, WorkerGone
from rlm_sandbox.standby import standing_by

THREADS = standing_by("rlm-host-call")
"""For the host functions of all sandboxes."""

_CROWDED = (
    "host functions that earlier steps have called are running still, as many as may at once "
    "(Limits.concurrent_calls): wait for what you call"
)


class HostCalls:
    """The calls of one session process."""

    def __init__(
        self,
        line: Line,
        session: Session,
        state: threading.Lock,
        functions: tuple[Callable[..., object], ...],
        value_bytes: int,
        running: Running,
    ) -> None:
        """`state` is held while the session changes; `Line.sending` is taken before it."""
        self._line = line
        self._session = session
        self._state = state
        self._value_bytes = value_bytes
        self.functions = functions
        self.running = running

    def serve(self, call: Call) -> None:
        """Run the function and send its result, or have another thread do it."""
        step = self._session.step
        if not self.running.begin():
            self._reply(step, _raising(call, RuntimeError(_CROWDED)))
        elif call.alone:
            self._reply(step, self._result(call))
        else:
            self._serve_in_a_thread(step, call)

    def _serve_in_a_thread(self, step: Step, call: Call) -> None:
        try:
            THREADS.start(partial(self._serve_aside, step, call))
        except RuntimeError as error:  # this process may have no more threads
            self.running.end()
            self._reply(step, _raising(call, error))

    def _serve_aside(self, step: Step, call: Call) -> None:
        try:
            reply = self._result(call)
        except BaseException as error:  # noqa: BLE001 - sys.exit() ends a thread, and nobody knew
            reply = _raising(call, error)
        self._reply(step, reply)

    def _result(self, call: Call) -> Return | Raise:
        """What the function gives; it has ended then, whatever way."""
        try:
            given = values.decode_untrusted(call.arguments, self._value_bytes)
            args, kwargs = _arguments(given)
            result = self.functions[call.function](*args, **kwargs)
            return Return(call.call, values.encode_capped(result, self._value_bytes))
        except Exception as error:  # noqa: BLE001 - it belongs to the code that called
            return _raising(call, error)
        finally:
            self.running.end()

    def _reply(self, step: Step, reply: Return | Raise) -> None:
        data = frame(encode(reply))
        with self._state:
            self._session.served(step, reply.call, time.monotonic())
        with self._line.sending:
            with self._state:
                if not self._session.replying(step, reply.call):
                    return  # the step ended while a thread of its code was waiting
            with contextlib.suppress(WorkerGone):  # whoever reads the socket sees it, and says so
                self._line.send_frame(data)


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
        and (not kwargs or all(isinstance(key, str) for key in kwargs))
    ):
        return args, kwargs
    raise ValueRefused("arguments of a host call must be a list and a dict with text keys")
