from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, asdict, replace
from pathlib import Path
from typing import Any

import pytest

from rlm_core import Context, Policy, Trace
from rlm_core.adapters import FakeAdapter
from rlm_core.errors import ConfigError, RunCancelled
from rlm_core.events import RLMEvent
from rlm_core.rlm import RLM
from rlm_core.stimuli import Ending, RunStatus
from rlm_sandbox import Limits, Sandbox, SandboxPool
from tests.rlm_core.models import Answering, Scripted

TEXT = Context.from_text("RLMs treat long prompts as environment state and inspect them via code.")


class Listening:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.events: list[RLMEvent] = []

    def handle(self, event: RLMEvent) -> None:
        self.events.append(event)


def rlm_for(tmp_path: Path, model: Any, **options: Any) -> RLM:
    merged: dict[str, Any] = {"cache_dir": tmp_path / "cache", **options}
    return RLM(model, **merged)


def test_the_first_example_of_every_readme_works(tmp_path: Path) -> None:
    adapter = FakeAdapter(
        script=[
            "s = llm_query(f'Summarize: {peek(80)}')\nanswer = f'Summary -> {s}'",
            "FINAL_VAR: answer",
        ]
    )
    adapter.add_rule("You are a sub-LLM", "[fake] short summary")
    output, trace = rlm_for(tmp_path, adapter).run("Give a short summary.", TEXT)
    assert output == "Summary -> [fake] short summary"
    assert [step.kind for step in trace.steps] == ["root_call", "subcall", "repl_exec", "root_call"]


def test_a_result_says_how_the_run_ended(tmp_path: Path) -> None:
    result = rlm_for(tmp_path, Scripted("x = 1", "FINAL: done")).run_result("Q?", TEXT)
    with Sandbox() as sandbox:
        own = sandbox.isolation
    assert (result.answer, result.status, result.ending, result.isolation, result.steps) == (
        "done",
        RunStatus.ANSWERED,
        Ending.FINAL,
        own,
        2,
    )
    assert asdict(result)["trace"]["steps"][0]["kind"] == "root_call"
    assert replace(result, answer="other").status is RunStatus.ANSWERED
    with pytest.raises(FrozenInstanceError):
        result.answer = "x"  # ty: ignore[invalid-assignment]


def test_a_run_that_has_ended_does_not_hold_the_text(tmp_path: Path) -> None:
    text = "a" * 100_000
    gc.collect()
    gc.disable()  # what hangs together in a circle would be held until the next collection
    try:
        before = sys.getrefcount(text)
        model = Scripted("x = llm_query('a')", "FINAL_VAR: x")
        rlm = rlm_for(tmp_path, model, subcall_adapter=Answering(), recursive_subcalls=True)
        rlm.run("Q?", Context.from_text(text))
        running = rlm_for(tmp_path, Scripted("FINAL: x")).start("Q?", Context.from_text(text))
        running.wait(60)
        assert sys.getrefcount(text) == before
    finally:
        gc.enable()


def test_documents_can_be_asked_about(tmp_path: Path) -> None:
    model = Scripted(
        "answer = f'{ctx.num_documents()} {ctx.get_document(0)[:5]} {ctx.document_path(1)}'",
        "FINAL_VAR: answer",
    )
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("First document")
    (tmp_path / "docs" / "b.txt").write_text("Second document")
    context = Context.from_paths(tmp_path / "docs")
    answer, _ = rlm_for(tmp_path, model).run("Q?", context)
    assert answer == f"2 First {tmp_path / 'docs' / 'b.txt'}"


def test_one_policy_serves_many_runs(tmp_path: Path) -> None:
    policy = Policy(max_steps=2)
    for _ in range(3):
        model = Scripted("x = 1", "FINAL: done")
        assert rlm_for(tmp_path, model, policy=policy).run("Q?", TEXT)[0] == "done"
        assert policy.steps == 2


def test_what_is_left_can_be_asked_in_code(tmp_path: Path) -> None:
    model = Scripted("b = budget()\nanswer = f\"{b['steps']} {b['subcalls']}\"\nFINAL_VAR: answer")
    policy = Policy(max_steps=5, max_subcalls=9)
    assert rlm_for(tmp_path, model, policy=policy).run("Q?", TEXT)[0] == "4 9"


def test_events_tell_of_the_run_and_of_every_step(tmp_path: Path) -> None:
    listener = Listening()
    model = Scripted("x = llm_query('a')", "FINAL_VAR: x")
    options = {"event_listener": listener, "subcall_adapter": Answering()}
    result = rlm_for(tmp_path, model, **options).run_result("Q?", TEXT)
    assert [event.kind for event in listener.events] == [
        "run_started",
        "step_started",
        "step_completed",
        *["step_started"] * 2,
        *["step_completed"] * 2,
        "step_started",
        "step_completed",
        "run_finished",
    ]
    ended = [event.step for event in listener.events if event.kind == "step_completed"]
    assert ended == result.trace.steps
    first, last = listener.events[0], listener.events[-1]
    assert (first.query, first.context_metadata) == ("Q?", TEXT.metadata())
    assert (last.output, last.tokens_used) == ("A", result.usage.total_tokens)


