"""The command line as a whole. Needs nothing but argparse, so that `rlm --help` is quick."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rlm_core.cli.ask_arguments import AskArguments, add_ask, with_question
from rlm_core.cli.audit_arguments import AuditArguments, add_audit
from rlm_core.cli.batch_arguments import REPEATED, BatchArguments, add_batch
from rlm_core.cli.serve_arguments import ServeArguments, add_serve
from rlm_core.cli.trace_arguments import TraceArguments, add_trace

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES = ("rlm", "rlm-sandbox")

DESCRIPTION = """\
Ask questions about texts of any size. A model writes Python that searches the text
and asks a sub-model about the pieces; the code runs in a process of its own.
"""

EXAMPLES = """\
examples:
  rlm ask "Who signed the contract?" contract.txt
  rlm ask "Where are sockets closed?" src/ docs/manual.md
  git log -p | rlm ask "When was the cache introduced?"
  rlm ask --trace run.jsonl "What changed?" notes/; rlm trace replay run.jsonl
  rlm ask --model llama3.1 --base-url http://localhost:11434/v1 "What changed?" notes/
  rlm batch -i tasks.jsonl -o results.jsonl --concurrency 32
  rlm serve --model llama3.1 --base-url http://localhost:11434/v1 --port 8000
  rlm ask --json "How many orders failed?" orders.log | jq .answer

Run `rlm ask --help` for all flags, the environment and the exit codes.
"""

DOCTOR_DETAILS = """\
Processes that it starts, a listener on 127.0.0.1 and a temporary folder are its own; nothing
outside of them is touched, and nothing of them is left.

exit codes:
  0 code is isolated here (standard or better)    6 this host cannot isolate code
"""


@dataclass(frozen=True)
class DoctorArguments:
    """The flags of `rlm doctor`."""

    json: bool
    quiet: bool = False


Arguments = (
    AskArguments
    | BatchArguments
    | ServeArguments
    | DoctorArguments
    | AuditArguments
    | TraceArguments
)


def parse(argv: Sequence[str]) -> Arguments:
    """The arguments of a command line. Prints help or a mistake and exits as argparse does."""
    parser = build_parser()
    given = parser.parse_args(argv)
    if given.command is None:
        parser.print_help(sys.stderr)
        parser.exit(2)
    values = dict(vars(given))
    command = values.pop("command")
    if command == "doctor":
        return DoctorArguments(**values)
    if command == "audit":
        values |= {name: tuple(values[name]) for name in ("classes", "without")}
        return AuditArguments(**values)
    if command == "batch":
        values |= {name: tuple(values[name]) for name in REPEATED}
        return BatchArguments(**values)
    if command == "serve":
        values["allow_host"] = tuple(values["allow_host"])
        return ServeArguments(**values)
    values["paths"] = tuple(values.get("paths", ()))
    if command == "trace":
        return TraceArguments(**values)
    return AskArguments(**with_question(values))


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    called = os.path.basename(sys.argv[0])  # noqa: PTH119 - a name, and pathlib is slow to import
    parser = argparse.ArgumentParser(
        prog=called if called in NAMES else NAMES[0],
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version",
        action=_Version,
        nargs=0,
        help="show the version and exit",
        dest=argparse.SUPPRESS,
    )
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", title="commands", parser_class=_Intermixed
    )
    add_ask(commands)
    add_batch(commands)
    add_serve(commands)
    _add_doctor(commands)
    add_audit(commands)
    add_trace(commands)
    return parser


def _add_doctor(commands: argparse._SubParsersAction[Any]) -> None:
    doctor = commands.add_parser(
        "doctor",
        help="show what this machine can enforce, proven by attempting what is forbidden",
        description="Try each layer of the wall alone, then tell a real worker to break out.",
        epilog=DOCTOR_DETAILS,
    )
    doctor.add_argument(
        "--json", action="store_true", help="print one JSON object: tier, layers, attempts, facts"
    )


class _Intermixed(argparse.ArgumentParser):
    """A command. Flags may stand between and after the paths, as people write them."""

    _mixing = False

    def __init__(self, **options: Any) -> None:
        shown = argparse.RawDescriptionHelpFormatter
        super().__init__(**options, formatter_class=shown, allow_abbrev=False)

    def parse_known_args(  # ty: ignore[incompatible-method-override] - the base has overloads
        self,
        args: Sequence[str] | None = None,
        namespace: argparse.Namespace | None = None,
    ) -> tuple[argparse.Namespace, list[str]]:
        into = argparse.Namespace() if namespace is None else namespace
        if self._mixing or self._subparsers is not None:  # its own commands are intermixed
            return super().parse_known_args(args, into)
        self._mixing = True
        try:
            known, rest = self.parse_known_intermixed_args(args, into)
        finally:
            self._mixing = False
        if rest:  # said here, with the usage of this command
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return known, rest


class _Version(argparse.Action):
    """Looks the version up only when it is asked for: that takes longer than all the rest."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        del namespace, values, option_string
        python = ".".join(map(str, sys.version_info[:3]))
        sys.stdout.write(f"{parser.prog} {version()} (Python {python})\n")
        parser.exit(0)


def version() -> str:
    """The version of the installed distribution."""
    from rlm_core.version import own_version

    return own_version() or "of a source tree that is not installed"
