"""Waiting that can be ended from outside: calls of models in flight, and who may cancel them."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

from rlm_core.errors import RunCancelled
from rlm_sandbox.standby import standing_by

if TYPE_CHECKING:
    from collections.abc import Callable

    from rlm_core.adapters.base import ModelAdapter, ModelResponse


T = TypeVar("T")

THREADS = standing_by("rlm-call")
"""For runs, and for the calls of models and tools and the episodes of whichever run."""


class CancelScope:
    """All that must be stopped when a run is cancelled or its time is over. Thread-safe.

    Whoever waits enters its own way of being stopped; what was entered last is stopped first, so
    that a call in flight ends before the sandbox whose code waits for it. Scopes nest: what is
    below a scope is stopped with it, and can be stopped alone.
    """

    def __init__(self, parent: CancelScope | None = None) -> None:
        self._parent = parent
        self._lock = threading.Lock()
        self._stops: list[Callable[[], object]] = []
        self._timer: threading.Timer | None = None
        self._alarm: threading.Event | None = None  # for those who sleep; few ever do
        self._cancelled = False
        self._expired = False

    @property
    def cancelled(self) -> bool:
        """True when this scope, or one above it, has been stopped."""
        return self._cancelled or (self._parent is not None and self._parent.cancelled)

    @property
    def expired(self) -> bool:
        """True when it was the clock that ended the run, and not its caller."""
        return self._expired or (self._parent is not None and self._parent.expired)

    def below(self) -> Stopping[CancelScope]:
        """A scope for a part of the run, which is stopped with this one.

        Raises RunCancelled if it is too late already.
        """
        part = CancelScope(self)
        return Stopping(self, part.cancel, part)

    def cancel(self) -> None:
        """Stop everything in flight, and everything that is entered later. Idempotent."""
        with self._lock:
            self._cancelled = True
            stops = self._stops[::-1]
            alarm = self._alarm
        if alarm is not None:
            alarm.set()
        for stop in stops:
            stop()

    def expire_after(self, seconds: float) -> None:
        """Cancel by the clock, that many seconds from now, unless the scope is closed before."""
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True
        self._timer.start()

    def close(self) -> None:
        """Stop the clock."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()

    def check(self) -> None:
        """Raises RunCancelled when the run has been stopped."""
        if self.cancelled:
            raise RunCancelled(
                "the run's time is over" if self.expired else "the run was cancelled"
            )

    def sleep(self, seconds: float) -> None:
        """Wait that long. Raises RunCancelled as soon as the run is stopped."""
        if seconds > 0:
            self._until_stopped().wait(seconds)
        self.check()

    def stopping(self, stop: Callable[[], object]) -> Stopping[None]:
        """Within this, cancelling calls `stop`. Raises RunCancelled if it is too late already."""
        return Stopping(self, stop, None)

    def enter(self, stop: Callable[[], object]) -> None:
        """From now on cancelling calls `stop`. Raises RunCancelled if it is too late already."""
        with self._lock:
            self.check()
            self._stops.append(stop)

    def leave(self, stop: Callable[[], object]) -> None:
        """Cancelling calls it no longer."""
        with self._lock:
            self._stops.remove(stop)

    def _until_stopped(self) -> threading.Event:
        with self._lock:
            if self._alarm is None:
                self._alarm = threading.Event()
            if self.cancelled:
                self._alarm.set()
            return self._alarm

    def _expire(self) -> None:
        with self._lock:
            if self.cancelled:
                return
            self._expired = True
        self.cancel()


class Stopping(Generic[T]):
    """Lasts as long as something can be stopped in a certain way; gives what it was made with.

    A class of its own, for it is on the way of every call: a generator takes three times as long.
    """

    __slots__ = ("_given", "_scope", "_stop")

    def __init__(self, scope: CancelScope, stop: Callable[[], object], given: T) -> None:
        self._scope = scope
        self._stop = stop
        self._given = given

    def __enter__(self) -> T:
        self._scope.enter(self._stop)
        return self._given

    def __exit__(self, *_: object) -> None:
        self._scope.leave(self._stop)


def call_model(
    adapter: ModelAdapter,
    messages: list[dict[str, str]],
    max_tokens: int,
    scope: CancelScope,
    *,
    here: bool = False,
) -> ModelResponse:
    """The model's reply. Raises what the adapter raises, and RunCancelled when stopped.

    The messages are the adapter's from now on. An adapter that is `instant` is called here. One
    with a `submit` that returns a future is cancelled for good; any other is called in one of the
    threads, which is left to itself when the run is stopped (or in this one, if that may be:
    `here`).
    """
    scope.check()
    if getattr(adapter, "instant", False) is True:
        return adapter.complete(messages, max_tokens=max_tokens, temperature=0.0)
    future = _submitted(adapter, messages, max_tokens)
    if future is None and here:
        reply = adapter.complete(messages, max_tokens=max_tokens, temperature=0.0)
        scope.check()  # nobody waits for it any more
        return reply
    if future is None:
        call = _Call(adapter, messages, max_tokens)
        THREADS.start(call)
        future = call.future
    try:
        with scope.stopping(future.cancel):
            return future.result()
    except CancelledError:
        scope.check()
        raise
    except BaseException:
        future.cancel()
        raise


def _submitted(
    adapter: ModelAdapter, messages: list[dict[str, str]], max_tokens: int
) -> Future[ModelResponse] | None:
    """The call as a future of the adapter's own; None where it has no such thing."""
    submit: object = getattr(adapter, "submit", None)
    if not callable(submit):
        return None
    started: object = submit(messages, max_tokens=max_tokens, temperature=0.0)
    return started if isinstance(started, Future) else None


class _Call:
    """A call of a model, to be made in another thread."""

    def __init__(
        self, adapter: ModelAdapter, messages: list[dict[str, str]], max_tokens: int
    ) -> None:
        self.future: Future[ModelResponse] = Future()
        self._adapter = adapter
        self._messages = messages
        self._max_tokens = max_tokens

    def __call__(self) -> None:
        """Make the call; nobody may be waiting for it any more."""
        with suppress(InvalidStateError):
            try:
                reply = self._adapter.complete(
                    self._messages, max_tokens=self._max_tokens, temperature=0.0
                )
            except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
                self.future.set_exception(error)
            else:
                self.future.set_result(reply)
