"""`rlm ask`: read the text, run the model over it, say the answer."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from rlm_core.adapters.errors import ModelError
from rlm_core.cli.exits import Exit
from rlm_core.cli.log import configure_logging
from rlm_core.cli.progress import Progress
from rlm_core.cli.report import report
from rlm_core.cli.schema import read_schema
from rlm_core.cli.settings import OfflineModel, ServedModel, Settings, UsageError
from rlm_core.cli.texts import read_texts, read_texts_of
from rlm_core.errors import ConfigError, ContextError, TraceError
from rlm_sandbox.errors import SandboxError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rlm_core.adapters.base import ModelAdapter
    from rlm_core.cli.ask_arguments import AskArguments
    from rlm_core.cli.output import Output
    from rlm_core.context import Context
    from rlm_core.policy import Policy
    from rlm_core.recording import Recording
    from rlm_core.rlm import RunResult

REPLY_TOKENS = 4_096  # a program with its reasoning
SUB_REPLY_TOKENS = 1_024


def ask(arguments: AskArguments, environment: Mapping[str, str], output: Output) -> int:
    """Answer the question; every failure becomes one line and an exit code."""
    try:
        settings = Settings.gather(arguments, environment)
        configure_logging(settings.log_level)
        _check_writable(arguments.trace)
        with ExitStack() as resources:
            models = _models(settings.model, resources)
            task = _task(arguments, settings, output)
            result = _run(task, arguments, settings, models, output, resources)
    except (UsageError, ConfigError) as error:
        return _fail(output, Exit.USAGE, error)
    except (ContextError, TraceError) as error:
        return _fail(output, Exit.INPUT, error)
    except ModelError as error:
        return _fail(output, Exit.MODEL, error)
    except SandboxError as error:
        return _fail(output, Exit.ISOLATION, error)
    if settings.show_trajectory:
        from rlm_core.cli.trajectory import trajectory

        output.block(trajectory(result.trace))
    typed = task.output is not None
    return report(result, arguments, settings, output, typed=typed)


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
        adapter = adapter_named(name, base_url=base_url)
    except ValueError as error:
        raise UsageError(str(error)) from error
    return resources.enter_context(adapter)


@dataclass(frozen=True)
class _Task:
    """What is asked, of which text, within which limits, and perhaps from where on."""

    question: str
    context: Context
    policy: Policy
    output: dict[str, object] | None = None
    """The JSON schema that the answer must fit."""
    resume: Path | None = None


def _task(arguments: AskArguments, settings: Settings, output: Output) -> _Task:
    """The task of the flags, or of the trace that is continued. Raises what reading raises."""
    from rlm_core.policy import Policy

    schema = None if arguments.output_schema is None else read_schema(arguments.output_schema)
    if arguments.resume is None:
        context = read_texts(arguments.paths, output)
        return _Task(arguments.question, context, _limited(Policy(), arguments), schema)
    from rlm_core.header import config_of
    from rlm_core.recording import Recording

    recording = Recording.read(arguments.resume)
    _require_a_model(recording, settings.model)
    context = read_texts_of(recording, arguments.paths, output)
    policy = _limited(config_of(recording.header).policy, arguments)
    query = str(recording.header.get("query"))
    output_schema = recording.output_schema() if schema is None else schema
    return _Task(query, context, policy, output_schema, Path(arguments.resume))


def _require_a_model(recording: Recording, model: OfflineModel | ServedModel) -> None:
    """A run that a language model began is not ended by the offline one unasked."""
    names = recording.header.get("models")
    began = str(names.get("root")) if isinstance(names, dict) else ""
    if model == OfflineModel(chosen=False) and not began.startswith("OfflineAdapter"):
        raise UsageError(
            f"the run was begun with {began}: name the model that goes on with --model NAME (and "
            "--base-url), or set LLM_MODEL"
        )


def _run(
    task: _Task,
    arguments: AskArguments,
    settings: Settings,
    models: tuple[ModelAdapter, ModelAdapter | None],
    output: Output,
    resources: ExitStack,
) -> RunResult[Any]:
    from rlm_core.rlm import RLM

    root, sub = models
    rlm = RLM(
        root,
        subcall_adapter=sub,
        policy=task.policy,
        max_tokens=REPLY_TOKENS,
        subcall_max_tokens=SUB_REPLY_TOKENS,
        parallel_subcalls=settings.parallel,
        event_listener=Progress(output) if output.shows_progress else None,
        trace_path=arguments.trace,
        redact_content=arguments.redact_content,
        cache_dir=cache_directory(resources),
    )
    try:
        return rlm.run_result(task.question, task.context, output=task.output, resume=task.resume)
    finally:
        output.end_status()


def _limited(policy: Policy, arguments: AskArguments) -> Policy:
    """The policy with what the flags say."""
    given = {
        "max_steps": arguments.max_steps,
        "max_subcalls": arguments.max_subcalls,
        "max_total_tokens": arguments.max_tokens,
        "max_seconds": arguments.timeout,
    }
    return replace(policy, **{name: value for name, value in given.items() if value is not None})


def cache_directory(resources: ExitStack) -> Path:
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
    import tempfile

    return Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="rlm-cache-")))
