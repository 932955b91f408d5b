"""The flags, and help that teaches. Needs nothing but argparse, so that `rlm --help` is quick."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rlm_core.cli.batch_arguments import REPEATED, BatchArguments, add_batch
from rlm_core.cli.numbers import count, seconds, whole
from rlm_core.cli.serve_arguments import ServeArguments, add_serve

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

ASK_DETAILS = """\
environment (flags win over it; keys are taken from here only):
  LLM_MODEL, LLM_SUBCALL_MODEL      as --model and --sub-model
  LLM_BASE_URL or OPENAI_BASE_URL   as --base-url; without it: https://api.openai.com/v1
  LLM_API_KEY or OPENAI_API_KEY     the key, where the server wants one
  ANTHROPIC_API_KEY                 the key for models named anthropic/MODEL (the server may be
                                    another: ANTHROPIC_BASE_URL)
  AZURE_OPENAI_API_KEY              the key for models named azure/DEPLOYMENT, with
  OPENAI_ENDPOINT                   their address, or the account in AZURE_ACCOUNT_NAME
  PARALLEL_SUBCALLS=1               helpers ask about chunks concurrently
  SHOW_TRAJECTORY=1                 afterwards, show every step on standard error
  LLM_LOG_LEVEL=INFO                log to standard error
  NO_COLOR=1                        no colours

Where a base URL is set, every name is the name of a model at that server.

Without a model the built-in offline model answers: it looks for the question's words and
understands none of them. `--model offline` asks for it by name.

exit codes:
  0 answered    2 usage    3 the text cannot be read    4 the model did not answer
  5 a limit was reached before the final answer (standard output has the best there was)
  6 this host cannot isolate code    130 interrupted
"""

DOCTOR_DETAILS = """\
Processes that it starts, a listener on 127.0.0.1 and a temporary folder are its own; nothing
outside of them is touched, and nothing of them is left.

exit codes:
  0 code is isolated here (standard or better)    6 this host cannot isolate code
"""

AUDIT_DETAILS = """\
Programs aim only at canaries of the audit's own: files in a temporary folder, listeners
on the loopback interface, a process that it has started, and its own limits.

exit codes:
  0 all contained (with --prove: all work)    1 one escaped (with --prove: one does not work)
  2 usage    6 this host cannot isolate code
