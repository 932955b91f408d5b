from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rlm_core.adapters.base import ModelResponse, Usage
from rlm_core.context import Context
from rlm_core.driver import facts_of, limit_of
from rlm_core.loop import Episode
from rlm_core.policy import (
    MaxCostExceeded,
    MaxSecondsExceeded,
    MaxStepsExceeded,
    MaxTokensExceeded,
    Policy,
    Price,
)
from rlm_core.rlm import RLM, RunResult
from rlm_core.stimuli import Ending, Finish, Limit, RunStatus
from tests.rlm_core.models import Answering, Scripted

TEXT = Context.from_text("RLMs inspect prompts via code.")


def run(tmp_path: Path, model: Any, **options: Any) -> RunResult[str]:
    rlm = RLM(model, cache_dir=tmp_path / "cache", **options)
    return rlm.run_result("Q?", TEXT)


def test_facts_are_those_of_the_context() -> None:
    facts = facts_of(Context.from_documents(["a" * 500, "b"]))
    assert (facts.num_documents, facts.document_lengths) == (2, (500, 1))
    assert facts.head == "a" * 400


def test_every_limit_has_its_name() -> None:
    errors = [MaxStepsExceeded(), MaxTokensExceeded(), MaxSecondsExceeded(), MaxCostExceeded()]
    assert [limit_of(error) for error in errors] == list(Limit)


def test_cells_replies_and_subcalls_are_recorded_in_the_order_in_which_they_end(
    tmp_path: Path,
) -> None:
    result = run(
        tmp_path, Scripted("x = llm_query(peek(4))\nprint(x)", "FINAL_VAR: x"),
        subcall_adapter=Answering(),
    )  # fmt: skip
    assert result.answer == "RLMS"
    assert [step.kind for step in result.trace.steps] == [
        "root_call",
        "subcall",
        "repl_exec",
        "root_call",
    ]
    assert [step.step_id for step in result.trace.steps] == [1, 3, 2, 4]
    cell = result.trace.steps[2]
    assert (cell.stdout, cell.outcome, cell.state) == ("RLMS\n", "ok", "kept")


def test_an_error_of_the_code_is_shown_to_the_model_and_not_raised(tmp_path: Path) -> None:
    model = Scripted("print('before')\n1 / 0", "FINAL: seen")
    assert run(tmp_path, model).answer == "seen"
    shown = model.calls[1][-1]["content"]
    assert "before" in shown
    assert "ZeroDivisionError" in shown


def test_an_error_of_the_model_is_raised(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="used up"):
        run(tmp_path, Scripted("x = 1"))


def test_tokens_of_all_calls_are_in_the_result(tmp_path: Path) -> None:
    root = Scripted(
        ModelResponse("x = llm_query('a')", Usage(10, 5, 15)),
        ModelResponse("FINAL_VAR: x", Usage(20, 5, 25)),
    )
    prices = {"*": Price(1_000_000, 0)}
    result = run(
        tmp_path, root, subcall_adapter=Answering(usage=Usage(3, 1, 4)),
        policy=Policy(prices=prices),
    )  # fmt: skip
    usage = result.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (33, 11, 44)
    assert (usage.subcalls, usage.steps, usage.cost) == (1, 2, 33)
    assert result.trace.total_tokens() == 44


def test_a_reply_beyond_the_tokens_still_has_its_code_run(tmp_path: Path) -> None:
    model = Scripted(ModelResponse('answer = "done"', Usage(10, 10, 20)))
    result = run(tmp_path, model, policy=Policy(max_total_tokens=5))
    assert (result.answer, result.status, result.ending) == (
        "done",
        RunStatus.LIMITED,
        Ending.MAX_TOKENS,
    )


def test_a_run_out_of_steps_ends_with_the_models_summary(tmp_path: Path) -> None:
    model = Scripted("x = 1", "x = 2", "It is 2.")
    result = run(tmp_path, model, policy=Policy(max_steps=2))
    assert (result.answer, result.status) == ("It is 2.", RunStatus.LIMITED)
    assert result.trace.steps[-1].prompt_summary == "[max_steps_summary]"
    assert result.usage.steps == 2


def test_a_run_out_of_time_ends_with_what_was_printed(tmp_path: Path) -> None:
    model = Scripted("print('partial')", "import time\nwhile True: time.sleep(0.01)")
    result = run(tmp_path, model, policy=Policy(max_seconds=1.0))
    assert (result.answer, result.status, result.ending) == (
        "partial",
        RunStatus.LIMITED,
        Ending.MAX_SECONDS,
    )


def test_a_run_out_of_time_does_not_wait_for_a_slow_model(tmp_path: Path) -> None:
    import threading

    finish = threading.Event()
    slow = Answering(lambda _: str(finish.wait(30)))
    result = run(tmp_path, slow, policy=Policy(max_seconds=0.2))
    finish.set()
    assert (result.answer, result.ending) == ("NO_ANSWER", Ending.MAX_SECONDS)


def test_a_recorded_run_is_replayed_by_the_loop_without_model_or_sandbox(tmp_path: Path) -> None:
    from rlm_core import driver

    episodes: list[Episode] = []
    original = driver.EpisodeDriver.run

    def remembered(self: driver.EpisodeDriver) -> Any:
        episodes.append(self.episode)
        return original(self)

    driver.EpisodeDriver.run = remembered
    try:
        run(tmp_path, Scripted("x = 7\nprint(x)", "words", "FINAL_VAR: x"))
    finally:
        driver.EpisodeDriver.run = original
    (episode,) = episodes
    again = Episode(episode.rules, "Q?", facts_of(TEXT))
    *_, (last,) = map(again.handle, episode.log)
    assert last == Finish("7", RunStatus.ANSWERED, Ending.FINAL_VAR)
