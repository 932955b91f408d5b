"""The flags of `rlm serve`. Needs nothing but argparse, as all of the command line's start."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

from rlm_core.cli.numbers import at_least, count, seconds, whole

DETAILS = """\
Any program that speaks OpenAI's chat API asks by changing its base URL:

  rlm serve --model llama3.1 --base-url http://localhost:11434/v1
  OPENAI_BASE_URL=http://127.0.0.1:8000/v1 your-program

Long content of a request becomes the context, its last message the question; short requests go
straight to the model. See docs/serve.md for the rule, for what `rlm` in a request may say, and
for the files of profiles and keys.

addresses:
  /v1/chat/completions (plain and streamed)   /v1/models   /healthz   /metrics (Prometheus)

environment: models and their keys as for `rlm ask`; see `rlm ask --help`.
  RLM_SERVE_KEYS    API keys that clients must send, separated by commas, without limits

SIGTERM or Ctrl-C: takes nothing more on and finishes what is under way; a second time ends now.

exit codes:
  0 ended as it was told to    2 usage, or the address cannot be had
  6 this host cannot isolate code
"""


@dataclass(frozen=True)
class ServeArguments:
    """The flags of `rlm serve` as they were given; None where one was not."""

    host: str
    port: int
    config: str | None
    model: str | None
    sub_model: str | None
    base_url: str | None
    max_steps: int | None
    max_subcalls: int | None
    max_tokens: int | None
    keys: str | None
    no_keys: bool
    allow_host: tuple[str, ...]
    runs: int | None
    straight: int | None
    queue: int | None
    max_request: int | None
    timeout: float | None
    grace: float | None
    quiet: bool = False


def add_serve(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command to the others."""
    serve = commands.add_parser(
        "serve",
        help="answer programs that speak OpenAI's chat API",
        description="Serve an RLM behind OpenAI's chat API.",
        epilog=DETAILS,
    )
    serve.add_argument("--host", default="127.0.0.1", help="address (default: 127.0.0.1)")
    serve.add_argument(
        "--port", metavar="N", type=_port, default=8000, help="0 takes a free one (default: 8000)"
    )
    _add_models(serve)
    _add_strangers(serve)
    _add_room(serve)
    serve.add_argument("--quiet", action="store_true", help="no notices, errors only")


def _add_models(serve: argparse.ArgumentParser) -> None:
    models = serve.add_argument_group("models")
    models.add_argument("--config", metavar="FILE", help="profiles that requests name as `model`")
    models.add_argument("--model", metavar="NAME", help="as for `rlm ask`; it is called rlm")
    models.add_argument("--sub-model", metavar="NAME", help="as for `rlm ask`")
    models.add_argument("--base-url", metavar="URL", help="an OpenAI-compatible server")
    models.add_argument("--max-steps", metavar="N", type=whole, help="of one request")
    models.add_argument("--max-subcalls", metavar="N", type=count, help="of one request")
    models.add_argument("--max-tokens", metavar="N", type=whole, help="of one request, all models")


def _add_strangers(serve: argparse.ArgumentParser) -> None:
    strangers = serve.add_argument_group("who may ask")
    strangers.add_argument("--keys", metavar="FILE", help="API keys, and what each may use")
    strangers.add_argument(
        "--no-keys",
        action="store_true",
        help="let everybody ask who can reach an address that is not the loopback's",
    )
    strangers.add_argument(
        "--allow-host",
        metavar="NAME",
        action="append",
        default=[],
        help="a further name in the Host header; without keys, only the loopback's are taken",
    )


def _add_room(serve: argparse.ArgumentParser) -> None:
    room = serve.add_argument_group("room")
    room.add_argument(
        "--runs", metavar="N", type=whole, help="runs at once (default: 4 for each processor)"
    )
    room.add_argument(
        "--straight", metavar="N", type=whole, help="short requests at once (default: 256)"
    )
    room.add_argument(
        "--queue",
        metavar="N",
        type=count,
        help="requests that wait for a turn, before others are told to come later (default: 64)",
    )
    room.add_argument(
        "--max-request", metavar="SIZE", type=_size, help="of one request (default: 64MiB)"
    )
    room.add_argument(
        "--timeout", metavar="SECONDS", type=seconds, help="until an answer (default: 600)"
    )
    room.add_argument(
        "--grace",
        metavar="SECONDS",
        type=seconds,
        help="for what is under way when the server is told to end (default: 30)",
    )


def _port(text: str) -> int:
    number = at_least(text, 0)
    if number > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: they end at 65535")
    return number


def _size(text: str) -> int:
    from rlm_sandbox.limits import parse_size

    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
