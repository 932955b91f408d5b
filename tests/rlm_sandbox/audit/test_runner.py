"""The runner believes nothing that code says, and sees an escape from outside."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import replace

import pytest

from rlm_sandbox.audit.corpus import CORPUS
from rlm_sandbox.audit.findings import Row, Status
from rlm_sandbox.audit.program import TIGHT, Aim, Kind, Program
from rlm_sandbox.audit.runner import Auditor
from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.result import Outcome


def named(name: str) -> Program:
    return next(program for program in CORPUS if program.id == name)


def written(code: str, *, aim: Aim = Aim.CLAIM, kind: Kind = Kind.PYTHON) -> Program:
    return Program(kind=kind, name="test", mechanism="test", code=code, aim=aim)


@pytest.fixture
def auditor() -> Iterator[Auditor]:
    with Auditor() as opened:
        yield opened


@pytest.fixture
def bare() -> Iterator[Auditor]:
    """An auditor without any wall: here programs get out."""
    with Auditor("none") as opened:
        yield opened


def only(row: Row) -> str:
    assert row.status is Status.ESCAPED
    return " ".join(row.findings)


def test_harmless_code_is_contained(auditor: Auditor) -> None:
    row = auditor.run(written("x = 1"))
    assert (row.status, row.outcome, row.findings) == (Status.CONTAINED, Outcome.OK, ())


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("files/open", "secret: "),
        ("files/append", "file: its content has changed"),
        ("network/tcp", "listener: tcp4 was reached"),
        ("network/udp", "listener: udp4 was reached"),
        ("process/fork", "bears the mark"),
        ("process/kill", "the victim has ended"),
        ("kernel/personality", "seal: personality was"),
        ("kernel/memfd", "seal: it holds /memfd"),
        ("neighbours/futex", "claim: "),
    ],
)
def test_an_escape_is_seen_from_outside(bare: Auditor, name: str, seen: str) -> None:
    assert seen in only(bare.run(replace(named(name), alone={})))


def test_use_beyond_the_limits_is_seen(auditor: Auditor) -> None:
    row = auditor.prove(named("resources/sleep"))
    assert "s of time" in only(row)


def test_a_claim_of_success_counts_against_the_wall(auditor: Auditor) -> None:
    assert "claim: " in only(auditor.run(written("won()")))


def test_an_end_that_was_not_expected_is_a_finding(auditor: Auditor) -> None:
    assert "ended as 'crashed'" in only(auditor.run(written("ctypes.string_at(0)")))


def test_a_machine_that_is_too_slow_for_a_program_gives_it_more_time(auditor: Auditor) -> None:
    code = """
        while time.thread_time() < 0.3: pass
    """
    hurried = replace(TIGHT, step_seconds=60.0, cpu_seconds=0.1)
    program = replace(written(textwrap.dedent(code)), limits=hurried)
    row = auditor.run(program)
    assert (row.status, row.outcome) == (Status.CONTAINED, Outcome.OK)
    endless = replace(written("while True: pass"), limits=hurried)
    assert "ended as 'cpu'" in only(auditor.run(endless))


def test_a_layer_that_stands_alone_excuses_what_it_lets_through() -> None:
    with Auditor(without=[Layer.UTS]) as auditor:
        row = auditor.run(named("neighbours/hostname"))
    assert (row.status, bool(row.findings), bool(row.reason)) == (Status.ALONE, True, True)


def test_a_program_is_seen_at_work_with_its_layers_off(auditor: Auditor) -> None:
    row = auditor.prove(named("kernel/personality"))
    assert row.status is Status.ESCAPED


def test_what_one_program_does_is_not_held_against_the_next(bare: Auditor) -> None:
    assert bare.run(named("files/append")).status is Status.ESCAPED
    assert bare.run(written("x = 1")).status is Status.CONTAINED
