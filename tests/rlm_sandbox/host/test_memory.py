"""A text is not charged to the code, once."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from rlm_sandbox import AnswerLost, Limits, Outcome, Sandbox, SandboxPool, SessionLost, ValueRefused
from rlm_sandbox.host.memory import MemoryBase
from tests.rlm_sandbox.promises.running import printed

MB = 1_000_000


def test_texts_are_beside_what_the_process_holds_when_idle() -> None:
    base = MemoryBase(10, held=5).with_text("P", 100, 120).with_text("Q", 100, 100)
    assert (base.contexts, base.total) == (225, 235)


def test_a_text_takes_no_more_than_it_can() -> None:
    assert MemoryBase(0).with_text("P", 100, 10_000).contexts == 400
    assert MemoryBase(0).with_text("P", 100, -5).contexts == 0


def test_a_text_that_comes_again_is_in_the_place_of_the_first() -> None:
    base = MemoryBase(0).with_text("P", 100, 100)
    assert base.with_text("P", 100, 0).contexts == 100  # the first one went as it came
    for _ in range(10):
        base = base.with_text("P", 100, 1_000)
    assert base.contexts == 400


GROWS_WITH_EACH_TEXT = """
import gc
from rlm_sandbox.worker import channel
(own,) = [thing for thing in gc.get_objects() if type(thing) is channel.Channel]
receive, held = own.receive_descriptor, []
def receive_and_grow():
    held.append(bytes([1]) * 6_000_000)
    return receive()
own.receive_descriptor = receive_and_grow
"""


def test_code_has_no_more_memory_however_often_it_is_given_a_text() -> None:
    with Sandbox(imports="all", limits=Limits(memory=30 * MB)) as box:
        box.exec(GROWS_WITH_EACH_TEXT)
        for _ in range(20):
            with contextlib.suppress(AnswerLost, SessionLost):  # it asked for too much this time
                box.load("P", "x" * 2 * MB)
        link = box._keeper.life.link
        assert link is not None
        assert link._base.contexts <= 4 * 2 * MB


def test_a_text_that_is_refused_leaves_the_limit_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "no-text").write_bytes(b"\xff" * 40 * MB)
    limits = "import resource\nprint(resource.getrlimit(resource.RLIMIT_DATA)[0])"
    with Sandbox(imports="all") as box:
        if "rlimits" not in box.layers:
            pytest.skip("there are no limits of a process")
        before = printed(box, limits)
        with pytest.raises(ValueRefused):
            box.load_file("P", tmp_path / "no-text")
        assert printed(box, limits) == before


def test_a_short_text_in_place_of_a_long_one_takes_the_room_of_that_away() -> None:
    limits = "import resource\nprint(resource.getrlimit(resource.RLIMIT_DATA)[0])"
    with Sandbox(imports="all") as box:
        if "rlimits" not in box.layers:
            pytest.skip("there are no limits of a process")
        before = int(printed(box, limits))
        box.load("P", "x" * 40 * MB)
        assert int(printed(box, limits)) >= before + 40 * MB
        box.load("P", "x")
        assert int(printed(box, limits)) < before + MB


def test_code_that_changes_what_a_pool_shares_has_it_charged_to_itself() -> None:
    change = "import ctypes\nctypes.memset(id(P) + 100, 65, len(P) - 100)"
    limits = Limits(memory="32MiB", tmp_bytes="1MiB")
    with SandboxPool(1, context="x" * 150 * MB, imports="all", limits=limits) as pool:
        with pool.checkout() as box:
            if "cgroup" not in box.layers:
                pytest.skip("no control groups are delegated here")
            assert printed(box, "print(len(P), P.count('x'))") == "150000000 150000000\n"
            assert box.exec(change).outcome is Outcome.MEMORY
        with pool.checkout() as box:
            assert printed(box, "print(P.count('x'))") == "150000000\n"
