"""What the audit found: a row a program, and their summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from rlm_sandbox.audit.program import Program


class Status(StrEnum):
    """How a program fared."""

    CONTAINED = "contained"
    ESCAPED = "escaped"
    UNTRIED = "not-tried"  # this host cannot run it with its layers off
    ALONE = "stands-alone"  # it got through since the one layer against it is off: listed as such


@dataclass(frozen=True)
class Row:
    """One program in one sandbox."""

    program: Program
    status: Status
    by: str
    """The layer that is responsible, or "controller"."""
    outcome: str
    """How its step ended: an Outcome, or what was raised."""
    milliseconds: float
    findings: tuple[str, ...] = ()
    """What was seen from outside; empty if it was contained."""
    reason: str = ""
    """Why it may get through with this layer off."""

    def as_dict(self) -> dict[str, object]:
        """As JSON has it."""
        return {
            "class": str(self.program.kind),
            "name": self.program.name,
            "mechanism": self.program.mechanism,
            "status": str(self.status),
            "contained_by": self.by if self.status is Status.CONTAINED else None,
            "outcome": self.outcome,
            "milliseconds": round(self.milliseconds, 1),
            "findings": list(self.findings),
            "reason": self.reason or None,
        }


@dataclass(frozen=True)
class Summary:
    """All rows in a few numbers."""

    isolation: str
    layers: tuple[str, ...]
    without: tuple[str, ...]
    programs: int
    mechanisms: int
    counts: dict[str, int]
    seconds: float

    @property
    def escapes(self) -> int:
        return self.counts.get(Status.ESCAPED, 0)

    def as_dict(self) -> dict[str, object]:
        """As JSON has it."""
        return {
            "isolation": self.isolation,
            "layers": list(self.layers),
            "without": list(self.without),
            "programs": self.programs,
            "mechanisms": self.mechanisms,
            **{str(status).replace("-", "_"): self.counts.get(status, 0) for status in Status},
            "seconds": round(self.seconds, 2),
        }


def summarise(
    rows: Iterable[Row],
    *,
    isolation: str,
    layers: Iterable[str],
    without: Iterable[str],
    seconds: float,
) -> Summary:
    """The summary of some rows; `seconds` is what they took."""
    rows = list(rows)
    return Summary(
        isolation=isolation,
        layers=tuple(sorted(map(str, layers))),
        without=tuple(sorted(map(str, without))),
        programs=len(rows),
        mechanisms=len({(row.program.kind, row.program.mechanism) for row in rows}),
        counts=dict(Counter(row.status for row in rows)),
        seconds=seconds,
    )
