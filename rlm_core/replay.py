"""A recorded run, run again: the same loop and sandbox, driven by the recorded replies."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlm_core.answer_type import AnswerType
from rlm_core.cache import FileCache
from rlm_core.errors import NotRecorded, TraceError
from rlm_core.header import config_of
from rlm_core.models import Models
from rlm_core.playback import NOT_ASKED, Difference, Playback
from rlm_core.provider import Providers
from rlm_core.recording import Recording
from rlm_core.run import Equipment, Question, RunResult, play, require_same_context
from rlm_core.running import Running
from rlm_core.tools import not_there

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rlm_core.adapters.base import ModelResponse
    from rlm_core.context import Context
    from rlm_core.events import RLMEventListener
    from rlm_core.trace import Trace, TraceStep

_SHOWN = 200  # characters of a text in a difference


class _NoModel:
    """Stands where models were: what they said is in the recording."""

    cacheable = False

    def __init__(self, identity: str, model: str | None) -> None:
        self.identity = identity
        self.model = model

    def complete(
        self,
        messages: list[dict[str, str]],
        *,
        max_tokens: int = 512,
        temperature: float = 0.0,
    ) -> ModelResponse:
        """Never asked: playback raises before."""
        raise NotRecorded(
            f"a replay asks no model ({len(messages)} messages, {max_tokens} tokens, "
            f"temperature {temperature})"
        )


@dataclass(frozen=True)
class Replay:
    """What came of running it again."""

    result: RunResult[Any] | None
    """None where it went so far another way that no recorded reply could go on."""
    differences: tuple[Difference, ...]
    """Everything that was not as recorded; empty for a run that came out the same."""
    complete: bool
    """False where the recorded run had been cut off: then so is this one."""


def replay(
    path: Path | str,
    context: Context,
    *,
    output: object = None,
    listener: RLMEventListener | None = None,
) -> Replay:
    """Run it again without a model: seconds, tools and models are those of the recording.

    A run with a typed answer needs the same `output`, unless that was a JSON schema, which is in
    the trace. Raises TraceError where the trace cannot be replayed, or is about another text;
    SandboxError where code cannot be run.
    """
    recording = Recording.read(path)
    recording.require_replayable()
    require_same_context(recording, context)
    query = str(recording.header.get("query"))
    question = Question(query, context, _output(recording, output))
    playback = Playback(recording, live=False)
    with (
        tempfile.TemporaryDirectory(prefix="rlm-replay-") as nowhere,
        FileCache(nowhere) as empty_cache,
    ):
        equipment = _equipment(recording, question.output, empty_cache, listener)
        running: Running[RunResult[Any]] = Running(
            partial(_play, equipment=equipment, question=question, playback=playback)
        )
        try:
            result = running.run_here()
        except NotRecorded:
            result = None
    differences = _differences(recording, playback, running, result)
    return Replay(result, tuple(differences), recording.finish is not None)


def _equipment(
    recording: Recording,
    output: AnswerType | None,
    cache: FileCache,
    listener: RLMEventListener | None,
) -> Equipment:
    """What the run was made with, but for its clock, its models and the caller's functions."""
    config = config_of(recording.header)
    rules = config.rules
    if output is not None:  # it is told again when the run begins
        rules = replace(rules, system_prompt=rules.system_prompt.removesuffix(output.task()))
    config = replace(
        config,
        policy=replace(config.policy, max_seconds=None),
        rules=rules,
        functions=dict.fromkeys(recording.functions(), not_there),
    )
    models, logger = _no_models(recording.header), logging.getLogger("rlm_core")
    return Equipment(config, models, cache, Providers(), listener, logger)


def _differences(
    recording: Recording,
    playback: Playback,
    running: Running[RunResult[Any]],
    result: RunResult[Any] | None,
) -> list[Difference]:
    """All that was not as recorded; of a run that was cut off, up to where it was."""
    complete = recording.finish is not None
    found = [each for each in playback.differences if complete or each.recorded != NOT_ASKED]
    if running.tree is not None:
        found += compared(recording.trace, running.tree.recorder.trace, complete=complete)
    found += _of_isolation(recording, result)
    return found + _of_end(recording.finish, result) + _unasked(playback, result)


def _no_models(header: Mapping[str, object]) -> Models:
    """What stands where the models of a run were, under their names."""
    identities, names = header.get("models"), header.get("model_names")
    known = identities if isinstance(identities, dict) else {}
    called = names if isinstance(names, dict) else {}
    root, sub = (_NoModel(str(known.get(each)), called.get(each)) for each in ("root", "sub"))
    return Models(root, sub, {str(name): sub for name in called.get("named") or ()})


def compared(then: Trace, now: Trace, *, complete: bool) -> list[Difference]:
    """Where the root's cells came out differently; those below it run at the same time.

    Of a run that was cut off, only what both have is compared.
    """
    before = [step for step in then.steps if step.kind == "repl_exec"]
    again = [step for step in now.steps if step.kind == "repl_exec"]
    found = [
        difference
        for number, (one, other) in enumerate(zip(before, again, strict=False), start=1)
        for difference in _of_cell(number, one, other)
    ]
    if complete and len(before) != len(again):
        found.append(Difference("cells that ran", str(len(before)), str(len(again))))
    return found


def _of_isolation(recording: Recording, result: RunResult[Any] | None) -> list[Difference]:
    """Code may behave otherwise behind another wall."""
    then = recording.sessions[0].get("isolation") if recording.sessions else None
    if then is None or result is None or then == result.isolation:
        return []
    return [Difference("isolation", str(then), result.isolation)]


def _of_end(finish: Mapping[str, object] | None, result: RunResult[Any] | None) -> list[Difference]:
    if finish is None or result is None:
        return []
    pairs = (("answer", result.answer), ("ending", result.ending.value))
    return [
        Difference(name, _cut(finish.get(name)), _cut(value))
        for name, value in pairs
        if finish.get(name) != value
    ]


def _play(
    running: Running[RunResult[Any]],
    *,
    equipment: Equipment,
    question: Question,
    playback: Playback,
) -> RunResult[Any]:
    return play(equipment, question, running, playback)


def _output(recording: Recording, output: object) -> AnswerType | None:
    shown = recording.header.get("output")
    if shown is None:
        return None
    output = recording.output_schema() if output is None else output
    if output is None:
        raise TraceError(f"the answer had the type {shown}: give the same output= to replay it")
    return AnswerType(output)


def _of_cell(number: int, then: TraceStep, now: TraceStep) -> list[Difference]:
    return [
        Difference(f"{name} of cell {number}", _cut(before), _cut(again))
        for name, before, again in (
            ("code", then.code, now.code),
            ("output", then.stdout, now.stdout),
            ("error", then.error, now.error),
            ("outcome", then.outcome, now.outcome),
            ("state", then.state, now.state),
        )
        if before != again
    ]


def _unasked(playback: Playback, result: RunResult[Any] | None) -> list[Difference]:
    if result is None:
        return []
    left = sum(1 for _ in playback.left())
    return [Difference("recorded replies", "asked for", f"{left} were not asked for")] * bool(left)


def _cut(value: object) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"
