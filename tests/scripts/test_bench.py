"""The bench measures what it says, writes it down, draws it, and notices what has grown."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

import pytest

import rlm_core
from scripts.benches import command
from scripts.benches.rows.starting import WALL
from tests.scripts.test_suite import SCRIPTS

PACKAGES = Path(rlm_core.__file__).parents[1]
SVG = "{http://www.w3.org/2000/svg}"
ROOT = SCRIPTS.parent
SPEED = ROOT / "docs" / "speed.json"


def bench(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPTS / "bench.py", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(PACKAGES)},
    )


def told(*arguments: str | Path) -> Told:
    """The same without a process, for what measures nothing."""
    output, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(output), redirect_stderr(errors):
        returncode = command.main([str(argument) for argument in arguments])
    return Told(returncode, output.getvalue(), errors.getvalue())


class Told(NamedTuple):
    """What the command line had to say."""

    returncode: int
    stdout: str
    stderr: str


def measured(file: Path, *arguments: str) -> Any:
    done = bench("--quick", "--json", file, *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(file.read_text())


def changed(file: Path, to: Path, row: str, factor: float) -> Path:
    """The same report with the ratios of one row multiplied, by far more than noise explains."""
    report = json.loads(file.read_text())
    for one in report["rows"]:
        for comparison in one["comparisons"] if one["name"] == row else ():
            ratio = factor * comparison["ratio"]
            comparison |= {"ratio": ratio, "low": ratio, "high": ratio}
    to.write_text(json.dumps(report))
    return to


def sides(report: Any) -> dict[str, set[str]]:
    return {row["name"]: set(row["sides"]) for row in report["rows"]}


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a few cheap figures, shared by the tests that read it."""
    file = tmp_path_factory.mktemp("bench") / "quick.json"
    measured(file, "fresh", "exec-one", "callbacks-one", "death-exit")
    return file


def test_a_quick_run_measures_ours_and_the_floor_in_the_same_run(quick: Path) -> None:
    report = json.loads(quick.read_text())
    assert [row["name"] for row in report["rows"]] == [
        "fresh", "exec-one", "callbacks-one", "death-exit",
    ]  # fmt: skip
    assert all(row["failure"] is None for row in report["rows"])
    assert sides(report)["fresh"] == {"ours", "python -I -S -c pass", WALL}
    for row in report["rows"]:
        assert row["sides"]["ours"]["median"] > 0
        assert row["sides"]["ours"]["count"] > 1
        for comparison in row["comparisons"]:
            assert comparison["low"] <= comparison["ratio"] <= comparison["high"]


def test_the_ratio_is_ours_by_the_floors(quick: Path) -> None:
    row = next(r for r in json.loads(quick.read_text())["rows"] if r["name"] == "callbacks-one")
    spinning = row["sides"]["ping-pong, spinning"]
    blocking = row["sides"]["ping-pong"]
    ratios = {comparison["base"]: comparison["ratio"] for comparison in row["comparisons"]}
    quicker = max(("ping-pong", blocking), ("ping-pong, spinning", spinning), key=_median)
    assert ratios[quicker[0]] == min(ratios.values())


def _median(side: tuple[str, Any]) -> float:
    return side[1]["median"]


def test_the_table_says_for_each_promise_whether_it_is_reached(quick: Path) -> None:
    done = told("--from", quick)
    assert done.returncode == 0
    head, *lines = done.stdout.splitlines()
    assert head.split() == ["figure", "ours", "p99", "against", "its", "ratio", "goal"]
    fresh = next(line for line in lines if line.startswith("fresh"))
    assert "python -I -S -c pass" in fresh
    assert "<= 0.35 x" in fresh
    assert fresh.split()[-1] in {"reached", "MISSED"}


def test_what_was_measured_agrees_with_itself(quick: Path) -> None:
    done = told("--from", quick, "--check", quick)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].endswith("0 worse")


def test_a_ratio_that_has_grown_is_noticed_and_ends_with_1(quick: Path, tmp_path: Path) -> None:
    slower = changed(quick, tmp_path / "slower.json", "fresh", 1_000.0)
    done = told("--from", slower, "--check", quick)
    assert done.returncode == 1
    assert "worse: fresh against python -I -S -c pass" in done.stdout


def test_a_rate_that_has_fallen_is_noticed_too(quick: Path, tmp_path: Path) -> None:
    slower = changed(quick, tmp_path / "slower.json", "callbacks-one", 1 / 1_000)
    done = told("--from", slower, "--check", quick)
    assert done.returncode == 1
    assert "worse: callbacks-one against ping-pong" in done.stdout


