"""Models that do what they are told, and err as often as they are told: always in the same way."""

from __future__ import annotations

import hashlib
import random
import threading
from collections import Counter
from typing import TYPE_CHECKING

from rlm_core.adapters.base import ModelResponse, estimate_usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

STUMBLES = (
    "Let me think about how to approach this. The context seems to be quite long.",
    "```python\nprint(undefined_name)\n```",
    "FINAL: I will now search the context for the relevant passages.",
    "```python\nfor line in P.split('\\n')\n    print(line)\n```",
    "```python\nllm_query = None; P = 'lost'\nprint('looking')\n```",
    '```json\n{"plan": ["search", "answer"]}\n```',
    "",
)
"""Habits of real models: prose, errors, a plan as an answer, overwriting what it needs."""
ASIDE = ("NO_ANSWER", "I am not sure.", "As a language model, I cannot say.")


class Programmer:
    """A root model with a program in its mind, which stumbles before a step of it that often."""

    cacheable = False

    def __init__(self, program: Iterable[str], *, stumbles: float = 0.0, seed: int = 0) -> None:
        program = list(program)
        chance = random.Random(f"{seed}:{program}")
        self._replies: list[str] = []
        for reply in program:
            while chance.random() < stumbles:
                self._replies.append(self._next_stumble(chance))
            self._replies.append(reply)

    def _next_stumble(self, chance: random.Random) -> str:
        """Never the same twice in a row: a plan that is insisted on counts as an answer."""
        return chance.choice([each for each in STUMBLES if each not in self._replies[-1:]])

    def complete(
        self, messages: list[dict[str, str]], *, max_tokens: int = 512, temperature: float = 0.0
    ) -> ModelResponse:
        text = self._replies.pop(0) if self._replies else "FINAL_VAR: answer"
        return ModelResponse(text, estimate_usage(messages, text))


class Reader:
    """A sub-model. Of its calls that share `failures` fails, and that share `mistakes` is wrong.

    A failure passes: the same prompt may be answered the next time. A mistake stays.
    """

    cacheable = False

    def __init__(
        self,
        answer: Callable[[str], str],
        *,
        failures: float = 0.0,
        mistakes: float = 0.0,
        seed: int = 0,
    ) -> None:
        self._answer = answer
        self._failures = failures
        self._mistakes = mistakes
        self._seed = seed
        self._lock = threading.Lock()
        self._asked: Counter[str] = Counter()

    def complete(
        self, messages: list[dict[str, str]], *, max_tokens: int = 512, temperature: float = 0.0
    ) -> ModelResponse:
        prompt = messages[-1]["content"]
        with self._lock:
            self._asked[prompt] += 1
            times = self._asked[prompt]
        if _share(f"{self._seed}:failure:{times}:{prompt}") < self._failures:
            raise ConnectionError("the model is overloaded")
        wrong = _share(f"{self._seed}:mistake:{prompt}")
        if wrong < self._mistakes:
            text = ASIDE[int(wrong * 1e6) % len(ASIDE)]
        else:
            text = self._answer(prompt)
        return ModelResponse(text, estimate_usage(messages, text))


def _share(text: str) -> float:
    """A number from 0 to 1, the same for the same text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / (1 << 48)
