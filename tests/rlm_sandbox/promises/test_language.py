"""The code is full CPython: it persists, echoes, and says what is wrong in one line."""

from __future__ import annotations

import pytest

from rlm_sandbox import (
    NameNotFound,
    Outcome,
    Sandbox,
    State,
)
from tests.rlm_sandbox.promises.running import printed

PROGRAMS = {
    "a class": ("class A:\n    def f(self): return 7\nprint(A().f())", "7"),
    "inheritance and super": (
        (
            "class A:\n    def f(self): return 1\n"
            "class B(A):\n    def f(self): return super().f() + 1\nprint(B().f())"
        ),
        "2",
    ),
    "a dataclass": (
        "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int = 3\nprint(P())",
        "P(x=3)",
    ),
    "a generator": ("def g():\n    yield from range(3)\nprint(list(g()))", "[0, 1, 2]"),
    "a lambda": ("print((lambda x: x * 2)(4))", "8"),
    "comprehensions": (
        "n = 2\nprint([x * n for x in range(3)], {x for x in 'a'})",
        "[0, 2, 4] {'a'}",
    ),
    "a closure over a cell's names": ("k = 3\ndef f(): return k\nprint(f())", "3"),
    "a decorator": ("def d(f): return lambda: f() + 1\n@d\ndef f(): return 1\nprint(f())", "2"),
    "match": ("match [1, 2]:\n    case [a, b]: print(a + b)", "3"),
    "exceptions": ("try: {}['x']\nexcept KeyError as e: print(type(e).__name__)", "KeyError"),
    "an exception group": (
        (
            "try: raise ExceptionGroup('g', [ValueError(1)])\n"
            "except* ValueError as g: print(len(g.exceptions))"
        ),
        "1",
    ),
    "asyncio": (
        (
            "import asyncio\nasync def f():\n    await asyncio.sleep(0)\n    return 5\n"
            "async def main(): return await asyncio.gather(f(), f())\nprint(asyncio.run(main()))"
        ),
        "[5, 5]",
    ),
    "threads": (
        (
            "import threading\nfound = []\nt = threading.Thread(target=lambda: found.append(1))\n"
            "t.start(); t.join()\nprint(found)"
        ),
        "[1]",
    ),
    "a thread pool": (
        (
            "from concurrent.futures import ThreadPoolExecutor\n"
            "with ThreadPoolExecutor(4) as pool: print(sum(pool.map(abs, range(-3, 0))))"
        ),
        "6",
    ),
    "builtins that the seed lacked": (
        "print(frozenset([1]), bytes(2), isinstance(TypeError(), Exception))",
        "frozenset({1}) b'\\x00\\x00' True",
    ),
    "setattr and hash": ("class A: pass\na = A()\nsetattr(a, 'x', 1)\nprint(a.x, hash(1))", "1 1"),
    "the walrus and f-strings": ("if (n := 5) > 3: print(f'{n:03d}')", "005"),
    "a big number": ("print(2 ** 100)", str(2**100)),
    "print to stderr": ("import sys\nprint('x', file=sys.stderr)", "x"),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_is_full_cpython(free_box: Sandbox, name: str) -> None:
    code, expected = PROGRAMS[name]
    assert printed(free_box, code) == expected + "\n"


def test_variables_functions_and_imports_persist(box: Sandbox) -> None:
    printed(box, "import math\ndef half(x): return x / 2\nx = 10")
    assert printed(box, "print(half(x), math.floor(2.5))") == "5.0 2\n"


def test_an_exception_keeps_what_ran_before_it(box: Sandbox) -> None:
    result = box.exec("x = 1\ny = 2\nraise ValueError('stop')\nz = 3")
    assert result.error == "ValueError: stop (line 3)"
    assert (result.outcome, result.state) == (Outcome.ERROR, State.KEPT)
    assert (box.get("x"), box.get("y")) == (1, 2)
    with pytest.raises(NameNotFound, match="'z'"):
        box.get("z")


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero (line 1)"),
        (
            "def f():\n    return g()\ndef g():\n    x\nf()",
            "NameError: name 'x' is not defined (line 4)",
        ),
        ("x = 1\nx = = 2", "SyntaxError: invalid syntax (line 2)"),
        ("assert False, 'no'", "AssertionError: no (line 1)"),
        ("raise KeyError('k')", "KeyError: 'k' (line 1)"),
        ("class Mine(Exception): pass\nraise Mine('x')", "Mine: x (line 2)"),
        ("raise ValueError('\\ud800')", "ValueError: \\ud800 (line 1)"),
        ("x = '\0'", "cannot contain null bytes"),  # a ValueError until 3.11.3
        ("-" * 100_000 + "1", "RecursionError: the code is nested too deeply to be compiled"),
        ("x = [\n" + "-" * 100_000 + "1]", "RecursionError: the code is nested too deeply"),
        ("(" * 1000, "SyntaxError: too many nested parentheses (line 1)"),
    ],
    ids=lambda text: text[:30],
)
def test_what_is_wrong_with_the_code_is_one_line_in_the_result(
    box: Sandbox, code: str, error: str
) -> None:
    result = box.exec(code)
    assert result.error is not None
    assert error in result.error
    assert printed(box, "print('alive')") == "alive\n"


def test_the_line_of_an_error_in_an_earlier_cells_function_names_that_cell(box: Sandbox) -> None:
    box.exec("def f():\n    return 1 / 0")
    assert box.exec("f()").error == "ZeroDivisionError: division by zero (line 2 of cell 1)"


@pytest.mark.parametrize(
    ("code", "echo"),
    [
        ("1 + 1", "2\n"),
        ("x = 1\nx + 1", "2\n"),
        ("x = 1; x + 2", "3\n"),
        ("'text'", "'text'\n"),
        ("None", ""),
        ("x = 5", ""),
        ("print('a')", "a\n"),
        ("1\n2", "2\n"),
        ("", ""),
        ("# only a comment", ""),
        ("7  # with a comment", "7\n"),
    ],
    ids=repr,
)
def test_an_expression_at_the_end_of_a_cell_is_echoed_as_in_a_repl(
    free_box: Sandbox, code: str, echo: str
) -> None:
    assert printed(free_box, code) == echo


def test_the_last_echo_is_in_the_underscore(box: Sandbox) -> None:
    box.exec("6 * 7")
    assert box.get("_") == 42


def test_code_with_a_lone_surrogate_in_a_literal_runs(box: Sandbox) -> None:
    assert printed(box, "x = 'a\ud800'\nprint(len(x), ascii(x))") == "2 'a\\ud800'\n"
    assert box.get("x") == "a\ud800"
