"""The options that govern one episode, as data: the loop reads them and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from rlm_core.prompts import BASE_SYSTEM_PROMPT

if TYPE_CHECKING:
    from rlm_core.stimuli import Value
    from rlm_core.typed import AnswerReader, Mistyped, Typed

COMMON_ANSWER_NAMES = ("final_answer", "answer", "result", "summary")
"""Variables that models put an answer into unasked."""


@dataclass(frozen=True)
class AutoFinalize:
    """End the episode as soon as a variable holds an acceptable answer."""

    variable: str
    min_length: int = 0
    """Shorter answers (characters) are refused and the variable is cleared."""
    reject_patterns: tuple[str, ...] = ()
    """Regular expressions (case ignored) that no answer may contain."""
    reject_limit: int = 3
    """The refusal by pattern that ends the episode."""
    reject_feedback: str | None = None
    """Own words for the refusal; formatted with var, pattern, count, limit, remaining."""


@dataclass(frozen=True)
class Compaction:
    """Replace older turns by a summary when the history grows; variables are not touched."""

    by: Literal["rule", "model"] = "rule"
    """Who writes the summary: a rule, which costs nothing, or the episode's own model."""
    above_tokens: int = 76_800
    """Tokens of the history, above which it is done."""


@dataclass(frozen=True)
class EpisodeRules:
    """What an episode may do, must do first, and does when it is stuck. Steps count model calls."""

    system_prompt: str = BASE_SYSTEM_PROMPT
    max_steps: int = 40
    max_tokens: int = 512
    """Most tokens of one reply."""
    conversation_history: bool = True
    max_history_tokens: int = 0
    """Older turns are left out beyond this; 0 keeps all."""
    min_steps: int = 0
    require_repl_before_final: bool = False
    require_subcall_before_final: bool = False
    auto_finalize: AutoFinalize | None = None
    fallback_code: str | None = None
    """Code that is run once, when the model is stuck."""
    invalid_response_limit: int | None = None
    repl_error_limit: int | None = None
    subcall_guard_steps: int | None = None
    fallback_guard_steps: int | None = None
    collapse_limit: int = 5
    """The same reply that often in a row ends the episode; the second time there is advice."""
    compaction: Compaction | None = field(default_factory=Compaction)
    output: AnswerReader | None = None
    """The type that the answer must have; None takes any text."""
    context_print_limit: int = 5
    """Printing the context itself that often ends the episode; each time there is advice."""

    def read(self, value: Value) -> Typed | Mistyped | None:
        """A value as the type that was asked for; None where any will do."""
        return None if self.output is None else self.output.read(value)
