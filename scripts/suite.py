"""Runs tox over every Python that is found, and ends with the closing line of pytest."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
import venv
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNNER = ROOT / ".tox" / "runner"  # tox lives in an environment of its own
WHEELS = ROOT / ".tox" / "wheels"
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
AT_ONCE = (os.cpu_count() or 1) + 1  # environments: much of their time they wait
SHOWING = threading.Lock()
PROBE = (
    "import sys, ssl, ctypes, venv, ensurepip\n"
    "print('%d.%d' % sys.version_info[:2], sys.implementation.name, sys.executable)"
)
HELP = """\
usage: scripts/test [--slow] [PYTEST ARGUMENT ...]

Lint, types and the whole test suite on every Python that is found of 3.11-3.14, through tox,
which is installed below .tox. About five minutes on two cores. The last line is pytest's own.

  scripts/test                   what continuous integration runs
  scripts/test --slow            the long suites too, on the oldest Python: half an hour more
  scripts/test tests/e2e -x      further arguments go to pytest, whose own help is
                                 .tox/py311/bin/python -m pytest --help
"""
CLOSING_LINE = re.compile(
    r"^(?:\x1b\[[\d;]*m|=)*\s*(?:\x1b\[[\d;]*m)*(?:\d+ \w+|no tests ran).* in [\d.]+s.*$"
)


@dataclass(frozen=True)
class Job:
    """A tox environment, options of tox for it, and arguments for pytest in it."""

    environment: str
    options: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ran:
    """How one tox environment ended. `closing` is pytest's last line, where pytest ran."""

    environment: str
    status: int
    closing: str


def main(arguments: list[str]) -> int:
    """Run everything; 0 only if everything passed."""
    if arguments in (["--help"], ["-h"]):
        print(HELP, end="")
        return 0
    os.chdir(ROOT)
    jobs = plan(found_pythons(), arguments)
    tox = [*runner(), "--installpkg", str(wheel())]
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        pytest_runs = [pool.submit(run, tox, job) for job in jobs]
        others = [pool.submit(run, tox, Job(name)) for name in ("lint", "typing")]
        return report([future.result() for future in [*others, *pytest_runs]])


def plan(pythons: dict[str, str], arguments: list[str]) -> list[Job]:
    """The quick suite on every Python; with --slow the long suites too, on the oldest.

    The long suites are more of the same: what differs between Pythons shows in the quick one.
    """
    passed_on = [argument for argument in arguments if argument != "--slow"]
    slow_on = next(iter(pythons), None) if "--slow" in arguments else None
    return [
        Job(
            f"py{version.replace('.', '')}" + ("-slow" if version == slow_on else ""),
            ("--discover", path),
            tuple(passed_on if version == slow_on else ["-m", "not slow", *passed_on]),
        )
        for version, path in pythons.items()
    ]


def found_pythons() -> dict[str, str]:
    """A working interpreter for each version, by running it; says which were not found."""
    found: dict[str, str] = {}
    for version in VERSIONS:
        path = next(filter(None, (probed(name, version) for name in candidates(version))), None)
        if path is None:
            say(f"Python {version}: not found")
        else:
            say(f"Python {version}: {path}")
            found[version] = path
    return found


def candidates(version: str) -> list[str]:
    """Where a Python of this version may be: this one, the PATH, pyenv's and uv's own places."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    uv = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "uv/python"
    return [
        sys.executable,
        f"python{version}",
        *found_below(pyenv, f"{version}.*/bin/python{version}"),
        *found_below(uv, f"cpython-{version}.*/bin/python{version}"),
    ]


def found_below(folder: Path, pattern: str) -> list[str]:
    """What is there, the newest first; nothing in a folder that this user may not read."""
    try:
        return [str(path) for path in sorted(folder.glob(pattern), reverse=True)]
    except PermissionError:
        return []


def probed(name: str, version: str) -> str | None:
    """The path of an interpreter if it runs, is CPython of this version and has what pip needs."""
    path = shutil.which(name)
    if path is None:
        return None
    try:
        told = subprocess.run(
            [path, "-I", "-c", PROBE], capture_output=True, text=True, check=True, timeout=60
        )
    except (subprocess.SubprocessError, OSError):
        return None
    actual, implementation, executable = told.stdout.strip().split(" ", 2)
    return executable if (actual, implementation) == (version, "cpython") else None


def runner() -> list[str]:
    """The command that starts tox, which is installed on the first run."""
    python = RUNNER / "bin" / "python"
    working = (
        python.exists()
        and not subprocess.run(
            [python, "-m", "tox", "--version"], capture_output=True, check=False
        ).returncode
    )
    if not working:
        say("installing tox ...")
        venv.create(RUNNER, with_pip=True, clear=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "tox>=4.22"], check=True)
    return [str(python), "-m", "tox", "run", "--colored", "no"]


def wheel() -> Path:
    """The project's wheel, built once for all environments."""
    shutil.rmtree(WHEELS, ignore_errors=True)
    say("building the wheel ...")
    pip = [RUNNER / "bin" / "python", "-m", "pip", "wheel", "--quiet"]
    options = ["--disable-pip-version-check", "--no-deps", "--wheel-dir", WHEELS]
    subprocess.run([*pip, *options, ROOT], check=True)
    return next(WHEELS.glob("*.whl"))


def run(tox: list[str], job: Job) -> Ran:
    """Run one environment; its output is shown when it has ended, so that none are mixed."""
    say(f"{job.environment} ...")
    started = time.monotonic()
    command = [*tox, *job.options, "-e", job.environment, "--", *job.arguments]
    done = subprocess.run(
        command,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    closing = [line for line in done.stdout.splitlines() if CLOSING_LINE.match(line.rstrip())]
    with SHOWING:
        sys.stdout.write(done.stdout)
        say(f"{job.environment} ended after {time.monotonic() - started:.0f} s")
    return Ran(job.environment, done.returncode, closing[-1].rstrip() if closing else "")


def report(runs: list[Ran]) -> int:
    """A line for each environment; the last line is pytest's own, of a failed run if any."""
    for ran in runs:
        say(
            f"{ran.environment}: {'passed' if ran.status == 0 else 'FAILED'} {ran.closing}".rstrip()
        )
    failed = [ran for ran in runs if ran.status != 0]
    last = next((ran for ran in [*failed, *reversed(runs)] if ran.closing), None)
    if failed:
        say("FAILED: " + ", ".join(ran.environment for ran in failed))
    if last is None:
        say("pytest did not run")
        return 1
    print(last.closing, flush=True)
    return 1 if failed else 0


def say(text: str) -> None:
    print(f"[scripts/test] {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
