"""What a zygote holds is shared by its workers, page by page, however they use it."""

from __future__ import annotations

import sys

import pytest

from rlm_sandbox import Sandbox, SandboxPool
from rlm_sandbox.worker import immortal
from tests.rlm_sandbox import program
from tests.waiting import until

COUNTED = sys.version_info[:2] not in immortal.VERSIONS
needs_immortality = pytest.mark.skipif(COUNTED, reason="it is done on Python 3.12 and 3.13 only")


@needs_immortality
def test_using_what_was_there_is_not_counted_and_what_comes_later_is() -> None:
    out = program.run("""
        import json, sys, weakref
        from rlm_sandbox.worker.immortal import immortalize

        class Late: ...

        assert immortalize() > 10_000
        for each in (json.loads, json.loads.__code__.co_consts, str.upper, Late, vars(json)):
            before = sys.getrefcount(each)
            kept = [each] * 100
            assert sys.getrefcount(each) == before > 2**30, each
            del kept
        late = Late()
        told = []
        weakref.finalize(late, told.append, "gone")
        del late
        print(told)
    """)
    assert out == "['gone']\n"


def test_a_program_goes_on_as_if_nothing_had_happened() -> None:
    out = program.run("""
        import gc
        from rlm_sandbox.worker.immortal import immortalize
        before = ["x" * 1000 for _ in range(100)]
        immortalize()
        gc.collect()
        import decimal, difflib, email.message, sqlite3, unittest.mock
        class Mine(dict): ...
        for number in range(200_000):
            before[number % 100] = Mine(a=str(number))
        try:
            {}["missing"]
        except KeyError as error:
            text = repr(error)
        text += "!"
        text += "!"
        del before, gc
        found = sqlite3.connect(":memory:").execute("select 1").fetchall()
        print(text, decimal.Decimal(1) / 3, found)
    """)
    assert out == "KeyError('missing')!! 0.3333333333333333333333333333 [(1,)]\n"


def test_a_version_in_which_it_was_not_seen_to_do_no_harm_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(immortal, "VERSIONS", frozenset({(2, 7)}))
    assert immortal.immortalize() == 0


@needs_immortality
def test_every_worker_but_the_first_finds_it_so(free_box: Sandbox) -> None:
    count = "import ast, sys\nprint(sys.getrefcount(ast.parse) > 2**30)"

    def has_it() -> bool:
        with Sandbox(imports="all") as box:
            return box.exec(count).stdout == "True\n"

    until(has_it)


@needs_immortality
def test_workers_of_a_settled_zygote_copy_less_of_it() -> None:
    out = program.run("""
        import time
        import psutil
        from rlm_sandbox import Sandbox

        def copied(box):
            time.sleep(0.2)
            return psutil.Process(box._keeper.life.link.process.pid).memory_full_info().uss

        with Sandbox() as first:
            before = copied(first)
            Sandbox().close()
            with Sandbox() as later:
                print(copied(later) / before < 0.85)
    """)
    assert out == "True\n"


@needs_immortality
def test_the_workers_of_a_pool_find_it_so_from_the_first_on() -> None:
    code = "import ast, sys\nprint(sys.getrefcount(P) > 2**30, sys.getrefcount(ast.parse) > 2**30)"
    with SandboxPool(1, context="a text", imports="all") as pool, pool.checkout() as box:
        assert box.exec(code).stdout == "True True\n"


@needs_immortality
def test_only_what_is_named_is_made_so() -> None:
    out = program.run("""
        import sys
        from rlm_sandbox.worker.immortal import immortalize
        named, other = ["".join(["a", "b"])], ["".join(["c", "d"])]
        print(immortalize(named))
        print([sys.getrefcount(each) > 2**30 for each in (named, named[0], other, other[0])])
    """)
    assert out == "2\n[True, True, False, False]\n"
