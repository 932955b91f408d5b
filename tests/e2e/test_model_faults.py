"""What models do wrong, in whole runs: real sandboxes, scripted models, nothing in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rlm_core import RLM, Context, Limits, Policy, RunResult, RunStatus
from tests.rlm_core.models import Answering, Scripted

TEXT = Context.from_text("".join(f"line {number}: value {number * 7}\n" for number in range(2_000)))
LIMITS = Limits(memory="256MiB")
QUICK = Limits(step_seconds=0.5, memory="256MiB")  # where the time is what ends the step


def run(tmp_path: Path, model: Any, **options: Any) -> RunResult[str]:
    merged: dict[str, Any] = {"cache_dir": tmp_path / "cache", "limits": LIMITS, **options}
    return RLM(model, **merged).run_result("Q?", TEXT)


def told(model: Scripted, step: int) -> str:
    """What the model was told before its `step`-th reply, counted from 1."""
    return model.calls[step - 1][-1]["content"]


def test_an_endless_loop_is_stopped_and_the_model_goes_on(tmp_path: Path) -> None:
    model = Scripted("while True: pass", "FINAL: went on")
    result = run(tmp_path, model, limits=QUICK)
    assert result.answer == "went on"
    assert "Timeout" in told(model, 2)
    assert result.trace.steps[1].outcome == "timeout"


def test_a_loop_that_catches_everything_is_stopped_too(tmp_path: Path) -> None:
    code = "while True:\n    try:\n        while True: pass\n    except BaseException: pass"
    model = Scripted(code, "print(len(P))", "FINAL: went on")
    result = run(tmp_path, model, limits=QUICK)
    assert result.answer == "went on"
    assert result.trace.steps[1].outcome == "timeout"
    assert str(TEXT.len_chars()) in told(model, 3)


def test_code_that_leaves_the_interpreter_does_not_end_the_run(tmp_path: Path) -> None:
    model = Scripted("import os\nos._exit(7)", "print(lenP())", "FINAL: went on")
    result = run(tmp_path, model, imports="all")
    assert result.answer == "went on"
    assert result.trace.steps[1].outcome == "exited"
    assert str(TEXT.len_chars()) in told(model, 3)


def test_code_that_takes_all_memory_is_told_so(tmp_path: Path) -> None:
    model = Scripted("x = bytearray(4 * 2**30)\nx[::4096] = x[::4096]", "FINAL: went on")
    result = run(tmp_path, model)
    assert result.answer == "went on"
    assert "emory" in told(model, 2)


def test_waiting_for_a_model_is_not_the_codes_fault(tmp_path: Path) -> None:
    import threading

    pause = threading.Event()
    slow = Answering(lambda prompt: str(pause.wait(2.2)) + prompt)
    model = Scripted("x = llm_query('a')\nFINAL_VAR: x")
    limits = Limits(step_seconds=2)
    result = run(tmp_path, model, subcall_adapter=slow, limits=limits)
    assert result.answer == "Falsea"


def test_printing_the_context_gives_advice(tmp_path: Path) -> None:
    model = Scripted("print(P)", "FINAL: ok")
    run(tmp_path, model)
    assert "You printed the context itself" in told(model, 2)


def test_context_and_helpers_survive_being_overwritten(tmp_path: Path) -> None:
    model = Scripted(
        "P = 'x'; llm_query = None; ctx = None; FINAL = print",
        "answer = llm_query(P[:6] + str(ctx.num_documents()))\nFINAL_VAR: answer",
    )
    assert run(tmp_path, model, subcall_adapter=Answering()).answer == "LINE 01"


def test_a_subcall_for_every_line_is_held_to_the_budget(tmp_path: Path) -> None:
    model = Scripted(
        "answers = llm_batch([f'about {line}' for line in P.splitlines()])\n"
        "limited = sum(a.startswith('[SUBCALL_LIMIT]') for a in answers)\n"
        "answer = f'{len(answers)} {limited} {sum(isinstance(a, PromptError) for a in answers)}'",
        "FINAL_VAR: answer",
    )
    result = run(tmp_path, model, subcall_adapter=Answering(), policy=Policy(max_subcalls=50))
    assert result.answer == "2000 1950 1950"
    assert result.usage.subcalls == 50


def test_a_batch_of_forty_megabytes_gets_its_answers(tmp_path: Path) -> None:
    model = Scripted(
        "a = llm_batch([str(n) + 'x' * 1_000_000 for n in range(40)])\n"
        "answer = ','.join(x[:2] for x in a)",
        "FINAL_VAR: answer",
    )
    sub = Answering(lambda prompt: prompt[:5])
    policy = Policy(max_total_tokens=None)
    answer = run(tmp_path, model, subcall_adapter=sub, policy=policy).answer
    assert answer.split(",") == [f"{number}x"[:2] for number in range(40)]


def test_half_a_batch_that_fails_does_not_lose_the_other_half(tmp_path: Path) -> None:
    def answer(prompt: str) -> str:
        if int(prompt) % 2:
            raise ConnectionError("dropped")
        return prompt

    model = Scripted(
        "a = llm_batch([str(n) for n in range(6)])\n"
        "answer = ','.join(x for x in a if not isinstance(x, PromptError))\n"
        "kinds = {x.kind for x in a if isinstance(x, PromptError)}\n"
        "answer += str(kinds)",
        "FINAL_VAR: answer",
    )
    result = run(tmp_path, model, subcall_adapter=Answering(answer))
    assert result.answer == "0,2,4{'ConnectionError'}"


def test_a_failed_subcall_is_an_error_in_the_code_with_its_name(tmp_path: Path) -> None:
    def answer(_: str) -> str:
        raise ConnectionError("dropped")

    model = Scripted("x = llm_query('a')", "FINAL: seen")
    assert run(tmp_path, model, subcall_adapter=Answering(answer)).answer == "seen"
    assert "ConnectionError: dropped" in told(model, 2)


def test_too_deep_a_subcall_is_an_error_in_the_code(tmp_path: Path) -> None:
    model = Scripted("x = llm_query('a', depth=2)", "FINAL: seen")
    run(tmp_path, model, subcall_adapter=Answering())
    assert "MaxRecursionExceeded" in told(model, 2)


def test_a_final_in_a_string_does_not_end_the_run(tmp_path: Path) -> None:
    model = Scripted("print('''\nFINAL: no\n''')", "FINAL: yes")
    assert run(tmp_path, model).answer == "yes"


def test_the_same_thing_again_and_again_comes_to_an_end(tmp_path: Path) -> None:
    model = Scripted(*["print(1)"] * 40)
    result = run(tmp_path, model)
    assert (result.answer, result.status) == ("1", RunStatus.LIMITED)
    assert len(model.calls) == 5


def test_an_answer_of_a_hundred_thousand_pairs_comes_through(tmp_path: Path) -> None:
    model = Scripted("pairs = [(n, n + 1) for n in range(100_000)]", "FINAL_VAR: pairs")
    answer = run(tmp_path, model).answer
    assert answer.startswith("[(0, 1), (1, 2)")
    assert answer.endswith("(99999, 100000)]")
