"""Zygotes: one for each kind of sandbox in a program, clean, each started when first needed."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psutil
import pytest

from rlm_sandbox import IsolationUnavailable, Limits, Sandbox, recycle_zygotes
from rlm_sandbox.host.nursery import NURSERY, Breed
from rlm_sandbox.host.texts import Texts
from rlm_sandbox.sandbox import Order
from tests.processes import children
from tests.rlm_sandbox import program
from tests.waiting import until


def test_sandboxes_of_one_kind_share_a_zygote() -> None:
    with Sandbox(), Sandbox():
        before = NURSERY.pids()
        with Sandbox():
            assert NURSERY.pids() == before


def test_the_tier_of_a_breed_is_what_was_asked_for() -> None:
    assert NURSERY.tier(Breed("auto")).name in {"full", "standard"}
    assert "rlimits" in NURSERY.layers(Breed("auto"))


def test_an_isolation_that_is_not_there_starts_nothing() -> None:
    before = NURSERY.pids()
    with pytest.raises((ValueError, IsolationUnavailable), match="isolation"):
        NURSERY.tier(Breed("bottle"))
    assert NURSERY.pids() == before


@pytest.fixture
def recycled_after_two() -> Iterator[None]:
    before = NURSERY.workers_per_zygote
    recycle_zygotes(after=2)
    yield
    recycle_zygotes(after=before)


@pytest.mark.usefixtures("recycled_after_two")
def test_a_zygote_is_replaced_after_its_share_of_workers_and_these_live_on() -> None:
    with Sandbox() as box:
        box.exec("x = 41")
        first = set(NURSERY.pids())
        deadline = time.monotonic() + 30
        while set(NURSERY.pids()) == first:
            assert time.monotonic() < deadline
            Sandbox().close()
            time.sleep(0.01)
        assert box.exec("x + 1").stdout == "42\n"
        box.exec("import os; os._exit(1)")
        assert box.exec("x + 1").stdout == "42\n"
        with Sandbox() as other:
            assert other.exec("6 * 7").stdout == "42\n"
        assert init_of(box) in children(first), "nobody else might see its end"
    until(lambda: not any(map(psutil.pid_exists, first - set(NURSERY.pids()))))


def init_of(box: Sandbox) -> int:
    link = box._keeper.life.link
    assert link is not None
    return psutil.Process(link.process.pid).ppid()


@pytest.mark.usefixtures("recycled_after_two")
def test_a_zygote_that_holds_texts_is_not_replaced() -> None:
    order = Order.of(Limits(), "safe", Breed(texts=Texts({"P": "text"})))
    order.keeper({}).close()
    before = set(NURSERY.pids())
    try:
        for _ in range(5):
            order.keeper({}).close()
        assert not NURSERY._renewing
        assert set(NURSERY.pids()) == before
    finally:
        NURSERY.retire(order.breed)


def test_zygotes_are_recycled_after_one_worker_at_the_least() -> None:
    with pytest.raises(ValueError, match="at least 1 worker, or None"):
        recycle_zygotes(after=0)


def test_many_threads_that_open_the_first_sandbox_at_once_start_one_zygote() -> None:
    out = program.run("""
        import threading
        from rlm_sandbox import Sandbox
        from rlm_sandbox.host.nursery import NURSERY
        start = threading.Barrier(6)
        def work():
            start.wait()
            with Sandbox() as box:
                box.exec("x = 1")
        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(len(NURSERY.pids()))
    """)
    assert out == "1\n"
