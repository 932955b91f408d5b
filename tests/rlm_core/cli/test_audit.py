"""`rlm audit` from the outside."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from rlm_core.cli import Exit, main
from rlm_sandbox.audit import runner
from rlm_sandbox.audit.corpus import CORPUS
from rlm_sandbox.errors import IsolationUnavailable


@pytest.fixture
def among(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Leaves only some of the programs; each class of the corpus is run in its own test."""

    def leave(*ids: str) -> None:
        some = tuple(program for program in CORPUS if program.id in ids)
        assert len(some) == len(ids)
        monkeypatch.setattr("rlm_core.cli.audit.CORPUS", some)

    return leave


def test_a_line_an_attack_and_a_summary(
    among: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    among("files/open", "network/tcp", "neighbours/scratch", "neighbours/futex")
    assert main(["audit", "--class", "neighbours", "--class", "files"]) == Exit.ANSWERED
    lines = capsys.readouterr().out.splitlines()
    attacks = [line for line in lines if line.endswith(" ms")]
    assert [line.split()[:2] for line in attacks] == [
        ["files", "open"],
        ["neighbours", "scratch"],
        ["neighbours", "futex"],
    ]
    assert all("contained by" in line for line in attacks)
    assert "0 escaped" in lines[-1]


ENVIRONMENT = """
import sys
from rlm_core.cli import audit, main
ids = {"python/environment", "python/c-environment", "python/heap", "files/proc-environ"}
audit.CORPUS = tuple(program for program in audit.CORPUS if program.id in ids)
sys.exit(main(["audit", "--json"]))
"""


def test_a_process_of_its_own_keeps_its_environment_to_itself() -> None:
    command = [sys.executable, "-c", ENVIRONMENT]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    told = json.loads(ran.stdout)
    assert ran.returncode == Exit.ANSWERED
    assert {attack["status"] for attack in told["attacks"]} == {"contained"}
    assert told["summary"]["escaped"] == 0
    assert told["summary"]["programs"] == len(told["attacks"]) == 4


def test_an_escape_ends_with_1(
    among: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    among("network/tcp")
    assert main(["audit", "--class", "network", "--isolation", "none", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    (attack,) = told["attacks"]
    assert attack["status"] == "escaped"
    assert "listener: tcp4 was reached" in attack["findings"]
    assert told["summary"]["isolation"] == "none"


def test_a_layer_can_be_left_off(
    among: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    among("neighbours/hostname", "neighbours/scratch")
    assert main(["audit", "--class", "neighbours", "--without", "uts", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["summary"]["without"] == ["uts"]
    assert "uts" not in told["summary"]["layers"]
    (alone,) = [one for one in told["attacks"] if one["status"] == "stands-alone"]
    assert (alone["name"], bool(alone["reason"])) == ("hostname", True)


def test_programs_are_seen_at_work(
    among: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    among("network/tcp", "network/udp")
    assert main(["audit", "--class", "network", "--prove"]) == Exit.ANSWERED
    told = r"(\d+) work with their layers off, 0 do not, (\d+) cannot be tried here"
    counts = re.search(told, capsys.readouterr().out)
    assert counts is not None
    assert sum(map(int, counts.groups())) == 2


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
