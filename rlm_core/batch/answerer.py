"""One attempt at a task, carried out by an `RLM`: reads the text, runs, and says how it ended.

This is the one place where a batch meets the runtime; the same object serves a machine's threads
and an actor of a cluster.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from rlm_core.batch.budget import UNLIMITED
from rlm_core.batch.outcome import NOTHING, Completed, Stopped, failure
from rlm_core.batch.sandboxes import SETTLED, Sandboxes
from rlm_core.batch.task import Chat, Files, Inline, Loaded, Shared
from rlm_core.cache import is_failure
from rlm_core.chat_request import Asked, Straight
from rlm_core.context import Context
from rlm_core.digest import short_digest
from rlm_core.documents import read_paths
from rlm_core.errors import RunCancelled, TraceError
from rlm_core.policy import Policy
from rlm_core.provider import ProviderLimits, Providers
from rlm_core.rlm import RLM
from rlm_core.run import RunUsage
from rlm_core.running import Running
from rlm_core.stimuli import RunStatus
from rlm_core.straight import StraightQuestion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rlm_core.batch.models import Pair
    from rlm_core.batch.outcome import Outcome
    from rlm_core.batch.schedule import Attempt
    from rlm_core.batch.task import Source, Task
    from rlm_core.run import RunResult

logger = logging.getLogger(__name__)

REPLY_TOKENS = 4_096  # a program with its reasoning
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Manner:
    """How all tasks are answered. Plain data: it travels to other machines."""

    policy: Policy = field(default_factory=Policy)
    options: Mapping[str, Any] = field(default_factory=dict)
    """Keywords of `RLM`, but for those that a batch sets itself."""
    provider_limits: Mapping[str, ProviderLimits] = field(default_factory=dict)
    """Of all workers of a batch together."""
    traces: str | None = None
    """A directory for one trace a task."""


class Answerer:
    """Answers tasks, several at once from several threads. Close it when there are no more.

    `at_once` is how many there will be (see `Sandboxes`). `stop` ends what is under way. Raises
    ConfigError, IsolationUnavailable and StartFailed for what cannot work.
    """

    def __init__(
        self,
        models: Pair,
        manner: Manner,
        *,
        contexts: Mapping[str, Context] | None = None,
        at_once: int = 1,
    ) -> None:
        self._models = models
        self._manner = manner
        self._contexts = dict(contexts or {})
        self._options: dict[str, Any] = {
            **{name: each for name, each in manner.options.items() if name not in SETTLED},
            "provider_limits": Providers(manner.provider_limits),
            "subcall_adapter": models.sub,
        }
        self._lock = threading.Lock()
        self._running: set[Running[RunResult[Any]]] = set()
        self._stopped = False
        checked = RLM(models.root, **self._options)  # what cannot work is an error now, not later
        self._own_cache = None if manner.options.get("cache") else checked.cache
        self._options["cache"] = checked.cache  # one connection to its file, not one a task
        self._sandboxes = Sandboxes(manner.options, self._contexts, at_once=at_once)

    def answer(self, attempt: Attempt) -> Outcome:
        """Carry out one attempt. Whatever goes wrong with it is in the outcome."""
        trace = self._trace_path(attempt.task)
        try:
            return self._answer(attempt, trace)
        except Exception as error:
            logger.debug("task %s", attempt.task.id, exc_info=True)
            return failure(error)

    def close(self) -> None:
        """End the sandboxes that stand ready, and close the cache. Idempotent."""
        self._sandboxes.close()
        try:
            if self._own_cache is not None:
                self._own_cache.close()
        except Exception as error:
            if not is_failure(error):
                raise
            logger.warning("the cache cannot be written, its last replies are not kept: %s", error)

    def stop(self) -> None:
        """Cancel all runs; those that are asked for later are stopped as well."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for each in running:
            each.cancel()

    def _answer(self, attempt: Attempt, trace: Path | None) -> Outcome:
        policy = self._policy(attempt)
        source = attempt.task.source
        if isinstance(source, Chat) and isinstance(source.request, Straight):
            return self._outcome(self._straight(source, source.request, policy), None)
        name = source.name if isinstance(source, Shared) else None
        pool = self._sandboxes.pool(name)
        rlm = RLM(self._models.root, **self._options, policy=policy, trace_path=trace, pool=pool)
        task, context = attempt.task, self._context(source)
        prepare = partial(rlm.prepare, task.question, context, output=task.output)
        if attempt.lost and trace is not None and trace.exists():
            try:  # what was paid for before the process died is not paid for again
                return self._outcome(prepare(resume=trace), trace)
            except TraceError as error:
                logger.info("task %s begins anew: %s", task.id, error)
        return self._outcome(prepare(), trace)

    def _straight(self, source: Chat, request: Straight, policy: Policy) -> Running[RunResult[Any]]:
        return Running(
            StraightQuestion(
                self._models.root,
                request.messages,
                source.max_tokens or self._options.get("max_tokens", REPLY_TOKENS),
                policy,
                self._options["provider_limits"],
            )
        )

    def _outcome(self, running: Running[RunResult[Any]], trace: Path | None) -> Outcome:
        """Run it, in this thread. Raises TraceError only; then it has not begun."""
        told = None if trace is None else str(trace)
        with self._lock:
            self._running.add(running)
            stopped = self._stopped
        if stopped:
            running.cancel()
        try:
            return _completed(running.run_here(), told)
        except TraceError:
            raise
        except RunCancelled:
            return Stopped(_used(running))
        except Exception as error:
            logger.debug("a task failed", exc_info=True)
            return failure(error, _used(running), told)
        finally:
            with self._lock:
                self._running.discard(running)

    def _policy(self, attempt: Attempt) -> Policy:
        limits: dict[str, Any] = dict(attempt.task.limits)
        if attempt.grant != UNLIMITED:
            limits["max_cost"] = attempt.grant
        return replace(self._manner.policy, **limits)

    def _context(self, source: Source) -> Context:
        match source:
            case Inline(text):
                return Context.from_text(text)
            case Files(paths):
                return read_paths(list(paths)).context
            case Shared(name):
                return self._contexts[name]
            case Loaded(context) | Chat(Asked(_, context)):
                return context
            case Chat():
                raise AssertionError("messages go straight to the model")
            case _:
                assert_never(source)

    def _trace_path(self, task: Task) -> Path | None:
        return (
            None if self._manner.traces is None else Path(self._manner.traces, trace_name(task.id))
        )


def trace_name(custom_id: str) -> str:
    """The file name of a task's trace: its id, where that is a file name; never outside."""
    if _PLAIN_NAME.fullmatch(custom_id):
        return f"{custom_id}.jsonl"
    readable = re.sub(r"[^A-Za-z0-9]+", "-", custom_id)[:60].strip("-")
    return f"{readable}~{short_digest(custom_id)}.jsonl"


def _completed(result: RunResult[Any], trace: str | None) -> Completed:
    answered = result.status is not RunStatus.NO_ANSWER
    return Completed(
        status=result.status.value,
        ending=result.ending.value,
        answer=_text_of(result) if answered else None,
        usage=result.usage,
        isolation=result.isolation or None,
        trace=trace,
    )


def _text_of(result: RunResult[Any]) -> str:
    if result.value is None or isinstance(result.value, str):
        return result.answer
    return json.dumps(result.value, ensure_ascii=False)


def _used(running: Running[RunResult[Any]]) -> RunUsage:
    """What a run that raised had used until then."""
    if running.tree is None:
        return NOTHING
    ledger = running.tree.ledger
    return RunUsage.of(ledger.used(), ledger.seconds())
