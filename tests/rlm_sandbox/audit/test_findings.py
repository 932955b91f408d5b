"""Rows and summaries say the same to people, programs and JSON."""

from __future__ import annotations

import json

from rlm_sandbox.audit.findings import Row, Status, summarise
from rlm_sandbox.audit.program import Aim, Kind, Program


def program(name: str, mechanism: str) -> Program:
    return Program(kind=Kind.FILES, name=name, mechanism=mechanism, code="", aim=Aim.FILE)


def row(name: str, status: Status, mechanism: str = "a way") -> Row:
    return Row(program(name, mechanism), status, "mount", "ok", 1.25, ("seen",), "why")


def test_a_row_is_json() -> None:
    shown = json.loads(json.dumps(row("x", Status.ESCAPED).as_dict()))
    assert shown["class"] == "files"
    assert shown["name"] == "x"
    assert shown["status"] == "escaped"
    assert shown["contained_by"] is None
    assert shown["findings"] == ["seen"]


def test_a_contained_row_names_its_layer() -> None:
    assert row("x", Status.CONTAINED).as_dict()["contained_by"] == "mount"


def test_a_summary_counts_programs_mechanisms_and_ends() -> None:
    rows = [row("a", Status.CONTAINED), row("b", Status.ESCAPED), row("c", Status.ALONE, "another")]
    summary = summarise(rows, isolation="full", layers=["net"], without=["mount"], seconds=2.0)
    assert (summary.programs, summary.mechanisms, summary.escapes) == (3, 2, 1)
    shown = json.loads(json.dumps(summary.as_dict()))
    assert (shown["contained"], shown["escaped"], shown["stands_alone"]) == (1, 1, 1)
    assert shown["without"] == ["mount"]