"""


@dataclass(frozen=True)
class AskArguments:
    """The flags of `rlm ask` as they were given; None where one was not."""

    question: str
    paths: tuple[str, ...]
    model: str | None
    sub_model: str | None
    base_url: str | None
    max_steps: int | None
    max_subcalls: int | None
    max_tokens: int | None
    timeout: float | None
    json: bool
    trace: str | None
    quiet: bool
    resume: str | None = None
    redact_content: bool = False
    output_schema: str | None = None


@dataclass(frozen=True)
class DoctorArguments:
    """The flags of `rlm doctor`."""

    json: bool
    quiet: bool = False


@dataclass(frozen=True)
class AuditArguments:
    """The flags of `rlm audit`."""

    classes: tuple[str, ...]
    isolation: str
    without: tuple[str, ...]
    prove: bool
    json: bool
    quiet: bool = False


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
    return AskArguments(**_with_question(values))


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
    ask = commands.add_parser(
        "ask",
        help="answer a question about files, directories or standard input",
        description="Answer QUESTION about the texts at PATH... and print the answer.",
        epilog=ASK_DETAILS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_ask(ask)
    ask.set_defaults(refuse=ask.error)
    add_batch(commands)
    add_serve(commands)
    doctor = commands.add_parser(
        "doctor",
        help="show what this machine can enforce, proven by attempting what is forbidden",
        description="Try each layer of the wall alone, then tell a real worker to break out.",
        epilog=DOCTOR_DETAILS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    doctor.add_argument(
        "--json", action="store_true", help="print one JSON object: tier, layers, attempts, facts"
    )
    audit = commands.add_parser(
        "audit",
        help="run hostile programs against a real sandbox on this machine",
        description="Run each program of the attack corpus in a fresh sandbox, and look from "
        "outside whether it was contained.",
        epilog=AUDIT_DETAILS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_audit(audit)
    _add_trace(commands)
    return parser


def _add_audit(audit: argparse.ArgumentParser) -> None:
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


def _add_ask(ask: argparse.ArgumentParser) -> None:
    ask.add_argument(
        "question", metavar="QUESTION", nargs="?", type=_question, help="what you want to know"
    )
    ask.add_argument(
        "paths",
        metavar="PATH",
        nargs="*",
        help="a file, or a directory with all text files below it; several are a list of "
        "documents; '-' or none: standard input",
    )
    models = ask.add_argument_group("model")
    models.add_argument(
        "--model",
        metavar="NAME",
        help="the model that writes the code: a name at the base URL, anthropic/MODEL or "
        "azure/DEPLOYMENT",
    )
    models.add_argument(
        "--sub-model", metavar="NAME", help="the model that reads the pieces (default: the same)"
    )
    models.add_argument("--base-url", metavar="URL", help="an OpenAI-compatible server")
    limits = ask.add_argument_group("limits")
    limits.add_argument("--max-steps", metavar="N", type=whole, help="replies of the model")
    limits.add_argument("--max-subcalls", metavar="N", type=count, help="calls of the sub-model")
    limits.add_argument("--max-tokens", metavar="N", type=whole, help="tokens of the whole run")
    limits.add_argument(
        "--timeout", metavar="SECONDS", type=seconds, help="wall time of the whole run"
    )
    output = ask.add_argument_group("output")
    output.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object: version, answer, value, status, usage, isolation, trace, ...",
    )
    output.add_argument(
        "--output-schema",
        metavar="FILE",
        help="the answer must fit the JSON schema in FILE, and is printed as JSON; the model is "
        "told what does not fit. What it uses beyond JSON Schema 2020-12's plain keywords "
        "('pattern', for example) is refused with the place",
    )
    output.add_argument(
        "--trace", metavar="FILE", help="write each step to FILE as it happens, one JSON a line"
    )
    output.add_argument(
        "--redact-content",
        action="store_true",
        help="leave out of the trace what texts and models say (secrets are always left out)",
    )
    output.add_argument(
        "--resume",
        metavar="FILE",
        help="go on with the run of this trace that was cut off; what was answered is not asked "
        "again. QUESTION is that of the trace, and so is PATH if none is given",
    )
    output.add_argument(
        "--quiet", action="store_true", help="no progress and no notices, errors only"
    )


TRACE_DETAILS = """\
exit codes:
  0 shown, or the same again    2 usage    3 the trace or its text cannot be read
  6 this host cannot isolate code    7 the replay came out differently
"""


def _add_trace(commands: argparse._SubParsersAction[_Intermixed]) -> None:
    trace = commands.add_parser(
        "trace",
        help="show a recorded run, or run it again without a model",
        description="A trace is what `rlm ask --trace FILE` writes while it runs.",
        epilog=TRACE_DETAILS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
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


def _with_question(values: dict[str, Any]) -> dict[str, Any]:
    """With --resume the question is in the trace, and what stands in its place is a path."""
    question, refuse = values["question"], values.pop("refuse")
    if values["resume"] is None:
        if question is None:
            refuse("the following arguments are required: QUESTION")
        return values
    if values["trace"] is not None:
        refuse("--trace cannot be used with --resume: the trace is continued in its file")
    paths = () if question is None else (question,)
    return values | {"question": "", "paths": paths + values["paths"]}


class _Intermixed(argparse.ArgumentParser):
    """Flags may stand between and after the paths, as people write them."""

    _mixing = False

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
            return self.parse_known_intermixed_args(args, into)
        finally:
            self._mixing = False


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


def _question(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("the question is empty")
    return text
