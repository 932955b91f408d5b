"""The guest's helpers run in this process, over host functions that a test writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlm_core.session import guest_source, guest_values

if TYPE_CHECKING:
    from collections.abc import Callable

    from rlm_core.context import Context


class HostDouble:
    """Host functions that answer by a function and remember what they were asked."""

    def __init__(self, answer: Callable[[str], str] = str.upper) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.options: list[object] = []
        self.batches = 0
        self.submitted: list[object] = []

    def rlm_query(self, prompt: str, options: object) -> str:
        self.asked.append(prompt)
        self.options.append(options)
        return self.answer(prompt)

    def rlm_batch(self, prompts: list[str], options: object) -> list[dict[str, str]]:
        self.batches += 1
        self.options.append(options)
        return [self._item(prompt) for prompt in prompts]

    def rlm_budget(self) -> dict[str, int | None]:
        return {"steps": 3, "tokens": None}

    def rlm_submit(self, answer: object, text: str | None = None) -> None:
        self.submitted.append(answer if text is None else text)

    def _item(self, prompt: str) -> dict[str, str]:
        self.asked.append(prompt)
        try:
            return {"text": self.answer(prompt)}
        except RuntimeError as error:
            text = f"[ERROR] RuntimeError: {error}"
            return {"text": text, "error": "RuntimeError", "message": str(error)}


def guest_session(
    context: Context, host: HostDouble, *, parallel: bool = False
) -> dict[str, object]:
    """A session's namespace with the guest's names in it, as the sandbox makes it."""
    module: dict[str, object] = {
        "P": context.text,
        "DOCUMENTS_TEXT": None,
        **guest_values(context, parallel=parallel),
        **{name: getattr(host, name) for name in dir(host) if name.startswith("rlm_")},
    }
    exec(compile(guest_source(), "<guest>", "exec"), module)
    exported = module["__all__"]
    assert isinstance(exported, list)
    return {"P": context.text, **{name: module[name] for name in exported}}


def names_of_guest() -> set[str]:
    """Every name that the guest puts into a session."""
    from rlm_core.context import Context

    return set(guest_session(Context.from_text(""), HostDouble()))
