"""How a finished run is told: the answer, what is to be known about it, and the exit code."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, assert_never

from rlm_core.cli.exits import Exit
from rlm_core.cli.settings import OfflineModel, ServedModel
from rlm_core.stimuli import Ending, RunStatus

if TYPE_CHECKING:
    from rlm_core.cli.ask_arguments import AskArguments
    from rlm_core.cli.output import Output
    from rlm_core.cli.settings import Settings
    from rlm_core.rlm import RunResult

JSON_VERSION = 1

_MORE = {
    Ending.MAX_STEPS: "allow more with --max-steps",
    Ending.MAX_TOKENS: "allow more with --max-tokens",
    Ending.MAX_SECONDS: "allow more with --timeout",
}


def report(
    result: RunResult[Any],
    arguments: AskArguments,
    settings: Settings,
    output: Output,
    *,
    typed: bool = False,
) -> int:
    """Print the answer or the JSON object, and what there is to say about it.

    An answer of a type (`typed`) is JSON as well.
    """
    match settings.model:
        case OfflineModel():
            output.notice(settings.model.caution)
        case ServedModel():
            pass
        case _:
            assert_never(settings.model)
    if output.shows_progress:
        output.notice(_summary(result))
    if arguments.json:
        output.json(_as_json(result, arguments, settings))
    elif result.status is not RunStatus.NO_ANSWER:
        if typed:
            output.json(result.value)
        else:
            output.answer(result.answer)
    if result.status is RunStatus.ANSWERED:
        return Exit.ANSWERED
    output.error(_why_not(result))
    return Exit.LIMIT


def _summary(result: RunResult[Any]) -> str:
    usage = result.usage
    return (
        f"{usage.steps} steps, {usage.subcalls} subcalls, {usage.total_tokens:,} tokens, "
        f"{usage.seconds:.1f} s; isolation: {result.isolation}"
    )


def _why_not(result: RunResult[Any]) -> str:
    more = _MORE.get(result.ending, "ask in other words, or use a stronger model")
    left = (
        "there is no answer"
        if result.status is RunStatus.NO_ANSWER
        else "the answer is the best there was, not the model's final one"
    )
    return f"the run was stopped ({result.ending}): {left}; {more}"


def _as_json(
    result: RunResult[Any], arguments: AskArguments, settings: Settings
) -> dict[str, object]:
    served = settings.model if isinstance(settings.model, ServedModel) else None
    return {
        "version": JSON_VERSION,
        "question": arguments.question,
        "answer": None if result.status is RunStatus.NO_ANSWER else result.answer,
        "value": result.value,
        "status": result.status.value,
        "ending": result.ending.value,
        "model": served.name if served else "offline",
        "usage": asdict(result.usage),
        "steps": result.steps,
        "isolation": result.isolation,
        "trace": [step.to_dict() for step in result.trace.steps],
    }
