"""One run, from the question to its result: everything that it needs is brought together here."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from rlm_core.diagnostics import Diagnostics
from rlm_core.episodes import Episodes
from rlm_core.errors import TraceError
from rlm_core.events import RLMEvent
from rlm_core.extensions import Extensions
from rlm_core.playback import Playback
from rlm_core.recording import Recording
from rlm_core.stimuli import RunStatus
from rlm_core.tool_calls import ToolCalls
from rlm_core.tree import RunTree

if TYPE_CHECKING:
    import logging
    from pathlib import Path

    from rlm_core.answer_type import AnswerType
    from rlm_core.cache import FileCache
    from rlm_core.config import Config
    from rlm_core.context import Context
    from rlm_core.events import RLMEventListener
    from rlm_core.models import Models
    from rlm_core.policy import Used
    from rlm_core.provider import Providers
    from rlm_core.rules import EpisodeRules
    from rlm_core.running import Running
    from rlm_core.stimuli import Ending, Finish
    from rlm_core.trace import Trace
    from rlm_core.trace_file import TraceFile

T = TypeVar("T")


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

    @classmethod
    def of(cls, used: Used, seconds: float) -> RunUsage:
        """What stands in the ledger of a run that took that many seconds."""
        return cls(
            prompt_tokens=used.prompt_tokens,
            completion_tokens=used.completion_tokens,
            total_tokens=used.tokens,
            subcalls=used.subcalls,
            steps=used.steps,
            seconds=seconds,
            cost=used.cost,
        )


@dataclass(frozen=True)
class RunResult(Generic[T]):
    """How a run ended."""

    answer: str
    """The answer as text; "NO_ANSWER" where there is none."""
    status: RunStatus
    ending: Ending
    """What ended it."""
    usage: RunUsage
    steps: int
    """Calls of the root model and of the models of recursive subcalls."""
    isolation: str
    """The isolation that the code ran under, as the sandbox reports it."""
    trace: Trace
    value: T | None = None
    """The answer as the type that was asked for (or as text), or None where there is none."""


@dataclass(frozen=True)
class Equipment:
    """What runs are made with; several may share it."""

    config: Config
    models: Models
    cache: FileCache
    providers: Providers
    listener: RLMEventListener | None
    logger: logging.Logger
    owner: object = None
    """What extensions are called with as `rlm`."""


@dataclass(frozen=True)
class Question:
    """What is asked, of what, and what the answer must be."""

    query: str
    context: Context
    output: AnswerType | None = None
    resume: Path | None = None
    """The trace file of a run of the same question that was cut off."""


def carry_out(
    equipment: Equipment, question: Question, running: Running[RunResult[Any]]
) -> RunResult[Any]:
    """Run it, from the beginning or from where it was cut off. See `RLM.run_result`."""
    if question.resume is None:
        return play(equipment, question, running, Playback())
    recording = Recording.read(question.resume)
    recording.require_replayable()
    _require_same(recording, question)
    config = replace(equipment.config, seed=_seed_in(recording))
    return play(replace(equipment, config=config), question, running, Playback(recording))


def play(
    equipment: Equipment,
    question: Question,
    running: Running[RunResult[Any]],
    playback: Playback,
) -> RunResult[Any]:
    """Run it with these recorded replies."""
    config = equipment.config
    seed = int.from_bytes(os.urandom(6)) if config.seed is None else config.seed
    diagnostics = Diagnostics(equipment.logger, enabled=config.diagnostics)
    diagnostics.run(equipment.models.root, equipment.models.sub)
    tree = RunTree(
        config,
        equipment.models,
        cache=equipment.cache,
        scope=running.scope,
        diagnostics=diagnostics,
        providers=equipment.providers,
        listener=equipment.listener,
        file=_trace_file(config, question.resume),
        playback=playback,
        seed=seed,
    )
    running.attach(tree)
    extensions = Extensions(config.functions, config.extensions, equipment.owner, diagnostics.log)
    episodes = Episodes(tree, extensions, ToolCalls(tree, config.tools))
    try:
        return _finished(tree, episodes, equipment, question)
    except BaseException:  # Ctrl-C too: nothing may stay in flight, and be paid for
        running.scope.cancel()
        raise
    finally:
        tree.close()


def _finished(
    tree: RunTree, episodes: Episodes, equipment: Equipment, question: Question
) -> RunResult[Any]:
    started = time.monotonic()
    query, context = question.query, question.context
    rules = _rules_for(tree.config.rules, question.output)
    if tree.recorder.listens:
        about = context.metadata()
        tree.recorder.tell(RLMEvent("run_started", query=query, context_metadata=about))
    if tree.recorder.writes:
        tree.recorder.keep(_head(tree, equipment, question, rules))
    finish = episodes.root(query, context, rules)
    equipment.logger.info("final answer=%s", finish.answer)
    result = _result(tree, finish, time.monotonic() - started, typed=question.output is not None)
    tree.recorder.keep(_foot(result))
    tree.recorder.check()
    tree.recorder.tell(RLMEvent("run_finished", query=query, output=finish.answer))
    return result


def _rules_for(rules: EpisodeRules, output: AnswerType | None) -> EpisodeRules:
    if output is None:
        return rules
    return replace(rules, system_prompt=rules.system_prompt + output.task(), output=output)


def _head(
    tree: RunTree, equipment: Equipment, question: Question, rules: EpisodeRules
) -> dict[str, object]:
    if question.resume is not None:
        return {"kind": "run_resumed"}
    from rlm_core.header import header_of

    return header_of(
        tree.config,
        equipment.models,
        query=question.query,
        context=question.context,
        rules=rules,
        seed=tree.seed,
        output=question.output,
    )


def _foot(result: RunResult[Any]) -> dict[str, object]:
    usage = result.usage
    return {
        "kind": "run_finished",
        "answer": result.answer,
        "status": result.status.value,
        "ending": result.ending.value,
        "steps": usage.steps,
        "subcalls": usage.subcalls,
        "total_tokens": usage.total_tokens,
        "cost": usage.cost,
        "seconds": usage.seconds,
    }


def _trace_file(config: Config, resume: Path | None) -> TraceFile | None:
    options = config.trace
    path = options.path if resume is None else resume
    if path is None:
        return None
    from rlm_core.redaction import Redaction
    from rlm_core.trace_file import TraceFile

    redaction = Redaction.of_environment(more=options.secrets, content=options.redact_content)
    return TraceFile(path, redaction=redaction, append=resume is not None)


def _require_same(recording: Recording, question: Question) -> None:
    """Raises TraceError where the trace is about something else."""
    if recording.header.get("query") != question.query:
        raise TraceError("the trace is of another question: its run cannot be continued with this")
    shown = None if question.output is None else question.output.shown
    if recording.header.get("output") != shown:
        raise TraceError(
            f"the answer was to have the type {recording.header.get('output') or 'str'}: give the "
            "same output= to continue its run"
        )
    require_same_context(recording, question.context)


def require_same_context(recording: Recording, context: Context) -> None:
    """Raises TraceError where the text is not the one that the trace is about."""
    from rlm_core.header import facts_of_context

    recorded = recording.header.get("context")
    now = facts_of_context(context)
    if not isinstance(recorded, dict) or recorded.get("sha256") != now["sha256"]:
        characters = recorded.get("characters") if isinstance(recorded, dict) else "unknown"
        raise TraceError(
            f"the text is not the one of the trace ({now['characters']} characters now, "
            f"{characters} then): give the same files, unchanged and in the same order"
        )


def _seed_in(recording: Recording) -> int | None:
    seed = recording.header.get("seed")
    return seed if isinstance(seed, int) else None


def _result(tree: RunTree, finish: Finish, seconds: float, *, typed: bool) -> RunResult[Any]:
    text = None if finish.status is RunStatus.NO_ANSWER else finish.answer
    used = tree.ledger.used()
    return RunResult(
        answer=finish.answer,
        status=finish.status,
        ending=finish.ending,
        usage=RunUsage.of(used, seconds),
        steps=used.steps,
        isolation=tree.recorder.isolation,
        trace=tree.recorder.trace,
        value=finish.value if typed else text,
    )
