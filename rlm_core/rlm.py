"""RLM: a question over a context of any size, answered by a model that writes code."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rlm_core.cache import FileCache
from rlm_core.calls import CancelScope
from rlm_core.config import Config, Options, configure
from rlm_core.context import Context
from rlm_core.diagnostics import Diagnostics
from rlm_core.errors import ConfigError
from rlm_core.events import RLMEvent
from rlm_core.extensions import Extensions
from rlm_core.provider import Providers
from rlm_core.tree import Models, RunTree

if TYPE_CHECKING:
    from typing import Unpack

    from rlm_core.adapters.base import ModelAdapter
    from rlm_core.stimuli import Ending, Finish, RunStatus
    from rlm_core.trace import Trace


@dataclass(frozen=True)
class RunUsage:
    """What a run used, all levels together. `cost` is in the currency of the policy's prices."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    subcalls: int
    steps: int
    seconds: float
    cost: float


@dataclass(frozen=True)
class RunResult:
    """How a run ended."""

    answer: str
    """The answer; "NO_ANSWER" where there is none."""
    status: RunStatus
    ending: Ending
    """What ended it."""
    usage: RunUsage
    steps: int
    """Calls of the root model and of the models of recursive subcalls."""
    isolation: str
    """The isolation that the code ran under, as the sandbox reports it."""
    trace: Trace


class RLM:
    """Answers questions over contexts with one model (and perhaps a cheaper one for the pieces).

    >>> rlm = RLM(adapter, policy=Policy(max_steps=10), subcall_adapter=cheaper)
    >>> answer, trace = rlm.run("What was decided?", Context.from_paths("minutes/"))

    The keywords are those of `rlm_core.config.Options`. One RLM may run several questions, one
    after the other or from several threads. Raises ConfigError for options that cannot work.
    """

    def __init__(self, adapter: ModelAdapter, **options: Unpack[Options]) -> None:
        self.adapter = adapter
        self.config: Config = configure(options)
        self.policy = self.config.policy
        self.cache = options.get("cache") or FileCache(options.get("cache_dir", ".rlm_cache"))
        self.event_listener = options.get("event_listener")
        self.logger = options.get("logger") or logging.getLogger("rlm_core")
        self._models = Models(adapter, options.get("subcall_adapter"), options.get("sub_models"))
        self._providers = Providers(options.get("provider_limits"))
        self._own_cache = options.get("cache") is None

    def run(self, query: str, context: Context | None = None) -> tuple[str, Trace]:
        """The answer and the trace. See `run_result` for what is raised."""
        result = self.run_result(query, context)
        return result.answer, result.trace

    def run_result(self, query: str, context: Context | None = None) -> RunResult:
        """How the run ended. Reached limits are data in it; what a model does wrong is, too.

        Raises what the root model's adapter raises, and SandboxError where code cannot be run.
        """
        return self._run(query, context, CancelScope())

    async def arun(self, query: str, context: Context | None = None) -> tuple[str, Trace]:
        """`run` for asyncio. Cancelling the task stops calls in flight and running code."""
        result = await self.arun_result(query, context)
        return result.answer, result.trace

    async def arun_result(self, query: str, context: Context | None = None) -> RunResult:
        """`run_result` for asyncio. Cancelling the task stops calls in flight and running code."""
        import asyncio

        scope = CancelScope()
        run = asyncio.ensure_future(asyncio.to_thread(self._run, query, context, scope))
        try:
            return await asyncio.shield(run)
        except asyncio.CancelledError:
            await asyncio.to_thread(scope.cancel)
            await asyncio.wait([run])
            if not run.cancelled():
                run.exception()  # RunCancelled is expected here: mark it as seen
            raise

    def _run(self, query: str, context: Context | None, scope: CancelScope) -> RunResult:
        if not isinstance(context, Context):
            raise ConfigError(
                f"run needs a Context, not {type(context).__name__}: "
                "RLM.run(query, Context.from_text(text))"
            )
        diagnostics = Diagnostics(self.logger, enabled=self.config.diagnostics)
        extensions = Extensions(
            self.config.functions, self.config.extensions, self, diagnostics.log
        )
        diagnostics.run(self._models.root, self._models.sub)
        tree = RunTree(
            self.config,
            self._models,
            cache=self.cache,
            listener=self.event_listener,
            extensions=extensions,
            scope=scope,
            diagnostics=diagnostics,
            providers=self._providers,
        )
        try:
            return self._finished(tree, query, context)
        except BaseException:  # Ctrl-C too: nothing may stay in flight, and be paid for
            scope.cancel()
            raise
        finally:
            tree.close()
            if self._own_cache:
                self.cache.close()

    def _finished(self, tree: RunTree, query: str, context: Context) -> RunResult:
        started = time.monotonic()
        tree.recorder.tell(
            RLMEvent("run_started", query=query, context_metadata=context.metadata())
        )
        finish = tree.root_episode(query, context)
        self.logger.info("final answer=%s", finish.answer)
        tree.recorder.tell(RLMEvent("run_finished", query=query, output=finish.answer))
        return _result(tree, finish, time.monotonic() - started)


def _result(tree: RunTree, finish: Finish, seconds: float) -> RunResult:
    used = tree.ledger.used()
    return RunResult(
        answer=finish.answer,
        status=finish.status,
        ending=finish.ending,
        usage=RunUsage(
            prompt_tokens=used.prompt_tokens,
            completion_tokens=used.completion_tokens,
            total_tokens=used.tokens,
            subcalls=used.subcalls,
            steps=used.steps,
            seconds=seconds,
            cost=used.cost,
        ),
        steps=used.steps,
        isolation=tree.recorder.isolation,
        trace=tree.recorder.trace,
    )
