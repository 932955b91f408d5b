"""A worker is alone in its network namespace, which it may have from one that has ended."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from rlm_sandbox import Sandbox
from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.host.nursery import NURSERY, Breed
from tests.rlm_sandbox import program
from tests.rlm_sandbox.confine.hosts import needs

PRELUDE = """
import os
from rlm_sandbox.confine import namespaces, networks, privileges
from rlm_sandbox.confine.networks import Networks
proc = os.open("/proc", os.O_PATH)
if not privileges.holds(privileges.CAP_SYS_ADMIN):
    namespaces.enter_user(0, proc)
def here():
    return os.stat("/proc/self/ns/net").st_ino
host = here()
mine = Networks(proc)
def entered(init):
    mine.enter_free()
    mine.take(init)
    return here()
"""


def test_those_that_are_taken_at_once_are_different_ones_and_none_is_the_hosts() -> None:
    needs(Layer.NET)
    program.run(
        PRELUDE
        + """
taken = [entered(number) for number in range(1, 6)]
assert len({host, *taken}) == 6, taken
"""
    )


def test_one_whose_worker_has_ended_is_taken_again_and_no_other() -> None:
    needs(Layer.NET)
    program.run(
        PRELUDE
        + """
one, two = entered(1), entered(2)
mine.leave(1)
assert entered(3) == one
assert entered(4) not in {one, two, host}
"""
    )


def test_one_whose_worker_ended_before_it_was_said_to_be_taken_is_taken_again() -> None:
    needs(Layer.NET)
    program.run(
        PRELUDE
        + """
mine.enter_free()
first = here()
mine.leave(1)
mine.take(1)
assert entered(2) == first
mine.leave(3)  # nobody that was ever here
assert entered(4) not in {first, host}
"""
    )


def test_one_that_nobody_was_forked_into_is_stayed_in() -> None:
    needs(Layer.NET)
    program.run(
        PRELUDE
        + """
mine.enter_free()
first = here()
assert entered(1) == first
"""
    )


def test_no_more_are_kept_than_a_few() -> None:
    needs(Layer.NET)
    program.run(
        PRELUDE
        + """
before = len(os.listdir("/proc/self/fd"))
for number in range(40):
    entered(number + 1)
for number in range(40):
    mine.leave(number + 1)
assert len(os.listdir("/proc/self/fd")) - before == networks.MOST_FREE
"""
    )


def network_of(box: Sandbox) -> int:
    link = box._keeper.life.link
    assert link is not None
    try:
        return Path(f"/proc/{link.process.pid}/ns/net").stat().st_ino
    except PermissionError:
        pytest.skip("only root may look at the namespaces of a worker")


def test_workers_that_live_at_once_are_in_different_ones() -> None:
    needs(Layer.NET, Layer.PID)
    boxes = [Sandbox(isolation="full") for _ in range(6)]
    try:
        seen = {network_of(box) for box in boxes}
        assert len(seen) == 6
        assert Path("/proc/self/ns/net").stat().st_ino not in seen
    finally:
        for box in boxes:
            box.close()


def test_one_that_ends_in_the_midst_of_it_is_not_taken_for_the_one_entered() -> None:
    needs(Layer.NET)
    program.run(
        PRELUDE
        + """
from rlm_sandbox.confine import libc
entered(1), entered(2), mine.leave(1)
enter = libc.setns
def interrupted(descriptor, flags):
    enter(descriptor, flags)
    mine.leave(2)
libc.setns = interrupted
first = entered(3)
libc.setns = enter
assert entered(4) != first
"""
    )


def test_where_none_can_be_entered_again_each_is_new() -> None:
    needs(Layer.NET)
    program.run(
        PRELUDE
        + """
from rlm_sandbox.confine import libc
def refuse(descriptor, flags):
    raise PermissionError("setns")
libc.setns = refuse
before = len(os.listdir("/proc/self/fd"))
one = entered(1)
mine.leave(1)
assert entered(2) != host
assert len(os.listdir("/proc/self/fd")) == before + 1
"""
    )


def test_workers_one_after_the_other_share_a_few() -> None:
    needs(Layer.NET, Layer.PID)
    for _ in range(12):
        with Sandbox(isolation="full") as box:
            link = box._keeper.life.link
            assert link is not None
        time.sleep(0.02)  # its zygote has to see its end
    zygote = NURSERY._zygotes[Breed("full")].pid
    try:
        held = [file.readlink() for file in Path(f"/proc/{zygote}/fd").iterdir()]
    except PermissionError:
        pytest.skip("only root may look at the descriptors of a zygote")
    networks = [str(file) for file in held if str(file).startswith("net:")]
    assert 1 <= len(networks) < 8  # of those that were at once in the tests before
