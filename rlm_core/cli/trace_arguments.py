"""The flags of `rlm trace`. Needs nothing but argparse, as all of the command line's start."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

DETAILS = """\
exit codes:
  0 shown, or the same again    2 usage    3 the trace or its text cannot be read
  6 this host cannot isolate code    7 the replay came out differently
"""


@dataclass(frozen=True)
class TraceArguments:
    """The flags of `rlm trace`."""

    action: str
    """ "show" or "replay"."""
    file: str
    paths: tuple[str, ...] = ()
    full: bool = False
    json: bool = False
    quiet: bool = False


def add_trace(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command to the others."""
    trace = commands.add_parser(
        "trace",
        help="show a recorded run, or run it again without a model",
        description="A trace is what `rlm ask --trace FILE` writes while it runs.",
        epilog=DETAILS,
    )
    actions = trace.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = actions.add_parser("show", help="what was asked, each step, and how it ended")
    show.add_argument("file", metavar="FILE")
    show.add_argument("--full", action="store_true", help="the whole code of each step")
    show.add_argument("--json", action="store_true", help="print one JSON object")
    replay = actions.add_parser(
        "replay",
        help="drive the same loop and sandbox by the recorded replies, and report differences",
    )
    replay.add_argument("file", metavar="FILE")
    replay.add_argument(
        "paths", metavar="PATH", nargs="*", help="the text, if it is not where it was"
    )
    replay.add_argument("--json", action="store_true", help="print one JSON object")
