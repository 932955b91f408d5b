"""A trajectory tells every step with what it ran, printed and cost."""

from __future__ import annotations

from rlm_core.adapters.base import Usage
from rlm_core.cli.trajectory import trajectory
from rlm_core.trace import Trace, TraceStep


def test_steps_are_told_in_order_with_their_texts() -> None:
    trace = Trace(
        [
            TraceStep(1, "root_call", 0, output="x = 1", code="x = 1", usage=Usage(1, 2, 3)),
            TraceStep(2, "repl_exec", 0, code="print(x)\n", stdout="1\n", elapsed=0.25),
            TraceStep(3, "sub_subcall", 1, output="yes", cache_hit=True),
        ]
    )
    assert trajectory(trace).splitlines() == [
        "-- 1 root_call (0.00 s, 3 tokens)",
        "output:",
        "  x = 1",
        "-- 2 repl_exec (0.25 s)",
        "code:",
        "  print(x)",
        "stdout:",
        "  1",
        "  -- 3 sub_subcall (0.00 s, from the cache)",
        "  output:",
        "    yes",
    ]


def test_long_texts_are_cut() -> None:
    told = trajectory(Trace([TraceStep(1, "repl_exec", 0, stdout="x" * 100_000)]))
    assert len(told) < 3_000
