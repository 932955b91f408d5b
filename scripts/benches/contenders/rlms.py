"""The official `rlms`, environment "local": runs the code in its own process.

Its model is a client of ours, put where it would make one for a provider.
"""

from __future__ import annotations

import importlib
import itertools
import tempfile
import time
from typing import Any

from scripts.benches.contenders import kernels
from scripts.benches.contenders.episodes import CONTEXT_BYTES, LATENCY, STEPS, SUBCALLS
from scripts.benches.contenders.sessions import Work
from scripts.benches.contenders.stage import now

STEP = """\
```repl
start = {step} * 100_000
part = context[start : start + 2_000]
found_{step} = [llm_query(f"{run}/{step}/{{i}} what is in " + part[:200]) for i in range({calls})]
print(len(part), found_{step}[0])
{end}
```"""
BATCH = """\
```repl
found = llm_query_batched([f'{run}/{{i}}' for i in range({count})])
```"""
FINISH = "```repl\nanswer['content'] = str(found)\nanswer['ready'] = True\n```"
END = "answer['content'] = 'done'\nanswer['ready'] = True"
ROOT = "root"

_core: Any = importlib.import_module("rlm.core.rlm")
_types: Any = importlib.import_module("rlm.core.types")
_base: Any = importlib.import_module("rlm.clients.base_lm")
_runs = itertools.count()


class Client(_base.BaseLM):
    """The root reads its lines from a script; every other prompt is a subcall."""

    def __init__(self, script: list[str], latency: float) -> None:
        super().__init__("scripted")
        self._script = script
        self._latency = latency
        self.asked: list[float] = []
        self.answered: list[float] = []

    def completion(self, prompt: Any) -> str:
        if isinstance(prompt, str):
            time.sleep(self._latency)
            return "an answer"
        self.asked.append(now())
        line = self._script[len(self.asked) - 1]
        self.answered.append(now())
        return line

    async def acompletion(self, prompt: Any) -> str:
        import asyncio

        assert isinstance(prompt, str)
        await asyncio.sleep(self._latency)
        return "an answer"

    def get_usage_summary(self) -> Any:
        return _types.UsageSummary({"scripted": self.get_last_usage()})

    def get_last_usage(self) -> Any:
        return _types.ModelUsageSummary(1, 1, 1)


def _completed(client: Client, context: str) -> str:
    _core.get_client = lambda *_: client
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        logger = importlib.import_module("rlm.logger").RLMLogger(home)
        rlm = _core.RLM(logger=logger, environment="local", max_iterations=50)
        return str(rlm.completion(context, root_prompt="What is in it?").response)


def episodes(count: int) -> list[float]:
    """Episodes a second: 10 steps, 20 subcalls, 1 MB of context, logged."""
    text = kernels.text(CONTEXT_BYTES, "ascii").decode()
    began = now()
    for _ in range(count):
        run, calls = next(_runs), SUBCALLS // STEPS
        script = [
            STEP.format(step=step, run=run, calls=calls, end=END if step == STEPS - 1 else "")
            for step in range(STEPS)
        ]
        if (answer := _completed(Client(script, 0.0), text)) != "done":
            raise RuntimeError(f"the episode ended with {answer[:200]!r}")
    return [count / (now() - began)]


def subcalls(way: str, count: int) -> list[float]:
    """Seconds of a step with so many subcalls of 50 ms."""
    assert way == "batch"
    script = ["```repl\nx = 1\n```", BATCH.format(run=next(_runs), count=count), FINISH]
    client = Client(script, LATENCY)
    answer = _completed(client, "a text")
    if answer.count("an answer") != count:
        raise RuntimeError(f"not {count} answers: {answer[:200]!r}")
    return [client.asked[2] - client.answered[1]]


class Local:
    """A session of its environment."""

    def __init__(self) -> None:
        module: Any = importlib.import_module("rlm.environments.local_repl")
        self._repl = module.LocalREPL()

    def run(self, code: str) -> str:
        result = self._repl.execute_code(code)
        if result.stderr:
            raise RuntimeError(result.stderr[-200:])
        return result.stdout

    def give(self, name: str, text: str) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self._repl.cleanup()


SESSION_TASKS = Work(Local, None).tasks("spare", "callbacks", "idle", "from_str", "computed")
TASKS = {**SESSION_TASKS, "episodes": episodes, "subcalls": subcalls}
