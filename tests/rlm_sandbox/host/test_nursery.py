"""Zygotes: one for each kind of sandbox in a program, clean, each started when first needed."""

from __future__ import annotations

import pytest

from rlm_sandbox import IsolationUnavailable, Sandbox
from rlm_sandbox.host.nursery import NURSERY, Breed
from tests.rlm_sandbox import program


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
