from __future__ import annotations

from pathlib import Path

import pytest

from rlm_core.context import Context
from rlm_core.errors import ConfigError
from rlm_core.events import RLMEvent
from rlm_core.extensions import Extensions, ReplView
from rlm_core.rlm import RLM
from tests.rlm_core.models import Answering, Scripted


def nothing(*_: object) -> None:
    """Log nothing."""


def test_functions_and_values_are_told_apart() -> None:
    def make(**given: object) -> dict[str, object]:
        assert given["retriever"] is None
        return {"search": str.upper, "year": 1999}

    extras = Extensions({"own": str.lower}, make, None, nothing).for_session()
    assert set(extras.functions) == {"own", "search"}
    assert extras.values == {"year": 1999}


def test_the_session_cannot_be_used_before_it_is_open() -> None:
    with pytest.raises(ConfigError, match="not open yet"):
        ReplView().set("x", 1)


def test_an_extension_that_adds_nothing_may_return_nothing() -> None:
    extras = Extensions({}, lambda **_: None, None, nothing).for_session()
    assert (extras.functions, extras.values) == ({}, {})


def test_an_extensions_function_asks_sub_models_and_sees_the_context(tmp_path: Path) -> None:
    def make(*, repl: ReplView, **_: object) -> dict[str, object]:
        def ask_about(topic: str) -> str:
            query, text = repl.get("llm_query"), repl.get("P")
            assert callable(query)
            return f"{query(topic)} {text} {repl.get('ctx').num_documents()}"  # ty: ignore[missing-attribute]

        return {"ask_about": ask_about}

    model = Scripted("answer = ask_about('tea')\nFINAL_VAR: answer")
    rlm = RLM(model, subcall_adapter=Answering(), cache_dir=tmp_path, repl_extensions=make)
    result = rlm.run_result("Q?", Context.from_text("text"))
    assert (result.answer, result.usage.subcalls) == ("TEA text 1", 1)


def test_variables_are_seen_between_cells(tmp_path: Path) -> None:
    views: list[ReplView] = []
    seen: list[object] = []

    class Watching:
        def handle(self, event: RLMEvent) -> None:
            ended = event.step if event.kind == "step_completed" else None
            if ended is not None and ended.kind == "repl_exec":
                seen.extend([views[0].get("x"), views[0].get("nowhere")])

    def make(*, repl: ReplView, **_: object) -> None:
        views.append(repl)

    rlm = RLM(
        Scripted("x = 7", "FINAL: done"),
        cache_dir=tmp_path, repl_extensions=make, event_listener=Watching(),
    )  # fmt: skip
    rlm.run("Q?", Context.from_text("x"))
    assert seen == [7, None]


def test_code_uses_what_the_caller_added(tmp_path: Path) -> None:
    views: list[ReplView] = []

    def make(*, rlm: object, repl: ReplView, retriever: object, log_diag: object):
        views.append(repl)
        return {"lookup": lambda key: {"ada": 1815}[key], "suffix": "!", "peek_x": lambda: 3}

    model = Scripted("x = lookup('ada')\nanswer = f'{x}{suffix}{double(2)}'\nFINAL_VAR: answer")
    rlm = RLM(
        model, cache_dir=tmp_path, repl_extensions=make, functions={"double": lambda n: 2 * n},
    )  # fmt: skip
    assert rlm.run("Q?", Context.from_text("x"))[0] == "1815!4"
    assert len(views) == 1
