"""`rlm audit` from the outside."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from rlm_core.cli import Exit, main
from rlm_sandbox.audit import runner
from rlm_sandbox.errors import IsolationUnavailable


def test_a_line_an_attack_and_a_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "--class", "neighbours"]) == Exit.ANSWERED
    lines = capsys.readouterr().out.splitlines()
    attacks = [line for line in lines if line.startswith("neighbours ")]
    assert len(attacks) >= 10
    assert all("contained by" in line and line.endswith(" ms") for line in attacks)
    assert "0 escaped" in lines[-1]


def test_a_process_of_its_own_keeps_its_environment_to_itself() -> None:
    command = [sys.executable, "-m", "rlm_core.cli", "audit", "--class", "python", "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    told = json.loads(ran.stdout)
    assert ran.returncode == Exit.ANSWERED
    assert {attack["status"] for attack in told["attacks"]} == {"contained"}
    assert told["summary"]["escaped"] == 0
    assert told["summary"]["programs"] == len(told["attacks"])


def test_an_escape_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "--class", "network", "--isolation", "none", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    escaped = [attack for attack in told["attacks"] if attack["status"] == "escaped"]
    assert "listener: tcp4 was reached" in [text for one in escaped for text in one["findings"]]
    assert told["summary"]["isolation"] == "none"


def test_a_layer_can_be_left_off(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "--class", "neighbours", "--without", "uts", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["summary"]["without"] == ["uts"]
    assert "uts" not in told["summary"]["layers"]
    (alone,) = [one for one in told["attacks"] if one["status"] == "stands-alone"]
    assert (alone["name"], bool(alone["reason"])) == ("hostname", True)


def test_programs_are_seen_at_work(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "--class", "network", "--prove"]) == Exit.ANSWERED
    assert "0 do not" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "hint"),
    [
        (["--class", "nonesuch"], "files, network, process"),
        (["--without", "nonesuch"], "landlock"),
        (["--isolation", "nonesuch"], "standard"),
    ],
)
def test_a_wrong_name_is_told_the_right_ones(
    flags: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", *flags]) == Exit.USAGE
    assert hint in capsys.readouterr().err


def test_a_host_that_cannot_isolate_ends_with_6(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(**_options: object) -> None:
        raise IsolationUnavailable("namespaces are refused here")

    monkeypatch.setattr(runner, "open_sandbox", refuse)
    assert main(["audit"]) == Exit.ISOLATION
    assert "namespaces are refused here" in capsys.readouterr().err
