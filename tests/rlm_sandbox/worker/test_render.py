"""Errors and values as one short line each, whatever the code's objects do."""

from __future__ import annotations

import math

import pytest

from rlm_sandbox.protocol import ERROR_CHARS, NAME_CHARS
from rlm_sandbox.worker.imports import COERCING_REGEX
from rlm_sandbox.worker.render import cell_name, cut, describe, describe_names, error_line


def error_of(code: str, step: int = 1) -> str:
    """The line for what this code raises when it is cell `step`."""
    try:
        exec(compile(code, cell_name(step), "exec"), {})
    except BaseException as error:
        return error_line(error, step)
    raise AssertionError("it raised nothing")


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("x = 1\n1 / 0", "ZeroDivisionError: division by zero (line 2)"),
        (
            "def f():\n    g()\ndef g():\n    [][1]\nf()",
            "IndexError: list index out of range (line 4)",
        ),
        ("raise ValueError", "ValueError (line 1)"),
        ("raise SystemExit(3)", "SystemExit: 3 (line 1)"),
        (
            "class E(Exception):\n    def __str__(self): return 1\nraise E",
            "E: <exception str() failed>",
        ),
        ("import json\njson.loads('{')", "json.decoder.JSONDecodeError: "),
    ],
    ids=lambda text: text[:20],
)
def test_an_error_is_named_with_the_innermost_line_of_the_cell(code: str, line: str) -> None:
    assert error_of(code).startswith(line)


def test_a_syntax_error_shows_the_line_and_the_place() -> None:
    lines = error_of("a = 1\nb = = 2").splitlines()
    assert lines == ["SyntaxError: invalid syntax (line 2)", "    b = = 2", "        ^"]


def test_a_syntax_error_far_down_advises_smaller_cells() -> None:
    assert "split the code into smaller cells" in error_of("x = 1\n" * 90 + "y = = 1")
    assert "split" not in error_of("y = = 1")


def test_a_very_long_message_is_cut() -> None:
    line = error_of(f"raise ValueError('x' * {ERROR_CHARS * 10})")
    assert "...<truncated> (line 1)" in line
    assert len(line) < ERROR_CHARS + 20


@pytest.mark.parametrize("text", ["plain", "é", "a\ud800b", "\udcff" * 5_000], ids=ascii)
def test_an_error_text_can_always_be_sent(text: str) -> None:
    assert len(cut(text).encode()) <= 6 * ERROR_CHARS


class Summarised:
    def __summary__(self) -> str:
        return "a summary"


class Failing:
    def __summary__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("abc", "str[len=3] 'abc'"),
        ("x" * 1000, "str[len=1000] '" + "x" * 56 + "..."),
        ([1, 2], "list[len=2]"),
        ({"a": 1, 2: 3, (4,): 5, "d": 6}, "dict[len=4] keys=['a', 2, <class 'tuple'>]"),
        (True, "bool(True)"),
        (1.5, "float(1.5)"),
        (10**10_000, "int(...)"),
        (None, "NoneType"),
        (Summarised(), "a summary"),
        (Summarised, "type"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_is_its_type_size_and_beginning(value: object, text: str) -> None:
    assert describe(value) == text


def test_only_the_codes_own_names_are_described() -> None:
    namespace = {"b": 1, "a": "x", "_c": 1, "math": math, "re": COERCING_REGEX, "P": "ctx", 5: 1}
    assert list(describe_names(namespace, hidden={"P": ""})) == ["a", "b"]  # ty: ignore[invalid-argument-type]


def test_a_value_that_fails_to_describe_itself_does_not_hide_the_others() -> None:
    assert describe_names({"bad": Failing(), "good": 1}, {}) == {
        "bad": "Failing (RuntimeError)",
        "good": "int(1)",
    }


def test_a_name_without_end_is_cut() -> None:
    (name,) = describe_names({"n" * 10_000: 1}, {})
    assert len(name) == NAME_CHARS
