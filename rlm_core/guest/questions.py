"""Questions to sub-models: one, or many at once."""

from __future__ import annotations

from collections.abc import Callable

from rlm_core.sketches import as_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

    Query = Callable[[str, dict[str, Any]], str]
    """Host function: one call of a sub-model."""
    Batch = Callable[[list[str], dict[str, Any]], list[dict[str, str]]]
    """Host function: many calls: {"text"} each, with {"error", "message"} where one failed."""

BAD_ITEM = "llm_batch expects a list of prompt strings."
PORTION_CHARS = 2_000_000  # up to 8 MB as UTF-8: half of what may cross at once


class PromptError(str):
    """The text in place of an answer that a prompt of a batch did not get, and why.

    `kind` is the name of the error, `message` what it says.
    """

    __slots__ = ("kind", "message")

    def __new__(cls, text: str, kind: str, message: str) -> Self:
        self = super().__new__(cls, text)
        self.kind = kind
        self.message = message
        return self


class Questions:
    """Functions of the session that ask sub-models, over the host functions that do."""

    def __init__(self, query: Query, batch: Batch) -> None:
        self._query = query
        self._batch = batch

    def llm_query(
        self,
        text: str,
        *,
        model: str | None = None,
        max_tokens: int | None = None,
        depth: int = 1,
        parallel_group: str | None = None,
        parallel_index: int | None = None,
        parallel_total: int | None = None,
        reserved_tokens: int = 0,
    ) -> str:
        """Ask a sub-model, which sees nothing but this text."""
        del reserved_tokens  # reservations are the host's business
        options: dict[str, object] = {"model": model, "max_tokens": max_tokens, "depth": depth}
        if parallel_group is not None:
            options |= {"group": parallel_group, "index": parallel_index, "total": parallel_total}
        return self._query(as_text(text), options)

    def llm_batch(
        self,
        prompts: object,
        *,
        model: str | None = None,
        max_tokens: int | None = None,
        on_error: str = "return",
    ) -> list[str]:
        """Ask a sub-model many things at once; the answers are in the order of the prompts.

        A prompt that failed gives a PromptError, which is a text "[ERROR] ...", and the others are
        kept; with on_error="raise" the first failure is raised.
        """
        if on_error not in {"return", "raise"}:
            raise ValueError("on_error must be 'return' or 'raise'")
        if not isinstance(prompts, (list, tuple)):
            raise ValueError(BAD_ITEM)  # noqa: TRY004 - what programs expect
        unique = list(dict.fromkeys(item for item in prompts if isinstance(item, str)))
        answers: dict[str, str] = {}
        options = {"model": model, "max_tokens": max_tokens, "on_error": on_error}
        for portion in _portions(unique):
            texts = map(_item_text, self._batch(portion, options))
            answers |= zip(portion, texts, strict=True)
        return [answers[item] if isinstance(item, str) else _bad_item() for item in prompts]

    def one_by_one(
        self, prompts: list[str], *, model: str | None = None, max_tokens: int | None = None
    ) -> list[str]:
        """The answers to several prompts, each asked for when the one before is there."""
        return [self.llm_query(each, model=model, max_tokens=max_tokens) for each in prompts]


def is_reply(text: str) -> bool:
    """False for what stands in the place of a reply that could not be had."""
    return not isinstance(text, PromptError) and not text.startswith("[SUBCALL_LIMIT]")


def _portions(prompts: list[str]) -> list[list[str]]:
    """The prompts in as few lists as may cross to the host; a prompt is never cut."""
    portions: list[list[str]] = []
    room = 0
    for prompt in prompts:
        if not portions or len(prompt) > room:
            portions.append([])
            room = PORTION_CHARS
        portions[-1].append(prompt)
        room -= len(prompt)
    return portions


def _bad_item() -> PromptError:
    return PromptError(f"[ERROR] {BAD_ITEM}", "TypeError", BAD_ITEM)


def _item_text(item: dict[str, str]) -> str:
    if "error" in item:
        return PromptError(item["text"], item["error"], item["message"])
    return item["text"]
