"""`rlm batch` from the outside: real processes, real files, a real server, every exit code."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import signal
import subprocess
import sys
import termios
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from rlm_core.batch.control import Control
from rlm_core.cli import Exit
from rlm_core.cli.batch import heeding_signals
from rlm_core.cli.output import Output
from tests.rlm_core.adapters.chat_server import ChatServer, Hang, Judge, Reply, chat, json_reply
from tests.rlm_core.cli.command import COMMAND, QUESTION, Ended, environment, home, rlm, started
from tests.waiting import killed_at_last, until

__all__ = ["home"]
DEADLINE = 60.0


def tasks(home: Path, *names: str, **more: object) -> None:
    lines = [
        json.dumps({"custom_id": name, "question": QUESTION, "context": "vault.txt"} | more)
        for name in names
    ]
    (home / "tasks.jsonl").write_text("\n".join(lines))


def batch(home: Path, *flags: str) -> Ended:
    return rlm(home, "batch", "-i", "tasks.jsonl", "-o", "results.jsonl", *flags)


def results(home: Path) -> dict[str, dict[str, Any]]:
    path = home / "results.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    assert len({line["custom_id"] for line in lines}) == len(lines)
    return {line["custom_id"]: line for line in lines}


def test_every_question_is_answered_and_a_table_tells_of_it(home: Path) -> None:
    tasks(home, "a", "b", "c")
    done = batch(home, "--traces", "traces")
    assert done.returncode == Exit.ANSWERED
    assert "7319" in results(home)["b"]["answer"]
    assert sorted(path.name for path in (home / "traces").iterdir()) == [
        "a.jsonl",
        "b.jsonl",
        "c.jsonl",
    ]
    assert "answered          3" in done.stderr
    assert "the offline keyword model answers" in done.stderr
    assert done.stdout == ""
    again = batch(home, "--json")
    assert json.loads(again.stdout)["before"] == 3


def test_tasks_come_through_a_pipe_as_well(home: Path) -> None:
    tasks(home, "a", "b")
    program = "import sys; from rlm_core.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", program, "batch", "-i", "-", "-o", "results.jsonl"],
        cwd=home,
        env=environment(home),
        input=(home / "tasks.jsonl").read_text(),
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
    assert done.returncode == Exit.ANSWERED, done.stderr
    assert sorted(results(home)) == ["a", "b"]


def test_ctrl_c_ends_it_at_once_while_it_waits_for_its_input(home: Path) -> None:
    program = "import sys; from rlm_core.cli import main; sys.exit(main(sys.argv[1:]))"
    waiting = subprocess.Popen(
        [sys.executable, "-c", program, "batch", "-i", "-", "-o", "results.jsonl"],
        cwd=home,
        env=environment(home),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with killed_at_last(waiting):
        assert waiting.stdin is not None
        waiting.stdin.write("{")
        waiting.stdin.flush()
        pipe = waiting.stdin.fileno()
        until(lambda: fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)) == bytes(4))  # it was read
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(DEADLINE) == Exit.INTERRUPTED
    assert results(home) == {}


def test_results_need_a_file(home: Path) -> None:
    tasks(home, "a")
    for nowhere in ("-", "/dev/null"):
        done = rlm(home, "batch", "-i", "tasks.jsonl", "-o", nowhere)
        assert (done.returncode, done.stdout) == (Exit.USAGE, "")
        assert "results need a file" in done.stderr
    assert not (home / "-").exists()


def test_a_context_is_given_once_and_named_by_tasks(home: Path) -> None:
    lines = [{"custom_id": n, "question": QUESTION, "context_ref": "vault"} for n in "ab"]
    (home / "tasks.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert batch(home, "--context", "vault=vault.txt").returncode == Exit.ANSWERED
    assert "7319" in results(home)["a"]["answer"]
    assert batch(home).returncode == Exit.INPUT
    twice = batch(home, "--context", "a=vault.txt", "--context", "a=vault.txt")
    assert twice.returncode == Exit.USAGE


def test_bad_lines_are_told_and_nothing_is_run(home: Path) -> None:
    tasks(home, "a", "a")
    done = batch(home)
    assert done.returncode == Exit.INPUT
    assert "line 2: custom_id 'a' is that of line 1 too" in done.stderr
    assert results(home) == {}
    done = batch(home, "--skip-bad")
    assert done.returncode == Exit.ANSWERED
    assert "left out line 2" in done.stderr


def test_tasks_without_an_answer_are_told_and_run_again_when_asked(home: Path) -> None:
    tasks(home, "a", "b")
    (home / "vault.txt").rename(home / "elsewhere.txt")
    (home / "vault.txt").write_bytes(b"\0\0")
    done = batch(home)
    assert done.returncode == Exit.LIMIT
    assert "2 of 2 tasks have no answer" in done.stderr
    assert results(home)["a"]["error"]["type"] == "ContextError"
    (home / "elsewhere.txt").rename(home / "vault.txt")
    assert batch(home, "--retry-failed").returncode == Exit.ANSWERED
    assert results(home)["a"]["status"] == "answered"


def test_what_it_costs_is_told_and_bounded(home: Path) -> None:
    tasks(home, *map(str, range(10)))
    answer = chat("FINAL: 7319", usage={"prompt_tokens": 1, "completion_tokens": 1})
    with ChatServer(answer) as server:
        named = ("--model", "m", "--base-url", server.base_url)
        flags = ("--price", "1e6:1e6", "--max-cost", "7", "--concurrency", "2")
        done = batch(home, *named, *flags)
        assert done.returncode == Exit.LIMIT
        assert "--max-cost" in done.stderr
        assert {line["cost"] for line in results(home).values()} == {2.0}
        assert 1 <= len(results(home)) <= 3
    assert batch(home, "--max-cost", "7").returncode == Exit.USAGE
    half = ("--model", "m", "--sub-model", "n", "--price", "m=1:1", "--max-cost", "7")
    assert "the price of n" in batch(home, *half).stderr


def test_a_model_that_refuses_the_key_ends_it(home: Path) -> None:
    tasks(home, "a", "b")
    with ChatServer(json_reply({"error": {"message": "bad key"}}, 401)) as server:
        done = batch(home, "--model", "m", "--base-url", server.base_url)
    assert done.returncode == Exit.MODEL
    assert "start again" in done.stderr
    assert results(home) == {}


def test_another_file_is_not_written_over(home: Path) -> None:
    tasks(home, "a")
    (home / "results.jsonl").write_text("Dear diary\n")
    assert batch(home).returncode == Exit.USAGE
    assert (home / "results.jsonl").read_text() == "Dear diary\n"


def test_a_flag_of_the_cluster_needs_the_cluster(home: Path) -> None:
    tasks(home, "a")
    done = batch(home, "--actors", "3")
    assert done.returncode == Exit.USAGE
    assert "--engine ray" in done.stderr


def test_a_model_that_has_no_name_is_told(home: Path) -> None:
    tasks(home, "a")
    done = batch(home, "--model", "anthropic/")
    assert (done.returncode, "which model" in done.stderr) == (Exit.USAGE, True)


def batch_started(home: Path, server: ChatServer, *flags: str) -> subprocess.Popen[str]:
    files = ["-i", "tasks.jsonl", "-o", "results.jsonl"]
    model = ["--model", "m", "--base-url", server.base_url]
    return started(home, "batch", *files, *model, *flags)


def held_until(release: Path) -> Judge:
    """Answers once that file is there."""

    def decide(_: object) -> Reply:
        until(release.exists)
        return chat("FINAL: 7319")

    return Judge(decide)


def test_ctrl_c_lets_what_runs_end_and_the_next_start_does_the_rest(home: Path) -> None:
    tasks(home, "a", "b", "c", "d")
    with ChatServer(held_until(home / "release")) as server:
        with killed_at_last(batch_started(home, server, "--concurrency", "2")) as running:
            until(lambda: len(server.requests) >= 2)
            running.send_signal(signal.SIGINT)
            assert running.stderr is not None
            assert "finishing what runs" in running.stderr.readline()
            (home / "release").touch()
            running.communicate(timeout=DEADLINE)
        assert running.returncode == Exit.INTERRUPTED
        assert len(results(home)) == 2
        model = ("--model", "m", "--base-url", server.base_url)
        assert batch(home, *model).returncode == Exit.ANSWERED
        assert len(server.requests) == 4


@pytest.mark.parametrize("signals", [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM,)])
def test_twice_stops_at_once(home: Path, signals: tuple[signal.Signals, ...]) -> None:
    tasks(home, "a", "b")
    with ChatServer(Hang()) as server, killed_at_last(batch_started(home, server)) as running:
        until(lambda: len(server.requests) >= 2)
        told = ""
        for number in signals:
            running.send_signal(number)
            assert running.stderr is not None
            told += running.stderr.readline()
        told += running.communicate(timeout=DEADLINE)[1]
    assert running.returncode == Exit.INTERRUPTED, told
    assert "start the same command again" in told
    assert results(home) == {}
    assert not (home / "results.jsonl.begun").exists()


class Interrupting(io.RawIOBase):
    """A stream that Ctrl-C comes in the midst of, at its first write."""

    def __init__(self) -> None:
        self.written = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        first, self.written = not self.written, self.written + bytes(data)
        if first:
            os.kill(os.getpid(), signal.SIGINT)
        return len(bytes(data))


def test_a_signal_in_the_midst_of_writing_is_told_when_that_is_written() -> None:
    stream = Interrupting()
    errors = io.TextIOWrapper(io.BufferedWriter(stream), write_through=True)
    output, control = Output(io.StringIO(), errors, {}, quiet=False), Control()
    control.attach(lambda: None)
    with heeding_signals(control, output):
        output.notice("one task is done")
        until(lambda: b"stops now" in stream.written)
    assert control.finishing
    assert not control.stopping
    assert stream.written.startswith(b"rlm: one task is done")


def test_the_disk_may_be_full(home: Path) -> None:
    tasks(home, *map(str, range(30)))
    program = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.RLIM_INFINITY))\n"
        "from rlm_core.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    with ChatServer(chat("FINAL: 7319")) as server:
        model = ("--model", "m", "--base-url", server.base_url)
        files = ("-i", "tasks.jsonl", "-o", "results.jsonl")
        done = subprocess.run(
            [sys.executable, "-c", program, "batch", *files, *model],
            cwd=home,
            env=environment(home),
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE,
        )
        assert done.returncode == Exit.OUTPUT
        assert "allow larger files (ulimit -f)" in done.stderr
        before = results(home)
        assert 0 < len(before) < 30
        asked = len(server.requests)
        assert batch(home, *model).returncode == Exit.ANSWERED
        assert len(results(home)) == 30
        assert len(server.requests) - asked == 30 - len(before)
    assert not (home / "results.jsonl.begun").exists()


def test_on_a_terminal_it_tells_how_it_goes(home: Path) -> None:
    tasks(home, "a", "b")
    ours, theirs = pty.openpty()
    with ChatServer(held_until(home / "release")) as server:
        files = ["-i", "tasks.jsonl", "-o", "results.jsonl"]
        named = ["--model", "m", "--base-url", server.base_url]
        with subprocess.Popen(
            [*COMMAND, "batch", *files, *named],
            cwd=home,
            env=environment(home, TERM="xterm", NO_COLOR="1"),
            stderr=theirs,
        ) as running:
            os.close(theirs)
            told = b""
            while b"0/2 done | 2 running" not in told:
                told += os.read(ours, 4096)
            (home / "release").touch()
            with suppress(OSError):  # the end of a terminal
                while True:
                    told += os.read(ours, 4096)
    os.close(ours)
    assert running.returncode == Exit.ANSWERED
    assert b"answered" in told
