"""Waiting that can be ended from outside: calls of models in flight, and who may cancel them."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from rlm_core.errors import RunCancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from rlm_core.adapters.base import ModelAdapter, ModelResponse


class CancelScope:
    """All that must be stopped when a run is cancelled or its time is over. Thread-safe.

    Whoever waits enters its own way of being stopped; what was entered last is stopped first, so
    that a call in flight ends before the sandbox whose code waits for it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stops: list[Callable[[], object]] = []
        self._timer: threading.Timer | None = None
        self.cancelled = False
        self.expired = False
        """True when it was the clock that ended the run, and not its caller."""

    def cancel(self) -> None:
        """Stop everything in flight, and everything that is entered later. Idempotent."""
        with self._lock:
            self.cancelled = True
            stops = self._stops[::-1]
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

    @contextmanager
    def stopping(self, stop: Callable[[], object]) -> Generator[None]:
        """Within this, cancelling calls `stop`. Raises RunCancelled if it is too late already."""
        with self._lock:
            self.check()
            self._stops.append(stop)
        try:
            yield
        finally:
            with self._lock:
                self._stops.remove(stop)

    def _expire(self) -> None:
        with self._lock:
            if self.cancelled:
                return
            self.expired = True
        self.cancel()


def call_model(
    adapter: ModelAdapter, messages: Sequence[dict[str, str]], max_tokens: int, scope: CancelScope
) -> ModelResponse:
    """The model's reply. Raises what the adapter raises, and RunCancelled when stopped.

    An adapter with a `submit` that returns a future is cancelled for good; any other is called in
    a thread of its own, which is left to itself when the run is stopped.
    """
    submit: object = getattr(adapter, "submit", None)
    sent = [dict(message) for message in messages]
    scope.check()
    future = _submitted(adapter, submit, sent, max_tokens)
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
    adapter: ModelAdapter, submit: object, messages: list[dict[str, str]], max_tokens: int
) -> Future[ModelResponse]:
    if callable(submit):
        started: object = submit(messages, max_tokens=max_tokens, temperature=0.0)
        if isinstance(started, Future):
            return started
    future: Future[ModelResponse] = Future()
    thread = threading.Thread(
        target=_complete, args=(future, adapter, messages, max_tokens), daemon=True
    )
    thread.start()
    return future


def _complete(
    future: Future[ModelResponse],
    adapter: ModelAdapter,
    messages: list[dict[str, str]],
    max_tokens: int,
) -> None:
    """Call the model in this thread; nobody may be waiting for it any more."""
    with suppress(InvalidStateError):
        try:
            future.set_result(adapter.complete(messages, max_tokens=max_tokens, temperature=0.0))
        except InvalidStateError:
            raise
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is waited for
            future.set_exception(error)


class Crew:
    """Threads that work through numbered items together; the first to fail may stop the others."""

    def __init__(self, work: Callable[[int], None], count: int, threads: int) -> None:
        self._work = work
        self._left = iter(range(count))
        self._lock = threading.Lock()
        self._failure: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._run, daemon=True) for _ in range(min(count, threads))
        ]

    def run(self) -> None:
        """Work until nothing is left. Raises the first failure, once every thread has stopped."""
        for thread in self._threads:
            thread.start()
        try:
            for thread in self._threads:
                thread.join()
        except BaseException as error:  # Ctrl-C: the others must not begin another item
            self._failure = self._failure or error
            raise
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        while self._failure is None:
            with self._lock:
                number = next(self._left, None)
            if number is None:
                return
            try:
                self._work(number)
            except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
                self._failure = self._failure or error
