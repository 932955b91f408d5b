from __future__ import annotations

import base64
import json
import threading
from pathlib import Path

import pytest

from rlm_core.context import Context
from rlm_core.errors import RunCancelled
from rlm_core.replay import replay
from rlm_core.rlm import RLM
from rlm_core.tools import tool
from tests.rlm_core.models import Scripted

TEXT = Context.from_text("text")


def test_cancelling_a_run_does_not_wait_for_its_tools(tmp_path: Path) -> None:
    called, finish = threading.Event(), threading.Event()

    def slow() -> None:
        called.set()
        finish.wait(30)

    running = RLM(Scripted("slow()"), cache_dir=tmp_path, tools=[slow]).start("Q?", TEXT)
    assert called.wait(30)
    running.cancel()
    with pytest.raises(RunCancelled):
        running.result(30)
    finish.set()


def test_a_replay_gives_what_a_tool_gave_and_does_not_call_it(tmp_path: Path) -> None:
    calls: list[str] = []

    def lookup(name: str) -> tuple[int, set[str]]:
        calls.append(name)
        if name == "nobody":
            raise LookupError("unknown")
        return len(calls), {name}

    code = (
        "print(lookup('a'), lookup('a'))\ntry:\n    lookup('nobody')\nexcept LookupError as e:\n"
        "    print('caught', e)\ntry:\n    lookup(5)\nexcept Exception as e:\n    print(e)"
    )
    path = tmp_path / "run.jsonl"
    rlm = RLM(Scripted(code, "FINAL: x"), cache_dir=tmp_path, tools=[lookup], trace_path=path)
    rlm.run("Q?", TEXT)
    again = replay(path, TEXT)
    assert again.differences == ()
    assert calls == ["a", "a", "nobody"]
    assert again.result is not None
    cells = [step.stdout for step in again.result.trace.steps if step.kind == "repl_exec"]
    assert cells[0] is not None
    assert cells[0].startswith("(1, {'a'}) (2, {'a'})\n")


SECRET = "tok_9f8e7d6c5b4a39281706"


def test_a_secret_that_a_tool_gave_is_not_in_the_trace_in_any_encoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", SECRET)
    calls: list[str] = []

    def credential() -> list[str]:
        calls.append("called")
        return ["it is " + SECRET]

    path = tmp_path / "run.jsonl"
    model = Scripted("n = len(credential()[0])", "FINAL_VAR: n")
    rlm = RLM(model, cache_dir=tmp_path, tools=[credential], trace_path=path)
    assert rlm.run("Q?", TEXT)[0] == str(len("it is " + SECRET))
    lines = path.read_bytes().splitlines(keepends=True)
    for line in lines:
        assert SECRET.encode() not in line
        value = json.loads(line).get("value")
        assert value is None or SECRET.encode() not in base64.b64decode(value)
    again = replay(path, TEXT)
    assert "held a secret" in " ".join(each.now for each in again.differences)
    assert calls == ["called"]
    kept = next(n for n, line in enumerate(lines) if b'"redacted":true' in line) + 1
    path.write_bytes(b"".join(lines[:kept]))  # a run that goes on asks for it again
    more = RLM(Scripted("FINAL_VAR: n"), cache_dir=tmp_path, tools=[credential], trace_path=path)
    assert more.run_result("Q?", TEXT, resume=path).answer == str(len("it is " + SECRET))
    assert calls == ["called", "called"]


def test_a_run_that_goes_on_has_as_many_calls_left_as_it_had(tmp_path: Path) -> None:
    @tool(max_calls=2)
    def half(n: int) -> int:
        return n // 2

    before = "for x in ['bad', 'bad', 2]:\n    try: half(x)\n    except Exception as e: print(e)"
    after = "try: said = half(4)\nexcept Exception as e: said = str(e)"
    path = tmp_path / "run.jsonl"

    def run(*script: str, resume: Path | None = None) -> str:
        rlm = RLM(Scripted(*script), cache_dir=tmp_path, tools=[half], trace_path=path)
        return rlm.run_result("Q?", TEXT, resume=resume).answer

    assert run(before, after, "FINAL_VAR: said") == "2"
    lines = path.read_bytes().splitlines(keepends=True)
    first = next(n for n, line in enumerate(lines) if b'"kind":"repl_exec"' in line)
    path.write_bytes(b"".join(lines[: first + 1]))
    assert run(after, "FINAL_VAR: said", resume=path) == "2"
