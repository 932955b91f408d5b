"""How an episode that must stop gets the best answer it has: attempts until one holds."""

from __future__ import annotations

from msgspec import Struct

from rlm_core.reply import Code, Final, FinalVar, Neither, Reply
from rlm_core.rules import COMMON_ANSWER_NAMES, EpisodeRules
from rlm_core.stimuli import Ending


class TryVariables(Struct, frozen=True):
    """Take the first of these variables that holds an answer."""

    names: tuple[str, ...]


class TrySummary(Struct, frozen=True):
    """Ask the model once more, for its best answer as plain text."""


class TryCode(Struct, frozen=True):
    """Run code that was written but not run; then look at the variables."""

    code: str


class TryFinal(Struct, frozen=True):
    """Take the final that stood in the last reply."""

    final: Final | FinalVar


class TryStdout(Struct, frozen=True):
    """Take what was printed last."""


class TryText(Struct, frozen=True):
    """Take the last reply as it is."""

    text: str


Attempt = TryVariables | TrySummary | TryCode | TryFinal | TryStdout | TryText


def answer_names(rules: EpisodeRules) -> tuple[str, ...]:
    """The variables in which an answer may be, the one that was asked for first."""
    auto = rules.auto_finalize
    names = (auto.variable,) if auto is not None else ()
    return tuple(dict.fromkeys(names + COMMON_ANSWER_NAMES))


def plan(
    ending: Ending, rules: EpisodeRules, reply: Reply | None, text: str, *, fallback: str | None
) -> list[Attempt]:
    """The attempts for an ending. `reply` and `text` are the last reply, parsed and raw."""
    everywhere = TryVariables(answer_names(rules))
    match ending:
        case Ending.MAX_STEPS:
            auto = rules.auto_finalize
            first: list[Attempt] = [TryVariables((auto.variable,))] if auto is not None else []
            # Without a single reply there is nothing to sum up: the model could only guess.
            summary: list[Attempt] = [TrySummary()] if reply is not None else []
            return [*first, *summary, everywhere, TryStdout()]
        case Ending.MAX_TOKENS if reply is not None:
            return [everywhere, *_unrun(reply, fallback), *_said(reply), TryText(text)]
        case Ending.COLLAPSED:
            return [everywhere, *_said(reply), TryStdout()]
        case Ending.CONTEXT_PRINTED | Ending.EMPTY_REPLIES:
            return [everywhere]
        case _:
            return [everywhere, TryStdout()]


def _unrun(reply: Reply, fallback: str | None) -> list[Attempt]:
    """The code of the last reply, then the fallback code, each with what it may have printed."""
    attempts: list[Attempt] = []
    if isinstance(reply, Code):
        attempts += [TryCode(reply.source), *_said(reply), TryStdout()]
    if fallback is not None:
        attempts += [TryCode(fallback), TryStdout()]
    return attempts


def _said(reply: Reply | None) -> list[Attempt]:
    match reply:
        case Final() | FinalVar():
            return [TryFinal(reply)]
        case Code(final=Final() | FinalVar() as final):
            return [TryFinal(final)]
        case Neither(text=text) if text:
            return [TryText(text)]
    return []
