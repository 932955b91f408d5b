"""The corpus as data: large enough, consistent, and within its own rules."""

from __future__ import annotations

import ast
import re

import pytest

from rlm_sandbox.audit.corpus import CORPUS, of_kind
from rlm_sandbox.audit.program import Kind, Program


def test_it_is_large_and_varied() -> None:
    assert len(CORPUS) >= 150
    assert len({program.mechanism for program in CORPUS}) >= 90


def test_names_are_unique_within_a_class() -> None:
    assert len({program.id for program in CORPUS}) == len(CORPUS)


@pytest.mark.parametrize("kind", Kind)
def test_every_class_has_programs(kind: Kind) -> None:
    programs = of_kind(kind)
    assert len(programs) >= 10
    assert {program.kind for program in programs} == {kind}


@pytest.mark.parametrize("kind", Kind)
def test_a_program_is_stopped_by_a_layer_or_says_why_it_cannot_be_seen_at_work(kind: Kind) -> None:
    for program in of_kind(kind):
        assert program.layers or program.inert or program.kind is Kind.RESOURCES, program.id
        assert program.outcomes, program.id
        assert all(reason.strip() for reason in program.alone.values()), program.id


@pytest.mark.parametrize("kind", Kind)
def test_its_code_can_be_compiled(kind: Kind) -> None:
    for program in of_kind(kind):
        ast.parse(program.code, program.id)
        ast.parse(program.neighbour, program.id)


@pytest.mark.parametrize("kind", Kind)
def test_it_names_no_address_but_the_loopback_interface(kind: Kind) -> None:
    for program in of_kind(kind):
        text = program.code + program.neighbour
        addresses = re.findall(r"\b\d{1,3}(?:\.\d{1,3}){3}\b", text)
        assert set(addresses) <= {"127.0.0.1"}, program.id
        assert "0.0.0.0" not in text, program.id


@pytest.mark.parametrize("kind", Kind)
def test_it_signals_only_what_is_the_audits_own(kind: Kind) -> None:
    for program in of_kind(kind):
        for call in calls_of("os.kill", program):
            target, number = map(ast.unparse, call.args)
            assert number == "0" or target in {"T['victim']", "os.getpid()"}, program.id


def calls_of(function: str, program: Program) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(ast.parse(program.code))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == function
    ]
