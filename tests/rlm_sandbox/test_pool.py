"""Sandboxes stand ready, each is used once, and there are never more than so many."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from rlm_sandbox import Limits, PoolExhausted, Sandbox, SandboxClosed, SandboxPool, StartFailed
from rlm_sandbox.host.nursery import NURSERY
from rlm_sandbox.sandbox import Order
from tests.census import children, standing
from tests.rlm_sandbox import program
from tests.waiting import until

PATIENCE = 30.0


@pytest.fixture
def pool() -> Iterator[SandboxPool]:
    with SandboxPool(2) as opened:
        yield opened


def printed(box: Sandbox, code: str) -> str:
    result = box.exec(code)
    assert result.error is None
    return result.stdout


def test_it_is_filled_before_anybody_asks(pool: SandboxPool) -> None:
    until(lambda: pool.ready == 2)
    with pool.checkout() as box:
        assert printed(box, "6 * 7") == "42\n"
        assert pool.ready == 1


def test_nothing_of_one_user_is_there_for_the_next(pool: SandboxPool) -> None:
    pids = set()
    for number in range(6):
        with pool.checkout() as box:
            link = box._keeper.life.link
            assert link is not None
            pids.add(link.process.pid)
            assert printed(box, "print('secret' in globals())") == "False\n"
            box.exec(f"secret = {number}; open('/tmp/mine', 'w')")
    assert len(pids) == 6


def test_each_user_brings_functions_of_his_own(pool: SandboxPool) -> None:
    with (
        pool.checkout({"who": lambda: "first", "more": len}) as one,
        pool.checkout({"who": lambda: "second"}) as two,
    ):
        assert printed(one, "print(who(), more('abc'))") == "first 3\n"
        assert printed(two, "print(who(), 'more' in globals())") == "second False\n"


def test_functions_are_there_after_a_crash_before_and_after_the_first_step(
    pool: SandboxPool,
) -> None:
    with pool.checkout({"who": lambda: "me"}) as box:
        link = box._keeper.life.link
        assert link is not None
        os.kill(link.process.pid, 9)
        box.exec("1")
        assert printed(box, "who()") == "'me'\n"


def test_who_comes_when_all_are_in_use_waits_until_one_is_closed(pool: SandboxPool) -> None:
    first, second = pool.checkout(), pool.checkout()
    with second:
        with pytest.raises(PoolExhausted, match="2 sandboxes of the pool were in use"):
            pool.checkout(timeout=0.05)
        threading.Timer(0.05, first.close).start()
        with pool.checkout(timeout=PATIENCE) as third:
            assert printed(third, "1") == "1\n"


def test_who_came_first_is_served_first() -> None:
    with SandboxPool(1) as pool:
        order: list[int] = []
        held = pool.checkout()
        threads = []
        for number in range(4):
            thread = threading.Thread(target=_serve_me, args=(pool, order, number))
            thread.start()
            threads.append(thread)
            until(lambda: len(pool._shelf._waiting) == len(threads))
        held.close()
        for thread in threads:
            thread.join(PATIENCE)
    assert order == [0, 1, 2, 3]


def _serve_me(pool: SandboxPool, order: list[int], number: int) -> None:
    with pool.checkout():
        order.append(number)


def test_many_threads_share_it() -> None:
    seen: list[str] = []
    with SandboxPool(3) as pool:

        def work(number: int) -> None:
            for _ in range(3):
                with pool.checkout({"number": lambda: number}) as box:
                    seen.append(printed(box, "print(number())"))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
    assert sorted(seen) == sorted(f"{number}\n" for number in range(8) for _ in range(3))


def test_the_time_of_a_session_begins_when_it_is_taken() -> None:
    with SandboxPool(1, limits=Limits(session_seconds=0.5)) as pool:
        time.sleep(0.6)
        with pool.checkout() as box:
            assert printed(box, "1") == "1\n"


def test_after_the_close_there_is_none_and_those_in_use_go_on() -> None:
    pool = SandboxPool(2)
    box = pool.checkout()
    waiting: list[BaseException] = []
    with pool.checkout():
        thread = threading.Thread(target=_expect_closed, args=(pool, waiting))
        thread.start()
        until(lambda: len(pool._shelf._waiting) == 1)
        pool.close()
        thread.join(PATIENCE)
    assert [type(error) for error in waiting] == [SandboxClosed]
    with pytest.raises(SandboxClosed):
        pool.checkout()
    assert printed(box, "1") == "1\n"
    box.close()
    pool.close()
    zygotes = standing()
    until(lambda: children({os.getpid()}) <= zygotes)


def _expect_closed(pool: SandboxPool, caught: list[BaseException]) -> None:
    try:
        pool.checkout()
    except SandboxClosed as error:
        caught.append(error)


def test_a_pool_and_a_sandbox_that_are_forgotten_are_closed() -> None:
    out = program.run("""
        import gc, psutil, threading, time
        from rlm_sandbox import SandboxPool
        pool = SandboxPool(2)
        box = pool.checkout()
        del pool, box
        gc.collect()
        while any(thread.name == "rlm-pool" for thread in threading.enumerate()):
            time.sleep(0.01)
        print("ended")
    """)
    assert out == "ended\n"


def test_a_program_that_ends_with_a_pool_leaves_nothing() -> None:
    program.run("""
        from rlm_sandbox import SandboxPool
        pool = SandboxPool(3)
        box = pool.checkout()
    """)


def test_options_that_cannot_work_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="at least"):
        SandboxPool(0)
    with pytest.raises(ValueError, match="imports"):
        SandboxPool(1, imports="some")
    with SandboxPool(1) as pool, pytest.raises(TypeError, match="not callable"):
        pool.checkout({"f": 1})  # ty: ignore[invalid-argument-type]


def test_those_who_wait_are_told_when_workers_do_not_start_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with SandboxPool(1) as pool:
        box = pool.checkout()
        monkeypatch.setattr(Order, "keeper", _fails)
        threading.Timer(0.05, box.close).start()
        with pytest.raises(StartFailed, match="no worker came up"):
            pool.checkout(timeout=PATIENCE)


def test_whatever_goes_wrong_with_a_start_is_told_and_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with SandboxPool(1) as pool:
        box = pool.checkout()
        with monkeypatch.context() as patched:
            patched.setattr(Order, "keeper", _is_wrong)
            threading.Timer(0.05, box.close).start()
            with pytest.raises(StartFailed, match="OSError: beyond us"):
                pool.checkout(timeout=PATIENCE)
        with pool.checkout(timeout=PATIENCE) as box:
            assert printed(box, "print(1)") == "1\n"


def _is_wrong(_order: Order, _functions: object) -> NoReturn:
    raise OSError("beyond us")


def _fails(_order: Order, _functions: object) -> NoReturn:
    raise StartFailed("no worker came up")


def test_who_holds_one_gets_another_without_waiting() -> None:
    with SandboxPool(1) as pool, pool.checkout(), pool.beside({"who": lambda: "me"}) as other:
        assert printed(other, "who()") == "'me'\n"


TEXT = "a line of the context\n" * 1_000_000


def shared_and_own(pid: int) -> tuple[int, int]:
    """Bytes of a process that others map as well, and those that it has alone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except PermissionError:
        pytest.skip("only root may look into the memory of a process that is not dumpable")
    rows = [line.split() for line in text.splitlines() if line.endswith("kB")]
    sizes = {row[0]: int(row[1]) * 1024 for row in rows}
    return (
        sizes["Shared_Clean:"] + sizes["Shared_Dirty:"],
        sizes["Private_Clean:"] + sizes["Private_Dirty:"],
    )


