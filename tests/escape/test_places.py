"""The audit holds where the host offers less: in a container, on an old kernel, for any user."""

from __future__ import annotations

import json

import pytest

from tests.rlm_sandbox.container import ALL_CAPABILITIES, LANDLOCK, Place, user

AUDIT = """
import json
from rlm_sandbox.audit.corpus import CORPUS
from rlm_sandbox.audit.findings import Status
from rlm_sandbox.audit.runner import Auditor

with Auditor() as auditor:
    rows = [auditor.run(program) for program in CORPUS if program.id in CHOSEN]
escaped = {row.program.id: row.findings for row in rows if row.status is Status.ESCAPED}
print(json.dumps([auditor.isolation, len(rows), escaped]))
"""

QUICK = (
    *("files/open", "files/append", "files/utime", "network/tcp", "network/pair-to-path"),
    *("process/fork", "process/kill", "kernel/whole-table", "python/c-environment"),
    *("neighbours/processes", "neighbours/scratch"),
)

PLACES = {
    "as root in a container": (Place(), "standard"),
    "as a user in a container": (Place(uid=user()), "standard"),
    "on a kernel without Landlock": (
        Place(confined=False, capabilities=ALL_CAPABILITIES, hidden=LANDLOCK),
        "full",
    ),
}


def audited(place: Place, chosen: str) -> tuple[str, int, dict[str, list[str]]]:
    isolation, programs, escaped = json.loads(place.run(AUDIT.replace("CHOSEN", chosen)))
    return isolation, programs, escaped


@pytest.mark.parametrize("name", PLACES)
def test_the_quick_ones_are_contained(name: str) -> None:
    place, tier = PLACES[name]
    assert audited(place, repr(QUICK)) == (tier, len(QUICK), {})


@pytest.mark.slow
@pytest.mark.parametrize("name", PLACES)
def test_all_are_contained(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.rlm_sandbox.container.SECONDS", 600)
    place, tier = PLACES[name]
    everything = "{program.id for program in CORPUS}"
    isolation, programs, escaped = audited(place, everything)
    assert (isolation, escaped) == (tier, {})
    assert programs > 150
