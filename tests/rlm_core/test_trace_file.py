from __future__ import annotations

import json
from pathlib import Path

from rlm_core.redaction import HIDDEN, Redaction
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


def test_a_line_is_ascii_whatever_was_said(tmp_path: Path) -> None:
    file = TraceFile(tmp_path / "t")
    said = "caf\u00e9 \u2028 \ud800 \x7f \n end"
    file.record({"kind": "reply", "text": said})
    file.record({"kind": "reply", "text": "plain \x7f"})
    file.close()
    raw = (tmp_path / "t").read_bytes()
    assert raw.isascii()
    first, second = raw.split(b"\n")[:2]
    assert json.loads(first)["text"] == said
    assert json.loads(second)["text"] == "plain \x7f"


def test_a_secret_is_found_however_json_writes_it(tmp_path: Path) -> None:
    secret = 'a"\\\x7f\u00e9\u2028 secret'
    file = TraceFile(tmp_path / "t", redaction=Redaction((secret, "plain\x7fone")))
    file.record({"kind": "reply", "text": f"it is {secret}!"})
    file.record({"kind": "reply", "text": "plain\x7fone"})
    file.close()
    texts = [json.loads(line)["text"] for line in (tmp_path / "t").read_text().splitlines()]
    assert texts == [f"it is {HIDDEN}!", HIDDEN]
