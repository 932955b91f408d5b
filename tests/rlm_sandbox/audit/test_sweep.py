"""The sweep calls every number, goes on after a death, and reports what was not predicted."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from rlm_sandbox.audit.call_numbers import numbers
from rlm_sandbox.audit.corpus import CORPUS
from rlm_sandbox.audit.opening import open_sandbox
from rlm_sandbox.audit.program import Program
from rlm_sandbox.audit.sweep import JUNK, Sweep
from rlm_sandbox.confine import syscalls
from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.sandbox import Sandbox

SWEEP = next(program for program in CORPUS if program.id == "kernel/whole-table")


def opening(program: Program, functions: Mapping[str, Callable[..., object]]) -> Sandbox:
    return open_sandbox(limits=program.limits, functions=functions, imports="all")


@pytest.fixture(scope="module")
def layers() -> frozenset[Layer]:
    with Sandbox() as box:
        return frozenset(map(Layer, box.layers))


def test_it_predicts_refusals(layers: frozenset[Layer]) -> None:
    sweep = Sweep(layers)
    assert sweep.predicted(numbers()["mount"], JUNK[0]) == errno.EPERM
    assert sweep.predicted(999, JUNK[0]) == errno.ENOSYS
    assert sweep.predicted(0x40000000 | 39, JUNK[0]) == errno.ENOSYS


def test_it_goes_on_after_a_call_that_ends_the_session(layers: frozenset[Layer]) -> None:
    exiting = syscalls.number("exit_group", os.uname().machine)
    assert exiting is not None
    sweep = Sweep(layers)
    assert sweep.run(replace(SWEEP, numbers=range(exiting - 2, exiting + 4)), opening) == []
    assert (exiting + 3, JUNK[0]) in sweep._seen


def test_a_call_at_which_the_step_was_over_is_made_again(
    layers: frozenset[Layer], monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = Sweep(layers)
    came_back, heard = sweep._came_back, []

    def late_once(number: int, junk: int, result: int, error: int) -> None:
        heard.append(number)
        if len(heard) == 1:
            raise TimeoutError("the step is over")
        came_back(number, junk, result, error)

    def opened(program: Program, functions: Mapping[str, Callable[..., object]]) -> Sandbox:
        seconds.append(program.limits.step_seconds)
        return opening(program, functions)

    seconds: list[float] = []
    monkeypatch.setattr(sweep, "_came_back", late_once)
    assert sweep.run(replace(SWEEP, numbers=range(1000, 1003)), opened) == []
    assert heard[:3] == [1000, 1000, 1000]
    assert seconds[0] < seconds[1]  # the machine may be too slow for it


def test_a_filter_that_does_otherwise_than_its_table_is_found_out(
    layers: frozenset[Layer],
) -> None:
    sweep = Sweep(layers)
    sweep._wall = Sweep(layers - {Layer.MOUNT})._wall  # another table than the one in force
    surprises = sweep.run(replace(SWEEP, numbers=range(80, 95)), opening)
    assert surprises
    assert "was predicted" in surprises[0]


def test_without_the_filter_nothing_is_called(layers: frozenset[Layer]) -> None:
    def refuse(program: Program, functions: object) -> Sandbox:
        raise AssertionError("a sandbox was opened")

    assert Sweep(layers - {Layer.SECCOMP}).run(SWEEP, refuse) == []
