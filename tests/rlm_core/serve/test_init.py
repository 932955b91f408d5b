from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import rlm_core.serve

PACKAGE = Path(rlm_core.serve.__file__).parent
HOME_OF = {"starlette": "app.py", "uvicorn": "server.py"}


def imported_by(path: Path) -> set[str]:
    """Top-level names that a file imports outside of TYPE_CHECKING, at any depth."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


@pytest.mark.parametrize("name", HOME_OF)
def test_each_package_of_the_extra_is_known_to_one_file(name: str) -> None:
    users = [path.name for path in PACKAGE.glob("*.py") if name in imported_by(path)]
    assert users == [HOME_OF[name]]


def test_every_module_has_a_test_module_of_its_name() -> None:
    tests = Path(__file__).parent
    for path in PACKAGE.glob("*.py"):
        name = path.stem.strip("_")
        assert (tests / f"test_{name}.py").exists(), f"nothing tests {path.name}"


def test_other_commands_do_not_load_the_server() -> None:
    program = (
        "import sys\nfrom rlm_core.cli.arguments import build_parser\nbuild_parser()\n"
        "loaded = {'starlette', 'uvicorn', 'asyncio', 'rlm_core.serve'} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{program}"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
