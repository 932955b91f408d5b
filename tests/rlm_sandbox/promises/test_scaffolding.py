"""Loaded texts and installed tools are given back after every cell and to every worker."""

from __future__ import annotations

import pytest

from rlm_sandbox import (
    Limits,
    Outcome,
    Sandbox,
    SessionLost,
    State,
)
from tests.rlm_sandbox.promises.running import printed


@pytest.mark.parametrize(
    "text", ["", "plain", "é€\U0001f40d", "lone \udcff", "line\r\n\x00"], ids=ascii
)
@pytest.mark.parametrize("times", [1, 20_000])
def test_a_loaded_text_is_a_real_str_with_every_character(
    free_box: Sandbox, text: str, times: int
) -> None:
    free_box.load("text_" + "n" * 190, text * times)
    free_box.exec("same = text_" + "n" * 190)
    assert free_box.get("same") == text * times


def test_a_text_larger_than_any_message_can_be_loaded() -> None:
    with Sandbox(limits=Limits(value_bytes="1KiB", memory="64MiB")) as box:
        box.load("P", "abcdefghij" * 5_000_000)
        assert printed(box, "print(len(P), P[-3:])") == "50000000 hij\n"


def test_a_cell_that_rebinds_protected_names_gets_them_back_at_its_end() -> None:
    with Sandbox(functions={"ask": lambda: "asked"}) as box:
        box.load("P", "the context")
        box.install("__all__ = ['tool']\ndef tool(): return len(P)")
        assert printed(box, "P = 'x'; ask = tool = None; print(P)") == "x\n"
        box.exec("del P, ask, tool\n1 / 0")
        assert printed(box, "print(P, ask(), tool())") == "the context asked 11\n"


def test_installed_source_sees_host_functions_texts_and_values_but_shows_its_all_only() -> None:
    with Sandbox(functions={"ask": lambda text: text.upper()}) as box:
        box.load("P", "ctx")
        box.install(
            "import os\n__all__ = ['tool']\nsecret = 1\n"
            "def tool(): return ask(P) + suffix + type(os).__name__",
            {"suffix": "!"},
        )
        assert printed(box, "print(tool())") == "CTX!module\n"
        assert box.exec("secret").error == "NameError: name 'secret' is not defined (line 1)"
        assert box.describe() == {}


def test_installed_source_that_fails_says_why(box: Sandbox) -> None:
    with pytest.raises(SessionLost, match="ZeroDivisionError"):
        box.install("1 / 0")


def test_a_worker_that_replaces_a_lost_one_has_the_latest_texts_and_tools() -> None:
    with Sandbox(imports="all", limits=Limits(checkpoints=0)) as box:
        box.load("P", "first")
        box.load("P", "second")
        box.install("__all__ = ['tool']\ndef tool(): return P")
        box.exec("x = 1")
        lost = box.exec("import os\nos._exit(3)")
        assert (lost.outcome, lost.state) == (Outcome.EXITED, State.LOST)
        assert "All variables are lost" in str(lost.error)
        assert printed(box, "print(P, tool(), 'x' in globals())") == "second second False\n"


def test_a_first_step_that_is_lost_loses_nothing(free_box: Sandbox) -> None:
    free_box.load("P", "text")
    free_box.set("x", 1)
    lost = free_box.exec("x = 2\nimport os\nos._exit(3)")
    assert (lost.outcome, lost.state) == (Outcome.EXITED, State.RESTORED)
    assert printed(free_box, "print(P, x)") == "text 1\n"
