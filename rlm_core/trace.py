"""What happened in a run, step by step: kept, written while it happens, and read back."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Literal, get_args

from rlm_core.adapters.base import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

StepKind = Literal[
    "root_call",
    "repl_exec",
    "subcall",
    "recursive_subcall",
    "sub_root_call",
    "sub_repl_exec",
    "sub_subcall",
    "baseline_call",
    "tool",
    "compaction",
]
_KINDS = frozenset(get_args(StepKind))
RECORDS = frozenset({"run_started", "run_resumed", "session_started", "reply", "run_finished"})
"""What a trace file holds beside steps, by `kind`: see `rlm_core.trace_file`."""


@dataclass(frozen=True)
class TraceStep:
    """One call of a model, or one cell that ran. Times are seconds; long texts are cut."""

    step_id: int
    kind: StepKind
    depth: int
    prompt_summary: str | None = None
    code: str | None = None
    output: str | None = None
    stdout: str | None = None
    error: str | None = None
    usage: Usage | None = None
    model: str | None = None
    elapsed: float | None = None
    cache_hit: bool = False
    input_hash: str | None = None
    output_hash: str | None = None
    cache_key: str | None = None
    parallel_group_id: str | None = None
    parallel_index: int | None = None
    parallel_total: int | None = None
    parent_id: int | None = None
    """The step within which this one happened: a recursive subcall's id, for its own steps."""
    outcome: str | None = None
    """What ended a cell (`rlm_sandbox.Outcome`)."""
    state: str | None = None
    """What is left of the variables after a cell (`rlm_sandbox.State`)."""
    cpu_seconds: float | None = None
    peak_memory: int | None = None
    """Largest resident set of the worker up to the end of a cell, in bytes."""
    tool: str | None = None
    """The name of the tool that was called."""

    def to_dict(self) -> dict[str, object]:
        """Plain data, for JSON."""
        plain = dict(vars(self))
        if self.usage is not None:
            plain["usage"] = self.usage.to_dict()
        return plain

    def but(self, **changes: object) -> Self:
        """The step with some fields changed: `dataclasses.replace`, at a tenth of its time."""
        changed = object.__new__(type(self))
        vars(changed).update(vars(self), **changes)
        return changed


@dataclass(frozen=True)
class Trace:
    """The steps of a run in the order in which they ended."""

    steps: list[TraceStep] = field(default_factory=list)

    def add(self, step: TraceStep) -> None:
        """Append a step; steps come from several threads, and appending is atomic."""
        self.steps.append(step)

    def total_tokens(self) -> int:
        """Tokens of all steps together; replies from the cache used none."""
        return sum(step.usage.total_tokens for step in self.steps if step.usage)

    def children(self, step_id: int | None) -> list[TraceStep]:
        """The steps right below a step, or below none: the root's own."""
        return [step for step in self.steps if step.parent_id == step_id]

    def to_json(self) -> str:
        """The steps as a JSON array."""
        return json.dumps([step.to_dict() for step in self.steps], ensure_ascii=False)

    @classmethod
    def from_json(cls, raw: str) -> Trace:
        """A trace from a JSON array, from {"steps": [...]}, or from one JSON object a line.

        Unknown fields are passed over and missing ones take their default; of a run that was
        continued, the steps are those since then. Raises ValueError for what is no trace at all.
        """
        return cls.of_records(records_of(raw))

    @classmethod
    def of_records(cls, records: list[object]) -> Trace:
        """The steps among the records of a trace file. Raises ValueError."""
        steps: list[TraceStep] = []
        for number, record in enumerate(records, start=1):
            kind = record.get("kind") if isinstance(record, dict) else None
            if kind == "run_resumed":
                steps.clear()
            if kind not in RECORDS:
                steps.append(_step(record, number))
        return cls(steps)


def cut(text: str, limit: int) -> str:
    """A text as a step keeps it."""
    return text if len(text) <= limit else text[:limit] + "...<truncated>"


def records_of(raw: str) -> list[object]:
    """The records of a trace in any of its forms. Raises ValueError for what is not JSON.

    The last line of a run that was cut off may be half a line, which is left out.
    """
    try:
        data: object = json.loads(raw)
    except ValueError:
        lines = _lines(raw)
        if len(lines) > 1 and not raw.endswith("\n") and not _is_json(lines[-1][1]):
            del lines[-1]
        return [_parsed(line, number) for number, line in lines]
    if isinstance(data, dict) and isinstance(data.get("steps"), list):
        data = data["steps"]
    return data if isinstance(data, list) else [data]


def _lines(raw: str) -> list[tuple[int, str]]:
    return [(number, line) for number, line in enumerate(raw.split("\n"), 1) if line.strip()]


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _parsed(line: str, number: int) -> object:
    try:
        return json.loads(line)
    except ValueError as error:
        raise ValueError(f"line {number} of the trace is not JSON: {error}") from error


def _step(item: object, number: int) -> TraceStep:
    if not isinstance(item, dict) or item.get("kind") not in _KINDS:
        raise ValueError(f"item {number} is no step of a trace: it has no known kind")
    known: dict[str, object] = {"step_id": number, "depth": 0}
    known |= {name: item[name] for name in _FIELDS if name in item}
    usage: Mapping[str, object] | object = known.get("usage")
    known["usage"] = Usage.from_dict(usage) if isinstance(usage, dict) else None
    return TraceStep(**known)  # ty: ignore[invalid-argument-type]


_FIELDS = frozenset(each.name for each in fields(TraceStep))
