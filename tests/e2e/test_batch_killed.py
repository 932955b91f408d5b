"""A batch whose process is killed again and again: nothing is lost, and nothing is done twice."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from rlm_core.batch.record import read_line
from tests.rlm_core.adapters.chat_server import ChatServer, Judge, Reply, Request, chat
from tests.rlm_core.cli.command import COMMAND, environment, home

__all__ = ["home"]
DEADLINE = 120.0
TASKS_PER_KILL = 5  # so that there is always something left to be killed in
SEED = 20251122
CODE = "```python\nfound = ctx.find('task')\nprint(found, P)\n```"
TORN = (b'{"custom_id": "t-torn', b'{"cus', b"{", b"\0" * 300, b'{"custom_id": "a", "st\0\0\0')


def messages_in(request: Request) -> str:
    """What the model was told; nothing where the process was killed before it had said all."""
    with suppress(ValueError):
        return str(request.payload["messages"])
    return ""


def behaviour(request: Request) -> Reply:
    """Code first; once it has run, the answer, which only the code could have seen."""
    messages = messages_in(request)
    marker = messages.rpartition("secret-")[2][:6]
    return chat(f"FINAL: secret-{marker}" if "secret-" in messages else CODE)


def given(home: Path, count: int) -> None:
    lines = [
        {"custom_id": f"t{n}", "question": f"Task <{n}>?", "context": {"text": f"secret-{n:06}"}}
        for n in range(count)
    ]
    (home / "tasks.jsonl").write_text("\n".join(map(json.dumps, lines)))


def finished(results: Path) -> dict[str, str | None]:
    """The answers that are whole in the file, by id; each id only once."""
    raw = results.read_bytes() if results.exists() else b""
    lines = [read_line(line) for line in raw.splitlines(keepends=True) if line.endswith(b"\n")]
    whole = [line for line in lines if line is not None]
    answers = {line.custom_id: line.answer for line in whole}
    assert len(answers) == len(whole)
    return answers


def ends_whole(results: Path) -> bool:
    raw = results.read_bytes()
    return not raw or raw.endswith(b"\n")


def asked_about(server: ChatServer, since: int) -> set[str]:
    with server.lock:
        requests = server.requests[since:]
    return {f"t{messages_in(each).partition('Task <')[2].partition('>')[0]}" for each in requests}


def command(server: ChatServer, *flags: str) -> list[str]:
    files = ["-i", "tasks.jsonl", "-o", "results.jsonl", "--concurrency", "4"]
    return [*COMMAND, "batch", *files, "--model", "m", "--base-url", server.base_url, *flags]


def killed_at_a_random_moment(home: Path, server: ChatServer, chance: random.Random) -> bool:
    """Start the batch, let it get on by a few lines or by a little time, and kill it.

    False where it had come to its end.
    """
    results = home / "results.jsonl"
    goal = len(finished(results)) + chance.choice([0, 0, 1, 1, 2])
    process = subprocess.Popen(
        command(server, "--poison-after", "1000"),
        cwd=home,
        env=environment(home),
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + DEADLINE
    while process.poll() is None and time.monotonic() < deadline:
        lines = results.read_bytes().count(b"\n") if results.exists() else 0
        if lines >= goal:
            break
        time.sleep(0.005)
    time.sleep(chance.uniform(0.0, 0.3))
    process.kill()
    return process.wait() == -signal.SIGKILL


def kill_and_go_on(home: Path, kills: int) -> None:
    chance = random.Random(SEED)
    results = home / "results.jsonl"
    count = kills * TASKS_PER_KILL
    given(home, count)
    hits = 0
    with ChatServer(Judge(behaviour)) as server:
        for number in range(kills):
            before, asked = finished(results), len(server.requests)
            hits += killed_at_a_random_moment(home, server, chance)
            assert asked_about(server, asked).isdisjoint(before), "a finished task was run again"
            assert before.items() <= finished(results).items(), "a result was lost"
            if number % 3 == 0 and results.exists() and ends_whole(results):
                with results.open("ab") as file:
                    file.write(chance.choice(TORN))  # the power went in the midst of a line
        assert hits > kills // 2
        before, asked = finished(results), len(server.requests)
        done = subprocess.run(
            command(server, "--json"),
            cwd=home,
            env=environment(home),
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert asked_about(server, asked).isdisjoint(before)
    assert finished(results) == {f"t{n}": f"secret-{n:06}" for n in range(count)}
    assert json.loads(done.stdout)["before"] == len(before)
    assert sorted(path.name for path in home.glob("results*")) == ["results.jsonl"]


def test_after_five_kills_each_task_is_there_once(home: Path) -> None:
    kill_and_go_on(home, 5)


@pytest.mark.slow
def test_after_fifty_kills_each_task_is_there_once(home: Path) -> None:
    kill_and_go_on(home, 50)


POISON = """
import os, signal, sys
from rlm_core.adapters.base import ModelResponse, Usage
from rlm_core.batch import run_batch

class Model:
    def complete(self, messages, *, max_tokens=512, temperature=0.0):
        if "poison" in str(messages):
            os.kill(os.getpid(), signal.SIGKILL)
        return ModelResponse("FINAL: yes", Usage(1, 1, 2))

tasks = [
    {"custom_id": n, "question": f"Q about {n}?", "context": "some text"}
    for n in ("poison", "a", "b", "c")
]
results, cache, most = *sys.argv[1:3], int(sys.argv[3])
summary = run_batch(tasks, results, Model(), concurrency=2, poison_after=most, cache_dir=cache)
print(dict(summary.statuses))
"""


@pytest.mark.parametrize("most", [2, pytest.param(5, marks=pytest.mark.slow)])
def test_a_task_that_kills_the_process_is_given_up_and_all_others_are_answered(
    home: Path, most: int
) -> None:
    paths = [str(home / "results.jsonl"), str(home / "cache")]
    program = [sys.executable, "-c", POISON, *paths, str(most)]
    codes: list[int] = []
    told = ""
    while not told and len(codes) < 10:
        done = subprocess.run(
            program,
            env=environment(home),
            stdout=subprocess.PIPE,
            text=True,
            check=False,
            timeout=DEADLINE,
        )
        codes.append(done.returncode)
        told = done.stdout
    assert codes == [-signal.SIGKILL] * most + [0]
    assert "'answered': 3" in told
    assert "'failed': 1" in told
    lines = [json.loads(line) for line in (home / "results.jsonl").read_text().splitlines()]
    (failed,) = (line for line in lines if line["custom_id"] == "poison")
    assert failed["error"]["type"] == "PoisonTask"
