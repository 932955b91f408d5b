"""A model whose replies you write: test your own program without a network."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rlm_core.adapters.base import ModelResponse, Usage, estimate_usage, prompt_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@dataclass(frozen=True)
class FakeRule:
    """Answer with `response` where `matcher` accepts the prompt: all contents, one a line."""

    matcher: Callable[[str], bool]
    response: str
    once: bool = False
    usage: Usage | None = None

    @classmethod
    def from_pattern(
        cls,
        pattern: str,
        response: str,
        *,
        regex: bool = False,
        once: bool = False,
        usage: Usage | None = None,
    ) -> FakeRule:
        """A rule for prompts that contain `pattern`, or, with `regex`, where it is found."""
        matcher = _Found(re.compile(pattern)) if regex else _Contained(pattern)
        return cls(matcher, response, once=once, usage=usage)


@dataclass(frozen=True)
class _Contained:
    """Accepts prompts that contain this text."""

    text: str

    def __call__(self, prompt: str) -> bool:
        return self.text in prompt


@dataclass(frozen=True)
class _Found:
    """Accepts prompts in which this regular expression is found."""

    regex: re.Pattern[str]

    def __call__(self, prompt: str) -> bool:
        return self.regex.search(prompt) is not None


class FakeAdapter:
    """A model that answers by rule, else with the next line of a script. Thread-safe.

    >>> model = FakeAdapter(script=["answer = peek(5)", "FINAL_VAR: answer"])
    >>> model.add_rule("You are a sub-LLM", "yes")

    Rules come before the script: the first rule that matches the prompt answers (a rule with
    `once` only the first time). `call_log` holds the messages of every call, in order. Raises
    RuntimeError when no rule matches and the script has run out.

    Its replies are not kept in a cache: one depends on the calls before it, and the next run must
    get its own. With `cacheable` those to sub-model calls are, as a real model's would be.
    """

    instant = True
    """Looking a reply up takes no time, and so no thread."""

    def __init__(
        self,
        *,
        rules: Iterable[FakeRule] | None = None,
        script: Iterable[str] | None = None,
        model: str | None = None,
        cacheable: bool = False,
    ) -> None:
        self._rules = list(rules or ())
        self._script = list(script or ())
        self._lock = threading.Lock()
        self.model = model
        self.cacheable = cacheable
        self.call_log: list[list[dict[str, str]]] = []

    @property
    def identity(self) -> str:
        """What cached replies are kept apart by."""
        return f"fake:{self.model or ''}"

    def add_rule(
        self,
        pattern: str,
        response: str,
        *,
        regex: bool = False,
        once: bool = False,
        usage: Usage | None = None,
    ) -> None:
        """Answer `response` to prompts that contain `pattern` (or match it, with `regex`)."""
        rule = FakeRule.from_pattern(pattern, response, regex=regex, once=once, usage=usage)
        with self._lock:
            self._rules.append(rule)

    def complete(
        self,
        messages: list[dict[str, str]],
        *,
        max_tokens: int = 512,  # noqa: ARG002 - part of the protocol; a script is not cut
        temperature: float = 0.0,  # noqa: ARG002 - part of the protocol
    ) -> ModelResponse:
        """The first matching rule's response, else the next line of the script."""
        prompt = prompt_text(messages)
        with self._lock:
            self.call_log.append([dict(message) for message in messages])
            text, usage = self._next(prompt)
        return ModelResponse(text, usage or estimate_usage(prompt, text), model_id=self.model)

    def _next(self, prompt: str) -> tuple[str, Usage | None]:
        for index, rule in enumerate(self._rules):
            if rule.matcher(prompt):
                if rule.once:
                    del self._rules[index]
                return rule.response, rule.usage
        if self._script:
            return self._script.pop(0), None
        raise RuntimeError(
            f"FakeAdapter has no answer to call {len(self.call_log)}: no rule matches and the "
            f"script is used up. Add a line to script=[...] or a rule; the prompt ends with "
            f"{prompt[-120:]!r}"
        )
