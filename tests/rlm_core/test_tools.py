from __future__ import annotations

import asyncio
import threading
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rlm_core.context import Context
from rlm_core.errors import ConfigError, ToolArguments
from rlm_core.rlm import RLM
from rlm_core.tools import Tool, ToolLimits, prompt_of, tool, tools_of
from tests.rlm_core.models import Scripted

TEXT = Context.from_text("text")


class Row(msgspec.Struct):
    name: str
    age: int


@tool(max_calls=2, seconds=30)
def rate(currency: str, on: date | None = None, *more: int, exact: bool = False) -> float:
    """Euros for one unit.

    Of the day before, if it is closed.
    """
    del on, more, exact
    return 2.0 * len(currency)


def test_a_tool_is_shown_with_its_signature_and_what_it_says() -> None:
    (shown,) = tools_of([rate])
    assert shown.shown() == (
        "def rate(currency: str, on: datetime.date | None = None, *more: int, "
        "exact: bool = False) -> float:\n"
        "    Euros for one unit.\n\n"
        "    Of the day before, if it is closed."
    )
    assert shown.limits == ToolLimits(max_calls=2, seconds=30)
    assert shown.shown() in prompt_of([shown])
    assert prompt_of([]) == ""


def test_arguments_become_what_the_annotations_say() -> None:
    bound = Tool.of(rate).bound(("USD", "2024-05-01", "3"), {"exact": "true"})
    assert bound.args == ("USD", date(2024, 5, 1), 3)
    assert bound.kwargs == {"exact": True}


@pytest.mark.parametrize(
    ("args", "kwargs", "told"),
    [
        ((), {}, "missing a required argument: 'currency'"),
        (("USD",), {"day": 1}, "unexpected keyword argument 'day'"),
        ((5,), {}, "argument 'currency': Expected `str`, got `int`"),
        (("USD", "soon"), {}, "argument 'on'"),
        (("USD", None, "x"), {}, "argument 'more'"),
    ],
)
def test_arguments_that_do_not_fit_are_told_by_name(
    args: tuple[object, ...], kwargs: dict[str, object], told: str
) -> None:
    with pytest.raises(ToolArguments, match=told):
        Tool.of(rate).bound(args, kwargs)


def test_tools_are_given_by_name_or_as_functions_and_names_are_unique() -> None:
    assert [each.name for each in tools_of({"fx": rate})] == ["fx"]
    with pytest.raises(ConfigError, match="two tools are called rate"):
        tools_of([rate, rate])
    with pytest.raises(ConfigError, match="plain name"):
        tools_of([lambda: None])
    with pytest.raises(ConfigError, match="above 0"):
        ToolLimits(max_calls=0)


@pytest.mark.parametrize("name", ["llm_query", "P", "ctx", "search"])
def test_a_name_that_is_taken_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is the name of something else"):
        RLM(Scripted(), cache_dir=tmp_path, tools={name: rate}, functions={"search": print})


def test_results_become_plain_data_or_are_refused_by_name() -> None:
    assert Tool.unknown("f").plain({1, 2}) == {1, 2}
    assert Tool.unknown("f").plain([Row("a", 1)]) == [{"name": "a", "age": 1}]
    with pytest.raises(TypeError, match="f returned"):
        Tool.unknown("f").plain(object())


# --- in runs --------------------------------------------------------------------------------------


def seen(tmp_path: Path, code: str, *tools: Any, **options: Any) -> str:
    """What a cell prints in a run with these tools."""
    model = Scripted(code, "FINAL: done")
    result = RLM(model, cache_dir=tmp_path, tools=tools, **options).run_result("Q?", TEXT)
    (cell,) = [step for step in result.trace.steps if step.kind == "repl_exec"]
    return f"{cell.stdout}{cell.error or ''}"


def test_code_calls_tools_and_gets_plain_data(tmp_path: Path) -> None:
    async def person(name: str) -> Row:
        await asyncio.sleep(0)
        return Row(name, 3)

    assert seen(tmp_path, "print(rate('USD'), person('Ann'))", rate, person) == (
        "6.0 {'name': 'Ann', 'age': 3}\n"
    )


def test_tools_are_described_in_the_system_prompt(tmp_path: Path) -> None:
    model = Scripted("FINAL: done")
    RLM(model, cache_dir=tmp_path, tools={"fx": rate}).run("Q?", TEXT)
    assert "def fx(currency: str" in model.calls[0][0]["content"]


def test_errors_arrive_in_the_code_with_a_clear_text(tmp_path: Path) -> None:
    def fails() -> None:
        raise KeyError("no such thing")

    code = "try:\n    fails()\nexcept KeyError as error:\n    print(error)\nrate(1)"
    shown = seen(tmp_path, code, fails, rate)
    assert "no such thing" in shown
    assert "ToolArguments: rate: argument 'currency': Expected `str`, got `int` (line 5)" in shown


def test_a_tool_is_called_as_often_as_it_may_in_the_whole_run(tmp_path: Path) -> None:
    shown = seen(tmp_path, "for n in range(3):\n    print(rate('x'))", rate)
    assert shown.startswith("2.0\n2.0\n")
    assert "ToolLimit: rate may be called 2 times in a run, and was" in shown


def test_a_slow_tool_is_left_to_itself_and_the_code_goes_on(tmp_path: Path) -> None:
    finish = threading.Event()

    @tool(seconds=0.1)
    def slow() -> None:
        finish.wait(30)

    ended: list[str] = []

    @tool(seconds=0.1)
    async def slow_async() -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    code = (
        "for f in (slow, slow_async):\n    try:\n        f()\n    except Exception as e:\n"
        "        print(type(e).__name__, e)"
    )
    shown = seen(tmp_path, code, slow, slow_async)
    finish.set()
    assert shown.count("ToolTimeout") == 2
    assert "0.1 seconds" in shown
    for _ in range(300):
        if ended:
            break
        threading.Event().wait(0.01)
    assert ended == ["cancelled"]


def test_no_more_calls_at_once_than_allowed(tmp_path: Path) -> None:
    lock, running, most = threading.Lock(), [0], [0]
    meeting = threading.Barrier(2)

    @tool(concurrent=2)
    def busy() -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        meeting.wait(30)
        with lock:
            running[0] -= 1

    code = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(6) as pool:\n    list(pool.map(lambda n: busy(), range(6)))"
    )
    assert seen(tmp_path, code, busy, imports="all") == ""
    assert most[0] == 2


def test_every_call_is_in_the_trace(tmp_path: Path) -> None:
    model = Scripted("rate('USD')\ntry: rate()\nexcept Exception: pass", "FINAL: done")
    result = RLM(model, cache_dir=tmp_path, tools=[rate]).run_result("Q?", TEXT)
    calls = [step for step in result.trace.steps if step.kind == "tool"]
    assert [(step.tool, step.prompt_summary, step.output) for step in calls] == [
        ("rate", "rate('USD')", "6.0"),
        ("rate", "rate()", None),
    ]
    assert "ToolArguments" in (calls[1].error or "")


def test_tools_are_there_in_recursive_episodes_too(tmp_path: Path) -> None:
    from tests.rlm_core.models import Answering

    def answer(prompt: str) -> str:
        if "P holds" in prompt:
            return "x = rate(P)\nFINAL_VAR: x"
        return "x = llm_query('abc')\nFINAL_VAR: x"

    rlm = RLM(Answering(answer), cache_dir=tmp_path, tools=[rate], recursive_subcalls=True)
    assert rlm.run("Q?", TEXT)[0] == "6.0"
