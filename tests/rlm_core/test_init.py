from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import rlm_core

SEED_NAMES = {
    "Context", "PythonREPL", "ExecResult", "Policy", "PolicyError", "MaxStepsExceeded",
    "MaxSubcallsExceeded", "MaxRecursionExceeded", "MaxTokensExceeded", "Trace", "TraceStep",
    "ModelAdapter", "ModelResponse", "Usage", "FileCache", "RLM", "SmartRouter", "RouterConfig",
    "RouterResult", "ExecutionProfile", "TraceFormatter",
}  # fmt: skip
PURE = [
    "conversation.py", "context.py", "dialects/fences.py", "dialects/finals.py",
    "dialects/python.py", "dialects/wrappers.py", "events.py", "loop.py", "phases.py", "policy.py",
    "compaction.py", "jsonish.py", "prompts.py", "reply.py", "rules.py", "salvage.py",
    "short_answers.py", "stimuli.py", "typed.py", "verdict.py",
]  # fmt: skip
MACHINERY = {
    "asyncio", "httpx", "random", "rlm_sandbox", "socket", "subprocess", "threading", "time",
}  # fmt: skip
LIGHT = """
import sys, rlm_core
heavy = {"httpx", "rlm_core.rlm", "rlm_sandbox", "msgspec", "psutil", "asyncio"} & set(sys.modules)
assert not heavy, heavy
import rlm_core.loop, rlm_core.reply, rlm_core.policy
heavy = {"socket", "threading", "random", "httpx", "rlm_sandbox"} & set(sys.modules)
assert not heavy, heavy
"""


def test_all_is_what_can_be_imported() -> None:
    for name in rlm_core.__all__:
        assert getattr(rlm_core, name) is not None
    assert sorted(rlm_core.__all__) == sorted(rlm_core._HOME)
    assert dir(rlm_core) == sorted(rlm_core.__all__)
    assert not hasattr(rlm_core, "no_such_name")


def test_the_names_that_programs_import_are_there() -> None:
    assert set(rlm_core.__all__) >= SEED_NAMES


@pytest.mark.parametrize("name", ["ElasticsearchRetriever", "DocumentPolicy"])
def test_names_of_what_is_not_here_say_what_to_use(name: str) -> None:
    with pytest.raises(ImportError, match=r"RLM\(tools=|Context\.from_documents"):
        getattr(rlm_core, name)


@pytest.mark.parametrize("module", PURE)
def test_pure_modules_import_no_machinery(module: str) -> None:
    source = (Path(rlm_core.__file__).parent / module).read_text()
    imported = {
        name.split(".")[0] for node in ast.walk(ast.parse(source)) for name in _names_imported(node)
    }
    assert not imported & MACHINERY


def _names_imported(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=str(module)):
            return [module]
    return []


def test_importing_is_light_and_the_loop_touches_no_machinery() -> None:
    command = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        f"import sys; sys.path[:0] = {sys.path!r}\n{LIGHT}",
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
