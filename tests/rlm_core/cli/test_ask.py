"""`rlm ask` from the outside: real files, a real server, every exit code."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from rlm_core.cli import Exit, main
from rlm_sandbox.errors import IsolationUnavailable
from tests.processes import outliving
from tests.rlm_core.adapters.chat_server import ChatServer, Hang, Reply, chat, json_reply
from tests.rlm_core.adapters.providers import anthropic_message
from tests.rlm_core.cli.command import (
    COMMAND,
    FACT,
    KEY,
    QUESTION,
    asked_server,
    environment,
    home,
    piped,
    rlm,
    rlm_process,
    started,
)
from tests.waiting import killed_at_last, until

__all__ = ["home"]
PATIENCE = 60.0


def test_the_answer_alone_goes_to_standard_output_and_honesty_to_standard_error(
    home: Path,
) -> None:
    done = rlm_process(home, "ask", QUESTION, "vault.txt")
    assert done.stdout == "7319\n(found in vault.txt, line 2)\n"
    assert done.returncode == Exit.ANSWERED
    assert "offline keyword model answers" in done.stderr
    assert done.stderr.count("\n") == 1


def test_quiet_says_nothing_but_the_answer(home: Path) -> None:
    assert rlm(home, "ask", "--quiet", QUESTION, "vault.txt").stderr == ""


@pytest.mark.parametrize("paths", [[], ["-"]])
def test_the_text_may_come_from_standard_input(home: Path, paths: list[str]) -> None:
    done = piped(home, b"nothing\n" + FACT.encode(), "ask", QUESTION, *paths)
    assert done.stdout == "7319\n(found in standard input, line 2)\n"


def test_a_directory_is_a_list_of_documents_that_know_their_paths(home: Path) -> None:
    (home / "papers" / "old").mkdir(parents=True)
    (home / "papers" / "a.txt").write_text("The weather was fine.\n")
    (home / "papers" / "old" / "b.txt").write_text("Rain.\n" + FACT)
    (home / "papers" / "picture.bin").write_bytes(b"\x00\x01")
    done = rlm(home, "ask", QUESTION, "papers")
    assert done.stdout == "7319\n(found in papers/old/b.txt, line 2)\n"
    assert "1 file is no UTF-8 text and left out" in done.stderr


def test_json_is_one_object_with_the_trace(home: Path) -> None:
    done = rlm(home, "ask", "--json", QUESTION, "vault.txt")
    value = json.loads(done.stdout)
    assert value["answer"].startswith("7319")
    assert value["status"] == "answered"
    assert value["isolation"] in {"none", "standard", "full"}
    assert value["trace"][0]["kind"] == "root_call"
    assert value["usage"]["subcalls"] >= 1


SCHEMA = {
    "type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"],
}  # fmt: skip


def test_an_answer_fits_its_schema_and_is_printed_as_json(home: Path) -> None:
    (home / "schema.json").write_text(json.dumps(SCHEMA))
    replies = ("FINAL: three", "n = {'count': 3}\nFINAL_VAR: n")
    with ChatServer(*map(chat, replies)) as server:
        done = asked_server(home, server, "--output-schema", "schema.json", "--trace", "t")
        assert (done.stdout, done.stderr, done.returncode) == ('{"count": 3}\n', "", Exit.ANSWERED)
        assert "not of the type" in str(server.requests[1].payload["messages"])
    again = rlm(home, "trace", "replay", "t")
    assert again.returncode == 0, again.stderr
    (home / "t").write_text("".join((home / "t").read_text().splitlines(keepends=True)[:-1]))
    with ChatServer() as server:
        resumed = rlm(
            home, "ask", "--model", "m", "--base-url", server.base_url, "--resume", "t",
            LLM_API_KEY=KEY,
        )  # fmt: skip
        assert (resumed.stdout, server.requests) == ('{"count": 3}\n', [])


def test_an_answer_that_does_not_fit_in_the_end_is_none(home: Path) -> None:
    (home / "schema.json").write_text(json.dumps(SCHEMA))
    with ChatServer(chat("FINAL: three"), chat("still three")) as server:
        done = asked_server(
            home, server, "--output-schema", "schema.json", "--max-steps", "1", "--json"
        )
    value = json.loads(done.stdout)
    assert (value["answer"], value["value"], done.returncode) == (None, None, Exit.LIMIT)


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ("no json", "no JSON"),
        ("[1]", "a schema is an object"),
        ('{"type": "string", "pattern": "(a+)+"}', "$.pattern"),
        (None, "cannot be read"),
    ],
)
def test_a_schema_that_will_not_do_is_a_matter_of_usage(
    home: Path, schema: str | None, told: str
) -> None:
    if schema is not None:
        (home / "schema.json").write_text(schema)
    done = rlm(home, "ask", "--output-schema", "schema.json", QUESTION, "vault.txt")
    assert (done.returncode, done.stdout) == (Exit.USAGE, "")
    assert told in done.stderr


def test_the_trace_is_written_line_by_line(home: Path) -> None:
    rlm(home, "ask", "--trace", "trace.jsonl", QUESTION, "vault.txt")
    lines = (home / "trace.jsonl").read_text().splitlines()
    kinds = [json.loads(line)["kind"] for line in lines]
    assert {"root_call", "repl_exec", "subcall"} <= set(kinds)
    assert (kinds[0], kinds[-1]) == ("run_started", "run_finished")


def test_nothing_is_written_into_the_directory_where_it_is_called(home: Path) -> None:
    rlm(home, "ask", QUESTION, "vault.txt")
    assert {entry.name for entry in home.iterdir()} <= {"vault.txt", ".cache"}


def test_a_served_model_is_asked_with_the_key_of_the_environment(home: Path) -> None:
    with ChatServer(chat("print(P[:5])"), chat("FINAL: 42")) as server:
        done = asked_server(home, server)
        assert (done.stdout, done.stderr, done.returncode) == ("42\n", "", Exit.ANSWERED)
        first = server.requests[0]
        assert first.headers["Authorization"] == f"Bearer {KEY}"
        assert first.payload["model"] == "m"


def test_the_model_may_be_named_by_the_environment(home: Path) -> None:
    with ChatServer(chat("FINAL: 42")) as server:
        more = {"LLM_MODEL": "m", "LLM_BASE_URL": server.base_url}
        assert rlm(home, "ask", QUESTION, "vault.txt", **more).stdout == "42\n"


def test_a_model_of_another_provider_is_asked_with_that_providers_key(home: Path) -> None:
    text: dict[str, object] = {"type": "text", "text": "FINAL: 42"}
    with ChatServer(json_reply(anthropic_message(text))) as server:
        done = rlm(
            home,
            *("ask", "--model", "anthropic/claude-test-4", QUESTION, "vault.txt"),
            ANTHROPIC_BASE_URL=server.base_url,
            ANTHROPIC_API_KEY=KEY,
            LLM_API_KEY="sk-for-somebody-else",
        )
        headers, payload = server.requests[0].headers, server.requests[0].payload
    assert (done.stdout, done.stderr, done.returncode) == ("42\n", "", Exit.ANSWERED)
    assert (headers["x-api-key"], payload["model"]) == (KEY, "claude-test-4")
    assert "sk-for-somebody-else" not in str(headers)


def test_azure_without_an_address_is_2_and_says_what_to_set(home: Path) -> None:
    done = rlm(home, "ask", "--model", "azure/gpt", QUESTION, "vault.txt", AZURE_ACCOUNT_NAME="")
    assert done.returncode == Exit.USAGE
    assert "OPENAI_ENDPOINT" in done.stderr


def test_the_sub_model_reads_the_pieces(home: Path) -> None:
    program = chat("answer = llm_query('read this')")
    with ChatServer(program, chat("from the sub-model"), chat("FINAL_VAR: answer")) as server:
        done = asked_server(home, server, "--sub-model", "small")
        assert done.stdout == "from the sub-model\n"
        assert [request.payload["model"] for request in server.requests] == ["m", "small", "m"]


def test_control_characters_of_a_model_never_reach_the_terminal(home: Path) -> None:
    evil = "FINAL: \x1b]0;owned\x07\x1b[31mred\u202e"
    with ChatServer(chat(evil)) as server:
        done = asked_server(home, server, SHOW_TRAJECTORY="1", LLM_LOG_LEVEL="INFO")
    for shown in (done.stdout, done.stderr):
        assert "\x1b" not in shown
        assert "\x07" not in shown
        assert "\u202e" not in shown
    assert "\u241b[31mred" in done.stdout


def test_the_trajectory_is_shown_if_asked_for(home: Path) -> None:
    done = rlm(home, "ask", QUESTION, "vault.txt", SHOW_TRAJECTORY="1")
    assert "repl_exec" in done.stderr
    assert done.stdout.startswith("7319\n")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("ask", QUESTION, "-", "vault.txt"), "cannot be mixed"),
        (("ask", QUESTION, "--base-url", "http://127.0.0.1:1/v1"), "needs a model"),
        (("ask", QUESTION, "--model", "m", "--base-url", "localhost:1/v1"), "not an address"),
        (("ask", QUESTION, "--trace", "no/such/dir/t", "vault.txt"), "cannot write the trace"),
        (("ask", QUESTION, "--max-steps", "none"), "whole number"),
    ],
)
def test_wrong_usage_is_2(home: Path, arguments: tuple[str, ...], hint: str) -> None:
    done = rlm(home, *arguments)
    assert (done.returncode, done.stdout) == (Exit.USAGE, "")
    assert hint in done.stderr


def test_a_key_that_cannot_be_sent_is_2_and_not_shown(home: Path) -> None:
    named = ("--model", "m", "--base-url", "http://127.0.0.1:1/v1")
    done = rlm(home, "ask", *named, QUESTION, "vault.txt", LLM_API_KEY=f"{KEY}\u00e9")
    assert done.returncode == Exit.USAGE
    assert "how it was copied" in done.stderr


def test_a_pipe_is_read_by_a_process_of_its_own(home: Path) -> None:
    done = rlm_process(home, "ask", "--quiet", QUESTION, stdin=FACT.encode())
    assert (done.stdout, done.stderr) == ("7319\n(found in standard input, line 1)\n", "")


def test_text_that_cannot_be_read_is_3_with_one_line(home: Path) -> None:
    (home / "binary").write_bytes(b"\x7fELF\x00\x00")
    (home / "latin").write_bytes("caf\u00e9".encode("latin-1"))
    (home / "empty").mkdir()
    (home / "blank.txt").write_text(" \n")
    for path, hint in (
        ("missing.txt", "no such file"),
        ("binary", "binary"),
        ("latin", "iconv"),
        ("empty", "no text file"),
        ("blank.txt", "no text in it"),
    ):
        done = rlm(home, "ask", QUESTION, path)
        assert (done.returncode, done.stdout) == (Exit.INPUT, "")
        assert done.stderr.count("\n") == 1
        assert path in done.stderr
        assert hint in done.stderr
    assert piped(home, b"\xff\xfe", "ask", QUESTION).returncode == Exit.INPUT
    assert rlm(home, "ask", QUESTION).returncode == Exit.INPUT


@pytest.mark.parametrize(
    ("reply", "hint"),
    [
        (json_reply({"error": {"message": f"bad key {KEY}"}}, 401), "LLM_API_KEY"),
        (Reply(b"<html>welcome</html>"), "not JSON"),
        (json_reply({"hello": "world"}), "not a chat reply"),
        (Reply(b"", 404), "base URL"),
    ],
)
def test_a_model_that_does_not_answer_is_4_with_one_line(
    home: Path, reply: Reply, hint: str
) -> None:
    with ChatServer(reply) as server:
        done = asked_server(home, server)
    assert (done.returncode, done.stdout) == (Exit.MODEL, "")
    assert done.stderr.count("\n") == 1
    assert hint in done.stderr


def test_an_unreachable_server_is_4(home: Path) -> None:
    with ChatServer(chat("")) as server:
        url = server.base_url
    done = rlm(home, "ask", "--model", "m", "--base-url", url, QUESTION, "vault.txt")
    assert done.returncode == Exit.MODEL
    assert "cannot connect" in done.stderr


def test_a_reached_limit_is_5(home: Path) -> None:
    with ChatServer(chat("x = len(P)")) as server:
        done = asked_server(home, server, "--max-steps", "2")
    assert done.returncode == Exit.LIMIT
    assert "--max-steps" in done.stderr


def test_a_time_limit_ends_a_call_in_flight(home: Path) -> None:
    for seconds in ("0.5", "2", "8", "30"):  # until a busy machine gets as far as the call
        with ChatServer(Hang()) as server:
            done = asked_server(home, server, "--timeout", seconds)
            assert (done.returncode, done.stdout) == (Exit.LIMIT, "")
            assert "--timeout" in done.stderr
            if server.requests:
                assert server.client_gone.wait(PATIENCE)
                return
    pytest.fail("no call was made in 30 seconds")


def test_a_host_that_cannot_isolate_is_6(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(**_options: object) -> None:
        raise IsolationUnavailable("namespaces are forbidden here: ask for isolation='none'")

    monkeypatch.setattr("rlm_sandbox.Sandbox", refuse)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    monkeypatch.delenv("LLM_MODEL", raising=False)
    assert main(["ask", QUESTION, str(home / "vault.txt")]) == Exit.ISOLATION
    assert capsys.readouterr().err == (
        "rlm: namespaces are forbidden here: ask for isolation='none'\n"
    )


def test_a_mistake_of_ours_is_1_and_asks_for_a_report(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_options: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("rlm_sandbox.Sandbox", fail)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    monkeypatch.delenv("LLM_MODEL", raising=False)
    assert main(["ask", QUESTION, str(home / "vault.txt")]) == Exit.INTERNAL
    assert "internal error (ZeroDivisionError: oh): please report it" in capsys.readouterr().err


def test_ctrl_c_is_130_and_ends_the_call_in_flight(home: Path) -> None:
    with ChatServer(Hang()) as server:
        named = ["--model", "m", "--base-url", server.base_url]
        with killed_at_last(started(home, "ask", *named, QUESTION, "vault.txt")) as process:
            until(lambda: server.requests)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=PATIENCE)
        assert server.client_gone.wait(PATIENCE)
    assert (process.returncode, out, err) == (Exit.INTERRUPTED, "", "rlm: interrupted\n")


def test_ctrl_c_ends_running_code_too(home: Path) -> None:
    with ChatServer(chat("llm_query('started')\nwhile True: pass"), chat("")) as server:
        named = ["--model", "m", "--base-url", server.base_url]
        with killed_at_last(started(home, "ask", *named, QUESTION, "vault.txt")) as process:
            until(lambda: len(server.requests) >= 2)
            workers = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (Exit.INTERRUPTED, "", "rlm: interrupted\n")
    assert workers
    assert outliving(workers, PATIENCE) == []


def test_a_closed_standard_output_is_no_error(home: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m rlm_core.cli ask --quiet '{QUESTION}' vault.txt >&-",
        shell=True,
        stderr=subprocess.PIPE,
        text=True,
        cwd=home,
        env=environment(home),
        check=False,
    )
    assert (done.returncode, done.stderr) == (Exit.ANSWERED, "")


def test_a_reader_who_has_enough_is_no_error(home: Path) -> None:
    with ChatServer(chat("FINAL: " + "x" * 400_000)) as server:
        named = f"--model m --base-url {server.base_url}"
        done = subprocess.run(
            f"{sys.executable} -m rlm_core.cli ask {named} q vault.txt | head -c 10",
            shell=True,
            capture_output=True,
            text=True,
            cwd=home,
            env=environment(home),
            check=False,
        )
    assert (done.stdout, done.stderr) == ("x" * 10, "")


def test_on_a_terminal_there_is_progress_and_a_summary(home: Path) -> None:
    master, slave = pty.openpty()
    try:
        done = subprocess.run(
            [*COMMAND, "ask", QUESTION, "vault.txt"],
            stdout=subprocess.PIPE,
            stderr=slave,
            stdin=subprocess.DEVNULL,
            text=True,
            cwd=home,
            env=environment(home, NO_COLOR="1", TERM="xterm"),
            check=False,
        )
        shown = os.read(master, 100_000).decode()
    finally:
        os.close(master)
        os.close(slave)
    assert done.stdout.startswith("7319\n")
    assert "step 1 | 0 subcalls | 0 tokens | " in shown
    assert "; isolation: " in shown
    assert "\x1b" not in shown
