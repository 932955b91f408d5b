from __future__ import annotations

from collections.abc import Sequence

import pytest

from rlm_core.cli.arguments import parse
from rlm_core.cli.ask_arguments import AskArguments


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


def test_a_run_that_is_continued_has_its_question_already() -> None:
    given = asked(["ask", "--resume", "t.jsonl", "a.txt", "b.txt"])
    assert (given.resume, given.question, given.paths) == ("t.jsonl", "", ("a.txt", "b.txt"))
    with pytest.raises(SystemExit):
        parse(["ask", "--resume", "t.jsonl", "--trace", "other.jsonl"])
