"""Questions to sub-models whose answers are JSON."""

from __future__ import annotations

from functools import partial

from rlm_core.guest.questions import Questions, is_reply
from rlm_core.jsonish import Asking


class JsonQuestions:
    """Functions of the session that ask for JSON."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions

    def llm_query_json(
        self,
        prompt: str,
        text: str | None = None,
        *,
        schema: object = None,
        model: str | None = None,
        max_tokens: int | None = None,
    ) -> object:
        """Ask a sub-model and parse its answer as JSON; what is none is {"_parse_error", "_raw"}.

        With a `schema`, such as {"name": str, "age": "int?"}, the answer is of that form: the
        sub-model is told what it must be, and once, if it was not, what was wrong.
        """
        whole = f"{prompt}\n\n{text}" if bool(text) else prompt
        ask = partial(self._questions.one_by_one, model=model, max_tokens=max_tokens)
        return Asking(ask, schema, is_reply).values([whole])[0]

    def llm_batch_json(
        self,
        prompts: list[str],
        *,
        schema: object = None,
        model: str | None = None,
        max_tokens: int | None = None,
    ) -> list[object]:
        """`llm_query_json` for many prompts at once."""
        ask = partial(self._questions.llm_batch, model=model, max_tokens=max_tokens)
        return Asking(ask, schema, is_reply).values(prompts)

    def llm_query_records(
        self,
        prompt: str,
        *,
        schema: object = None,
        model: str | None = None,
        max_tokens: int | None = None,
    ) -> list[dict[str, object]]:
        """Ask a sub-model for records: the dicts in the JSON that it answers.

        With the `schema` of one record, those that are not of that form in the end are left out.
        """
        ask = partial(self._questions.one_by_one, model=model, max_tokens=max_tokens)
        return Asking(ask, schema, is_reply).records([prompt])[0]

    def llm_batch_records(
        self,
        prompts: list[str],
        *,
        schema: object = None,
        model: str | None = None,
        max_tokens: int | None = None,
    ) -> list[list[dict[str, object]]]:
        """`llm_query_records` for many prompts at once."""
        ask = partial(self._questions.llm_batch, model=model, max_tokens=max_tokens)
        return Asking(ask, schema, is_reply).records(prompts)
