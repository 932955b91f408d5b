"""The demonstration asks about the machine's own standard library, or whatever it is given."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import rlm_core
from tests.scripts.test_suite import SCRIPTS, load

PACKAGES = Path(rlm_core.__file__).parents[1]
demo = load("demo")


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LLM_")}
    return subprocess.run(
        [sys.executable, SCRIPTS / "demo.py", *arguments],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        cwd=cwd,
        env=kept | {"XDG_CACHE_HOME": str(cwd), "PYTHONPATH": str(PACKAGES)},
    )


def test_the_standard_library_is_large_real_input() -> None:
    files = demo.source_files(Path(os.__file__).parent)
    assert len(files) > 300
    assert sum(file.stat().st_size for file in files) > 10_000_000
    assert not [file for file in files if "site-packages" in file.parts or "test" in file.parts]


def test_it_shows_answer_place_isolation_and_time(tmp_path: Path) -> None:
    done = run(cwd=tmp_path)
    assert done.returncode == 0
    assert "Answer:     993\n" in done.stdout
    assert "imaplib.py, line " in done.stdout
    assert "Isolation:  " in done.stdout
    assert "Time:       " in done.stdout
    assert "offline keyword model" in done.stderr


def test_further_arguments_go_to_rlm_ask(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("The captain is called Ahab.\n")
    done = run("What is the captain called?", "note.txt", cwd=tmp_path)
    assert done.returncode == 0
    assert "Ahab" in done.stdout
    assert "(found in note.txt, line 1)" in done.stdout
    assert run("why", "missing.txt", cwd=tmp_path).returncode == 3


def test_every_shell_script_parses() -> None:
    for name in ("bench", "demo", "environment", "find-python", "fuzz", "test"):
        subprocess.run(["/bin/sh", "-n", SCRIPTS / name], check=True)
