"""What the README shows works as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import rlm_core
from tests.rlm_core.adapters.chat_server import ChatServer, chat

ROOT = Path(__file__).parents[1]
EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)


def run(program: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=cwd
    )
    assert done.stderr == ""
    return done.stdout


@pytest.fixture(autouse=True)
def _installed_or_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(rlm_core.__file__).parents[1]))
    for name in ("LLM_API_KEY", "OPENAI_API_KEY", "http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def test_ten_lines_of_python_answer_a_question(tmp_path: Path) -> None:
    program = next(example for example in EXAMPLES if "OpenAICompatAdapter" in example)
    assert len([line for line in program.splitlines() if line]) <= 10
    (tmp_path / "minutes").mkdir()
    (tmp_path / "minutes" / "may.txt").write_text("The bridge shall be rebuilt. Ann objected.")
    (tmp_path / "contract.txt").write_text("Nothing about it.")
    first = "```python\nanswer = ctx.get_document(0)\n```"
    with ChatServer(chat(first), chat("FINAL_VAR: answer")) as server:
        said = run(program.replace("http://localhost:11434/v1", server.base_url), tmp_path)
    assert said.startswith("The bridge shall be rebuilt. Ann objected.\n3 steps, ")


def test_a_batch_answers_each_task(tmp_path: Path) -> None:
    program = next(example for example in EXAMPLES if "run_batch(" in example)
    (tmp_path / "minutes").mkdir()
    for month in ("may", "june"):
        (tmp_path / "minutes" / f"{month}.txt").write_text("The bridge shall be rebuilt.")
    with ChatServer(chat("FINAL: to rebuild it")) as server:
        said = run(program.replace("http://localhost:11434/v1", server.base_url), tmp_path)
    assert said == "{'answered': 2}\n"
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 2


def test_the_sandbox_alone_runs_code_and_calls_back(tmp_path: Path) -> None:
    program = next(example for example in EXAMPLES if "Sandbox(" in example)
    assert run(program, tmp_path) == "ok 84\n 84\n"


def test_the_minimal_program_answers(tmp_path: Path) -> None:
    said = run((ROOT / "scripts" / "minimal.py").read_text(), tmp_path)
    assert said.startswith("Summary -> long prompts are kept in a variable and read by code\n")
    assert "FINAL_VAR: answer" in said


def test_the_first_screen_names_the_two_commands() -> None:
    first_screen = (ROOT / "README.md").read_text("utf-8").splitlines()[:25]
    assert any(line.startswith("scripts/demo") for line in first_screen)
    assert any(line.startswith("scripts/test") for line in first_screen)


def test_an_answer_of_a_type_is_made_with_a_tool(tmp_path: Path) -> None:
    program = next(example for example in EXAMPLES if "output=Decision" in example)
    assert run(program, tmp_path) == "the bridge 7\n"


def test_the_pytest_plugin_works_as_shown(tmp_path: Path) -> None:
    program = next(example for example in EXAMPLES if "hostile_programs" in example)
    assert len([line for line in program.splitlines() if line]) <= 10
    few = program.replace('("files", "network")', '("network")')
    (tmp_path / "test_mine.py").write_text(few)
    plugin = ["-p", "rlm_sandbox.pytest_plugin", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugin, "test_mine.py"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
