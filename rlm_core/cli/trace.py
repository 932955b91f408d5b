"""`rlm trace`: show a recorded run, or run it again without a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rlm_core.cli.exits import Exit
from rlm_core.cli.settings import UsageError
from rlm_core.cli.texts import read_texts_of
from rlm_core.errors import ContextError, TraceError
from rlm_core.recording import Recording
from rlm_core.trace import Trace
from rlm_core.trace_format import TraceFormatter
from rlm_sandbox.errors import SandboxError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rlm_core.cli.output import Output
    from rlm_core.cli.trace_arguments import TraceArguments
    from rlm_core.replay import Replay

JSON_VERSION = 1


def trace(arguments: TraceArguments, output: Output) -> int:
    """Show or replay; every failure becomes one line and an exit code."""
    try:
        if arguments.action == "show":
            return _show(arguments, output)
        return _replay(arguments, output)
    except UsageError as error:
        return _fail(output, Exit.USAGE, error)
    except (ContextError, TraceError) as error:
        return _fail(output, Exit.INPUT, error)
    except SandboxError as error:
        return _fail(output, Exit.ISOLATION, error)


def _fail(output: Output, code: Exit, error: Exception) -> int:
    output.error(str(error))
    return code


def _show(arguments: TraceArguments, output: Output) -> int:
    """Any trace can be shown, also one that only has steps in it."""
    recording = _readable(arguments.file)
    if arguments.json:
        output.json(
            {
                "version": JSON_VERSION,
                "run": dict(recording.header),
                "sessions": [dict(each) for each in recording.sessions],
                "steps": [step.to_dict() for step in recording.trace.steps],
                "finish": None if recording.finish is None else dict(recording.finish),
            }
        )
        return Exit.ANSWERED
    lines = [*_head(recording), "", TraceFormatter(verbose=arguments.full).format(recording.trace)]
    output.answer("\n".join([*lines, *_foot(recording)]).strip("\n"))
    return Exit.ANSWERED


def _readable(file: str) -> Recording:
    try:
        return Recording.read(file)
    except TraceError:
        path = Path(file)
        if not path.is_file():
            raise
        raw = path.read_text(encoding="utf-8", errors="replace")
        if not raw.strip():
            raise TraceError(f"{file} is empty: nothing was recorded") from None
        try:
            steps = Trace.from_json(raw)
        except ValueError as error:
            raise TraceError(f"{file} is no trace: {error}") from error
        return Recording({}, {}, steps)


def _head(recording: Recording) -> list[str]:
    header = recording.header
    if not header:
        return []
    context, models = _mapping(header.get("context")), _mapping(header.get("models"))
    paths = context.get("paths")
    where = f": {', '.join(map(str, paths[:5]))}" if isinstance(paths, list) and paths else ""
    documents = context.get("documents")
    of = "" if documents == 1 else f", {documents} documents"
    size = f"{context.get('characters')} characters{of}"
    session = recording.sessions[0] if recording.sessions else {}
    layers = session.get("layers")
    shown = f" ({', '.join(map(str, layers))})" if isinstance(layers, list) and layers else ""
    return [
        f"Question:  {header.get('query')}",
        f"Text:      {size}{where}",
        f"Models:    {models.get('root')}; for pieces: {models.get('sub')}",
        f"Isolation: {session.get('isolation', 'no session was opened')}{shown}",
        f"Seed:      {header.get('seed')}",
    ]


def _foot(recording: Recording) -> list[str]:
    finish = recording.finish
    if finish is None:
        cut_off = "It was cut off; go on with: rlm ask --resume FILE"
        return [cut_off] if recording.header else []
    return [
        f"Ended:     {finish.get('ending')} ({finish.get('status')})",
        f"Answer:    {finish.get('answer')}",
    ]


def _replay(arguments: TraceArguments, output: Output) -> int:
    from rlm_core.replay import replay

    recording = Recording.read(arguments.file)
    recording.require_replayable()
    context = read_texts_of(recording, arguments.paths, output)
    again = replay(arguments.file, context)
    if arguments.json:
        output.json(_as_json(again))
    else:
        output.answer(_told(again))
    return Exit.DIFFERENT if again.differences else Exit.ANSWERED


def _as_json(again: Replay) -> dict[str, object]:
    return {
        "version": JSON_VERSION,
        "same": not again.differences,
        "complete": again.complete,
        "answer": None if again.result is None else again.result.answer,
        "differences": [
            {"where": each.where, "recorded": each.recorded, "now": each.now}
            for each in again.differences
        ],
    }


def _told(again: Replay) -> str:
    ended = "as far as it was recorded; it had been cut off" if not again.complete else "to its end"
    if not again.differences:
        answer = "" if again.result is None else f"\nAnswer: {again.result.answer}"
        return f"The run came out the same, {ended}.{answer}"
    lines = [
        f"- {each.where}\n    recorded: {each.recorded}\n    now:      {each.now}"
        for each in again.differences
    ]
    return "\n".join([f"{len(lines)} differences ({ended}):", *lines])


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
