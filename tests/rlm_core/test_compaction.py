from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rlm_core import compaction
from rlm_core.adapters.base import ModelResponse
from rlm_core.compaction import LONGEST_SUMMARY, bounded, summary_of
from rlm_core.context import Context
from rlm_core.errors import ConfigError
from rlm_core.prompts import build_iteration_message
from rlm_core.rlm import RLM, RunResult
from tests.rlm_core.models import Scripted

TEXT = Context.from_text("text")


def pair(code: str, stdout: str = "", error: str = "") -> list[dict[str, str]]:
    result = build_iteration_message(
        last_stdout=stdout, last_error=error, last_state_summary="", step=2, max_steps=9,
        root_query="Q?",
    )  # fmt: skip
    return [{"role": "assistant", "content": code}, {"role": "user", "content": result}]


def test_each_step_becomes_what_ran_and_what_came_of_it() -> None:
    turns = pair("Look:\n```python\nx = 1\nprint(x)\n```", "1\n") + pair("y", error="NameError: y")
    assert summary_of(turns) == (
        "- ran: x = 1; print(x)\n  stdout: 1\n- ran: y\n  error: NameError: y"
    )


def test_a_later_summary_goes_on_from_the_earlier_one() -> None:
    assert summary_of(pair("b = 2"), before="- ran: a = 1") == "- ran: a = 1\n- ran: b = 2"


def test_a_summary_is_bounded_and_says_what_is_left_out() -> None:
    text = bounded([f"line {number} " + "x" * 90 for number in range(500)])
    assert len(text) < LONGEST_SUMMARY + 200
    assert text.startswith("(the summary of still earlier steps was left out)")
    assert "line 499" in text
    assert len(summary_of(pair("x" * 10_000, "y" * 10_000))) < 1_000


# --- in runs --------------------------------------------------------------------------------------


def long_run(tmp_path: Path, **options: Any) -> tuple[RunResult[str], Scripted]:
    cells = [f"v{n} = {n}\nprint('step {n} ' + 'z' * 1500)" for n in range(12)]
    script = [*cells, "print(sum((v0, v1, v11)))", "answer = v1 + v11\nFINAL_VAR: answer"]
    model = Scripted(*script)
    rlm = RLM(model, cache_dir=tmp_path, model_window=6_000, compaction_share=0.5, **options)
    return rlm.run_result("Q?", TEXT), model


def tokens(messages: list[dict[str, str]]) -> int:
    return sum(len(message["content"]) // 4 for message in messages)


def test_above_its_share_of_the_window_the_history_is_summarised(tmp_path: Path) -> None:
    result, model = long_run(tmp_path)
    assert result.answer == "12"
    assert max(map(tokens, model.calls)) < 3_500
    told = [step for step in result.trace.steps if step.kind == "compaction"]
    assert told
    assert "older turns were summarised" in (told[0].prompt_summary or "")
    assert "- ran: v0 = 0; print('step 0 '" in (told[0].output or "")
    last = model.calls[-1]
    roles = [message["role"] for message in last]
    assert roles == ["system", *["user", "assistant"] * (len(last) // 2 - 1), "user"]
    assert last[1]["content"].count(compaction.HEADING) == 1
    assert "step 0 zzz" in last[1]["content"]


def test_without_compaction_everything_is_sent(tmp_path: Path) -> None:
    result, model = long_run(tmp_path, compaction=None)
    assert not [step for step in result.trace.steps if step.kind == "compaction"]
    assert max(map(tokens, model.calls)) > 4_500


def test_the_model_may_write_the_summary_and_is_paid_for_it(tmp_path: Path) -> None:
    class Summing(Scripted):
        def complete(self, messages: list[dict[str, str]], **options: Any) -> ModelResponse:
            if messages[-1]["content"] == compaction.REQUEST:
                return ModelResponse("All of v0 to v9 are set.", super().complete(
                    [*messages], **options).usage)  # fmt: skip
            return super().complete(messages, **options)

    cells = [f"v{n} = {n}\nprint('step {n} ' + 'z' * 1500)" for n in range(8)]
    model = Summing(*cells, "unused", "unused", "FINAL: done")
    rlm = RLM(model, cache_dir=tmp_path, model_window=6_000, compaction="model")
    result = rlm.run_result("Q?", TEXT)
    summaries = [step for step in result.trace.steps if step.kind == "compaction"]
    assert {step.output for step in summaries} == {"All of v0 to v9 are set."}
    asked = [step for step in result.trace.steps if step.prompt_summary == "[compaction]"]
    assert len(asked) == len(summaries) > 0
    assert "All of v0 to v9 are set." in model.calls[-1][1]["content"]


def test_options_that_cannot_work_are_refused(tmp_path: Path) -> None:
    for wrong in ({"compaction": "always"}, {"compaction_share": 1.5}):
        options: Any = wrong
        with pytest.raises(ConfigError):
            RLM(Scripted(), cache_dir=tmp_path, **options)
