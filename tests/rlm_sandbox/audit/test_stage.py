"""The stage gives a program its aims, none of its secrets, and sees what comes of it."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator

import pytest

from rlm_sandbox import values
from rlm_sandbox.audit.stage import VARIABLE, Names, Stage, processes_named
from rlm_sandbox.confine import libc


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Stage() as opened:
        yield opened


def test_no_secret_is_among_the_targets(stage: Stage) -> None:
    told = values.encode(stage.targets(Names()))
    assert stage.secrets
    assert not [secret for secret in stage.secrets if secret.encode() in told]


def test_a_secret_that_comes_out_is_known(stage: Stage) -> None:
    secret = os.environ[VARIABLE]
    assert len(stage.told(f"x{secret}x")) == 1
    assert stage.told("nothing") == []


def test_the_secret_leaves_the_environment_with_the_stage() -> None:
    with Stage():
        assert VARIABLE in os.environ
    assert VARIABLE not in os.environ


def test_memory_that_was_written_to_is_seen_once(stage: Stage) -> None:
    address = stage.targets(Names())["buffer_address"]
    assert isinstance(address, int)
    assert stage.changes() == []
    ctypes.memmove(address, b"changed", 7)
    assert stage.changes() == ["controller: its memory was written to"]
    assert stage.changes() == []


def test_no_two_programs_have_a_name_in_common() -> None:
    one, other = Names(), Names()
    assert {one.token, one.process, one.mark}.isdisjoint({other.token, other.process, other.mark})


def test_a_process_is_found_by_its_name() -> None:
    names = Names()
    libc.prctl(15, ctypes.addressof(named := ctypes.create_string_buffer(names.process.encode())))
    try:
        assert processes_named(names.process) == {os.getpid(): names.process}
    finally:
        libc.prctl(15, ctypes.addressof(ctypes.create_string_buffer(b"python")))
    assert named.value
    assert processes_named(names.process) == {}
