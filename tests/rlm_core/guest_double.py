"""The guest's helpers run in this process, over host functions that a test writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rlm_core.guest import scaffold

if TYPE_CHECKING:
    from collections.abc import Callable

    from rlm_core.context import Context


TEXT = "The key term is: oolong. And the code: A-17; end."


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
    functions = {name: getattr(host, name) for name in dir(host) if name.startswith("rlm_")}
    return {"P": context.text, **scaffold.names(context, functions, parallel=parallel)}


def run(session: dict[str, Any], code: str) -> Any:
    """The value of the variable `out` after code ran in the session."""
    exec(code, session)
    return session.get("out")


def names_of_guest() -> set[str]:
    """Every name that the guest puts into a session."""
    from rlm_core.context import Context

    return set(guest_session(Context.from_text(""), HostDouble()))
