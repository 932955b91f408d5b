"""How a run is told depends on how it ended."""

from __future__ import annotations

import io
import json

import pytest

from rlm_core.cli.arguments import AskArguments, parse
from rlm_core.cli.exits import Exit
from rlm_core.cli.report import report
from rlm_core.cli.settings import Settings
from rlm_core.rlm import RunResult, RunUsage
from rlm_core.stimuli import Ending, RunStatus
from rlm_core.trace import Trace
from tests.rlm_core.cli.test_output import Terminal, make

USAGE = RunUsage(10, 2, 12, subcalls=1, steps=2, seconds=0.5, cost=0.0)


def told(
    status: RunStatus, ending: Ending, *flags: str, stderr: io.StringIO | None = None
) -> tuple[int, str, str]:
    result = RunResult("42", status, ending, USAGE, 2, "none", Trace([]))
    stderr = stderr or io.StringIO()
    output, stdout = make(stderr, NO_COLOR="1")
    arguments = parse(["ask", "q", "--model", "m", *flags])
    assert isinstance(arguments, AskArguments)
    code = report(result, arguments, Settings.gather(arguments, {}), output)
    return code, stdout.getvalue(), stderr.getvalue()


def test_an_answer_is_printed_alone() -> None:
    assert told(RunStatus.ANSWERED, Ending.FINAL) == (Exit.ANSWERED, "42\n", "")


@pytest.mark.parametrize(
    ("ending", "flag"),
    [
        (Ending.MAX_STEPS, "--max-steps"),
        (Ending.MAX_TOKENS, "--max-tokens"),
        (Ending.MAX_SECONDS, "--timeout"),
        (Ending.COLLAPSED, "stronger model"),
    ],
)
def test_a_stopped_run_says_what_stopped_it_and_what_to_allow(ending: Ending, flag: str) -> None:
    code, out, err = told(RunStatus.LIMITED, ending)
    assert (code, out) == (Exit.LIMIT, "42\n")
    assert ending.value in err
    assert flag in err
    assert "best there was" in err


def test_a_stopped_run_without_an_answer_prints_none() -> None:
    code, out, err = told(RunStatus.NO_ANSWER, Ending.MAX_STEPS)
    assert (code, out) == (Exit.LIMIT, "")
    assert "there is no answer" in err
    assert json.loads(told(RunStatus.NO_ANSWER, Ending.MAX_STEPS, "--json")[1])["answer"] is None


def test_json_has_the_promised_keys_and_a_version() -> None:
    code, out, err = told(RunStatus.ANSWERED, Ending.FINAL, "--json")
    value = json.loads(out)
    assert (code, err) == (Exit.ANSWERED, "")
    assert value["version"] == 1
    assert {"answer", "status", "usage", "steps", "isolation", "trace"} <= set(value)
    assert (value["answer"], value["status"], value["isolation"]) == ("42", "answered", "none")
    assert value["usage"]["total_tokens"] == 12


def test_a_terminal_is_told_what_it_took_and_the_isolation() -> None:
    _, _, err = told(RunStatus.ANSWERED, Ending.FINAL, stderr=Terminal())
    assert err == "rlm: 2 steps, 1 subcalls, 12 tokens, 0.5 s; isolation: none\n"
