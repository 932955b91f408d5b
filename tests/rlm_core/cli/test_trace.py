"""`rlm trace` and `rlm ask --resume` from the outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rlm_core.cli import Exit
from tests.rlm_core.adapters.chat_server import ChatServer, chat
from tests.rlm_core.cli.command import KEY, QUESTION, asked_server, home, rlm

__all__ = ["home"]
STEP = "```python\nfound = llm_query('look: ' + P)\nprint(found)\n```"


def recorded(home: Path) -> Path:
    assert rlm(home, "ask", "--trace", "run.jsonl", QUESTION, "vault.txt").returncode == 0
    return home / "run.jsonl"


def cut_after(trace: Path, kind: str) -> None:
    """The run was killed while it wrote the line after the first of this kind."""
    lines = trace.read_text().splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if json.loads(line)["kind"] == kind)
    trace.write_text("".join(lines[: at + 1]) + lines[at + 1][:20])


def test_a_trace_says_what_was_run_how_isolated_and_how_it_ended(home: Path) -> None:
    recorded(home)
    done = rlm(home, "trace", "show", "run.jsonl")
    assert done.returncode == Exit.ANSWERED
    for part in (QUESTION, "vault.txt", "Isolation: ", "Seed: ", "repl_exec", "Answer:    7319"):
        assert part in done.stdout
    value = json.loads(rlm(home, "trace", "show", "--json", "run.jsonl").stdout)
    assert value["run"]["limits"]["step_seconds"] == 60.0
    assert value["sessions"][0]["isolation"] in {"none", "standard", "full"}
    assert set(value["run"]["prompts"]) == {"system", "subcall", "recursive"}
    assert value["finish"]["status"] == "answered"


def test_a_replay_comes_out_the_same_without_a_model(home: Path) -> None:
    with ChatServer(chat(STEP), chat("seven"), chat("FINAL_VAR: found")) as server:
        assert asked_server(home, server, "--trace", "run.jsonl").stdout == "seven\n"
    done = rlm(home, "trace", "replay", "run.jsonl")
    assert (done.returncode, done.stdout) == (
        Exit.ANSWERED,
        "The run came out the same, to its end.\nAnswer: seven\n",
    )


def test_a_replay_of_a_changed_recording_names_the_differences(home: Path) -> None:
    trace = recorded(home)
    trace.write_text(trace.read_text().replace("print('The answer is", "print('Now the answer is"))
    done = rlm(home, "trace", "replay", "--json", "run.jsonl")
    assert done.returncode == Exit.DIFFERENT
    places = [each["where"] for each in json.loads(done.stdout)["differences"]]
    assert "output of cell 1" in places


def test_a_replay_over_another_text_is_refused(home: Path) -> None:
    recorded(home)
    (home / "vault.txt").write_text("something else")
    done = rlm(home, "trace", "replay", "run.jsonl")
    assert done.returncode == Exit.INPUT
    assert "the text is not the one of the trace" in done.stderr


def test_a_run_that_was_cut_off_is_continued_without_asking_again(home: Path) -> None:
    with ChatServer(chat(STEP), chat("seven"), chat("FINAL_VAR: found")) as server:
        asked_server(home, server, "--trace", "run.jsonl")
    cut_after(home / "run.jsonl", "subcall")
    with ChatServer(chat("FINAL_VAR: found")) as server:
        flags = ("--model", "m", "--base-url", server.base_url)
        done = rlm(home, "ask", "--resume", "run.jsonl", *flags, LLM_API_KEY=KEY)
        assert (done.stdout, done.returncode) == ("seven\n", 0)
        assert len(server.requests) == 1
    again = rlm(home, "trace", "replay", "run.jsonl")
    assert (again.returncode, "came out the same, to its end" in again.stdout) == (0, True)


def test_the_offline_model_does_not_go_on_for_another_unasked(home: Path) -> None:
    with ChatServer(chat("FINAL: x")) as server:
        asked_server(home, server, "--trace", "run.jsonl")
    done = rlm(home, "ask", "--resume", "run.jsonl")
    assert done.returncode == Exit.USAGE
    assert "--model" in done.stderr


def test_keys_never_reach_a_trace_and_content_need_not(home: Path) -> None:
    with ChatServer(chat(f"print('{KEY}')"), chat("FINAL: done")) as server:
        asked_server(home, server, "--trace", "run.jsonl", "--redact-content")
    text = (home / "run.jsonl").read_text()
    for said in (KEY, QUESTION, "harbour", "print(", "done"):
        assert said not in text
    assert "repl_exec" in rlm(home, "trace", "show", "run.jsonl").stdout
    done = rlm(home, "trace", "replay", "run.jsonl", "vault.txt")
    assert done.returncode == Exit.INPUT
    assert "redacted" in done.stderr


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"kind": "other"}'])
@pytest.mark.parametrize("action", ["show", "replay"])
def test_a_file_that_is_no_trace_is_one_clear_line(home: Path, text: str, action: str) -> None:
    (home / "odd.txt").write_text(text)
    done = rlm(home, "trace", action, "odd.txt")
    if (action, text) == ("show", "[]"):  # a trace without steps
        assert done.returncode == Exit.ANSWERED
        return
    assert done.returncode == Exit.INPUT
    assert done.stderr.count("\n") == 1
    assert rlm(home, "trace", action, "missing.jsonl").returncode == Exit.INPUT
