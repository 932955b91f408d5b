"""A batch on a real Ray cluster of three nodes, one of which is killed in mid-run."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

import pytest

from rlm_core.cli import Exit
from tests.rlm_core.adapters.chat_server import ChatServer, Judge, Reply, Request, chat
from tests.rlm_core.cli.command import COMMAND, environment, home
from tests.waiting import until

__all__ = ["home"]
DEADLINE = 300.0
TASKS = 30
AT_ONCE = 6
"""Two nodes with one actor each, and three tasks an actor."""
CODE = "```python\nprint(P)\n```"


class Model:
    """Answers the first tasks at once, holds those that come when the node is to be killed, and
    answers all when it is dead."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._lock = threading.Lock()
        self.asked: Counter[str] = Counter()
        self._held = 0

    def reply(self, request: Request) -> Reply:
        messages = str(request.payload["messages"])
        if "7319" in messages:  # it has been printed: only the code could see it
            return chat("FINAL: 7319")
        with self._lock:
            self.asked[messages.partition("Task <")[2].partition(">")[0]] += 1
            holds = len(self.asked) > TASKS // 3 and not (self._home / "killed").exists()
            self._held += holds
            if self._held >= AT_ONCE:
                (self._home / "kill").touch()
        if holds:
            until((self._home / "killed").exists, DEADLINE)
        return chat(CODE)


def given(home: Path) -> None:
    lines = [
        {"custom_id": f"t{n}", "question": f"Task <{n}>?"}
        | ({"context_ref": "vault"} if n % 2 else {"context": "vault.txt"})
        for n in range(TASKS)
    ]
    (home / "tasks.jsonl").write_text("\n".join(map(json.dumps, lines)))


@pytest.mark.slow
def test_the_tasks_of_a_killed_node_run_elsewhere_and_each_has_one_result(home: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'rlm-sandbox[ray]'")
    given(home)
    model = Model(home)
    root = str(Path(__file__).parents[2])
    with (
        ChatServer(Judge(model.reply)) as server,
        tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as short,  # sockets' paths are short
    ):
        done = subprocess.run(
            [sys.executable, "-m", "tests.e2e.ray_cluster", str(home), server.base_url],
            cwd=root,
            env=environment(home, PYTHONPATH=root, RAY_USAGE_STATS_ENABLED="0", RAY_TMPDIR=short),
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE,
        )
    assert done.returncode == Exit.ANSWERED, done.stderr
    assert (home / "killed").exists()
    lines = [json.loads(line) for line in (home / "results.jsonl").read_text().splitlines()]
    assert sorted(line["custom_id"] for line in lines) == sorted(f"t{n}" for n in range(TASKS))
    assert {line["answer"] for line in lines} == {"7319"}
    again = {name for name, count in model.asked.items() if count > 1}
    assert 1 <= len(again) <= AT_ONCE, "what ran on the killed node was begun again, nothing else"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_on_a_cluster_of_its_own_it_is_stopped_and_gone_on_with(
    home: Path, number: signal.Signals
) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'rlm-sandbox[ray]'")
    given(home)
    held = threading.Event()
    first = threading.Semaphore(5)

    def reply(request: Request) -> Reply:
        if not first.acquire(blocking=False):
            held.wait(DEADLINE)
        return chat("FINAL: 7319")

    results = home / "results.jsonl"
    with (
        ChatServer(Judge(reply)) as server,
        tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as short,
    ):
        files = ["-i", "tasks.jsonl", "-o", str(results), "--context", "vault=vault.txt"]
        model = ["--model", "m", "--base-url", server.base_url]
        engine = ["--engine", "ray", "--actors", "1", "--concurrency", "2"]
        command = [*COMMAND, "batch", *files, *model, *engine]
        options = environment(home, RAY_USAGE_STATS_ENABLED="0", RAY_TMPDIR=short)
        options.pop("RAY_ADDRESS", None)
        with (home / "said").open("wb") as said:
            running = subprocess.Popen(command, cwd=home, env=options, stderr=said)
        try:
            until(lambda: len(server.requests) >= 7 or running.poll() is not None, DEADLINE)
            assert running.returncode is None, (home / "said").read_text()
            running.send_signal(number)
            if number == signal.SIGINT:
                until(lambda: "finishing what runs" in (home / "said").read_text(), DEADLINE)
                running.send_signal(number)
            running.wait(DEADLINE)
        finally:
            running.kill()
            running.wait()
        assert running.returncode == Exit.INTERRUPTED
        before = results.read_text().splitlines()
        assert len(before) == 5
        held.set()
        asked = len(server.requests)
        done = subprocess.run(
            command, cwd=home, env=options, capture_output=True, check=False, timeout=DEADLINE
        )
        assert done.returncode == Exit.ANSWERED, done.stderr
        assert len(server.requests) - asked == TASKS - 5
    lines = results.read_text().splitlines()
    assert lines[:5] == before
    assert len({json.loads(line)["custom_id"] for line in lines}) == len(lines) == TASKS
