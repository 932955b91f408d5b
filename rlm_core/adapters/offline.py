"""A model without a network: it looks for words, and is honest about understanding none of them.

As the root model it writes a program that ranks the passages of the text for the question's words
and asks the sub-model about the best; as the sub-model it picks the sentence or the value that
shares most with the question. The same messages always get the same reply.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rlm_core.adapters.base import ModelResponse, estimate_usage
from rlm_core.adapters.offline_extract import NO_ANSWER, asked_in, asks_a_number, best_answer
from rlm_core.adapters.offline_words import question_phrases, question_terms

if TYPE_CHECKING:
    from collections.abc import Sequence

MODEL_ID = "offline-keywords-1"
READY = "The answer is in the variable `answer`."

_QUERY = re.compile(r"^Query:\n(.*?)(?:\n\nContext type:|\Z)", re.MULTILINE | re.DOTALL)
_CALL = "answer = find_answer(QUESTION, TERMS, NUMERIC, P, ctx, llm_batch)"


class OfflineAdapter:
    """The embedded keyword model: deterministic, no key, no network, thread-safe.

    It finds an answer that stands in the text in words like the question's, and no other.
    """

    model = MODEL_ID
    identity = f"OfflineAdapter::{MODEL_ID}"
    cacheable = False
    """Thinking anew is quicker here than looking into a file."""

    def complete(
        self,
        messages: list[dict[str, str]],
        *,
        max_tokens: int = 512,  # noqa: ARG002 - part of the protocol; the program is as long as it is
        temperature: float = 0.0,  # noqa: ARG002 - part of the protocol
    ) -> ModelResponse:
        """A program or a final for a root model's messages, else the best sentence or value."""
        if is_root(messages):
            text = root_reply(messages)
        else:
            text = best_answer(asked_in(_last_user_text(messages)))
        usage = estimate_usage(messages, text)
        return ModelResponse(text, usage, model_id=MODEL_ID, meta={"finish_reason": "stop"})


def is_root(messages: Sequence[dict[str, str]]) -> bool:
    """True where the system prompt asks for code in a session, as that of a sub-model does not."""
    system = "\n".join(
        message["content"] for message in messages if message.get("role") == "system"
    )
    return "FINAL_VAR" in system and not system.startswith("You are a sub-LLM")


def root_reply(messages: Sequence[dict[str, str]]) -> str:
    """The program; once it has run, the answer it left; where it failed, that there is none."""
    last = _last_user_text(messages)
    if READY in last:
        return "FINAL_VAR: answer"
    has_run = "REPL executed: yes" in last or any(
        _CALL in message["content"] for message in messages if message.get("role") == "assistant"
    )
    return f"FINAL: {NO_ANSWER}" if has_run else program(query_in(messages))


def query_in(messages: Sequence[dict[str, str]]) -> str:
    """The question that the root model is asked: as the loop labels it, else all that is said."""
    asked = [message["content"] for message in messages if message.get("role") == "user"]
    for text in asked:
        found = _QUERY.search(text)
        if found:
            return found[1].strip()
    return asked[0].strip() if asked else ""


def program(question: str) -> str:
    """One cell of Python that leaves the answer to `question` in the variable `answer`."""
    from importlib import resources

    source = resources.files("rlm_core.adapters").joinpath("offline_search.py").read_text("utf-8")
    asked = repr(question).replace("`", r"\x60")  # a fence in the question would end the cell
    terms = question_terms(question) + question_phrases(question)
    return (
        f"```python\n{source}\n\nQUESTION = {asked}\nTERMS = {terms!r}\n"
        f"NUMERIC = {asks_a_number(question)}\n{_CALL}\nprint({READY!r})\n```"
    )


def _last_user_text(messages: Sequence[dict[str, str]]) -> str:
    asked = [message["content"] for message in messages if message.get("role") == "user"]
    return asked[-1] if asked else ""
