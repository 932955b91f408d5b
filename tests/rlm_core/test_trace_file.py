from __future__ import annotations

import json
from pathlib import Path

from rlm_core.redaction import Redaction
from rlm_core.trace import Trace, TraceStep
from rlm_core.trace_file import TraceFile

STEP = TraceStep(1, "root_call", 0, output="secret!!")


def test_records_and_steps_are_lines_in_the_order_in_which_they_happen(tmp_path: Path) -> None:
    file = TraceFile(tmp_path / "t")
    file.record({"kind": "run_started"})
    file.write(STEP)
    file.close()
    kinds = [json.loads(line)["kind"] for line in (tmp_path / "t").read_text().splitlines()]
    assert kinds == ["run_started", "root_call"]
    assert Trace.from_json((tmp_path / "t").read_text()).steps == [STEP]


def test_the_steps_of_a_continued_run_are_those_since_then(tmp_path: Path) -> None:
    file = TraceFile(tmp_path / "t")
    file.write(STEP)
    file.close()
    with (tmp_path / "t").open("a") as raw:
        raw.write('{"half')
    file = TraceFile(tmp_path / "t", append=True)
    file.record({"kind": "run_resumed"})
    file.write(STEP)
    file.close()
    assert Trace.from_json((tmp_path / "t").read_text()).steps == [STEP]


def test_nothing_is_written_that_must_not_be(tmp_path: Path) -> None:
    file = TraceFile(tmp_path / "t", redaction=Redaction(("secret!!",)))
    file.write(STEP)
    file.close()
    assert "secret!!" not in (tmp_path / "t").read_text()
