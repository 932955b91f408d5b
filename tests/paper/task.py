"""One task with its gold answer, and what a run of it came to."""

from __future__ import annotations

import os
import random
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psutil

from rlm_core import RLM, Policy
from rlm_core.tokens import CHARACTERS_PER_TOKEN
from tests.paper.scripted import Programmer, Reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from rlm_core import Context, RunResult

WORDS = [
    *("harbour", "lantern", "meadow", "gravel", "thimble", "orchard", "copper", "saddle"),
    *("drizzle", "ledger", "anchor", "velvet", "quarry", "bramble", "kettle", "plume"),
    *("cinder", "furrow", "trellis", "marble", "satchel", "hollow", "pewter", "willow"),
]
_WATCH_SECONDS = 0.02


@dataclass(frozen=True)
class Task:
    """A question over a context, the program that a good root model writes, and a reader."""

    name: str
    context: Context
    question: str
    gold: Any
    output: Any
    """The type of the answer."""
    program: tuple[str, ...]
    """Replies of the root model."""
    answer: Callable[[str], str]
    """What an attentive sub-model says to a prompt."""
    score: Callable[[Any, Any], float] = field(default=lambda found, gold: float(found == gold))


@dataclass(frozen=True)
class Measured:
    """How a task went. Memory is the most that it took, in bytes."""

    task: Task
    result: RunResult[Any]
    score: float
    seconds: float
    worker_memory: int
    host_memory: int
    """What this process grew by."""

    @property
    def exact(self) -> bool:
        return bool(self.result.value == self.task.gold)


def run(
    task: Task,
    cache: Path,
    *,
    failures: float = 0.0,
    mistakes: float = 0.0,
    stumbles: float = 0.0,
    **options: Any,
) -> Measured:
    """Do a task with models that err this often."""
    root = Programmer(task.program, stumbles=stumbles)
    reader = Reader(task.answer, failures=failures, mistakes=mistakes)
    policy = Policy(max_steps=60, max_subcalls=20_000, max_total_tokens=None)
    merged: dict[str, Any] = {"policy": policy, **options}
    rlm = RLM(root, subcall_adapter=reader, cache_dir=cache, **merged)
    with _Watch() as watch:
        started = time.monotonic()
        result = rlm.run_result(task.question, task.context, output=task.output)
        seconds = time.monotonic() - started
    memory = [step.peak_memory or 0 for step in result.trace.steps]
    score = 0.0 if result.value is None else task.score(result.value, task.gold)
    return Measured(task, result, score, seconds, max(memory, default=0), watch.grown)


def size_of(tokens: int) -> int:
    """Characters in so many tokens."""
    return tokens * CHARACTERS_PER_TOKEN


def filler(chance: random.Random, characters: int) -> str:
    """Sentences without meaning, about that long."""
    block = [_sentence(chance) for _ in range(200)]
    sentences: list[str] = []
    length = 0
    while length < characters:
        chance.shuffle(block)
        sentences += block
        length += sum(map(len, block)) + len(block)
    return " ".join(sentences)[:characters]


def f1(found: Any, gold: Any) -> float:
    """Harmonic mean of precision and recall of two collections."""
    one, other = set(map(tuple, found)), set(map(tuple, gold))
    both = len(one & other)
    return 2 * both / (len(one) + len(other)) if both else float(one == other)


def near(found: float, gold: float) -> float:
    """The paper's score of a count: three quarters for each that it is off."""
    return 0.75 ** abs(found - gold)


def _sentence(chance: random.Random) -> str:
    return " ".join(chance.choices(WORDS, k=chance.randint(6, 12))).capitalize() + "."


class _Watch:
    """Looks at the memory of this process while something happens."""

    def __enter__(self) -> Self:
        self._process = psutil.Process(os.getpid())
        self._before = self._most = self._process.memory_info().rss
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def grown(self) -> int:
        return self._most - self._before

    def _look(self) -> None:
        while not self._over.wait(_WATCH_SECONDS):
            self._most = max(self._most, self._process.memory_info().rss)