def test_the_trace_is_written_while_the_run_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    seen: list[int] = []

    class Watching(Listening):
        def handle(self, event: RLMEvent) -> None:
            if event.kind == "step_completed":
                seen.append(len(Trace.from_json(path.read_text()).steps))

    rlm = rlm_for(
        tmp_path, Scripted("x = 1", "FINAL: done"), trace_path=path, event_listener=Watching()
    )
    _, trace = rlm.run("Q?", TEXT)
    assert seen == [1, 2, 3]
    assert Trace.from_json(path.read_text()).steps == trace.steps
    kinds = [json.loads(line)["kind"] for line in path.read_text().splitlines()]
    assert kinds == [
        "run_started",
        "session_started",
        "reply",
        "root_call",
        "repl_exec",
        "reply",
        "root_call",
        "run_finished",
    ]


def test_a_listener_that_fails_in_a_subcall_ends_the_run_even_if_the_code_catches_it(
    tmp_path: Path,
) -> None:
    class Failing(Listening):
        def handle(self, event: RLMEvent) -> None:
            if event.step is not None and event.step.kind == "subcall":
                raise LookupError("the display is gone")

    model = Scripted("try:\n    llm_query('a')\nexcept Exception:\n    pass", "FINAL: done")
    rlm = rlm_for(tmp_path, model, subcall_adapter=Answering(), event_listener=Failing())
    with pytest.raises(LookupError, match="display"):
        rlm.run("Q?", TEXT)


def test_a_cache_that_cannot_be_written_does_not_cost_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no directory")
    model = Scripted("x = llm_query('a') + llm_query('b')\nFINAL_VAR: x")
    rlm = rlm_for(tmp_path, model, subcall_adapter=Answering(), cache_dir=tmp_path / "file")
    assert rlm.run("Q?", TEXT)[0] == "AB"
    assert caplog.text.count("the cache cannot be used") == 1


def test_options_of_the_sandbox_reach_it(tmp_path: Path) -> None:
    model = Scripted("import tempfile\nprint('x' * 99)", "FINAL: done")
    rlm = rlm_for(tmp_path, model, limits=Limits(output_chars=10), imports="all")
    _, trace = rlm.run("Q?", TEXT)
    assert trace.steps[1].stdout == "x" * 10 + "...<truncated>"


def test_a_run_without_a_context_is_refused(tmp_path: Path) -> None:
    rlm = rlm_for(tmp_path, Scripted())
    with pytest.raises(ConfigError, match="needs a Context, not NoneType"):
        rlm.run("Q?")
    with pytest.raises(ConfigError, match="from_text"):
        rlm.run("Q?", "a text")  # ty: ignore[invalid-argument-type]


def test_several_runs_of_one_rlm_at_once_do_not_meet(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    model = Answering(lambda prompt: "FINAL: " + prompt.split("Query:\n")[1].split("\n")[0])
    rlm = rlm_for(tmp_path, model)
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda n: rlm.run(f"q{n}", TEXT)[0], range(8)))
    assert answers == [f"q{number}" for number in range(8)]


# --- recursion ------------------------------------------------------------------------------------


def recursive_model() -> Answering:
    """Root: asks about two halves. Below: an episode that asks once more, then answers."""

    def answer(prompt: str) -> str:
        if "Query:\nWhole?" in prompt or 'still: "Whole?"' in prompt:
            if "REPL executed: no" in prompt:
                return "parts = ask_chunks('Half?', ['ab', 'cd'], parallel=True)"
            return "FINAL_VAR: parts"
        if "Query:\nHalf?" in prompt:
            return "inner = llm_query('leaf ' + P)\nanswer = P + inner\nFINAL_VAR: answer"
        return "<" + prompt + ">"

    return Answering(answer)


def test_a_recursive_subcall_is_an_episode_in_a_session_of_its_own(tmp_path: Path) -> None:
    rlm = rlm_for(tmp_path, recursive_model(), recursive_subcalls=True)
    result = rlm.run_result("Whole?", TEXT)
    assert result.answer == "['ab<leaf ab>', 'cd<leaf cd>']"
    trace = result.trace
    subs = [step for step in trace.steps if step.kind == "recursive_subcall"]
    assert len(subs) == 2
    for sub in subs:
        below = trace.children(sub.step_id)
        assert [step.kind for step in below] == ["sub_root_call", "sub_subcall", "sub_repl_exec"]
        assert [step.depth for step in below] == [1, 2, 1]
    assert result.usage.subcalls == 4
    assert result.usage.steps == 4
    assert result.usage.total_tokens == trace.total_tokens()


def test_all_levels_share_one_budget(tmp_path: Path) -> None:
    rlm = rlm_for(
        tmp_path, recursive_model(), recursive_subcalls=True, policy=Policy(max_subcalls=2)
    )
    result = rlm.run_result("Whole?", TEXT)
    assert result.usage.subcalls == 2
    assert "[SUBCALL_LIMIT]" in result.answer


