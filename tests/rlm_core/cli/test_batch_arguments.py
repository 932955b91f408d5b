from __future__ import annotations

import pytest

from rlm_core.cli.arguments import parse
from rlm_core.cli.batch_arguments import BatchArguments


def arguments(*flags: str) -> BatchArguments:
    given = parse(["batch", "-i", "in.jsonl", "-o", "out.jsonl", *flags])
    assert isinstance(given, BatchArguments)
    return given


def test_two_files_are_enough() -> None:
    given = arguments()
    assert (given.input, given.output, given.engine) == ("in.jsonl", "out.jsonl", "local")
    assert (given.concurrency, given.attempts, given.poison_after) == (8, 3, 6)
    assert (given.contexts, given.prices, given.max_cost) == ((), (), None)


def test_what_can_be_said_of_each_model_may_name_it_or_mean_all() -> None:
    given = arguments("--price", "1:2.5", "--price", "a/b=c=0:3", "--calls-at-once", "m=4")
    assert given.prices == (("*", (1.0, 2.5)), ("a/b=c", (0.0, 3.0)))
    assert given.calls_at_once == (("m", 4),)
    assert arguments("--calls-per-minute", "90.5").calls_per_minute == (("*", 90.5),)


def test_a_context_has_a_name_and_a_path_that_may_be_anything() -> None:
    assert arguments("--context", "a=x=y.txt").contexts == (("a", "x=y.txt"),)


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (("--context", "minutes.txt"), "is not NAME=VALUE"),
        (("--context", "=minutes.txt"), "is not NAME=VALUE"),
        (("--price", "3"), "is not IN:OUT"),
        (("--price=-1:3",), "0 or more"),
        (("--price", "1:nan"), "0 or more"),
        (("--price", "=1:2"), "is not NAME=VALUE"),
        (("--max-cost", "0"), "above 0"),
        (("--max-cost", "inf"), "above 0"),
        (("--concurrency", "0"), "whole number of 1 or more"),
        (("--concurrency", "2.5"), "whole number of 1 or more"),
        (("--max-subcalls", "-1"), "whole number of 0 or more"),
        (("--engine", "abacus"), "invalid choice"),
    ],
)
def test_a_mistake_is_told_with_what_is_needed(
    flags: tuple[str, ...], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        arguments(*flags)
    assert caught.value.code == 2
    assert why in capsys.readouterr().err


def test_help_tells_the_form_of_the_lines_and_every_exit_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        parse(["batch", "--help"])
    told = capsys.readouterr().out
    for word in ("custom_id", "context_ref", "body.rlm", "Ctrl-C once", "exit codes", "--max-cost"):
        assert word in told
    for code in ("0 ", "2 ", "3 ", "4 ", "5 ", "6 ", "8 ", "130 "):
        assert f"  {code}" in told