def test_all_share_the_context_without_a_copy() -> None:
    with SandboxPool(2, context=TEXT, limits=Limits(memory="64MiB")) as pool:
        until(lambda: pool.ready == 2)
        for _ in range(3):
            with pool.checkout() as box:
                assert printed(box, "len(P), P.count('context')") == f"({len(TEXT)}, 1000000)\n"
                link = box._keeper.life.link
                assert link is not None
                shared, own = shared_and_own(link.process.pid)
                assert shared > len(TEXT) > own
                assert box.exec("x = 'x' * 10**7").error is None  # it is not of its memory
                assert box.exec("y = bytearray(200 * 2**20)").error is not None


def test_the_context_is_protected_and_there_again_after_a_crash() -> None:
    with SandboxPool(
        1, context={"P": "text", "Q": "\ud800 more", "R": " more"}, imports="all"
    ) as pool:
        with pool.checkout() as box:
            box.exec("P = 1")
            assert printed(box, "P, Q") == "('text', '\\ud800 more')\n"
            box.exec("import os; os._exit(1)")
            assert printed(box, "P") == "'text'\n"
            assert not box.holds("R", str(bytearray(b" more"), "ascii"))  # equal, and another one
        with pool.checkout() as box:
            box.exec("import os; os._exit(1)")  # before anything was saved: a new worker
            assert printed(box, "P") == "'text'\n"


def test_contexts_of_two_pools_do_not_meet() -> None:
    with (
        SandboxPool(1, context="one") as first,
        SandboxPool(1, context={"Q": "two"}) as second,
        first.checkout() as one,
        second.checkout() as two,
    ):
        assert printed(one, "P, 'Q' in globals()") == "('one', False)\n"
        assert printed(two, "'P' in globals(), Q") == "(False, 'two')\n"


def test_the_zygote_of_a_context_ends_with_its_pool() -> None:
    before = set(NURSERY.pids())
    with SandboxPool(1, context="text"):
        assert len(set(NURSERY.pids()) - before) == 1
    assert set(NURSERY.pids()) == before


def test_a_context_needs_a_name_that_code_can_use() -> None:
    with pytest.raises(ValueError, match="not a variable name"):
        SandboxPool(1, context={"two words": "text"})
