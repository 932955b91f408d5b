"""`rlm audit`: hostile programs against a real sandbox on this host, a line each."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rlm_core.cli.exits import Exit
from rlm_sandbox.audit.corpus import CORPUS
from rlm_sandbox.audit.findings import Row, Status, Summary, summarise
from rlm_sandbox.audit.program import Kind, Program
from rlm_sandbox.audit.runner import Auditor, audit
from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.confine.tiers import ISOLATIONS
from rlm_sandbox.errors import IsolationUnavailable, StartFailed

if TYPE_CHECKING:
    from rlm_core.cli.audit_arguments import AuditArguments
    from rlm_core.cli.output import Output


def run_audit(arguments: AuditArguments, output: Output) -> int:
    """Run the programs that were asked for; 1 if one escaped, or with `--prove` if one did not."""
    if (mistake := _mistake(arguments)) is not None:
        output.error(mistake)
        return Exit.USAGE
    programs = _chosen(arguments)
    started = time.monotonic()
    rows: list[Row] = []
    try:
        with Auditor(arguments.isolation, map(Layer, arguments.without)) as auditor:
            for row in audit(programs, auditor, prove=arguments.prove):
                rows.append(row)
                if not arguments.json:
                    output.answer(_line(row, prove=arguments.prove))
            summary = summarise(
                rows,
                isolation=auditor.isolation,
                layers=auditor.layers,
                without=arguments.without,
                seconds=time.monotonic() - started,
            )
    except (IsolationUnavailable, StartFailed) as error:
        output.error(str(error))
        return Exit.ISOLATION
    if arguments.json:
        output.json({"attacks": [row.as_dict() for row in rows], "summary": summary.as_dict()})
    else:
        output.answer(_closing(summary, prove=arguments.prove))
    return _exit(rows, prove=arguments.prove)


def _mistake(arguments: AuditArguments) -> str | None:
    """What cannot be asked for, with what can."""
    known = {
        "--class": (arguments.classes, [str(kind) for kind in Kind]),
        "--without": (arguments.without, [str(layer) for layer in Layer]),
        "--isolation": ((arguments.isolation,), list(ISOLATIONS)),
    }
    for flag, (given, possible) in known.items():
        for name in given:
            if name not in possible:
                return f"{flag} {name}: there is none; choose from {', '.join(possible)}"
    return None


def _chosen(arguments: AuditArguments) -> list[Program]:
    return [
        program
        for program in CORPUS
        if not arguments.classes or str(program.kind) in arguments.classes
    ]


def _exit(rows: list[Row], *, prove: bool) -> int:
    failing = Status.CONTAINED if prove else Status.ESCAPED
    # an escape is a mistake in this program, and so is a program that proves nothing
    return Exit.INTERNAL if any(row.status is failing for row in rows) else Exit.ANSWERED


def _line(row: Row, *, prove: bool) -> str:
    """One line an attack: class, name, contained by which layer, outcome, milliseconds."""
    match row.status:
        case Status.CONTAINED:
            what = "DOES NOT WORK" if prove else f"contained by {row.by}"
        case Status.ESCAPED:
            what = "works" if prove else "ESCAPED"
        case Status.UNTRIED:
            what = "cannot be tried here"
        case Status.ALONE:
            what = f"got through: {row.by} is off"
    text = f"{row.program.kind:10} {row.program.name:24} {what:28} {row.outcome:10}"
    line = f"{text} {row.milliseconds:7.0f} ms"
    if row.findings and not prove:
        line += "\n" + "\n".join(f"           {finding}" for finding in row.findings)
    return f"{line}\n           {row.reason}" if row.reason else line


def _closing(summary: Summary, *, prove: bool) -> str:
    off = f", without {', '.join(summary.without)}" if summary.without else ""
    head = (
        f"\n{summary.programs} programs over {summary.mechanisms} mechanisms in "
        f"{summary.seconds:.0f} s, isolation {summary.isolation}{off}: "
    )
    counts = summary.counts
    if prove:
        return head + (
            f"{counts.get(Status.ESCAPED, 0)} work with their layers off, "
            f"{counts.get(Status.CONTAINED, 0)} do not, "
            f"{counts.get(Status.UNTRIED, 0)} cannot be tried here"
        )
    alone = counts.get(Status.ALONE, 0)
    return head + (
        f"{counts.get(Status.CONTAINED, 0)} contained, {summary.escapes} escaped"
        + (f", {alone} got through where one layer stands alone" if alone else "")
    )
