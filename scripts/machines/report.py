"""What a machine has said about itself, from the files that it left, and as a line."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

UNKNOWN = "?"
MOST_PROBLEMS = 20
COLUMNS = (
    *("machine", "kernel", "python", "landlock", "groups", "tier", "audit", "tests", "minutes"),
)


@dataclass(frozen=True)
class Tests:
    """How many tests ended how."""

    passed: int
    failed: int
    skipped: int

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


@dataclass(frozen=True)
class Report:
    """One machine. None is what it did not get to."""

    machine: str
    kernel: str = UNKNOWN
    python: str = UNKNOWN
    landlock: str = UNKNOWN
    groups: str = UNKNOWN
    tier: str = UNKNOWN
    tier_after_remedy: str = ""
    programs: int | None = None
    escaped: int | None = None
    tests: Tests | None = None
    minutes: float = 0.0
    problems: tuple[str, ...] = field(default=())
    """What is wrong, a line each; nothing if all is well."""

    @property
    def row(self) -> tuple[str, ...]:
        """As the table shows it."""
        tier = (
            f"{self.tier}, then {self.tier_after_remedy}" if self.tier_after_remedy else self.tier
        )
        audit = UNKNOWN if self.programs is None else f"{self.programs}, {self.escaped} escaped"
        tests = UNKNOWN if self.tests is None else str(self.tests)
        facts = (self.kernel, self.python, self.landlock, self.groups, tier, audit, tests)
        return (self.machine, *facts, f"{self.minutes:.1f}")


def unpack(disk: Path) -> dict[str, bytes]:
    """The files on the disk that a machine has left; none if it did not get so far."""
    try:
        with tarfile.open(disk, "r:") as archive:
            files = ((entry, archive.extractfile(entry)) for entry in archive)
            return {entry.name.removeprefix("./"): file.read() for entry, file in files if file}
    except tarfile.TarError:
        return {}


def read(machine: str, files: Mapping[str, bytes], minutes: float, trouble: str = "") -> Report:
    """What the files of a machine say. `trouble` is why it ended early, if it did."""
    doctor = _json(files, "doctor.out")
    after = _json(files, "doctor-after.out")
    summary = _json(files, "audit.out").get("summary", {})
    facts = {fact["name"]: fact["value"] for fact in doctor.get("facts", [])}
    has_tier = doctor.get("tier", UNKNOWN) not in {UNKNOWN, "none"}
    tests = tests_of(files.get("tests.xml", b""))
    return Report(
        machine=machine,
        kernel=facts.get("kernel", UNKNOWN).removeprefix("Linux "),
        python=facts.get("python", UNKNOWN).partition(" ")[0],
        landlock=facts.get("landlock abi", UNKNOWN),
        groups=_groups(facts.get("control groups")),
        tier=doctor.get("tier", UNKNOWN),
        tier_after_remedy=after.get("tier", ""),
        programs=summary.get("programs"),
        escaped=summary.get("escaped"),
        tests=tests,
        minutes=minutes,
        problems=_first(_problems(doctor, files, trouble, has_tier=has_tier)),
    )


def _groups(told: str | None) -> str:
    """The version of the control groups that are delegated: the first has a folder for each."""
    if told is None:
        return UNKNOWN
    if not told.startswith("delegated below "):
        return "none"
    return "v1" if "," in told else "v2"


def _json(files: Mapping[str, bytes], name: str) -> dict[str, Any]:
    try:
        found = json.loads(files.get(name, b""))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _first(problems: Iterable[str]) -> tuple[str, ...]:
    """Not all of them, if one cause has many: the rest is in what the machine has left."""
    every = tuple(problems)
    more = len(every) - MOST_PROBLEMS
    return every if more <= 0 else (*every[:MOST_PROBLEMS], f"and {more} more")


def _problems(
    doctor: Mapping[str, Any], files: Mapping[str, bytes], trouble: str, *, has_tier: bool
) -> Iterable[str]:
    if trouble:
        yield trouble
    if not doctor:
        yield f"the doctor said nothing: {_end(files, 'doctor.err')}"
    elif has_tier and not doctor.get("sound"):
        yield "the doctor finds it unsound"
    for layer in doctor.get("layers", []):
        if layer["proof"] == "broken":
            yield f"{layer['layer']} does not hold: {layer['detail']}"
    if has_tier and _json(files, "audit.out").get("summary") is None:
        yield f"the audit did not end: {_end(files, 'audit.err')}"
    for attack in _json(files, "audit.out").get("attacks", []):
        if attack["status"] == "escaped":
            yield f"escaped: {attack['class']} {attack['name']}: {'; '.join(attack['findings'])}"
    yield from failures_of(files.get("tests.xml", b""))
    if "tests.status" in files and "tests.xml" not in files:
        yield f"the tests did not end: {_end(files, 'tests.out') or _end(files, 'tests.err')}"


def _end(files: Mapping[str, bytes], name: str) -> str:
    return files.get(name, b"").decode(errors="replace").strip()[-500:]


def tests_of(xml: bytes) -> Tests | None:
    """The counts in pytest's JUnit report; None if it is none."""
    try:
        suites = list(ET.fromstring(xml).iter("testsuite"))
    except ET.ParseError:
        return None
    total = {
        name: sum(int(suite.get(name, "0")) for suite in suites)
        for name in ("tests", "failures", "errors", "skipped")
    }
    failed = total["failures"] + total["errors"]
    return Tests(total["tests"] - failed - total["skipped"], failed, total["skipped"])


def failures_of(xml: bytes) -> list[str]:
    """A line for each test that has failed."""
    try:
        cases = ET.fromstring(xml).iter("testcase")
    except ET.ParseError:
        return []
    return [
        f"failed: {case.get('classname')}::{case.get('name')}: {verdict.get('message', '')[:300]}"
        for case in cases
        for verdict in case
        if verdict.tag in {"failure", "error"}
    ]


def table(reports: Iterable[Report]) -> str:
    """A line each, below a line of titles."""
    rows = [COLUMNS, *(report.row for report in reports)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
