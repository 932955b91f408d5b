"""What may be imported, and what the code is told when it may not."""

from __future__ import annotations

import time

import psutil
import pytest

from rlm_sandbox import (
    Modules,
    Sandbox,
    SandboxPool,
    SessionLost,
    StartFailed,
    recycle_zygotes,
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


def processes() -> set[int]:
    """This program's own: its zygotes, and what else it has started."""
    return {child.pid for child in psutil.Process().children()}


STAMPED = Modules({"stamps": "import time\nstamp = time.time_ns()\ncalls = []"})


def test_given_modules_are_loaded_once_for_all_sandboxes_that_have_equal_ones() -> None:
    same = Modules({"stamps": "import time\nstamp = time.time_ns()\ncalls = []"})
    with (
        Sandbox(modules=STAMPED, imports="all") as one,
        Sandbox(modules=same, imports=["stamps"]) as other,
        SandboxPool(1, modules=STAMPED, imports="all") as pool,
        pool.checkout() as third,
    ):
        stamps = {printed(box, "import stamps; print(stamps.stamp)") for box in (one, other, third)}
    assert len(stamps) == 1


def test_what_one_sandbox_does_to_given_modules_no_other_sees() -> None:
    with (
        Sandbox(modules=STAMPED, imports="all") as one,
        Sandbox(modules=STAMPED, imports="all") as other,
    ):
        one.exec("import stamps\nstamps.calls.append(1)\nstamps.stamp = 0")
        assert printed(other, "import stamps; print(stamps.calls, stamps.stamp > 0)") == "[] True\n"


def test_given_modules_may_be_imported_only_where_imports_says_so() -> None:
    with Sandbox(modules=STAMPED) as safe:
        assert "is not allowed here" in str(safe.exec("import stamps").error)


USES_STAMPS = "import stamps\n__all__ = ['stamp']\ndef stamp(): return stamps.stamp"


@pytest.mark.parametrize("has_them", [True, False])
def test_installed_source_imports_its_modules_whether_the_sandbox_has_them_or_not(
    has_them: bool,
) -> None:
    with Sandbox(modules=STAMPED if has_them else None, imports="all") as box:
        box.install(USES_STAMPS, modules=STAMPED)
        assert printed(box, "print(stamp() > 0)") == "True\n"
        box.exec("import os\nos._exit(1)")  # and so does what replaces it
        assert printed(box, "print(stamp() > 0)") == "True\n"


def test_modules_of_an_install_are_not_there_before_it() -> None:
    with Sandbox(imports="all") as box:
        with pytest.raises(SessionLost, match="No module named 'stamps'"):
            box.install(USES_STAMPS)
        box.install(USES_STAMPS, modules=STAMPED)


def test_a_module_that_fails_is_named_and_leaves_no_zygote() -> None:
    before = processes()
    broken = Modules({"fine": "", "broken": "1 / 0"})
    with pytest.raises(StartFailed, match=r"ZeroDivisionError: .*; in the module 'broken'"):
        Sandbox(modules=broken)
    assert processes() == before


def test_a_module_of_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(StartFailed, match="a module 'statistics' is there already"):
        Sandbox(modules=Modules({"statistics": ""}))


@pytest.mark.parametrize(
    ("source", "why"),
    [("import os; os._exit(1)", "it has ended"), ("while True: pass", "timed out")],
)
def test_modules_that_end_the_zygote_or_never_end_are_an_error(
    source: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rlm_sandbox.host.zygote.START_SECONDS", 2.0)
    before = processes()
    with pytest.raises(StartFailed, match=f"could not load <Modules deadly>: {why}"):
        Sandbox(modules=Modules({"deadly": source}))
    assert processes() == before


def test_a_zygote_that_is_recycled_has_the_modules_again() -> None:
    first = Modules({"stamps": "import time\nstamp = time.time_ns()"})
    recycle_zygotes(after=1)
    try:
        seen = set()
        deadline = time.monotonic() + 30
        while len(seen) < 2:
            assert time.monotonic() < deadline, seen
            with Sandbox(modules=first, imports="all") as box:
                seen.add(printed(box, "import stamps; print(stamps.stamp)"))
    finally:
        recycle_zygotes(after=1_000)
