"""May the episode end with this? Pure judgements over its rules and what has happened so far."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from rlm_core.reply import Neither, Why
from rlm_core.stimuli import NO_ANSWER

if TYPE_CHECKING:
    from rlm_core.reply import Reply
    from rlm_core.rules import AutoFinalize, EpisodeRules
    from rlm_core.stimuli import Value

MISSING_VARIABLE = "FINAL_VAR missing in REPL; set the variable before finalizing."
LONGEST_SALVAGED_VALUE = 4_000
"""Characters; a longer value that is no text is data that the code worked on, not an answer."""

REPEATED = (
    "You have now sent the same reply {count} times with the same result. Do something else, or "
    "finish with what you have."
)
PRINTED = (
    "You printed the context itself; you are shown only its beginning. Search it with ctx.find or "
    "re, or cut it with ctx.chunk and ask llm_batch about the pieces."
)
_PRINTED_CHARS = 4_000  # what peek() and a look around print is less


class Done(Struct, frozen=True):
    """What the episode has done so far, as far as guards ask for it."""

    step: int
    ran_code: bool
    called_sub_model: bool


def guard(rules: EpisodeRules, done: Done) -> str | None:
    """Why a final is not accepted yet, or None when it is."""
    if done.step < rules.min_steps:
        return f"Guard: step {done.step}/{rules.min_steps}, keep exploring before FINAL."
    if rules.require_repl_before_final and not done.ran_code:
        return "Guard: execute REPL code before FINAL."
    if rules.require_subcall_before_final and not done.called_sub_model:
        return "Guard: execute at least one subcall before FINAL."
    return None


class Accepted(Struct, frozen=True):
    """The variable holds the answer."""

    answer: str


class NotYet(Struct, frozen=True):
    """The variable holds nothing that counts, or may not be taken yet. `error` may be empty."""

    error: str = ""


class Blocked(Struct, frozen=True):
    """The variable's answer is refused; the variable is cleared so that it cannot come back."""

    error: str


class Rejected(Struct, frozen=True):
    """The answer matches a pattern that no answer may match."""

    pattern: str


Verdict = Accepted | NotYet | Blocked | Rejected


def of_auto_variable(
    rules: EpisodeRules, value: Value | None, done: Done, *, fallback_pending: bool
) -> Verdict:
    """Is what the auto-finalize variable holds the answer?"""
    auto = rules.auto_finalize
    if auto is None or value is None or value.kind == "none":
        return NotYet()
    answer = value.text.strip()
    if value.kind == "text":
        refusal = _of_text(auto, answer, fallback_pending=fallback_pending)
        if refusal is not None:
            return refusal
    if done.step < rules.min_steps:
        return NotYet(
            f"Auto-finalize blocked: step {done.step}/{rules.min_steps} "
            f"(min_steps={rules.min_steps}). Keep processing."
        )
    return Accepted(answer) if guard(rules, done) is None else NotYet()


def _of_text(auto: AutoFinalize, answer: str, *, fallback_pending: bool) -> Verdict | None:
    if not answer:
        return NotYet("Auto-finalize blocked: empty value.")
    if is_no_answer(answer) and fallback_pending:
        return NotYet("Auto-finalize blocked: NO_ANSWER.")
    if len(answer) < auto.min_length:
        return Blocked(
            f"Auto-finalize blocked: answer too short ({len(answer)} chars, minimum "
            f"{auto.min_length}). Extract more data and build a complete answer; do not summarize "
            "progress."
        )
    for pattern in auto.reject_patterns:
        if re.search(pattern, answer, re.IGNORECASE):
            return Rejected(pattern)
    return None


def rejection_feedback(auto: AutoFinalize, pattern: str, count: int) -> str:
    """What the model is told when its answer matched a pattern for the `count`-th time."""
    remaining = auto.reject_limit - count
    if auto.reject_feedback is not None:
        return auto.reject_feedback.format(
            var=auto.variable,
            pattern=pattern,
            count=count,
            limit=auto.reject_limit,
            remaining=remaining,
        )
    return (
        f"Auto-finalize blocked ({count}/{auto.reject_limit}): the answer matches the reject "
        f"pattern '{pattern}'. {remaining} attempt(s) left. Do not describe progress or next "
        f"steps: set {auto.variable} to the actual answer."
    )


def is_no_answer(text: str) -> bool:
    """True for the text that says that there is none."""
    return text.strip().upper() == NO_ANSWER


def usable(text: str) -> bool:
    """True for a text that can be given as the best answer there is."""
    return bool(text.strip()) and not is_no_answer(text)


def salvageable(value: Value | None) -> str | None:
    """The answer in a variable when the run must end with what there is, or None."""
    if value is None or value.kind == "none" or not usable(value.text):
        return None
    if value.kind == "other" and len(value.text) > LONGEST_SALVAGED_VALUE:
        return None
    return value.text.strip()


def holds_nothing(value: Value | None) -> bool:
    """True where a variable has no answer in it that would make fallback code needless."""
    if value is None or value.kind == "none":
        return True
    return value.kind == "text" and value.text.strip().lower() in {"", "no_answer", "none", "0"}


def invalid_reply(why: Why, text: str, finish_reason: str | None) -> str:
    """What the model is told of a reply that is neither code nor an answer."""
    match why:
        case Why.EMPTY if finish_reason == "length":
            return (
                "Invalid response: empty visible content with finish_reason=length: the reply "
                "was used up before anything was said. Think less and write the code at once."
            )
        case Why.EMPTY:
            return "Invalid response: empty visible content."
        case Why.CUT:
            return (
                "Invalid response: the reply ends in the middle of code, which was not run. Write "
                "a shorter block, and build long things over several steps."
            )
        case Why.LANGUAGE:
            return "Invalid response: the code is not Python. Only Python is run here."
        case Why.PLAN:
            return (
                "Invalid response: FINAL was followed by a plan. Carry the plan out in code; write "
                "FINAL only with the answer itself. (If this is the answer, send it once more.)"
            )
        case Why.PROSE:
            return (
                "Invalid response: expected Python code or FINAL. "
                f"Received non-code text (len={len(text.strip())})."
            )


def printed(head: str, length: int, stdout: str) -> bool:
    """True when a cell printed a long run of the context from its beginning (`head`)."""
    much = min(_PRINTED_CHARS, length)
    return len(head) >= 200 and len(stdout) > much >= _PRINTED_CHARS and head in stdout


def ran_dry(reply: Reply, finish_reason: str | None) -> bool:
    """True for a reply whose tokens all went where nobody sees them."""
    return isinstance(reply, Neither) and reply.why is Why.EMPTY and finish_reason == "length"
