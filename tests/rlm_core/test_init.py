from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
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
    "accounting.py", "conversation.py", "context.py", "dialects/fences.py", "dialects/finals.py",
    "dialects/python.py", "dialects/wrappers.py", "events.py", "loop.py", "phases.py", "policy.py",
    "compaction.py", "jsonish.py", "prompts.py", "reply.py", "rules.py", "salvage.py",
    "short_answers.py", "stimuli.py", "typed.py", "verdict.py",
]  # fmt: skip
MACHINERY = {
    "asyncio", "httpx", "random", "rlm_sandbox", "socket", "subprocess", "threading", "time",
}  # fmt: skip
AT_ONCE = {
    "httpx",
    "msgspec",
    "psutil",
    "asyncio",
    "logging",
    "sqlite3",
    "rlm_sandbox",
    "rlm_core.rlm",
}
"""What `import rlm_core` must not wait for."""
FOR_THE_LOOP = {"socket", "threading", "random", "httpx", "rlm_sandbox"}
SELDOM = {
    "httpx", "asyncio", "ssl", "sqlite3", "html", "urllib.request", "rlm_core.answer_type",
    "rlm_core.tools", "rlm_core.header", "rlm_core.redaction", "rlm_core.replay",
}  # fmt: skip
"""What nobody needs who asks a question without a type, tools or a trace."""
OF_A_COMMAND = {
    "msgspec", "rlm_sandbox", "rlm_core.rlm", "logging", "pathlib", "json", "asyncio", "httpx",
    "importlib.metadata", "tempfile",
}  # fmt: skip
"""What `rlm --help` must not wait for."""


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


def test_no_file_imports_itself_by_way_of_others() -> None:
    root = Path(rlm_core.__file__).parent
    sources = {
        ".".join(path.relative_to(root.parent).with_suffix("").parts): path.read_text()
        for path in root.rglob("*.py")
        if path.name != "__init__.py"
    }
    imports = {
        module: {
            name
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.ImportFrom) and node.module is not None
            for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
            if name in sources
        }
        for module, source in sources.items()
    }
    assert imports["rlm_core.rlm"]
    TopologicalSorter(imports).prepare()  # raises CycleError


def _names_imported(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=str(module)):
            return [module]
    return []


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import rlm_core", AT_ONCE),
        ("import rlm_core.loop, rlm_core.reply, rlm_core.policy", FOR_THE_LOOP),
        (
            "from rlm_core import RLM, Context, Policy; from rlm_core.adapters import FakeAdapter",
            SELDOM,
        ),
        ("import rlm_core.cli.ask", SELDOM),
        ("import rlm_core.cli.arguments; rlm_core.cli.arguments.build_parser()", OF_A_COMMAND),
    ],
)
def test_importing_brings_in_nothing_before_it_is_needed(
    statement: str, unwanted: set[str]
) -> None:
    assert not loaded_by(statement) & unwanted


def test_asking_a_small_question_offline_needs_no_network_and_no_database(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("Tea is a drink.")
    arguments = ["ask", "--quiet", "--model", "offline", "What is tea?", str(tmp_path / "text")]
    ran = f"import os, rlm_core.cli; os.environ['XDG_CACHE_HOME'] = {str(tmp_path)!r}\n"
    loaded = loaded_by(f"{ran}rlm_core.cli.main({arguments!r})")
    assert not loaded & (SELDOM - {"sqlite3"})
    assert "rlm_sandbox.host.link" in loaded


def loaded_by(statement: str) -> set[str]:
    """The modules in a fresh interpreter after these statements."""
    code = f"import sys; sys.path[:0] = {sys.path!r}\n{statement}\nprint(*sys.modules)"
    command = [sys.executable, "-I", "-S", "-c", code]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return set(ended.stdout.splitlines()[-1].split())
