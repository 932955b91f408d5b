"""Models for tests: scripted ones, and ones that do what a test says."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from rlm_core.adapters.base import ModelResponse, Usage, estimate_usage, prompt_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Scripted:
    """Answers with the lines of a script, in order; `Usage` or meta can be given for each."""

    cacheable = False

    def __init__(self, *script: str | ModelResponse) -> None:
        self._script = list(script)
        self.calls: list[list[dict[str, str]]] = []

    def complete(
        self, messages: list[dict[str, str]], *, max_tokens: int = 512, temperature: float = 0.0
    ) -> ModelResponse:
        self.calls.append(messages)
        if not self._script:
            raise LookupError("the script is used up")
        reply = self._script.pop(0)
        if isinstance(reply, ModelResponse):
            return reply
        return ModelResponse(reply, estimate_usage(messages, reply))


class Answering:
    """A sub-model that answers each prompt by a function, and remembers what it was asked."""

    def __init__(
        self,
        answer: Callable[[str], str] = str.upper,
        *,
        identity: str = "answering",
        usage: Usage | None = None,
    ) -> None:
        self._answer = answer
        self._usage = usage
        self._lock = threading.Lock()
        self.identity = identity
        self.prompts: list[str] = []
        self.systems: list[str] = []
        self.running = 0
        self.most_running = 0

    def complete(
        self, messages: Sequence[dict[str, str]], *, max_tokens: int = 512, temperature: float = 0.0
    ) -> ModelResponse:
        prompt = messages[-1]["content"]
        with self._lock:
            self.prompts.append(prompt)
            self.systems.append(messages[0]["content"])
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        try:
            text = self._answer(prompt)
        finally:
            with self._lock:
                self.running -= 1
        return ModelResponse(text, self._usage or estimate_usage(prompt_text(messages), text))
