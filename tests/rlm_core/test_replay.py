from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rlm_core.context import Context
from rlm_core.errors import TraceError
from rlm_core.replay import replay
from rlm_core.rlm import RLM
from rlm_core.stimuli import Ending
from tests.rlm_core.models import Answering, Scripted

TEXT = Context.from_documents(["first", "second"])


def record(tmp_path: Path, model: Any, **options: Any) -> Path:
    path = tmp_path / "run.jsonl"
    output = options.pop("output", None)
    rlm = RLM(model, cache_dir=tmp_path / "cache", trace_path=path, **options)
    rlm.run_result("Q?", TEXT, output=output)
    return path


def recursive() -> Answering:
    def answer(prompt: str) -> str:
        if "Query:\nHalf?" in prompt:
            return "answer = P + llm_query('leaf ' + P)\nFINAL_VAR: answer"
        if "leaf" in prompt and "Step:" not in prompt:
            return f"<{prompt}>"
        return "parts = ask_chunks('Half?', ['ab', 'cd', 'ef'], parallel=True)\nFINAL_VAR: parts"

    return Answering(answer)


def test_a_run_with_batches_and_recursion_comes_out_the_same(tmp_path: Path) -> None:
    path = record(tmp_path, recursive(), recursive_subcalls=True)
    again = replay(path, TEXT)
    assert again.differences == ()
    assert again.complete
    assert again.result is not None
    assert again.result.answer == "['ab<leaf ab>', 'cd<leaf cd>', 'ef<leaf ef>']"
    assert again.result.usage.subcalls == 6


def test_chance_is_the_same_again(tmp_path: Path) -> None:
    model = Scripted(
        "import random\nprint(random.random(), random.sample(range(99), 5))", "FINAL: x"
    )
    assert replay(record(tmp_path, model), TEXT).differences == ()


def test_what_does_not_repeat_is_named(tmp_path: Path) -> None:
    model = Scripted("import time\nprint(time.time_ns())", "FINAL: x")
    again = replay(record(tmp_path, model), TEXT)
    places = {each.where for each in again.differences}
    assert places == {"messages of call 2 of root", "output of cell 1"}
    assert again.result is not None


def test_errors_and_restored_sessions_are_the_same_again(tmp_path: Path) -> None:
    model = Scripted("x = 1\n1 / 0", "import sys\nsys.exit(3)", "print(x)", "FINAL_VAR: x")
    again = replay(record(tmp_path, model), TEXT)
    assert again.differences == ()
    assert again.result is not None
    assert again.result.answer == "1"


def test_a_typed_answer_is_typed_again_if_the_type_is_given(tmp_path: Path) -> None:
    model = Scripted("FINAL: many", "FINAL: 42")
    path = record(tmp_path, model, output=int)
    again = replay(path, TEXT, output=int)
    assert again.differences == ()
    assert again.result is not None
    assert again.result.value == 42
    with pytest.raises(TraceError, match="had the type int"):
        replay(path, TEXT)


def test_a_limit_that_was_reached_is_reached_again(tmp_path: Path) -> None:
    from rlm_core.policy import Policy

    model = Scripted(
        "x = llm_batch(['a', 'b', 'c'])\nprint(sum('LIMIT' in t for t in x))", "So be it."
    )
    path = record(
        tmp_path, model, subcall_adapter=Answering(), policy=Policy(max_steps=1, max_subcalls=2)
    )
    again = replay(path, TEXT)
    assert again.result is not None
    assert (again.result.ending, again.result.answer) == (Ending.MAX_STEPS, "So be it.")


def test_a_run_that_was_cut_off_is_replayed_as_far_as_it_goes(tmp_path: Path) -> None:
    path = record(tmp_path, Scripted("x = 1\nprint(x)", "y = 2", "FINAL: x"))
    kept = [line for line in path.read_text().splitlines() if "root#3" not in line]
    cut = next(n for n, line in enumerate(kept) if json.loads(line).get("code") == "y = 2")
    path.write_text("\n".join(kept[: cut + 1]) + "\n")
    again = replay(path, TEXT)
    assert (again.result, again.complete, again.differences) == (None, False, ())


def test_a_changed_reply_leads_another_way_and_that_is_said(tmp_path: Path) -> None:
    path = record(
        tmp_path, Scripted("x = llm_query('a')\nFINAL_VAR: x"), subcall_adapter=Answering()
    )
    path.write_text(re.sub(r"llm_query\('a'\)", "llm_query('b')", path.read_text()))
    again = replay(path, TEXT)
    assert any(each.recorded == "not asked" for each in again.differences)
    assert replay(record(tmp_path, Scripted("FINAL: y")), TEXT).differences == ()


def test_another_text_is_refused(tmp_path: Path) -> None:
    path = record(tmp_path, Scripted("FINAL: y"))
    with pytest.raises(TraceError, match="not the one of the trace"):
        replay(path, Context.from_text("other"))


def test_another_isolation_is_a_difference(tmp_path: Path) -> None:
    path = record(tmp_path, Scripted("FINAL: y"))
    path.write_text(re.sub(r'("isolation":)"(full|standard)"', r'\1"other"', path.read_text()))
    assert [each.where for each in replay(path, TEXT).differences] == ["isolation"]


def test_functions_of_the_caller_and_named_models_are_not_needed_again(tmp_path: Path) -> None:
    calls: list[str] = []

    def search(text: str) -> list[str]:
        calls.append(text)
        return [text, str(len(calls))]

    def make(**_: object) -> dict[str, object]:
        return {"further": lambda: {"n": len(calls)}}

    code = "print(search('a'), search('a'), further(), llm_query('x', model='fast'))"
    path = record(
        tmp_path, Scripted(code, "FINAL: done"), functions={"search": search},
        repl_extensions=make, subcall_adapter=Answering(), sub_models={"fast": Answering()},
    )  # fmt: skip
    again = replay(path, TEXT)
    assert again.differences == ()
    assert calls == ["a", "a"]
