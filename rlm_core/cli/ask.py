"""`rlm ask`: read the text, run the model over it, say the answer."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from rlm_core.adapters.errors import ModelError
from rlm_core.cli.exits import Exit
from rlm_core.cli.log import configure_logging
from rlm_core.cli.progress import Progress
from rlm_core.cli.report import report
from rlm_core.cli.settings import OfflineModel, ServedModel, Settings, UsageError
from rlm_core.context import Context
from rlm_core.documents import decode, read_paths
from rlm_core.errors import ContextError
from rlm_sandbox.errors import SandboxError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rlm_core.adapters.base import ModelAdapter
    from rlm_core.cli.arguments import AskArguments
    from rlm_core.cli.output import Output
    from rlm_core.policy import Policy
    from rlm_core.rlm import RunResult

STDIN = "-"
REPLY_TOKENS = 4_096  # a program with its reasoning
SUB_REPLY_TOKENS = 1_024
SILENCE_SECONDS = 300.0  # a large local model reads its prompt for minutes before the first byte
CALL_SECONDS = 1_800.0


def ask(arguments: AskArguments, environment: Mapping[str, str], output: Output) -> int:
    """Answer the question; every failure becomes one line and an exit code."""
    try:
        settings = Settings.gather(arguments, environment)
        configure_logging(settings.log_level)
        _check_writable(arguments.trace)
        with ExitStack() as resources:
            models = _models(settings.model, resources)
            context = _read(arguments.paths, output)
            result = _run(arguments, settings, models, context, output, resources)
    except UsageError as error:
        return _fail(output, Exit.USAGE, error)
    except ContextError as error:
        return _fail(output, Exit.INPUT, error)
    except ModelError as error:
        return _fail(output, Exit.MODEL, error)
    except SandboxError as error:
        return _fail(output, Exit.ISOLATION, error)
    if settings.show_trajectory:
        from rlm_core.cli.trajectory import trajectory

        output.block(trajectory(result.trace))
    return report(result, arguments, settings, output)


def _fail(output: Output, code: Exit, error: Exception) -> int:
    output.error(str(error))
    return code


def _check_writable(trace: str | None) -> None:
    """Find out before the model has cost anything."""
    if trace is None:
        return
    try:
        Path(trace).open("a").close()
    except OSError as error:
        raise UsageError(f"cannot write the trace to {trace}: {error.strerror}") from error


def _models(
    model: OfflineModel | ServedModel, resources: ExitStack
) -> tuple[ModelAdapter, ModelAdapter | None]:
    """The root model and, where it is another, the sub-model; closed with `resources`."""
    match model:
        case OfflineModel():
            from rlm_core.adapters.offline import OfflineAdapter

            return OfflineAdapter(), None
        case ServedModel(name, sub_name, base_url):
            root = _served(name, base_url, resources)
            return root, None if sub_name is None else _served(sub_name, base_url, resources)
        case _:
            assert_never(model)


def _served(name: str, base_url: str | None, resources: ExitStack) -> ModelAdapter:
    from rlm_core.adapters.named import adapter_named

    try:
        adapter = adapter_named(
            name, base_url=base_url, timeout=SILENCE_SECONDS, deadline=CALL_SECONDS
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    return resources.enter_context(adapter)


def _read(paths: tuple[str, ...], output: Output) -> Context:
    """The text to ask about. Raises ContextError."""
    if not paths or paths == (STDIN,):
        context = _read_stdin(output)
    elif STDIN in paths:
        raise UsageError("'-' (standard input) cannot be mixed with other paths")
    else:
        reading = read_paths(list(paths))
        context = reading.context
        if reading.skipped:
            files = "file is" if len(reading.skipped) == 1 else "files are"
            output.notice(f"{len(reading.skipped)} {files} no UTF-8 text and left out")
    if not context.text.strip():
        where = ", ".join(paths) or "standard input"
        raise ContextError(f"{where}: there is no text in it; name a file that has some")
    return context


def _read_stdin(output: Output) -> Context:
    if sys.stdin is None:
        raise ContextError("standard input is closed: name a file, or pipe a text in")
    if sys.stdin.isatty():
        output.notice("reading the text from the terminal; end it with Ctrl-D on a line of its own")
    text = decode(sys.stdin.buffer.read(), "standard input")
    return Context(text, (text,), paths=("standard input",))


def _run(
    arguments: AskArguments,
    settings: Settings,
    models: tuple[ModelAdapter, ModelAdapter | None],
    context: Context,
    output: Output,
    resources: ExitStack,
) -> RunResult[str]:
    from rlm_core.rlm import RLM

    root, sub = models
    rlm = RLM(
        root,
        subcall_adapter=sub,
        policy=_policy(arguments),
        max_tokens=REPLY_TOKENS,
        subcall_max_tokens=SUB_REPLY_TOKENS,
        parallel_subcalls=settings.parallel,
        event_listener=Progress(output) if output.shows_progress else None,
        trace_path=arguments.trace,
        cache_dir=_cache_directory(resources),
    )
    try:
        return rlm.run_result(arguments.question, context)
    finally:
        output.end_status()


def _policy(arguments: AskArguments) -> Policy:
    from dataclasses import replace

    from rlm_core.policy import Policy

    given = {
        "max_steps": arguments.max_steps,
        "max_subcalls": arguments.max_subcalls,
        "max_total_tokens": arguments.max_tokens,
        "max_seconds": arguments.timeout,
    }
    return replace(Policy(), **{name: value for name, value in given.items() if value is not None})


def _cache_directory(resources: ExitStack) -> Path:
    """Where replies are kept for the next time; where nothing can be kept, a place for now."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    directory = Path(base).expanduser() / "rlm-sandbox"
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError:
        usable = False
    else:
        usable = os.access(directory, os.W_OK)
    if usable:
        return directory
    return Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="rlm-cache-")))
