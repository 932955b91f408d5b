"""The flags of `rlm audit`. Needs nothing but argparse, as all of the command line's start."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

DETAILS = """\
Programs aim only at canaries of the audit's own: files in a temporary folder, listeners
on the loopback interface, a process that it has started, and its own limits.

exit codes:
  0 all contained (with --prove: all work)    1 one escaped (with --prove: one does not work)
  2 usage    6 this host cannot isolate code
"""


@dataclass(frozen=True)
class AuditArguments:
    """The flags of `rlm audit`."""

    classes: tuple[str, ...]
    isolation: str
    without: tuple[str, ...]
    prove: bool
    json: bool
    quiet: bool = False


def add_audit(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command to the others."""
    audit = commands.add_parser(
        "audit",
        help="run hostile programs against a real sandbox on this machine",
        description="Run each program of the attack corpus in a fresh sandbox, and look from "
        "outside whether it was contained.",
        epilog=DETAILS,
    )
    audit.add_argument(
        "--class",
        dest="classes",
        metavar="CLASS",
        action="append",
        default=[],
        help="only these: files, network, process, kernel, resources, protocol, python, neighbours",
    )
    audit.add_argument(
        "--isolation", metavar="TIER", default="auto", help="auto, full, standard or none"
    )
    audit.add_argument(
        "--without",
        metavar="LAYER",
        action="append",
        default=[],
        help="leave a layer of the wall off, to see whether the others hold",
    )
    audit.add_argument(
        "--prove",
        action="store_true",
        help="show that each program works when the layers against it are off",
    )
    audit.add_argument(
        "--json", action="store_true", help="print one JSON object: attacks, summary"
    )
