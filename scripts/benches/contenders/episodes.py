"""Whole runs of a runtime for recursive language models, with models that answer at once.

Two packages take the same program: this project's `rlm_core`, and `pyrlm_runtime`.
"""

from __future__ import annotations

import importlib
import itertools
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts.benches.contenders import kernels
from scripts.benches.contenders.stage import now

STEPS = 10
SUBCALLS = 20
CONTEXT_BYTES = 1_000_000
LATENCY = 0.05
"""Seconds that a model of `subcalls` takes."""

STEP = """\
start = {step} * 100_000
part = P[start : start + 2_000]
found_{step} = [llm_query(f"{run}/{step}/{{i}} what is in " + part[:200]) for i in range({calls})]
print(len(part), found_{step}[0])
"""
BATCH = "answers = llm_batch([f'{run}/{{i}}' for i in range({count})])"
THREADS = """\
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor({count}) as pool:
    answers = list(pool.map(llm_query, [f'{run}/{{i}}' for i in range({count})]))
"""
PROGRAMS = {"batch": BATCH, "threads": THREADS}
FINISH = "FINAL_VAR: answers"

_runs = itertools.count()


class Scripted:
    """A root model that reads its lines from a script, and notes when it was asked for each."""

    def __init__(self, package: str, script: list[str]) -> None:
        self._base = importlib.import_module(f"{package}.adapters.base")
        self._script = script
        self.asked: list[float] = []
        self.answered: list[float] = []

    def complete(self, *_: object, **__: object) -> Any:
        """The next line."""
        self.asked.append(now())
        line = self._script[len(self.asked) - 1]
        reply = self._base.ModelResponse(line, self._base.Usage(1, 1, 2))
        self.answered.append(now())
        return reply


class Echo:
    """A sub-model that answers the same to everything, after so many seconds."""

    def __init__(self, package: str, latency: float = 0.0) -> None:
        self._base = importlib.import_module(f"{package}.adapters.base")
        self._latency = latency

    def complete(self, *_: object, **__: object) -> Any:
        """An answer."""
        if self._latency:
            time.sleep(self._latency)
        return self._base.ModelResponse("an answer", self._base.Usage(1, 1, 2))


class Runtime:
    """One of the two packages."""

    def __init__(self, package: str, options: Callable[[Path], dict[str, Any]]) -> None:
        self._package = package
        self._module = importlib.import_module(package)
        self._options = options
        """What only this package needs or has, given the directory of the run."""
        self._text = kernels.text(CONTEXT_BYTES, "ascii").decode()

    def episodes(self, count: int) -> list[float]:
        """Episodes a second: 10 steps, 20 subcalls, 1 MB of context, trace and cache on."""
        home = Path(tempfile.mkdtemp(prefix="bench-"))
        try:
            began = now()
            for _ in range(count):
                self._episode(home)
            return [count / (now() - began)]
        finally:
            shutil.rmtree(home)

    def _episode(self, home: Path) -> None:
        run = next(_runs)
        calls = SUBCALLS // STEPS
        script = [STEP.format(step=step, run=run, calls=calls) for step in range(STEPS - 1)]
        last = STEP.format(step=STEPS - 1, run=run, calls=calls)
        script += [f"{last}\nanswers = str(len(found_0) + len(found_{STEPS - 1}))", FINISH]
        answer, trace = self._run(script, home, 0.0)
        if str(answer) != str(2 * calls):
            raise RuntimeError(f"the episode ended with {answer!r}")
        (home / "trace").write_text(trace.to_json())

    def _run(self, script: list[str], home: Path, latency: float) -> tuple[str, Any]:
        return self._rlm(Scripted(self._package, script), home, latency).run(
            "What is in it?", self._module.Context.from_text(self._text)
        )

    def _rlm(self, root: Scripted, home: Path, latency: float) -> Any:
        module = self._module
        return module.RLM(
            root,
            subcall_adapter=Echo(self._package, latency),
            policy=module.Policy(max_steps=1000, max_subcalls=10_000, max_total_tokens=None),
            cache=module.FileCache(home / "cache"),
            **self._options(home),
        )

    def subcalls(self, way: str, count: int) -> list[float]:
        """Seconds of a step with so many subcalls of 50 ms, all of them at once."""
        code = PROGRAMS[way].format(run=next(_runs), count=count)
        root = Scripted(self._package, ["ready = 1", code, FINISH])
        home = Path(tempfile.mkdtemp(prefix="bench-"))
        try:
            answer, _ = self._rlm(root, home, LATENCY).run(
                "What?", self._module.Context.from_text("a text")
            )
        finally:
            shutil.rmtree(home)
        if str(answer).count("an answer") != count:
            raise RuntimeError(f"not {count} answers: {str(answer)[:500]}")
        return [root.asked[2] - root.answered[1]]

    def bookkeeping(self, steps: int) -> list[float]:
        """Seconds of each step of one long run, all of them with the same work."""
        script = [f"x = {step}\nprint('step', x)" for step in range(steps)]
        root = Scripted(self._package, [*script, "answers = 1", FINISH])
        home = Path(tempfile.mkdtemp(prefix="bench-"))
        try:
            self._rlm(root, home, 0.0).run("What?", self._module.Context.from_text("a text"))
        finally:
            shutil.rmtree(home)
        ends = root.asked[1 : steps + 1]
        return [end - began for began, end in zip(root.answered, ends, strict=False)]
