from __future__ import annotations

import ast

import pytest

from rlm_core.dialects import python


@pytest.mark.parametrize(
    ("source", "acts"),
    [
        ("x = 1", True),
        ("print(1)", True),
        ("P[3]", True),
        ("[f(x) for x in y]", True),
        ("for a in b: pass", True),
        ("Paris", False),
        ("'a string'", False),
        ("pass", False),
        ("# only a comment", False),
        ("Answer: Paris", False),
        ("Total: x = 3", False),
        ("n: int = 3", True),
        ("not python at all", False),
    ],
)
def test_words_that_happen_to_parse_do_nothing(source: str, acts: bool) -> None:
    assert python.does_something(source) is acts


def test_a_repair_is_only_made_where_it_helps() -> None:
    assert python.repaired("print(\u201ca\u201d)") == 'print("a")'
    assert python.repaired('x = "\u201ca\u201d"') == 'x = "\u201ca\u201d"'
    assert python.repaired("x = (\u201c") == "x = (\u201c"
    assert python.repaired("    x = 1\n    y = 2") == "x = 1\ny = 2"


def test_a_transcript_keeps_statements_and_loses_output() -> None:
    assert python.untranscribed(">>> x\n5\n>>> y") == "x\ny"
    assert python.untranscribed("x = 1\n... no prompt") == "x = 1\n... no prompt"


def test_invalid_escapes_in_model_code_raise_no_warning_here() -> None:
    assert python.tree_of('x = "\\d"') is not None


def test_a_passage_of_code_is_found_in_prose() -> None:
    assert python.passage("Well.\n\nx = 1\nprint(x)\n\nThat is it.") == "x = 1\nprint(x)"
    assert python.passage("Nothing to see here.") is None


def test_a_parse_that_another_thread_has_disturbed_is_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disturbed = ["once", "twice"]
    parse = ast.parse

    def parse_at_once(source: str, name: str) -> ast.Module:
        if disturbed:
            raise SystemError(f"AST constructor recursion depth mismatch: {disturbed.pop()}")
        return parse(source, name)

    monkeypatch.setattr("rlm_core.dialects.python.ast.parse", parse_at_once)
    assert python.tree_of("disturbed = 'at first'") is not None
