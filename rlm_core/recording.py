"""A trace file read back: what was run, what was answered, and the steps as they were."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rlm_core.adapters.base import ModelResponse, Usage
from rlm_core.errors import TraceError
from rlm_core.trace import Trace, records_of
from rlm_core.trace_file import FORMAT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NO_USAGE = Usage(0, 0, 0)


@dataclass(frozen=True)
class RecordedReply:
    """What a model said, or how its call failed; or what a tool gave."""

    text: str = ""
    usage: Usage = NO_USAGE
    model: str | None = None
    finish_reason: str | None = None
    asked: str | None = None
    """Digest of the messages that an episode's own model was sent."""
    cached: bool = False
    error: str | None = None
    """The class of the exception instead of a reply; `text` is its message."""
    value: str | None = None
    """What a tool returned, encoded (`rlm_core.tool_calls`)."""
    left_out: bool = False
    """It is not there, for it held a secret."""

    def response(self) -> ModelResponse:
        """The reply as the adapter gave it. Raises an exception of the recorded class's name."""
        if self.error is not None:
            raise failure(self.error, self.text)
        meta: dict[str, object] = {"finish_reason": self.finish_reason}
        return ModelResponse(self.text, self.usage, self.model, meta)

    def to_record(self, key: str) -> dict[str, object]:
        """As a line of the trace file."""
        whole = {"text": self.text, "usage": self.usage.to_dict(), "model": self.model}
        rest = {"finish_reason": self.finish_reason, "asked": self.asked, "error": self.error}
        given: dict[str, object] = {name: v for name, v in rest.items() if v is not None}
        if self.value is not None:
            given["value"] = self.value
        if self.left_out:
            given |= {"value": None, "redacted": True}
        return {"kind": "reply", "key": key, **whole, **given, "cached": self.cached}

    @classmethod
    def of(cls, reply: ModelResponse, *, asked: str | None = None) -> RecordedReply:
        """A reply as it is kept."""
        reason = (reply.meta or {}).get("finish_reason")
        return cls(
            reply.text,
            reply.usage,
            reply.model_id,
            finish_reason=reason if isinstance(reason, str) else None,
            asked=asked,
        )


@dataclass(frozen=True)
class Recording:
    """All that a trace file holds."""

    header: Mapping[str, object]
    replies: Mapping[str, Sequence[RecordedReply]]
    """By key, in the order in which they were given."""
    trace: Trace
    finish: Mapping[str, object] | None = None
    """None for a run that was cut off."""
    sessions: Sequence[Mapping[str, object]] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path | str) -> Recording:
        """The recording in a file. Raises TraceError for a file that is none."""
        try:
            raw = Path(path).read_text(encoding="utf-8")
            records = records_of(raw)
            trace = Trace.of_records(records)
        except OSError as error:
            raise TraceError(f"cannot read the trace {path}: {error.strerror}") from error
        except ValueError as error:
            raise TraceError(f"{path} is no trace: {error}") from error
        headers = list(_of_kind(records, "run_started"))
        if len(headers) != 1:
            raise TraceError(f"{path} can only be shown: it does not say what was run")
        if headers[0].get("format") != FORMAT:
            raise TraceError(f"{path} was written by another version: it can only be shown")
        last = records[-1]
        ended = isinstance(last, dict) and last.get("kind") == "run_finished"
        return cls(
            headers[0],
            _replies(_of_kind(records, "reply")),
            trace,
            last if ended and isinstance(last, dict) else None,
            list(_of_kind(records, "session_started")),
        )

    def functions(self) -> set[str]:
        """Names of the functions that the caller had given the code, beside tools."""
        names: set[str] = set()
        for session in self.sessions:
            given = session.get("functions")
            names.update(map(str, given) if isinstance(given, list) else ())
        return names

    def output_schema(self) -> dict[str, object] | None:
        """The JSON schema that the answer had to fit, if it was asked for by one."""
        schema = self.header.get("output_schema")
        return (
            {str(name): value for name, value in schema.items()}
            if isinstance(schema, dict)
            else None
        )

    def require_replayable(self) -> None:
        """Raises TraceError where what was said has been left out of the trace."""
        if self.header.get("content_redacted"):
            raise TraceError("the trace holds no content: it was redacted, and can only be shown")


def failure(kind: str, message: str) -> Exception:
    """An exception whose class has this name: the code sees what it saw then."""
    made: type[Exception] = type(kind, (Exception,), {})
    return made(message)


def _of_kind(records: list[object], kind: str) -> list[dict[str, object]]:
    return [each for each in records if isinstance(each, dict) and each.get("kind") == kind]


def _replies(records: list[dict[str, object]]) -> dict[str, list[RecordedReply]]:
    found: dict[str, list[RecordedReply]] = defaultdict(list)
    for record in records:
        usage = record.get("usage")
        found[str(record.get("key"))].append(
            RecordedReply(
                text=_text(record.get("text")) or "",
                usage=Usage.from_dict(usage) if isinstance(usage, dict) else NO_USAGE,
                model=_text(record.get("model")),
                finish_reason=_text(record.get("finish_reason")),
                asked=_text(record.get("asked")),
                cached=record.get("cached") is True,
                error=_text(record.get("error")),
                value=_text(record.get("value")),
                left_out="value" in record and record["value"] is None,
            )
        )
    return dict(found)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
