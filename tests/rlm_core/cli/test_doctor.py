"""`rlm doctor` as people and scripts meet it."""

from __future__ import annotations

import json
import platform
from dataclasses import replace

import pytest

from rlm_core.cli import Exit, main
from rlm_core.cli import doctor as verb
from rlm_sandbox import Sandbox
from rlm_sandbox.doctor import Attempt, Examination, Fact, Finding, Proof

NET = Finding("net", available=True, proof=Proof.HOLDS, detail="no network", in_use=True)
USER = Finding("user", available=False, proof=Proof.UNTOLD, detail="EPERM", remedy="a sysctl")
UTS = replace(USER, layer="uts")
FOUND = Examination(
    tier="standard",
    reason="namespaces are refused",
    layers=(NET, USER, UTS),
    attempts=(Attempt("read a file", contained=True, detail=""),),
    facts=(Fact("kernel", "Linux \x1b[31m6", "take another"),),
    not_promised=("side channels",),
    start_seconds=0.0123,
)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verb, "examine", lambda: FOUND)


def test_this_host_as_json(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == Exit.ANSWERED
    told = json.loads(capsys.readouterr().out)
    assert told["tier"] == box.isolation
    in_use = {layer["layer"] for layer in told["layers"] if layer["in_use"]}
    assert in_use == set(box.layers)


@pytest.fixture
def box() -> Sandbox:
    with Sandbox() as opened:
        return opened


@pytest.mark.usefixtures("found")
def test_the_table_says_what_holds_what_helps_and_what_is_not_promised(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["doctor"]) == Exit.ANSWERED
    out = capsys.readouterr().out
    rows = {line.split()[0]: line.split()[1:4] for line in out.splitlines() if line[:1].islower()}
    assert rows["net"] == ["yes", "yes", "yes"]
    assert rows["user"] == ["no", "-", "no"]
    assert out.count("a sysctl") == 1
    assert "user, uts: a sysctl" in out
    assert "read a file: contained" in out
    assert "side channels" in out
    assert "12.3 ms" in out
    assert "Tier: standard" in out
    assert "namespaces are refused" in out


@pytest.mark.usefixtures("found")
def test_nothing_of_the_host_reaches_the_terminal_raw(capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor"])
    assert "\x1b" not in capsys.readouterr().out


def test_an_escape_is_shouted_and_ends_with_six(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out_of_it = (Attempt("read a file", contained=False, detail=""),)
    monkeypatch.setattr(verb, "examine", lambda: replace(FOUND, attempts=out_of_it))
    assert main(["doctor"]) == Exit.ISOLATION
    out = capsys.readouterr().out
    assert "IT GOT OUT" in out
    assert "do not run hostile code here" in out


def test_another_system_ends_with_six_and_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    assert main(["doctor"]) == Exit.ISOLATION
    assert "needs Linux; this is Darwin" in capsys.readouterr().out
