from __future__ import annotations

from rlm_core.cli.arguments import parse
from rlm_core.cli.audit_arguments import AuditArguments


def test_without_flags_all_programs_run_in_the_strongest_tier() -> None:
    assert parse(["audit"]) == AuditArguments((), "auto", (), prove=False, json=False)


def test_classes_and_layers_may_be_given_more_than_once() -> None:
    line = "audit --class files --class network --without seccomp --prove --isolation full --json"
    assert parse(line.split()) == AuditArguments(
        ("files", "network"), "full", ("seccomp",), prove=True, json=True
    )
