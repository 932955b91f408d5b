"""The command line is read strictly, and help teaches."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import pytest

from rlm_core.cli.arguments import AskArguments, TraceArguments, parse, version


def asked(line: Sequence[str]) -> AskArguments:
    given = parse(line)
    assert isinstance(given, AskArguments)
    return given


def test_everything_that_was_given_is_read() -> None:
    line = (
        "ask why a.txt b --model m --sub-model s --base-url u --max-steps 3 --max-subcalls 0 "
        "--max-tokens 9 --timeout 1.5 --json --trace t --quiet"
    )
    given = asked(line.split())
    assert (given.question, given.paths) == ("why", ("a.txt", "b"))
    assert (given.model, given.sub_model, given.base_url) == ("m", "s", "u")
    assert (given.max_steps, given.max_subcalls, given.max_tokens) == (3, 0, 9)
    assert (given.timeout, given.json, given.trace, given.quiet) == (1.5, True, "t", True)


@pytest.mark.parametrize(
    "line",
    [
        "ask --json why a.txt b --trace t",
        "ask why --json a.txt --trace t b",
        "ask why a.txt --json b --trace t",
        "ask --trace t why --json a.txt b",
        "ask --trace t --json -- why a.txt b",
    ],
)
def test_flags_may_stand_anywhere(line: str) -> None:
    given = asked(line.split())
    assert (given.question, given.paths) == ("why", ("a.txt", "b"))
    assert (given.json, given.trace) == (True, "t")


def test_standard_input_may_be_named() -> None:
    assert asked(["ask", "why", "-", "--json"]).paths == ("-",)


def test_what_was_not_given_is_none() -> None:
    given = asked(["ask", "why"])
    assert given.paths == ()
    assert (given.model, given.max_steps, given.timeout, given.trace) == (None, None, None, None)


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (["ask"], "usage: rlm ask "),
        (["ask", " "], "the question is empty"),
        (["ask", "q", "--max-steps", "0"], "1 or more"),
        (["ask", "q", "--max-subcalls", "-1"], "0 or more"),
        (["ask", "q", "--max-tokens", "many"], "1 or more"),
        (["ask", "q", "--timeout", "nan"], "seconds above 0"),
        (["ask", "q", "--timeout", "inf"], "seconds above 0"),
        (["ask", "q", "--key", "k"], "unrecognized arguments"),
        (["ask", "q", "--max", "3"], "unrecognized arguments"),
        (["tell"], "invalid choice"),
        ([], "rlm ask"),
    ],
)
def test_a_mistake_exits_with_2_and_a_hint(
    wrong: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(wrong)
    assert caught.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert hint in shown.err


def test_help_shows_examples_environment_and_exit_codes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for argv, parts in (
        (["--help"], ["examples:", "rlm ask", "git log -p |"]),
        (["ask", "--help"], ["LLM_API_KEY", "--base-url", "exit codes:", "130", "NO_COLOR"]),
    ):
        with pytest.raises(SystemExit) as caught:
            parse(argv)
        assert caught.value.code == 0
        shown = capsys.readouterr().out
        assert [part for part in parts if part not in shown] == []


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(["--version"])
    assert caught.value.code == 0
    assert version() in capsys.readouterr().out


def test_reading_the_command_line_imports_nothing_heavy() -> None:
    code = (
        "import sys; from rlm_core.cli.arguments import parse; parse(['ask', 'q']); "
        "print(sorted({'httpx', 'msgspec', 'psutil', 'asyncio', 'rlm_sandbox', 'logging'} "
        "& set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stdout == "[]\n"


def test_a_run_that_is_continued_has_its_question_already() -> None:
    given = asked(["ask", "--resume", "t.jsonl", "a.txt", "b.txt"])
    assert (given.resume, given.question, given.paths) == ("t.jsonl", "", ("a.txt", "b.txt"))
    with pytest.raises(SystemExit):
        parse(["ask", "--resume", "t.jsonl", "--trace", "other.jsonl"])


def test_traces_are_shown_and_replayed() -> None:
    assert parse(["trace", "show", "t", "--full"]) == TraceArguments("show", "t", full=True)
    assert parse(["trace", "replay", "t", "a", "--json"]) == TraceArguments(
        "replay", "t", ("a",), json=True
    )
    with pytest.raises(SystemExit):
        parse(["trace"])
