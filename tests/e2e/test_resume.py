"""A run whose process was killed is continued from its trace."""

from __future__ import annotations

import json
from pathlib import Path

from tests.rlm_core.adapters.chat_server import ChatServer, Hang, chat
from tests.rlm_core.cli.command import QUESTION, home, rlm, started
from tests.waiting import killed_at_last, until

__all__ = ["home"]
CELL = "```python\nfound = llm_batch(['first', 'second'])\nprint(found)\n```"


def records(trace: Path) -> list[str]:
    if not trace.exists():
        return []
    lines = trace.read_text().splitlines(keepends=True)
    return [json.loads(line)["kind"] for line in lines if line.endswith("\n")]


def test_a_killed_run_goes_on_where_it_was(home: Path) -> None:
    trace = home / "run.jsonl"
    with ChatServer(chat(CELL), chat("one"), Hang()) as server:
        named = ["--model", "m", "--base-url", server.base_url, "--trace", str(trace)]
        with killed_at_last(started(home, "ask", *named, QUESTION, "vault.txt")):
            until(lambda: records(trace).count("reply") >= 2)
        before = records(trace)
    assert (before.count("reply"), "run_finished" in before) == (2, False)
    with ChatServer(chat("two"), chat("FINAL_VAR: found")) as server:
        named = ["--model", "m", "--base-url", server.base_url]
        done = rlm(home, "ask", "--resume", "run.jsonl", *named)
        assert sorted(done.stdout.strip("[]\n").split(", ")) == ["'one'", "'two'"]
        assert len(server.requests) == 2
    again = rlm(home, "trace", "replay", "run.jsonl")
    assert again.stdout.startswith("The run came out the same, to its end.")
