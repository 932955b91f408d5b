"""Sandboxes that stand ready: their workers are started before anybody asks for one."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Self

from rlm_sandbox.errors import PoolExhausted, SandboxClosed, SandboxError, StartFailed
from rlm_sandbox.host.keeper import Keeper
from rlm_sandbox.host.nursery import NURSERY, Breed
from rlm_sandbox.host.texts import Texts
from rlm_sandbox.limits import Limits
from rlm_sandbox.modules import Modules
from rlm_sandbox.sandbox import Order, Sandbox, checked_functions, checked_name

RETRY_SECONDS = 0.5
"""After a worker has failed to start, so long until the next one is tried."""


class SandboxPool:
    """Keeps sandboxes ready, so that using one costs no start.

    >>> with SandboxPool(4) as pool, pool.checkout() as box:
    ...     box.exec("6 * 7").stdout
    '42\\n'

    `size` is how many there are at once, ready and in use together. One that was used is closed,
    never used again, and replaced in the background. `context` is a text that each of them has as
    `P`, or texts by name: they share it without a copy, however large it is, and it does not count
    as memory of theirs. The other keywords are those of `Sandbox`; all sandboxes of a pool have
    them in common, but for the host functions, which each user brings. Threads may share a pool.
    Raises IsolationUnavailable or StartFailed if the first sandbox cannot be started.
    """

    def __init__(
        self,
        size: int,
        *,
        limits: Limits | None = None,
        imports: str | Collection[str] = "safe",
        isolation: str = "auto",
        packages: Sequence[str] = (),
        modules: Modules | None = None,
        context: str | Mapping[str, str] | None = None,
    ) -> None:
        if size < 1:
            raise ValueError(f"a pool holds one sandbox at least, not {size}")
        texts = None if context is None else Texts(_named(context))
        breed = Breed(isolation, tuple(packages), texts=texts, modules=modules)
        self._order = Order.of(limits or Limits(), imports, breed)
        self._shelf = Shelf(size, self._order)
        self._shelf.fill_one()
        self._finalizer = weakref.finalize(self, self._shelf.close)
        self._shelf.start()

    def checkout(
        self,
        functions: Mapping[str, Callable[..., object]] | None = None,
        *,
        timeout: float | None = None,
    ) -> Sandbox:
        """A fresh sandbox with these host functions, for `with`: closing it makes room for another.

        Waits while all are in use, for at most `timeout` seconds; who came first is served first.
        `Limits.session_seconds` begins to run now. Raises PoolExhausted after the timeout,
        SandboxClosed if the pool is closed, and StartFailed if workers do not start any more.
        """
        checked = checked_functions(functions or {})
        keeper = self._shelf.take(timeout)
        try:
            keeper.lend(checked)
        except BaseException:
            self._shelf.end(keeper)
            raise
        return Sandbox._of(keeper, partial(self._shelf.end, keeper))

    def beside(self, functions: Mapping[str, Callable[..., object]] | None = None) -> Sandbox:
        """As `checkout`, but never waits: where none is ready, a new one beyond the pool's size.

        For whoever holds one already and needs another to be done with it. Raises SandboxClosed,
        StartFailed.
        """
        checked = checked_functions(functions or {})
        try:
            return self.checkout(checked, timeout=0.0)
        except PoolExhausted:
            keeper = self._order.keeper(checked)
        return Sandbox._of(keeper, keeper.close)

    @property
    def ready(self) -> int:
        """How many sandboxes could be had at once now."""
        return self._shelf.ready

    def close(self) -> None:
        """End those that are ready; those in use go on until they are closed. Idempotent."""
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _named(context: str | Mapping[str, str]) -> Mapping[str, str]:
    if isinstance(context, str):
        return {"P": context}
    return {checked_name(name): text for name, text in context.items()}


class _Waiter:
    """Somebody who waits for a sandbox: he is given one, or an error."""

    def __init__(self) -> None:
        self.served = threading.Event()
        self.given: Keeper | SandboxError | None = None

    def serve(self, given: Keeper | SandboxError) -> None:
        self.given = given
        self.served.set()


class Shelf:
    """The sandboxes of a pool, without anything that a user holds: its thread holds it."""

    def __init__(self, size: int, order: Order) -> None:
        self._size = size
        self._order = order
        self._changed = threading.Condition()
        self._ready: deque[Keeper] = deque()
        self._waiting: deque[_Waiter] = deque()
        self._in_use = self._being_made = 0
        self._closed = False
        self._pid = os.getpid()

    @property
    def ready(self) -> int:
        return len(self._ready)

    def start(self) -> None:
        """Begin to fill it in the background: as many at once as there are processors."""
        for _ in range(min(self._size, os.cpu_count() or 1)):
            threading.Thread(target=self._fill, name="rlm-pool", daemon=True).start()

    def take(self, timeout: float | None) -> Keeper:
        """A keeper that is ready. Raises PoolExhausted, SandboxClosed, StartFailed."""
        with self._changed:
            if self._closed or self._pid != os.getpid():
                raise SandboxClosed("this pool is closed, or belongs to another process")
            if self._ready and not self._waiting:
                self._in_use += 1
                return self._ready.popleft()
            waiter = _Waiter()
            self._waiting.append(waiter)
        try:
            waiter.served.wait(timeout)
        finally:
            self._leave(waiter)
        match waiter.given:
            case Keeper() as keeper:
                return keeper
            case SandboxError() as error:
                raise error
            case None:
                raise PoolExhausted(
                    f"all {self._size} sandboxes of the pool were in use for {timeout} s: "
                    "wait longer, or make the pool larger"
                )

    def _leave(self, waiter: _Waiter) -> None:
        """He waits no longer: because he was served, or was not in time."""
        with self._changed:
            if waiter in self._waiting:
                self._waiting.remove(waiter)

    def end(self, keeper: Keeper) -> None:
        """One that was taken is not used any more."""
        try:
            keeper.close()
        finally:
            with self._changed:
                self._in_use -= 1
                self._changed.notify_all()

    def fill_one(self) -> None:
        """Make one and put it on the shelf, or give it to who waits. Raises what making raises."""
        keeper = self._order.keeper({})
        keeper.rehearse()
        with self._changed:
            if not self._closed:
                self._put(keeper)
                return
        keeper.close()

    def _put(self, keeper: Keeper) -> None:
        if self._waiting:
            self._in_use += 1
            self._waiting.popleft().serve(keeper)
        else:
            self._ready.append(keeper)

    def _fill(self) -> None:
        """Until the pool is closed: have as many as there may be."""
        while self._await_room():
            try:
                self.fill_one()
            except SandboxError as error:
                self._disappoint(error)
                time.sleep(RETRY_SECONDS)
            except Exception as error:  # noqa: BLE001 - whoever waits must hear of it, and go on
                self._disappoint(StartFailed(f"no sandbox starts: {type(error).__name__}: {error}"))
                time.sleep(RETRY_SECONDS)
            finally:
                with self._changed:
                    self._being_made -= 1
                    self._changed.notify_all()

    def _await_room(self) -> bool:
        """For one more, which is being made from now on. False when the pool is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._has_room())
            self._being_made += not self._closed
            return not self._closed

    def _has_room(self) -> bool:
        return len(self._ready) + self._in_use + self._being_made < self._size

    def _disappoint(self, error: SandboxError) -> None:
        """There are no more sandboxes to be had: those who wait are told."""
        with self._changed:
            while self._waiting:
                self._waiting.popleft().serve(error)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            left = list(self._ready)
            self._ready.clear()
            while self._waiting:
                self._waiting.popleft().serve(SandboxClosed("this pool was closed"))
            self._changed.notify_all()
        for keeper in left:
            keeper.close()
        if self._order.breed.texts is not None:  # a zygote of its own
            NURSERY.retire(self._order.breed)
