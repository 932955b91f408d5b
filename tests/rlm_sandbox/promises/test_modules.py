"""What may be imported, and what the code is told when it may not."""

from __future__ import annotations

import pytest

from rlm_sandbox import (
    Sandbox,
)
from tests.rlm_sandbox.promises.running import printed


def test_safe_imports_say_what_may_be_imported(box: Sandbox) -> None:
    for code in ("import os", "from subprocess import run", "import os.path"):
        error = box.exec(code).error
        assert error is not None
        assert "is not allowed here. You may import: " in error
        assert "statistics" in error
    assert printed(box, "import statistics\nprint(statistics.mean([1, 3]))") == "2\n"


def test_named_imports_allow_these_modules_only() -> None:
    with Sandbox(imports=["decimal", "concurrent.futures"]) as box:
        assert (
            printed(box, "import decimal, concurrent.futures\nprint(decimal.Decimal(1))") == "1\n"
        )
        assert "You may import: concurrent.futures, decimal" in str(box.exec("import json").error)


def test_all_imports_are_left_to_the_kernel(free_box: Sandbox) -> None:
    assert printed(free_box, "import os, sys, ctypes\nprint(os.getpid() > 0)") == "True\n"


def test_an_unknown_word_for_imports_is_refused() -> None:
    with pytest.raises(ValueError, match='"safe", "all" or names of modules'):
        Sandbox(imports="unsafe")


@pytest.mark.parametrize("name", ["open", "input", "breakpoint"])
def test_what_is_not_there_says_what_to_do_instead(box: Sandbox, name: str) -> None:
    error = box.exec(f"{name}('x')").error
    assert error is not None
    assert error.startswith(f"PermissionError: {name}() is not available here: ")


def test_modules_that_programs_for_the_seed_expect_are_there_without_an_import(
    box: Sandbox,
) -> None:
    code = "print(math.pi > 3, json.dumps([]), textwrap, collections, pprint, datetime, time)"
    assert printed(box, code).startswith("True [] <module")


def test_re_takes_a_context_a_list_or_a_tuple_as_text(box: Sandbox) -> None:
    printed(box, "class Context:\n    text = 'key=1 key=2'\nctx = Context()")
    assert printed(box, "print(re.findall(r'=(.)', ctx))") == "['1', '2']\n"
    assert printed(box, "import re\nprint(re.sub('a', 'b', ['xa', 'ay']))") == "xb\nby\n"
    assert printed(box, "print(re.search('b$', ('a', 'b')).group())") == "b\n"
