"""How an episode that must stop gets the best answer it has: attempts until one holds."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from msgspec import Struct

from rlm_core.reply import Code, Final, FinalVar, Neither, Reply, Why, parse_reply
from rlm_core.rules import COMMON_ANSWER_NAMES, EpisodeRules
from rlm_core.stimuli import (
    NO_ANSWER,
    Ask,
    Ending,
    Finish,
    Look,
    Looked,
    Ran,
    Refused,
    Replied,
    Run,
    RunStatus,
    Value,
)
from rlm_core.typed import Mistyped
from rlm_core.verdict import salvageable, usable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rlm_core.conversation import Conversation, Feedback
    from rlm_core.stimuli import Event


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


class Salvage:
    """Attempts, one after the other, until one gives an answer."""

    def __init__(self, ending: Ending, rules: EpisodeRules, attempts: Iterable[Attempt]) -> None:
        self.ending = ending
        self._rules = rules
        self._left = deque(attempts)
        self._attempt: Attempt | None = None

    def __repr__(self) -> str:
        return f"Salvage({self.ending!r}, {self._attempt!r})"

    def next(
        self, conversation: Conversation, feedback: Feedback, step: int, stdout: str
    ) -> Look | Run | Ask | Finish:
        """What the next attempt needs, or the end. `stdout` is what was printed last."""
        while self._left:
            self._attempt = self._left.popleft()
            given: Finish | None = None
            match self._attempt:
                case TryVariables(names):
                    return Look(names)
                case TrySummary():
                    messages = conversation.ask_for_summary(feedback, step)
                    return Ask(messages, self._rules.max_tokens, "summary")
                case TryCode(code):
                    return Run(code, answer_names(self._rules))
                case TryFinal(FinalVar(name)) | TryFinal(Final(name=str(name))):
                    return Look((name,))
                case TryFinal(Final(text)) | TryText(text):
                    given = self._given(Value(text))
                case TryStdout():
                    given = self._given(Value(stdout))
            if given is not None:
                return given
        return Finish(NO_ANSWER, RunStatus.NO_ANSWER, self.ending)

    def hear(self, event: Event) -> Finish | None:
        """What came of the attempt: the end, or None. Raises ValueError for another event."""
        match event:
            case Ran(submitted=submitted, values=values):
                first = () if submitted is None else (submitted,)
                return self._first_of((*first, *values.values()))
            case Looked(values):
                attempt = self._attempt
                if isinstance(attempt, TryFinal) and isinstance(attempt.final, Final):
                    self._left.appendleft(TryText(attempt.final.text))
                return self._first_of(values.values())
            case Replied(text):
                self._hear_summary(text)
                return None
            case Refused():
                return None
        raise ValueError(f"{type(event).__name__} is not expected in {self}")

    def _hear_summary(self, text: str) -> None:
        match parse_reply(text):
            case Final() | FinalVar() as final:
                self._left.appendleft(TryFinal(final))
            case Neither(Why.PROSE | Why.PLAN):
                self._left.appendleft(TryText(text))

    def _first_of(self, values: Iterable[Value]) -> Finish | None:
        given = map(self._given, values)
        return next((finish for finish in given if finish is not None), None)

    def _given(self, value: Value) -> Finish | None:
        """The end with this value as the best there was, or None where it is no answer."""
        read = self._rules.read(value)
        if isinstance(read, Mistyped):
            return None
        answer = value.text.strip() if read is not None else salvageable(value)
        if answer is None or not usable(answer):
            return None
        typed = None if read is None else read.value
        return Finish(answer, RunStatus.LIMITED, self.ending, typed)


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
