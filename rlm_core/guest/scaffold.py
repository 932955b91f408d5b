"""All names that a session has before the first cell, beside P."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Mapping

from rlm_core.context import Context
from rlm_core.guest.answers import Answers
from rlm_core.guest.json_questions import JsonQuestions
from rlm_core.guest.looking import Looking
from rlm_core.guest.pieces import Pieces, pick_first_answer
from rlm_core.guest.questions import PromptError, Questions
from rlm_core.jsonish import parse_jsonish
from rlm_core.sketches import sketch

NAMES = (
    *("FINAL", "FINAL_VAR", "SHOW_VARS", "SUBMIT", "Context", "PromptError"),
    *("_parse_jsonish_response", "ask", "ask_chunk", "ask_chunked", "ask_chunks"),
    *("ask_chunks_first", "budget", "ctx", "extract_after", "lenP", "llm_batch", "llm_batch_json"),
    *("llm_batch_records", "llm_query", "llm_query_batch", "llm_query_json", "llm_query_records"),
    *("peek", "pick_first_answer", "subcall", "tail"),
)
_HIDDEN = frozenset({"P", *NAMES})


def names(
    context: Context, host: Mapping[str, Callable[..., object]], *, parallel: bool
) -> dict[str, object]:
    """What each name is. `host` are the functions of `rlm_core.subcalls`."""
    looking = Looking(context.text)
    questions = Questions(host["rlm_query"], host["rlm_batch"])  # ty: ignore[invalid-argument-type]
    pieces = Pieces(questions, parallel=parallel)
    in_json = JsonQuestions(questions)
    answers = Answers(host["rlm_submit"])
    return {
        "ctx": context,
        "Context": Context,
        "peek": looking.peek,
        "tail": looking.tail,
        "lenP": looking.lenP,
        "extract_after": looking.extract_after,
        "llm_query": questions.llm_query,
        "subcall": questions.llm_query,
        "llm_batch": questions.llm_batch,
        "PromptError": PromptError,
        "llm_query_batch": pieces.llm_query_batch,
        "ask": pieces.ask,
        "ask_chunk": pieces.ask,
        "ask_chunks": pieces.ask_chunks,
        "ask_chunked": pieces.ask_chunks,
        "ask_chunks_first": pieces.ask_chunks_first,
        "pick_first_answer": pick_first_answer,
        "llm_query_json": in_json.llm_query_json,
        "llm_batch_json": in_json.llm_batch_json,
        "llm_query_records": in_json.llm_query_records,
        "llm_batch_records": in_json.llm_batch_records,
        "_parse_jsonish_response": parse_jsonish,
        "FINAL": answers.FINAL,
        "FINAL_VAR": answers.FINAL_VAR,
        "SUBMIT": answers.SUBMIT,
        "SHOW_VARS": SHOW_VARS,
        "budget": Budget(host["rlm_budget"]).budget,
    }


class Budget:
    """The function of the session that tells what is left."""

    def __init__(self, left: Callable[..., object]) -> None:
        self._left = left

    def budget(self) -> object:
        """What is left of this run: steps, subcalls, tokens, seconds, cost. None: no limit."""
        return self._left()


def SHOW_VARS() -> str:  # noqa: N802 - the field's own name
    """The variables that the code has made: name, type and size, one a line."""
    session = sys._getframe(1).f_globals
    lines = [
        f"{name} = {sketch(value)}"
        for name, value in session.items()
        if not name.startswith("_")
        and not isinstance(value, types.ModuleType)
        and name not in _HIDDEN
    ]
    return "\n".join(lines) or "(no variables yet)"
