from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from rlm_core import Context, ExecutionProfile, Policy, RouterConfig, SmartRouter
from rlm_core.errors import AnswerMistyped, ConfigError
from rlm_core.policy import MaxTokensExceeded
from rlm_core.prompts import BASE_SYSTEM_PROMPT
from rlm_core.provider import ProviderLimits
from tests.rlm_core.models import Answering, Scripted

SMALL = Context.from_text("The key is 7.")
LARGE = Context.from_text("x" * 200 + "The key is 7.")


def router_for(tmp_path: Path, model: Any, **options: Any) -> SmartRouter:
    extra = {"cache_dir": tmp_path, **options.pop("rlm_extra_kwargs", {})}
    return SmartRouter(
        model, config=RouterConfig(baseline_threshold=100), rlm_extra_kwargs=extra, **options
    )


def test_a_small_context_goes_to_the_model_whole(tmp_path: Path) -> None:
    model = Scripted(" 7 \n")
    result = router_for(tmp_path, model).run("Which key?", SMALL)
    assert (result.method, result.output, result.context_chars) == ("baseline", "7", 13)
    (step,) = result.trace.steps
    assert step.kind == "baseline_call"
    assert result.tokens_used == result.trace.total_tokens() > 0
    sent = model.calls[0][1]["content"]
    assert "The key is 7." in sent
    assert "Which key?" in sent


def test_a_large_context_goes_to_an_rlm(tmp_path: Path) -> None:
    model = Scripted("answer = extract_after('key is')", "FINAL_VAR: answer")
    result = router_for(tmp_path, model).run("Which key?", LARGE)
    assert (result.method, result.output) == ("rlm", "7")
    assert result.profile is ExecutionProfile.DETERMINISTIC_FIRST
    assert model.calls[0][0]["content"] == BASE_SYSTEM_PROMPT


def test_the_way_can_be_forced(tmp_path: Path) -> None:
    router = router_for(tmp_path, Scripted("x = 1", "FINAL: a"))
    assert router.run("Q?", SMALL, force_method="rlm").method == "rlm"
    with pytest.raises(ConfigError, match="baseline"):
        router.run("Q?", SMALL, force_method="guess")


def test_prompts_of_the_caller_win(tmp_path: Path) -> None:
    model = Scripted("7")
    router_for(tmp_path, model, system_prompt="mine").run("Q?", SMALL)
    assert model.calls[0][0]["content"] == "mine"


def test_every_profile_demands_code_and_limits_invalid_replies(tmp_path: Path) -> None:
    router = router_for(tmp_path, Scripted())
    for profile in ExecutionProfile:
        options = router.options_for(profile)
        assert options["require_repl_before_final"]
        assert options["invalid_response_limit"] == 2
    semantic = router.options_for(ExecutionProfile.SEMANTIC_BATCHES)
    assert (semantic["subcall_guard_steps"], semantic["max_concurrent_subcalls"]) == (2, 8)
    assert router.options_for(ExecutionProfile.HYBRID)["repl_error_limit"] == 2
    verify = router.options_for(ExecutionProfile.VERIFY)
    assert (verify["recursive_subcalls"], verify["max_recursion_depth"]) == (True, 2)


def test_extra_options_win_over_the_profile(tmp_path: Path) -> None:
    router = router_for(
        tmp_path, Scripted("FINAL: done"), rlm_extra_kwargs={"require_repl_before_final": False}
    )
    assert router.run("Q?", LARGE).output == "done"


def test_the_whole_context_is_on_the_budget_too(tmp_path: Path) -> None:
    router = router_for(tmp_path, Answering(), policy=Policy(max_total_tokens=0))
    with pytest.raises(MaxTokensExceeded):
        router.run("Q?", SMALL)


KEY = {"type": "object", "properties": {"key": {"type": "integer"}}, "required": ["key"]}


def test_a_typed_answer_comes_out_of_the_model_and_out_of_an_rlm(tmp_path: Path) -> None:
    direct = router_for(tmp_path, Scripted('{"key": 7}')).run("Which?", SMALL, output=KEY)
    assert (direct.method, direct.value, direct.output) == ("baseline", {"key": 7}, '{"key": 7}')
    model = Scripted("answer = {'key': 7}", "FINAL_VAR: answer")
    by_code = router_for(tmp_path, model).run("Which?", LARGE, output=KEY)
    assert (by_code.method, by_code.value) == ("rlm", {"key": 7})
    assert router_for(tmp_path, Scripted("7")).run("Which?", SMALL).value is None


def test_the_model_is_told_once_what_is_wrong_with_its_answer(tmp_path: Path) -> None:
    model = Scripted("seven", "7")
    result = router_for(tmp_path, model).run("Which?", SMALL, output=int)
    assert (result.value, len(result.trace.steps)) == (7, 2)
    assert "int" in model.calls[0][0]["content"]
    assert "not of the type" in model.calls[1][-1]["content"]
    with pytest.raises(AnswerMistyped, match="force_method"):
        router_for(tmp_path, Scripted("seven", "eight")).run("Which?", SMALL, output=int)


def test_a_result_is_frozen_plain_data(tmp_path: Path) -> None:
    result = router_for(tmp_path, Scripted("7")).run("Q?", SMALL)
    assert asdict(result)["method"] == "baseline"
    assert asdict(RouterConfig())["baseline_threshold"] == 8000


def test_what_a_provider_allows_holds_for_all_runs_together(tmp_path: Path) -> None:
    inside, most, lock = [0], [0], threading.Lock()

    def answer(_: str) -> str:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        time.sleep(0.02)
        with lock:
            inside[0] -= 1
        return "x = 1\nFINAL_VAR: x"

    limits = {"*": ProviderLimits(concurrent=1)}
    router = router_for(tmp_path, Answering(answer), rlm_extra_kwargs={"provider_limits": limits})
    with ThreadPoolExecutor(4) as threads:
        for method in ("baseline", "rlm"):
            runs = [threads.submit(router.run, "Q?", LARGE, force_method=method) for _ in range(4)]
            for run in runs:
                run.result(60)
    assert most[0] == 1
