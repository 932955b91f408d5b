"""One line of the input: what is asked, of which text, under which limits. Pure.

{"custom_id": "a-1", "question": "Who signed?", "context": ..., "limits": {"max_steps": 10},
 "output_schema": {"type": "object", ...}}

`context` is a text ("..." or {"text": "..."}), a path ({"path": "minutes/"} or a text that is the
path of something that exists), or a list of paths; `context_ref` instead of it names a context
that was given once for the whole batch. A line in the form of OpenAI's batches
(`rlm_core.batch.chat_line`) is a task too.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from rlm_core.batch.errors import BadLine
from rlm_core.chat_request import LIMITS, Asked, ChatSettings, Straight
from rlm_core.context import Context
from rlm_core.errors import ConfigError
from rlm_core.json_schema import JsonSchema

LONGEST_ID = 512
LONGEST_PATH = 1_000
_LIKE_A_PATH = re.compile(r"\S*/\S*|\S+\.[A-Za-z][A-Za-z0-9]{0,5}")


@dataclass(frozen=True)
class Inline:
    """The text itself."""

    text: str


@dataclass(frozen=True)
class Files:
    """Files and directories, read when the task begins."""

    paths: tuple[str, ...]


@dataclass(frozen=True)
class Shared:
    """A context of the batch, by its name."""

    name: str


@dataclass(frozen=True)
class Chat:
    """A chat request: messages for the model, or a question with its own context."""

    request: Straight | Asked
    max_tokens: int | None = None
    """Of the reply, where the messages go straight to the model."""


@dataclass(frozen=True)
class Loaded:
    """A context that has been read already."""

    context: Context


Source = Inline | Files | Shared | Chat | Loaded


@dataclass(frozen=True)
class Task:
    """What is to be answered. `id` is the line's `custom_id`."""

    id: str
    line: int
    question: str
    source: Source
    limits: Mapping[str, int | float] = field(default_factory=dict)
    """Limits of this task alone, by the names of `Policy`; they win over those of the batch."""
    model: str | None = None
    """What a chat request called its model; it is told back, and the batch's model answers."""
    output: Mapping[str, object] | None = None
    """A JSON schema that the answer must fit; the answer is JSON then."""


class OwnLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The shape of a line in our own form."""

    custom_id: str
    question: str
    context: str | list[str] | dict[str, str | list[str]] | None = None
    context_ref: str | None = None
    limits: dict[str, int | float] = {}
    output_schema: dict[str, object] | None = None
    metadata: object = None
    """Ignored: for those who keep notes in their lines."""


def task_of(data: Mapping[str, object], line: int) -> Task:
    """The task of a decoded line in our own form. Raises BadLine."""
    try:
        own = msgspec.convert(data, OwnLine)
    except msgspec.ValidationError as error:
        raise BadLine(str(error)) from error
    if not own.question.strip():
        raise BadLine("the question is empty")
    return Task(
        checked_id(own.custom_id),
        line,
        sound(own.question, "question"),
        _source_of(own),
        checked_limits(own.limits),
        output=None if own.output_schema is None else checked_schema(own.output_schema),
    )


def checked_id(name: str) -> str:
    """The id, if it is one. Raises BadLine."""
    if not 0 < len(name) <= LONGEST_ID:
        raise BadLine(f"custom_id must have 1 to {LONGEST_ID} characters, not {len(name)}")
    return sound(name, "custom_id")


def checked_limits(given: Mapping[str, int | float]) -> dict[str, int | float]:
    """Limits by the names of `Policy`, if they are such. Raises BadLine."""
    unknown = sorted(set(given) - set(LIMITS))
    if unknown:
        raise BadLine(f"limits has no {', '.join(unknown)}: there are {', '.join(LIMITS)}")
    try:
        return msgspec.convert(dict(given), ChatSettings).limits()
    except msgspec.ValidationError as error:
        raise BadLine(f"limits: {error}") from error


def checked_schema(schema: Mapping[str, object]) -> Mapping[str, object]:
    """The JSON schema, if it is understood. Raises BadLine."""
    try:
        JsonSchema(schema)
    except ConfigError as error:
        raise BadLine(f"output_schema: {error}") from error
    return schema


def sound(text: str, name: str) -> str:
    """The text, if it can be said in UTF-8. Raises BadLine."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise BadLine(f"{name} holds half a surrogate pair, which is no text") from error
    return text


def _source_of(own: OwnLine) -> Source:
    if (own.context is None) is (own.context_ref is None):
        raise BadLine("exactly one of context and context_ref is needed")
    if own.context_ref is not None:
        return Shared(own.context_ref)
    match own.context:
        case str(text):
            return _text_or_path(text)
        case list(paths):
            return _files(paths)
        case {"text": str(text), **rest} if not rest:
            return _inline(text)
        case {"path": str(path), **rest} if not rest:
            return _files([path])
        case {"paths": list(paths), **rest} if not rest:
            return _files(paths)
    raise BadLine(
        'context is a text, a list of paths, {"text": "..."}, {"path": "..."} or {"paths": [...]}'
    )


def _text_or_path(text: str) -> Source:
    """A text, or the path of something that is there. What only looks like a path is refused:
    its few characters would be a text that costs money and answers nothing.
    """
    if len(text) > LONGEST_PATH or "\n" in text or "\0" in text:
        return _inline(text)
    if os.path.exists(text):  # noqa: PTH110 - of a million lines
        return _files([text])
    if _LIKE_A_PATH.fullmatch(text):
        raise BadLine(
            f"{text!r} looks like a path, and there is nothing: if it is the text itself, say "
            '{"text": "..."}'
        )
    return _inline(text)


def _inline(text: str) -> Inline:
    if not text.strip():
        raise BadLine("the context is empty")
    return Inline(sound(text, "context"))


def _files(paths: list[str]) -> Files:
    if not paths:
        raise BadLine("the context is an empty list of paths")
    for path in paths:
        _require_a_text(path)
    return Files(tuple(paths))


def _require_a_text(path: str) -> None:
    """Raises BadLine for what is neither a file nor a directory: to read it may take for ever."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - as above
    except (OSError, ValueError):  # ValueError: there is a NUL in it
        raise BadLine(f"{path!r}: no such file or directory") from None
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise BadLine(f"{path!r}: neither a file nor a directory")
