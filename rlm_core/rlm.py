"""RLM: a question over a context of any size, answered by a model that writes code."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

from rlm_core.cache import FileCache
from rlm_core.config import Config, Options, configure
from rlm_core.context import Context
from rlm_core.errors import AnswerMistyped, ConfigError
from rlm_core.models import Models
from rlm_core.provider import Providers
from rlm_core.run import Equipment, Question, RunResult, RunUsage, carry_out
from rlm_core.running import Running
from rlm_core.stimuli import RunStatus

if TYPE_CHECKING:
    from typing import Unpack

    from rlm_core.adapters.base import ModelAdapter
    from rlm_core.answer_type import AnswerType
    from rlm_core.trace import Trace

__all__ = ["RLM", "RunResult", "RunUsage"]

T = TypeVar("T")


class RLM:
    """Answers questions over contexts with one model (and perhaps a cheaper one for the pieces).

    >>> rlm = RLM(adapter, policy=Policy(max_steps=10), subcall_adapter=cheaper)
    >>> answer, trace = rlm.run("What was decided?", Context.from_paths("minutes/"))

    The keywords are those of `rlm_core.options.Options`. One RLM may run several questions, one
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
        limits = options.get("provider_limits")
        self._providers = limits if isinstance(limits, Providers) else Providers(limits)

    @overload
    def run(self, query: str, context: Context | None = None) -> tuple[str, Trace]: ...
    @overload
    def run(
        self, query: str, context: Context | None = None, *, output: type[T]
    ) -> tuple[T, Trace]: ...
    @overload
    def run(
        self, query: str, context: Context | None = None, *, output: object
    ) -> tuple[Any, Trace]: ...
    def run(
        self, query: str, context: Context | None = None, *, output: object = None
    ) -> tuple[Any, Trace]:
        """The answer (of the type `output`, if one is given) and the trace.

        Raises what `run_result` raises, and AnswerMistyped where no answer of that type came out.
        """
        return answer_of(self.run_result(query, context, output=output), output)

    @overload
    def run_result(
        self, query: str, context: Context | None = None, *, resume: Path | str | None = None
    ) -> RunResult[str]: ...
    @overload
    def run_result(
        self,
        query: str,
        context: Context | None = None,
        *,
        output: type[T],
        resume: Path | str | None = None,
    ) -> RunResult[T]: ...
    @overload
    def run_result(
        self,
        query: str,
        context: Context | None = None,
        *,
        output: object,
        resume: Path | str | None = None,
    ) -> RunResult[Any]: ...
    def run_result(
        self,
        query: str,
        context: Context | None = None,
        *,
        output: object = None,
        resume: Path | str | None = None,
    ) -> RunResult[Any]:
        """How the run ended. Reached limits are data in it; what a model does wrong is, too.

        `resume` is the trace file of a run that was cut off: what was answered in it is not asked
        again, and the rest is appended to it; its budget and usage are those of the whole run,
        what was paid before included. Raises what the root model's adapter raises, SandboxError
        where code cannot be run, TraceError where the trace is of another run, and OSError where
        it cannot be written.
        """
        return self.prepare(query, context, output=output, resume=resume).run_here()

    def start(
        self,
        query: str,
        context: Context | None = None,
        *,
        output: object = None,
        resume: Path | str | None = None,
    ) -> Running[RunResult[Any]]:
        """A run that goes on in a thread of its own, to be waited for or cancelled.

        Raises ConfigError at once for a context or a type that will not do.
        """
        running = self.prepare(query, context, output=output, resume=resume)
        running.begin()
        return running

    def prepare(
        self,
        query: str,
        context: Context | None = None,
        *,
        output: object = None,
        resume: Path | str | None = None,
    ) -> Running[RunResult[Any]]:
        """A run that has not begun: `begin` it, or `run_here` for one that others may cancel.

        Raises ConfigError at once for a context or a type that will not do.
        """
        question = Question(
            query,
            _checked(context),
            None if output is None else answer_type(output),
            None if resume is None else Path(resume),
        )
        equipment = Equipment(
            self.config,
            self._models,
            self.cache,
            self._providers,
            self.event_listener,
            self.logger,
            owner=self,
        )
        return Running(partial(carry_out, equipment, question))

    @overload
    async def arun(self, query: str, context: Context | None = None) -> tuple[str, Trace]: ...
    @overload
    async def arun(
        self, query: str, context: Context | None = None, *, output: type[T]
    ) -> tuple[T, Trace]: ...
    @overload
    async def arun(
        self, query: str, context: Context | None = None, *, output: object
    ) -> tuple[Any, Trace]: ...
    async def arun(
        self, query: str, context: Context | None = None, *, output: object = None
    ) -> tuple[Any, Trace]:
        """`run` for asyncio. Cancelling the task stops calls in flight and running code."""
        return answer_of(await self.arun_result(query, context, output=output), output)

    async def arun_result(
        self, query: str, context: Context | None = None, *, output: object = None
    ) -> RunResult[Any]:
        """`run_result` for asyncio. Cancelling the task stops calls in flight and running code."""
        import asyncio

        running = self.start(query, context, output=output)
        ended = running.told_in(asyncio.get_running_loop())
        try:
            await asyncio.shield(ended)
        except asyncio.CancelledError:
            running.cancel_aside()
            await asyncio.wait([ended])
            raise
        return running.result()


def answer_type(output: object) -> AnswerType:
    """The type that answers must have. Raises ConfigError."""
    from rlm_core.answer_type import AnswerType  # takes as long as all the rest: seldom wanted

    return AnswerType(output)


def _checked(context: object) -> Context:
    if not isinstance(context, Context):
        raise ConfigError(
            f"run needs a Context, not {type(context).__name__}: "
            "RLM.run(query, Context.from_text(text))"
        )
    return context


def answer_of(result: RunResult[Any], output: object) -> tuple[Any, Trace]:
    """The answer, as the type that was asked for if one was. Raises AnswerMistyped."""
    if output is None:
        return result.answer, result.trace
    if result.status is RunStatus.NO_ANSWER:
        raise AnswerMistyped(
            f"the run ended ({result.ending}) without an answer of the type {output!r}: allow more "
            "steps, ask for a simpler type, or use run_result, which does not raise"
        )
    return result.value, result.trace