@pytest.mark.parametrize(("row", "factor"), [("fresh", 1 / 1_000), ("callbacks-one", 1_000.0)])
def test_what_has_become_better_is_not_complained_about(
    quick: Path, tmp_path: Path, row: str, factor: float
) -> None:
    better = changed(quick, tmp_path / "better.json", row, factor)
    assert told("--from", better, "--check", quick).returncode == 0


def test_a_figure_that_cannot_be_measured_any_more_is_noticed(quick: Path, tmp_path: Path) -> None:
    report = json.loads(quick.read_text())
    report["rows"][0] |= {"failure": "no worker came up", "sides": {}, "comparisons": []}
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps(report))
    done = told("--from", broken, "--check", quick)
    assert done.returncode == 1
    assert "not measured any more: fresh" in done.stdout
    assert "no worker came up" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no-such-figure"], "no figure is called no-such-figure"),
        (["--from", "/no/such/file"], "No such file"),
        (["--from", __file__], "is no report of scripts/bench"),
        (["--from", SPEED, "--readme", __file__], "has no place for the table"),
    ],
)
def test_a_wrong_command_line_says_what_is_wrong(
    arguments: Sequence[str | Path], words: str
) -> None:
    done = told(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_report_takes_in_what_was_measured_again(quick: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole.json"
    whole.write_text(quick.read_text())
    slower = changed(quick, tmp_path / "slower.json", "fresh", 1_000.0)
    report = json.loads(slower.read_text())
    report["rows"] = report["rows"][:1]
    slower.write_text(json.dumps(report))
    assert told("--from", slower, "--update", whole).returncode == 0
    before, after = json.loads(quick.read_text())["rows"], json.loads(whole.read_text())["rows"]
    assert after[1:] == before[1:]
    assert after[0] == report["rows"][0] != before[0]


def test_the_figures_are_listed_by_name() -> None:
    listed = told("--list").stdout.splitlines()
    names = [line.split()[0] for line in listed]
    assert {"fresh", "spare", "exec-one", "context-ascii", "episodes", "sessions-answer"} <= set(
        names
    )
    assert len(names) == len(set(names))


def test_the_committed_report_makes_the_committed_plot_and_table(tmp_path: Path) -> None:
    plot, readme = tmp_path / "speed.svg", tmp_path / "README.md"
    readme.write_text((ROOT / "README.md").read_text())
    assert told("--from", SPEED, "--plot", plot, "--readme", readme).returncode == 0
    assert plot.read_text() == (ROOT / "docs" / "speed.svg").read_text()
    assert readme.read_text() == (ROOT / "README.md").read_text()


def test_the_plot_has_a_panel_a_curve_and_a_point_a_measurement(tmp_path: Path) -> None:
    plot = tmp_path / "speed.svg"
    assert told("--from", SPEED, "--plot", plot).returncode == 0
    picture = ET.parse(plot).getroot()
    assert picture.tag == f"{SVG}svg"
    curves = json.loads(SPEED.read_text())["curves"]
    assert {curve["name"] for curve in curves} == {
        "context-size", "steps", "workers-open", "workers-memory", "concurrency",
    }  # fmt: skip
    points = sum(len(curve["points"]) for curve in curves)
    assert len(picture.findall(f".//{SVG}circle")) == points
    words = {text.text for text in picture.iter(f"{SVG}text")}
    assert {curve["title"] for curve in curves} <= words
    _inside(picture)


def _inside(picture: ET.Element) -> None:
    """Every point of a panel lies within its panel."""
    for panel in picture.findall(f"{SVG}g"):
        for circle in panel.findall(f"{SVG}circle"):
            assert 0 < float(circle.attrib["cx"]) < 330
            assert 0 < float(circle.attrib["cy"]) < 240


@pytest.mark.slow
def test_every_figure_is_measured(tmp_path: Path) -> None:
    report = measured(tmp_path / "all.json", "--curves")
    failures = {row["name"]: row["failure"] for row in report["rows"] if row["failure"]}
    assert not [name for name, why in failures.items() if "rlm-sandbox[serve]" not in why], failures
    assert {curve["name"]: curve["failure"] for curve in report["curves"]} == dict.fromkeys(
        ("context-size", "steps", "workers-open", "workers-memory", "concurrency")
    )


@pytest.mark.slow
def test_a_peer_that_is_not_there_is_reported_and_does_not_end_the_rest(tmp_path: Path) -> None:
    report = measured(
        tmp_path / "peers.json", "--peer", "forkserver", "--peer", "bubblewrap", "fresh"
    )
    states = {peer["name"]: peer["failure"] for peer in report["peers"]}
    assert states["forkserver"] is None
    there = {name for name, failure in states.items() if failure is None}
    assert sides(report)["fresh"] == {"ours", "python -I -S -c pass", WALL, *there}
