"""The messages of an episode: what was said, what is sent, and what is left out when it grows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec import Struct

from rlm_core import compaction, prompts
from rlm_core.tokens import estimate_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rlm_core.rules import EpisodeRules

Message = dict[str, str]

EMPTY_REPLY = "(empty reply)"  # some servers refuse a message without content


class ContextFacts(Struct, frozen=True):
    """What the model is told of its context. `head` lets the loop notice when it is printed."""

    length: int
    context_type: str = "string"
    num_documents: int = 1
    document_lengths: tuple[int, ...] = ()
    paths: tuple[str, ...] = ()
    head: str = ""


class Feedback(Struct, frozen=True):
    """What the model is shown after a step."""

    stdout: str = ""
    error: str = ""
    state: str = ""
    advice: str = ""

    def error_shown(self) -> str:
        """The error with the advice below it."""
        return "\n".join(filter(None, (self.error, self.advice)))


@dataclass
class Conversation:
    """The turns of one episode. With history every turn is sent again, else only the last state."""

    rules: EpisodeRules
    query: str
    facts: ContextFacts
    turns: list[Message] = field(default_factory=list)
    summary: str = ""
    """What stands for turns that were compacted."""
    tokens: int = 0
    """Of all turns, counted as they come: a step must not cost more the more there were."""

    def ask(self, feedback: Feedback, step: int, *, repl_executed: bool) -> tuple[Message, ...]:
        """The messages to send for a step, which becomes part of the history."""
        if not self.rules.conversation_history:
            return (self._system(), self._first(feedback, step, repl_executed=repl_executed))
        if step == 1:
            self._replace([self._system(), self._first(feedback, step, repl_executed=False)])
        else:
            self._add(self._next(feedback, step))
        most = self.rules.max_history_tokens
        if 0 < most < self.tokens:
            self._replace(trimmed(self.turns, most))
        return tuple(self.turns)

    def hear(self, text: str) -> None:
        """Take the model's reply into the history."""
        if self.rules.conversation_history:
            self._add({"role": "assistant", "content": text.strip() or EMPTY_REPLY})

    def older(self, feedback: Feedback) -> list[Message]:
        """Turns that are due to be summarised: all but the last two, if the history is too long."""
        rules, turns = self.rules.compaction, self.turns
        if rules is None or self.tokens + _tokens_of(feedback) <= rules.above_tokens:
            return []
        older = turns[2 : max(2, len(turns) - 3)]
        worth_it = tokens_in(older) * 4 >= tokens_in(turns[2:])
        return older if worth_it else []

    def ask_for_compaction(self) -> tuple[Message, ...]:
        """The messages that ask the model for a summary of all turns so far."""
        return (*self.turns, {"role": "user", "content": compaction.REQUEST})

    def compact(self, older: Sequence[Message], summary: str | None) -> str:
        """Replace these turns by a summary, by rule if none is given; returns it."""
        head, first = self.turns[0], self.turns[1]
        told = f"\n\n{compaction.HEADING}\n{self.summary}"
        plain = first["content"].removesuffix(told) if self.summary else first["content"]
        if summary is None:
            summary = compaction.summary_of(older, before=self.summary)
        self.summary = summary
        opening = {"role": "user", "content": f"{plain}\n\n{compaction.HEADING}\n{summary}"}
        self._replace([head, opening, *self.turns[2 + len(older) :]])
        return summary

    def ask_for_summary(self, feedback: Feedback, step: int) -> tuple[Message, ...]:
        """The messages that ask for the best answer when no step is left."""
        last = {"role": "user", "content": prompts.SUMMARY_REQUEST}
        if self.turns and self.turns[-1]["role"] == "user":  # it was never sent: nothing was left
            *before, unsent = self.turns
            last["content"] = f"{unsent['content']}\n\n{prompts.SUMMARY_REQUEST}"
            return (*before, last)
        if self.turns:
            result = self._next(feedback, step)["content"]
            last["content"] = f"{result}\n\n{prompts.SUMMARY_REQUEST}"
            return tuple(trimmed([*self.turns, last], self.rules.max_history_tokens))
        first = self._first(feedback, step, repl_executed=True)
        last["content"] = f"{first['content']}\n\n{prompts.SUMMARY_REQUEST}"
        return (self._system(), last)

    def _add(self, message: Message) -> None:
        self.turns.append(message)
        self.tokens += tokens_in([message])

    def _replace(self, turns: list[Message]) -> None:
        self.turns = turns
        self.tokens = tokens_in(turns)

    def _system(self) -> Message:
        return {"role": "system", "content": self.rules.system_prompt}

    def _first(self, feedback: Feedback, step: int, *, repl_executed: bool) -> Message:
        content = prompts.build_root_user_message(
            query=self.query,
            context_len=self.facts.length,
            context_type=self.facts.context_type,
            num_documents=self.facts.num_documents,
            document_lengths=self.facts.document_lengths,
            paths=self.facts.paths,
            repl_executed=repl_executed,
            last_stdout=feedback.stdout,
            last_error=feedback.error_shown(),
            last_state_summary=feedback.state,
            step=step,
            max_steps=self.rules.max_steps,
        )
        return {"role": "user", "content": content}

    def _next(self, feedback: Feedback, step: int) -> Message:
        content = prompts.build_iteration_message(
            last_stdout=feedback.stdout,
            last_error=feedback.error_shown(),
            last_state_summary=feedback.state,
            step=step,
            max_steps=self.rules.max_steps,
            root_query=self.query,
        )
        return {"role": "user", "content": content}


def _tokens_of(feedback: Feedback) -> int:
    shown = (feedback.stdout[: prompts.STDOUT_SHOWN], feedback.error, feedback.state)
    return sum(map(estimate_tokens, shown))


def trimmed(messages: Sequence[Message], max_tokens: int) -> list[Message]:
    """The first two messages and as many of the last turns as fit, one at least; 0 keeps all.

    What lies between is left out in pairs (reply, result), so that the roles go on alternating.
    """
    messages = list(messages)
    if max_tokens <= 0 or tokens_in(messages) <= max_tokens:
        return messages
    head, tail = messages[:2], messages[2:]
    first = max(0, len(tail) - 2)
    left = max_tokens - tokens_in(head) - tokens_in(tail[first:])
    while first >= 2:
        left -= tokens_in(tail[first - 2 : first])
        if left < 0:
            break
        first -= 2
    return head + tail[first:]


def tokens_in(messages: Sequence[Message]) -> int:
    """Tokens of several messages by rule of thumb."""
    return sum(estimate_tokens(message.get("content", "")) for message in messages)
