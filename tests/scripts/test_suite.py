"""The test script finds the Pythons that work, and ends with pytest's own closing line."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
OWN_VERSION = "{}.{}".format(*sys.version_info)


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


suite = load("suite")


def shim(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_python_is_found_by_running_it() -> None:
    assert Path(suite.probed(sys.executable, OWN_VERSION)).samefile(sys.executable)


def test_a_shim_that_refuses_is_not_found(tmp_path: Path) -> None:
    refusing = shim(
        tmp_path / "python3.12", "echo 'pyenv: python3.12: command not found' >&2\nexit 127"
    )
    assert suite.probed(str(refusing), "3.12") is None


def test_a_python_of_another_version_is_not_found() -> None:
    other = next(version for version in suite.VERSIONS if version != OWN_VERSION)
    assert suite.probed(sys.executable, other) is None
    assert suite.probed("python9.9", "9.9") is None


def test_the_versions_that_pyenv_holds_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = shim(tmp_path / f"versions/{OWN_VERSION}.99/bin/python{OWN_VERSION}", "exit 1")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert str(hidden) in suite.candidates(OWN_VERSION)


def test_a_folder_of_pythons_that_may_not_be_read_holds_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path, _pattern: str) -> list[Path]:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "glob", refuse)
    assert suite.found_below(tmp_path, "*") == []


def test_the_quick_suite_runs_on_every_python() -> None:
    jobs = suite.plan({"3.11": "/a", "3.13": "/b"}, ["tests/e2e", "-x"])
    assert [job.environment for job in jobs] == ["py311", "py313"]
    assert [job.options for job in jobs] == [("--discover", "/a"), ("--discover", "/b")]
    assert {job.arguments for job in jobs} == {("-m", "not slow", "tests/e2e", "-x")}


def test_the_long_suites_run_on_the_oldest_python() -> None:
    oldest, newer = suite.plan({"3.11": "/a", "3.13": "/b"}, ["--slow", "-x"])
    assert (oldest.environment, newer.environment) == ("py311-slow", "py313")
    assert oldest.arguments == ("-x",)
    assert newer.arguments == ("-m", "not slow", "-x")
    assert suite.plan({}, ["--slow"]) == []


@pytest.mark.parametrize(
    ("line", "closing"),
    [
        ("============ 640 passed in 33.35s ============", True),
        ("=== 1 failed, 639 passed, 2 skipped in 93.32s (0:01:33) ===", True),
        ("=== 12 passed, 3 deselected in 0.01s ===", True),
        ("=== no tests ran in 0.01s ===", True),
        ("640 passed in 33.35s", True),
        ("  py311: OK (42.10=setup[8.1]+cmd[33.9] seconds)", False),
        ("================ test session starts ================", False),
        ("passed in the end", False),
    ],
)
def test_the_closing_line_of_pytest_is_known(line: str, closing: bool) -> None:
    assert bool(suite.CLOSING_LINE.match(line)) is closing


def test_the_report_ends_with_the_closing_line(capsys: pytest.CaptureFixture[str]) -> None:
    runs = [suite.Ran("lint", 0, ""), suite.Ran("py311", 0, "1 passed in 1s")]
    assert suite.report(runs) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 passed in 1s"


def test_the_report_does_not_hide_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    failed = suite.Ran("py311", 1, "1 failed in 1s")
    passed = suite.Ran("py312", 0, "1 passed in 1s")
    assert suite.report([failed, passed]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "1 failed in 1s"
    assert "FAILED: py311" in lines[-2]
    assert suite.report([suite.Ran("lint", 1, ""), passed]) == 1
    assert suite.report([suite.Ran("lint", 0, "")]) == 1


def test_the_first_python_that_works_is_chosen(tmp_path: Path) -> None:
    refusing = shim(tmp_path / "python3", "exit 127")
    shim(tmp_path / "python3.11", f'exec "{sys.executable}" "$@"')
    found = subprocess.run(
        [SCRIPTS / "find-python"],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path), "PYTHON": str(refusing)},
    )
    assert Path(found.stdout.strip()).exists()
    assert not Path(found.stdout.strip()).samefile(refusing)


def test_without_any_python_it_says_how_to_get_one(tmp_path: Path) -> None:
    done = subprocess.run(
        ["/bin/sh", SCRIPTS / "find-python"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": str(tmp_path), "HOME": str(tmp_path)},
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "apt install python3" in done.stderr


def test_continuous_integration_runs_exactly_the_test_script() -> None:
    commands = [
        line
        for line in (SCRIPTS.parent / ".ci" / "run").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert commands == ['exec "$(dirname "$0")/../scripts/test"']


def test_help_teaches_and_runs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert suite.main(["--help"]) == 0
    told = capsys.readouterr().out
    assert "--slow" in told
    assert "building the wheel" not in told