def test_an_episode_without_a_step_left_is_a_limit_and_no_guess(tmp_path: Path) -> None:
    rlm = rlm_for(tmp_path, recursive_model(), recursive_subcalls=True, policy=Policy(max_steps=2))
    result = rlm.run_result("Whole?", TEXT)
    assert "[SUBCALL_LIMIT] max_steps exceeded" in result.answer
    assert result.usage.steps == 2


def test_recursion_goes_as_deep_as_the_policy_allows(tmp_path: Path) -> None:
    def answer(prompt: str) -> str:
        if "Step: " in prompt:
            return "below = llm_query(P + '.')\nFINAL_VAR: below"
        return f"bottom{prompt.count('.')}"

    rlm = rlm_for(
        tmp_path, Answering(answer), recursive_subcalls=True, policy=Policy(max_recursion_depth=4)
    )
    result = rlm.run_result("Q?", Context.from_text("x"))
    assert result.answer == "bottom4"
    assert max(step.depth for step in result.trace.steps) == 4


def forking_model() -> Answering:
    def answer(prompt: str) -> str:
        if "Query:\nWhole?" not in prompt and 'still: "Whole?"' not in prompt:
            assert "- seen = list" in prompt
            return "seen.append(P)\nout = f'{shout(P)} {len(seen)}'\nFINAL_VAR: out"
        if "Step: 1" in prompt:
            return "seen = ['first']\ndef shout(text): return text.upper()"
        return "answer = [subcall('abc'), subcall('abc'), seen]\nFINAL_VAR: answer"

    return Answering(answer)


def test_a_recursive_subcall_may_begin_with_the_state_of_the_session_that_asks(
    tmp_path: Path,
) -> None:
    rlm = rlm_for(
        tmp_path, forking_model(), recursive_subcalls=True, recursive_subcall_state="fork"
    )
    result = rlm.run_result("Whole?", TEXT)
    assert result.answer == "['ABC 2', 'ABC 2', ['first']]"
    kinds = [step.kind for step in result.trace.steps]
    assert kinds.count("recursive_subcall") == 2
    assert not [step for step in result.trace.steps if step.cache_hit]


# --- stopping -------------------------------------------------------------------------------------


def test_an_async_run_gives_what_a_run_gives(tmp_path: Path) -> None:
    answer, trace = asyncio.run(rlm_for(tmp_path, Scripted("FINAL: done")).arun("Q?", TEXT))
    assert answer == "done"
    assert len(trace.steps) == 1


@pytest.mark.parametrize("where", ["in the root model", "in a sub-model", "in the code"])
def test_cancelling_an_async_run_stops_it_wherever_it_is(tmp_path: Path, where: str) -> None:
    started, finish = threading.Event(), threading.Event()

    def slow(_: str) -> str:
        started.set()
        finish.wait(30)
        return "late"

    def started_here() -> None:
        started.set()

    root: Any = Answering(slow)
    if where == "in a sub-model":
        root = Scripted("llm_batch(['a', 'b'])")
    if where == "in the code":
        root = Scripted("ready()\nwhile True: pass")
    rlm = rlm_for(
        tmp_path, root, subcall_adapter=Answering(slow), functions={"ready": started_here}
    )

    async def cancelled() -> None:
        task = asyncio.create_task(rlm.arun("Q?", TEXT))
        await asyncio.to_thread(started.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    finish.set()


def test_runs_for_asyncio_take_none_of_its_threads(tmp_path: Path) -> None:
    started, finish = threading.Semaphore(0), threading.Event()

    def slow(_: str) -> str:
        started.release()
        finish.wait(60)
        return "FINAL: late"

    rlm = rlm_for(tmp_path, Answering(slow))

    async def cancelled() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        runs = [asyncio.ensure_future(rlm.arun("Q?", TEXT)) for _ in range(3)]
        for _ in runs:
            await asyncio.to_thread(started.acquire, timeout=30)  # the only thread is free
        for run in runs:
            run.cancel()
        done, _ = await asyncio.wait(runs, timeout=30)
        assert all(run.cancelled() for run in done)
        assert len(done) == 3

    try:
        asyncio.run(cancelled())
    finally:
        finish.set()


def test_ctrl_c_in_a_model_stops_the_other_calls_too(tmp_path: Path) -> None:
    def interrupted(_: str) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rlm_for(tmp_path, Answering(interrupted)).run("Q?", TEXT)


def test_a_cancelled_run_is_an_error_of_its_own() -> None:
    assert not issubclass(RunCancelled, asyncio.CancelledError)


def test_runs_take_their_sandboxes_from_a_pool_and_recursion_never_waits_for_it(
    tmp_path: Path,
) -> None:
    model = Scripted(*["x = llm_query('say it')\nprint(x)", "FINAL_VAR: x"] * 2)
    sub = Scripted("FINAL: said", "FINAL: said")
    with SandboxPool(1) as pool:
        rlm = rlm_for(tmp_path, model, subcall_adapter=sub, pool=pool, recursive_subcalls=True)
        answers = [rlm.run_result(f"Q{number}?", TEXT).answer for number in range(2)]
    assert answers == ["said", "said"]
