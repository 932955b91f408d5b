"""The seed's REPL: small, forgiving, and now in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rlm_sandbox import Outcome, PythonREPL, SandboxClosed


@pytest.fixture
def repl() -> Iterator[PythonREPL]:
    with PythonREPL() as opened:
        yield opened


def test_it_runs_a_cell_and_remembers(repl: PythonREPL) -> None:
    assert repl.exec("x = 20\nx + 1").stdout == "21\n"
    assert repl.get("x") == 20


def test_a_missing_name_is_none(repl: PythonREPL) -> None:
    assert repl.get("nothing") is None


def test_a_cell_of_white_space_does_nothing(repl: PythonREPL) -> None:
    assert repl.exec(" \n\t").outcome is Outcome.OK


def test_what_is_set_is_there(repl: PythonREPL) -> None:
    repl.set("data", {"a": (1, 2)})
    assert repl.exec("print(data['a'])").stdout == "(1, 2)\n"


def test_its_output_limit_is_in_characters() -> None:
    with PythonREPL(stdout_limit=5) as repl:
        assert repl.exec("print('é' * 20)").stdout == "é" * 5 + "...<truncated>"


@pytest.mark.parametrize("modules", [["json"], {"json": None}, ("json",)], ids=repr)
def test_allowed_modules_may_be_names_or_the_seeds_mapping(modules: list[str]) -> None:
    with PythonREPL(allowed_modules=modules) as repl:
        assert repl.exec("import json\njson.dumps([])").stdout == "'[]'\n"
        assert "You may import: json" in str(repl.exec("import statistics").error)


def test_its_state_is_described_without_modules(repl: PythonREPL) -> None:
    assert repl.describe_state() == "No user variables available."
    assert repl.show_vars().startswith("No variables created yet.")
    repl.exec("import math\ntext = 'abc'\nn = 3\ndef f(): pass")
    assert repl.snapshot_state() == {"f": "function", "n": "int(3)", "text": "str[len=3] 'abc'"}
    assert repl.describe_state(max_items=2) == (
        "REPL state:\nf = function\nn = int(3)\n... and 1 more variable(s)"
    )
    assert repl.show_vars() == "Available variables: f (function), n (int), text (str)"


def test_it_is_closed_by_its_context() -> None:
    with PythonREPL() as repl:
        repl.exec("x = 1")
    with pytest.raises(SandboxClosed):
        repl.exec("x")
