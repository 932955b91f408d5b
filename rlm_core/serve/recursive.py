"""The long way: a run of the RLM in a thread and a sandbox of its own."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING, Any

from rlm_core.cache import CacheRecord, FileCache
from rlm_core.rlm import RLM
from rlm_core.serve.answer import Answer, Spent, shaped
from rlm_core.serve.failure import no_answer
from rlm_core.stimuli import RunStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from rlm_core.chat_request import Asked
    from rlm_core.config import Options
    from rlm_core.run import RunResult
    from rlm_core.running import Running
    from rlm_core.serve.plan import Plan
    from rlm_core.serve.progress import Progress
    from rlm_sandbox import SandboxPool


LATE_SECONDS = 30.0
"""A run ends at its own deadline; one that does not is not waited for longer than this."""


class RecursiveJob:
    """One run, from its start until its thread has ended."""

    def __init__(
        self, plan: Plan, asked: Asked, progress: Progress | None, pool: SandboxPool
    ) -> None:
        self._plan = plan
        self._asked = asked
        self._rlm = _rlm_for(plan, progress, pool)
        self._running: Running[RunResult[Any]] | None = None

    async def answer(self) -> Answer:
        """The answer. Cancelling stops calls in flight and running code.

        Raises Problem, and what `RLM.run_result` raises.
        """
        plan, asked = self._plan, self._asked
        running = self._rlm.start(asked.question, asked.context, output=plan.request.schema)
        self._running = running
        ended = running.told_in(asyncio.get_running_loop())
        try:
            async with asyncio.timeout(plan.seconds + LATE_SECONDS):
                await ended
        except (asyncio.CancelledError, TimeoutError):
            self.stop()
            raise
        return _answer_of(running.result(), plan, self.spent())

    def stop(self) -> None:
        """Stop it, without waiting for its end."""
        running = self._running
        if running is not None and not running.done:
            running.cancel_aside()

    def wait(self, seconds: float) -> None:
        """Return when it has ended (in another thread than the loop's). Raises TimeoutError."""
        if self._running is not None:
            self._running.wait(seconds)

    def spent(self) -> Spent:
        """What it has used up to now, whether it has an answer or not."""
        tree = None if self._running is None else self._running.tree
        if tree is None:
            return Spent()
        return Spent.of_run(tree.ledger.used(), tree.recorder.trace)

    def when_done(self, tell: Callable[[], object]) -> None:
        """Have `tell` called in the event loop, once its thread has ended."""
        if self._running is None:
            tell()
        else:
            loop = asyncio.get_running_loop()
            self._running.when_done(partial(_soon, loop, tell))


class RunCache(FileCache):
    """Replies to the same prompt within one run. Nothing of it is there for another request."""

    def __init__(self) -> None:
        super().__init__()
        self._records: dict[str, CacheRecord] = {}

    def get(self, key: str) -> CacheRecord | None:
        """The reply kept under `key`, or None."""
        return self._records.get(key)

    def set(self, key: str, record: CacheRecord) -> None:
        """Keep a reply."""
        self._records[key] = record


def _rlm_for(plan: Plan, progress: Progress | None, pool: SandboxPool) -> RLM:
    """An RLM for one request alone; its sandboxes are fresh ones of the pool."""
    profile = plan.profile
    options: Options = {
        "policy": plan.policy,
        "subcall_adapter": plan.upstream.sub,
        "max_tokens": profile.reply_tokens,
        "subcall_max_tokens": profile.sub_reply_tokens,
        "parallel_subcalls": profile.parallel_subcalls,
        "max_concurrent_subcalls": profile.concurrent_subcalls,
        "recursive_subcalls": profile.recursive,
        "max_recursion_depth": profile.max_recursion_depth,
        "pool": pool,
        "event_listener": progress,
        "cache": RunCache(),
    }
    return RLM(plan.upstream.root, **options)


def _answer_of(result: RunResult[Any], plan: Plan, spent: Spent) -> Answer:
    """The answer of a run. Raises NoAnswer or TookTooLong where it has none."""
    if result.status is RunStatus.NO_ANSWER:
        raise no_answer(result)
    typed = plan.request.schema is not None
    text = json.dumps(result.value, ensure_ascii=False) if typed else result.answer
    text, was_longer = shaped(text, plan.request.stops, plan.most_chars)
    whole = result.status is RunStatus.ANSWERED and not was_longer
    return Answer(
        text=text,
        finish_reason="stop" if whole else "length",
        spent=spent,
        way="recursive",
        seconds=result.usage.seconds,
        ending=result.ending.value,
        isolation=result.isolation,
    )


def _soon(loop: asyncio.AbstractEventLoop, tell: Callable[[], object]) -> None:
    """From another thread; a loop that has ended meanwhile needs to be told nothing."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(tell)
