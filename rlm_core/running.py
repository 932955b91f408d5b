"""A run that is under way: wait for it, or stop it, or stop a part of it."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

from rlm_core.calls import THREADS, CancelScope

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from rlm_core.tree import RunTree

R = TypeVar("R")


class Running(Generic[R]):
    """A run, from before it begins until it has ended. Thread-safe.

    >>> running = rlm.start("Who signed?", context)
    >>> running.cancel(step_id)  # of a "step_started" event: this step and all below it
    >>> running.result(timeout=60)
    """

    def __init__(self, work: Callable[[Running[R]], R]) -> None:
        self.scope = CancelScope()
        self._work: Callable[[Running[R]], R] | None = work
        self._ended: Future[R] = Future()
        self.tree: RunTree | None = None
        """The parts of the run, once it has begun."""

    def begin(self) -> None:
        """Do it in another thread. Raises RuntimeError where there can be no more of them."""
        THREADS.start(self._serve)

    def run_here(self) -> R:
        """Do it in this thread, once. Raises what the run raises."""
        work, self._work = self._work, None
        assert work is not None
        try:
            result = work(self)
        except BaseException as error:
            self._ended.set_exception(error)
            raise
        work = None  # it holds the text: not for longer than the run
        self._ended.set_result(result)
        return result

    def attach(self, tree: RunTree) -> None:
        """The run has begun: these are its parts."""
        self.tree = tree

    def cancel(self, step_id: int | None = None) -> bool:
        """Stop the run, or one of its steps that is under way with everything below it.

        The code that waits for a cancelled subcall sees StepCancelled, and the run goes on. False
        where no such step is under way.
        """
        if step_id is None:
            self.scope.cancel()
            return not self.done
        return self.tree is not None and self.tree.cancel_step(step_id)

    @property
    def done(self) -> bool:
        """True once it has ended, one way or another."""
        return self._ended.done()

    def wait(self, timeout: float | None = None) -> None:
        """Return when it has ended. Raises TimeoutError after `timeout` seconds."""
        self._ended.exception(timeout)

    def when_done(self, tell: Callable[[], object]) -> None:
        """Have `tell` called once it has ended: in its thread, or now if it has."""
        self._ended.add_done_callback(_Told(tell))

    def told_in(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        """A future of this event loop that is done once the run has ended: no thread waits."""
        ended: asyncio.Future[None] = loop.create_future()
        self.when_done(partial(_tell, loop, ended))
        return ended

    def cancel_aside(self) -> None:
        """Stop the run, without waiting for what is in its way: for an event loop."""
        THREADS.start(self.scope.cancel)

    def result(self, timeout: float | None = None) -> R:
        """How it ended. Raises what the run raised, and TimeoutError after `timeout` seconds."""
        self.wait(timeout)
        return self._ended.result()

    def _serve(self) -> None:
        with suppress(BaseException):  # it is raised again where it is waited for
            self.run_here()


def _tell(loop: asyncio.AbstractEventLoop, ended: asyncio.Future[None]) -> None:
    """From another thread; a loop that has ended meanwhile needs to be told nothing."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(_end, ended)


def _end(ended: asyncio.Future[None]) -> None:
    if not ended.done():
        ended.set_result(None)


class _Told:
    """Tells without saying of what."""

    def __init__(self, tell: Callable[[], object]) -> None:
        self._tell = tell

    def __call__(self, _: object) -> None:
        self._tell()
