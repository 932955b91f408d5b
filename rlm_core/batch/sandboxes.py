"""The sandboxes of a batch: they stand ready in pools, and large contexts are in them already."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from rlm_core import prelude
from rlm_sandbox import Sandbox, SandboxPool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rlm_core.context import Context

SETTLED = ("limits", "isolation", "imports", "packages")
"""Options of `RLM` that all sandboxes of a batch have in common: its pools have them."""
LARGE_CHARS = 1_000_000
"""A smaller context is sooner given to a sandbox than a pool is made for it."""
MOST_LARGE = 4
"""Contexts with a pool of their own: sandboxes that stand ready take memory."""


class EagerPool(SandboxPool):
    """A pool that nobody waits for: where none is ready, another is started beside it.

    A pool starts as many at once as there are processors, and a batch may use them faster.
    """

    def checkout(
        self,
        functions: Mapping[str, Callable[..., object]] | None = None,
        *,
        timeout: float | None = None,
    ) -> Sandbox:
        """As that of `SandboxPool`; without a `timeout` it does not wait."""
        if timeout is None:
            return self.beside(functions)
        return super().checkout(functions, timeout=timeout)


class Sandboxes:
    """Pools, each made when it is first needed. Thread-safe; close it at the end.

    `at_once` is how many tasks run at once: so many sandboxes a pool has, ready or in use, and
    some more that are being made for the next. Each is for one task. The first is tried at once:
    raises IsolationUnavailable, PackageUnavailable, StartFailed.
    """

    def __init__(
        self, options: Mapping[str, Any], contexts: Mapping[str, Context], *, at_once: int
    ) -> None:
        self._options = {name: options[name] for name in SETTLED if name in options}
        self._options["modules"] = prelude.helper_modules()
        self._large = {name: contexts[name].text for name in _largest(contexts)}
        self._size = at_once + max(1, at_once // 8)
        self._lock = threading.Lock()
        self._pools: dict[str | None, SandboxPool] = {}
        Sandbox(**self._options).close()

    def pool(self, context: str | None = None) -> SandboxPool:
        """For a task about the batch's context of this name, or about something else."""
        key = context if context in self._large else None
        with self._lock:
            pool = self._pools.get(key)
            if pool is None:
                text = None if key is None else self._large[key]
                pool = EagerPool(self._size, **self._options, context=text)
                self._pools[key] = pool
            return pool

    def close(self) -> None:
        """End the sandboxes that stand ready. Idempotent."""
        with self._lock:
            pools, self._pools = self._pools, {}
        for pool in pools.values():
            pool.close()


def _largest(contexts: Mapping[str, Context]) -> list[str]:
    """The names of those that are worth a pool."""
    large = [name for name, context in contexts.items() if context.len_chars() >= LARGE_CHARS]
    return sorted(large, key=lambda name: contexts[name].len_chars(), reverse=True)[:MOST_LARGE]
