"""A program is data: frozen, named, and bounded unless it says otherwise."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from rlm_sandbox.audit.corpus import CORPUS
from rlm_sandbox.audit.program import LOOSE, TIGHT, Aim, Kind, Program


def test_it_is_named_by_class_and_name_and_cannot_change() -> None:
    program = Program(kind=Kind.FILES, name="x", mechanism="y", code="", aim=Aim.FILE)
    assert program.id == "files/x"
    with pytest.raises(FrozenInstanceError):
        program.name = "z"  # ty: ignore[invalid-assignment]


def test_the_loose_limits_leave_room_for_what_the_tight_ones_stop() -> None:
    for name in ("step_seconds", "cpu_seconds", "memory", "processes", "open_files", "tmp_bytes"):
        assert getattr(LOOSE, name) > 4 * getattr(TIGHT, name)


def test_with_more_time_a_program_is_bounded_in_all_else_as_before() -> None:
    program = CORPUS[0]
    slower = program.with_more_time()
    assert slower.limits.step_seconds > program.limits.step_seconds
    assert slower.limits.cpu_seconds > program.limits.cpu_seconds
    again = replace(
        slower.limits,
        step_seconds=program.limits.step_seconds,
        cpu_seconds=program.limits.cpu_seconds,
    )
    assert replace(slower, limits=again) == program
