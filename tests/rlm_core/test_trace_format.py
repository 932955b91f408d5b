from __future__ import annotations

from dataclasses import replace

import pytest

from rlm_core.adapters.base import Usage
from rlm_core.router import ExecutionProfile, RouterResult
from rlm_core.trace import Trace, TraceStep
from rlm_core.trace_format import TraceFormatter

TRACE = Trace(
    [
        TraceStep(1, "root_call", 0, code="print(1)", usage=Usage(1, 2, 3), elapsed=0.5),
        TraceStep(2, "subcall", 1, prompt_summary="p" * 99, cache_hit=True),
        TraceStep(3, "repl_exec", 0, code="print(1)", error="NameError"),
    ]
)
RESULT = RouterResult("two\nlines " * 9, TRACE, "rlm", ExecutionProfile.HYBRID, 12_345, 300, 1.25)


def test_a_trace_is_a_line_a_step_and_a_summary() -> None:
    lines = TraceFormatter().format(TRACE, title="Run").splitlines()
    assert lines[0] == "=== Run ==="
    assert lines[2] == "[1] root_call -> print(1) [3 tok] 0.50s"
    assert lines[3].startswith("  [2] subcall depth=1 (cached) -> ppp")
    assert "(error)" in lines[4]
    assert lines[-1] == (
        "Summary: 3 steps, 3 tokens, 1 repl_exec, 1 root_call, 1 subcall, 1 cached, 1 errors"
    )


def test_steps_are_shown_as_they_began_each_with_what_it_did_below_it() -> None:
    cell = TraceStep(1, "repl_exec", 0, code="```python\nx = 1\n```")
    shown = TraceFormatter().format(Trace([TraceStep(2, "subcall", 1), cell])).splitlines()
    assert shown[0] == "[1] repl_exec -> x = 1"
    assert shown[1].startswith("  [2] subcall")


@pytest.mark.parametrize(
    ("code", "about"),
    [
        ("m = re.search(r'key: (\\w+)', P)", "regex: key: (\\w+)"),
        ("x = extract_after('key is')", "extract_after('key is')"),
        ("answers = ask_chunks('Q?', chunks)", "subcall: ask_chunks"),
        ("FINAL_VAR: answer", "FINAL -> answer"),
        ("print(peek(9))", "peek()"),
        ("value = 1 + 1\nmore()", "value = 1 + 1"),
    ],
)
def test_code_is_shown_by_what_it_is_about(code: str, about: str) -> None:
    step = TraceStep(1, "repl_exec", 0, code=code)
    assert f"-> {about}" in TraceFormatter().format(Trace([step]))
    assert code.splitlines()[-1] in TraceFormatter(verbose=True).format(Trace([step]))


def test_results_make_a_table() -> None:
    lines = TraceFormatter().format_table([RESULT, replace(RESULT, elapsed=None)]).splitlines()
    assert lines[0].split(" | ")[0].strip() == "chars"
    assert "12,345" in lines[2]
    assert "1.25s" in lines[2]
    assert len(lines) == 4
    assert TraceFormatter().format_table([]) == "No results."


def test_two_results_are_compared_by_what_they_cost() -> None:
    text = TraceFormatter().format_comparison(replace(RESULT, tokens_used=1_000), RESULT)
    assert "700 fewer tokens" in text
    assert "12,345 chars" in text


def test_what_a_model_wrote_cannot_steer_the_terminal() -> None:
    trace = Trace(
        [
            TraceStep(1, "repl_exec", 0, code="x\x1b[2J"),
            TraceStep(2, "subcall", 1, prompt_summary="\x1bc"),
        ]
    )
    result = replace(RESULT, output="\x1b]0;owned\x07")
    shown = [
        TraceFormatter(verbose=True).format(trace, title="\x1bc"),
        TraceFormatter().format_table([result]),
        TraceFormatter().format_comparison(result, result),
    ]
    assert not any(character in text for text in shown for character in "\x1b\x07")
