"""The flags of `rlm batch`. Needs nothing but argparse, as all of the command line's start."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from rlm_core.cli.numbers import above_zero, amount, count, whole

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

DETAILS = """\
a line of the input (one JSON object a line):
  {"custom_id": "a-1", "question": "Who signed?", "context": CONTEXT}
    CONTEXT is a text, a path, a list of paths or directories; {"text": "..."} and
    {"path": "..."} say which. "context_ref": "NAME" instead is a context given by --context.
    Optional: "limits": {"max_steps", "max_subcalls", "max_total_tokens", "max_seconds",
    "max_cost"} of this task, and "output_schema": a JSON schema that the answer must fit.
  {"custom_id": "a-1", "method": "POST", "url": "/v1/chat/completions", "body": {...}}
    as OpenAI's batches have it; our settings are in body.rlm. --model answers them all.

a line of the results:
  custom_id, status ("answered", "limited", "no_answer", "failed"), answer, error {type, message},
  usage, cost, steps, seconds, isolation, trace, ending, attempts (and OpenAI's `response`)

Started again with the same files it goes on where it was, whatever ended it. Ctrl-C once lets
what runs end, twice stops now.

environment: as for `rlm ask`; see `rlm ask --help`.

exit codes:
  0 every task has an answer         5 done, or out of money, and some tasks have no answer
  2 usage, or the results' file      6 this host cannot isolate code
    is not one, or is in use         8 results cannot be written (disk full): start again
  3 bad lines; nothing was run       130 interrupted: start again to go on
  4 the model does not answer: start again to go on
"""


@dataclass(frozen=True)
class BatchArguments:
    """The flags of `rlm batch` as they were given; None where one was not."""

    input: str
    output: str
    model: str | None
    sub_model: str | None
    base_url: str | None
    contexts: tuple[tuple[str, str], ...]
    concurrency: int
    max_cost: float | None
    prices: tuple[tuple[str, tuple[float, float]], ...]
    timeout: float | None
    max_steps: int | None
    max_subcalls: int | None
    max_tokens: int | None
    attempts: int
    poison_after: int
    retry_failed: bool
    skip_bad: bool
    traces: str | None
    redact_content: bool
    calls_per_minute: tuple[tuple[str, float], ...]
    calls_at_once: tuple[tuple[str, float], ...]
    engine: str
    address: str | None
    actors: int | None
    json: bool
    quiet: bool


REPEATED = ("contexts", "prices", "calls_per_minute", "calls_at_once")


def add_batch(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command to the others."""
    batch = commands.add_parser(
        "batch",
        help="answer thousands of questions, each once, through crashes",
        description="Answer every question of a file into another file, one JSON object a line.",
        epilog=DETAILS,
    )
    batch.add_argument(
        "-i",
        "--input",
        metavar="FILE",
        required=True,
        help="the tasks (JSON lines); - for standard input",
    )
    batch.add_argument(
        "-o", "--output", metavar="FILE", required=True, help="the results; what is there stays"
    )
    batch.add_argument(
        "--context",
        dest="contexts",
        metavar="NAME=PATH",
        action="append",
        default=[],
        type=Named(str, needs_name=True),
        help="a text or directory that tasks name as context_ref; loaded once for all of them",
    )
    _add_models(batch)
    _add_limits(batch)
    _add_going_on(batch)
    _add_engine(batch)


def _add_models(batch: argparse.ArgumentParser) -> None:
    models = batch.add_argument_group("model")
    models.add_argument("--model", metavar="NAME", help="as for `rlm ask`")
    models.add_argument("--sub-model", metavar="NAME", help="as for `rlm ask`")
    models.add_argument("--base-url", metavar="URL", help="an OpenAI-compatible server")
    models.add_argument(
        "--price",
        dest="prices",
        metavar="[MODEL=]IN:OUT",
        action="append",
        default=[],
        type=Named(_price),
        help="what a model costs per million tokens of prompt and of reply; of all models where "
        "none is named",
    )
    models.add_argument(
        "--calls-per-minute",
        metavar="[MODEL=]N",
        action="append",
        default=[],
        type=Named(above_zero),
        help="what the model's provider allows, over the whole batch",
    )
    models.add_argument(
        "--calls-at-once",
        metavar="[MODEL=]N",
        action="append",
        default=[],
        type=Named(whole),
        help="what the model's provider allows, over the whole batch",
    )


def _add_limits(batch: argparse.ArgumentParser) -> None:
    limits = batch.add_argument_group("limits")
    limits.add_argument(
        "--concurrency", metavar="N", type=whole, default=8, help="tasks at once (default: 8)"
    )
    limits.add_argument(
        "--max-cost",
        metavar="AMOUNT",
        type=above_zero,
        help="of the whole batch, earlier runs included; needs --price",
    )
    limits.add_argument(
        "--timeout", metavar="SECONDS", type=above_zero, help="wall time of one task"
    )
    limits.add_argument("--max-steps", metavar="N", type=whole, help="replies of the model, a task")
    limits.add_argument("--max-subcalls", metavar="N", type=count, help="calls of the sub-model")
    limits.add_argument("--max-tokens", metavar="N", type=whole, help="tokens of one task")


def _add_going_on(batch: argparse.ArgumentParser) -> None:
    more = batch.add_argument_group("failures and records")
    more.add_argument(
        "--attempts", metavar="N", type=whole, default=3, help="tries of a task (default: 3)"
    )
    more.add_argument(
        "--poison-after",
        metavar="N",
        type=whole,
        default=6,
        help="give a task up that was running when its process died, so many times (default: 6)",
    )
    more.add_argument(
        "--retry-failed", action="store_true", help="run again what has a result without an answer"
    )
    more.add_argument(
        "--skip-bad", action="store_true", help="leave out lines that are no tasks, and say which"
    )
    more.add_argument("--traces", metavar="DIR", help="write a trace of each task into DIR")
    more.add_argument(
        "--redact-content",
        action="store_true",
        help="leave out of the traces what texts and models say",
    )
    more.add_argument("--json", action="store_true", help="print the summary as one JSON object")
    more.add_argument("--quiet", action="store_true", help="no progress and no notices")


def _add_engine(batch: argparse.ArgumentParser) -> None:
    engine = batch.add_argument_group("more than one machine")
    engine.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="local (default), or ray: pip install 'rlm-sandbox[ray]'. With ray, --concurrency is "
        "that of one actor",
    )
    engine.add_argument(
        "--address", metavar="ADDRESS", help="the Ray cluster (default: RAY_ADDRESS, or a new one)"
    )
    engine.add_argument(
        "--actors", metavar="N", type=whole, help="Ray actors (default: one a CPU of the cluster)"
    )


class Named(Generic[T]):
    """Reads `NAME=VALUE` for argparse; what has no name is for "*"."""

    def __init__(self, value: Callable[[str], T], *, needs_name: bool = False) -> None:
        self._value = value
        self._needs_name = needs_name

    def __call__(self, text: str) -> tuple[str, T]:
        """The name and the value. Raises ArgumentTypeError."""
        name, equals, value = text.rpartition("=")
        if self._needs_name:
            name, equals, value = text.partition("=")
        if (equals and not name) or (self._needs_name and not equals):
            raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
        return name or "*", self._value(value)


def _price(text: str) -> tuple[float, float]:
    prompt, colon, reply = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{text!r} is not IN:OUT, per million tokens")
    return amount(prompt), amount(reply)
