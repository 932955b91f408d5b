"""The flags of `rlm ask`. Needs nothing but argparse, as all of the command line's start."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

from rlm_core.cli.numbers import count, seconds, whole

DETAILS = """\
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


def add_ask(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command to the others."""
    ask = commands.add_parser(
        "ask",
        help="answer a question about files, directories or standard input",
        description="Answer QUESTION about the texts at PATH... and print the answer.",
        epilog=DETAILS,
    )
    ask.set_defaults(refuse=ask.error)
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
    _add_models(ask)
    _add_limits(ask)
    _add_output(ask)


def _add_models(ask: argparse.ArgumentParser) -> None:
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


def _add_limits(ask: argparse.ArgumentParser) -> None:
    limits = ask.add_argument_group("limits")
    limits.add_argument("--max-steps", metavar="N", type=whole, help="replies of the model")
    limits.add_argument("--max-subcalls", metavar="N", type=count, help="calls of the sub-model")
    limits.add_argument("--max-tokens", metavar="N", type=whole, help="tokens of the whole run")
    limits.add_argument(
        "--timeout", metavar="SECONDS", type=seconds, help="wall time of the whole run"
    )


def _add_output(ask: argparse.ArgumentParser) -> None:
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


def with_question(values: dict[str, Any]) -> dict[str, Any]:
    """The values of `AskArguments`; exits as argparse does for flags that cannot go together.

    With --resume the question is in the trace, and what stands in its place is a path.
    """
    question, refuse = values["question"], values.pop("refuse")
    if values["resume"] is None:
        if question is None:
            refuse("the following arguments are required: QUESTION")
        return values
    if values["trace"] is not None:
        refuse("--trace cannot be used with --resume: the trace is continued in its file")
    paths = () if question is None else (question,)
    return values | {"question": "", "paths": paths + values["paths"]}


def _question(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("the question is empty")
    return text
