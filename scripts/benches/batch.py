"""How near a batch comes to its model: tasks a second, beside what the model alone would allow.

    scripts/bench batch [--tasks 1000] [--concurrency 1 8 64] [--delay 0.05 0.5]

A real server answers each call after the delay; a task is two calls with a step of code between
them, in a sandbox of its own. `ideal` is tasks x calls x delay / concurrency: no program at all.
`directly` is the same calls by the same client from as many threads, without tasks and sandboxes.
`processor` is the time of all processes of the batch for one task; `limit` is the time below which
the processors of this machine cannot get, whatever waits. Memory is that of the controller.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from rlm_sandbox.confine import privileges

SUMMARY = "How near a batch comes to its model."
CALLS = 2
HERE = Path(__file__).resolve()
RUNS_A_BATCH = """
import resource, sys, time
from rlm_core.adapters import OpenAICompatAdapter
from rlm_core.batch import run_batch

url, tasks, results, cache, concurrency = sys.argv[1:]
with OpenAICompatAdapter(model="m", base_url=url, api_key="k") as model:
    began = time.perf_counter()
    done = run_batch(tasks, results, model, concurrency=int(concurrency), cache_dir=cache)
    seconds = time.perf_counter() - began
assert done.is_complete, done
print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


@dataclass(frozen=True)
class Row:
    """A batch of so many tasks at once; times are seconds."""

    delay: float
    concurrency: int
    tasks: int
    ideal: float
    directly: float
    batch: float
    processor: float
    """Of one task."""
    memory: float
    """Bytes."""

    def shown(self) -> str:
        """A line of the table."""
        limit = self.processor * self.tasks / (os.cpu_count() or 1)
        return (
            f"{self.delay:>6g} {self.concurrency:>11} {self.tasks / self.batch:>8.1f} "
            f"{self.batch:>8.2f} "
            f"{self.ideal:>8.2f} {self.batch / self.ideal:>8.2f} {self.directly:>9.2f} "
            f"{self.batch / self.directly:>9.2f} {self.processor * 1e3:>10.1f} {limit:>8.2f} "
            f"{self.memory / 1e6:>8.0f}"
        )


HEAD = (
    f"{'delay':>6} {'concurrency':>11} {'tasks/s':>8} {'seconds':>8} {'ideal':>8} {'x ideal':>8} "
    f"{'directly':>9} {'x direct':>9} {'processor':>10} {'limit':>8} {'MB':>8}"
)


@contextmanager
def slow_model(delay: float) -> Generator[str]:
    """The address of a server that answers after that many seconds."""
    program = [sys.executable, str(HERE.with_name("slow_model.py")), str(delay)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        finally:
            server.kill()


def directly(url: str, calls: int, concurrency: int) -> float:
    """Seconds for so many calls, by the client that the batch uses."""
    from rlm_core.adapters import OpenAICompatAdapter

    messages = [{"role": "user", "content": "x" * 3_000}]
    with (
        OpenAICompatAdapter(model="m", base_url=url, api_key="k") as model,
        ThreadPoolExecutor(concurrency) as threads,
    ):
        model.complete(messages)
        began = time.perf_counter()
        list(threads.map(model.complete, [messages] * calls))
        return time.perf_counter() - began


def measure(url: str, tasks: int, concurrency: int, delay: float) -> Row:
    """One row: the batch in a process of its own, whose whole use of the processors is known."""
    with tempfile.TemporaryDirectory(prefix="rlm-bench-") as directory:
        lines = [
            {
                "custom_id": f"t{n}",
                "question": "What is it?",
                "context": {"text": f"text {n} " * 99},
            }
            for n in range(tasks)
        ]
        given = Path(directory, "tasks.jsonl")
        given.write_text("\n".join(map(json.dumps, lines)))
        paths = [str(given), f"{directory}/results.jsonl", f"{directory}/cache"]
        before = os.times()
        others = set(psutil.Process().children())
        done = subprocess.run(
            [sys.executable, "-c", RUNS_A_BATCH, url, *paths, str(concurrency)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        for orphan in set(psutil.Process().children()) - others:  # what a zygote used is told last
            orphan.wait()
        after = os.times()
    seconds, memory = map(float, done.stdout.split())
    used = after.children_user + after.children_system
    used -= before.children_user + before.children_system
    return Row(
        delay,
        concurrency,
        tasks,
        tasks * CALLS * delay / concurrency,
        directly(url, tasks * CALLS, concurrency),
        seconds,
        used / tasks,
        memory,
    )


def main(arguments: Sequence[str]) -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="scripts/bench batch", description=SUMMARY)
    parser.add_argument("--tasks", type=int, default=1_000)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[8, 64])
    parser.add_argument(
        "--delay", type=float, nargs="+", default=[0.05, 0.5], help="seconds of each call"
    )
    given = parser.parse_args(arguments)
    privileges.adopt_orphans()
    print(HEAD)
    for delay in given.delay:
        with slow_model(delay) as url:
            for concurrency in given.concurrency:
                print(measure(url, given.tasks, concurrency, delay).shown(), flush=True)
    return 0
