"""The script that becomes a zygote: it starts from nothing and lets nothing stand in for stdlib."""

from __future__ import annotations

import ast
from pathlib import Path

from rlm_sandbox import Sandbox
from rlm_sandbox.host.zygote import SCRIPT


def test_the_script_imports_the_standard_library_only_before_it_has_its_paths() -> None:
    names = {
        name
        for node in ast.parse(Path(SCRIPT).read_text()).body
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert names <= {"__future__", "importlib", "json", "socket", "sys", "typing"}


def test_the_folders_of_our_packages_are_not_on_the_path_of_the_code(free_box: Sandbox) -> None:
    free_box.exec("import sys\npath = list(sys.path)")
    path = free_box.get("path")
    assert isinstance(path, list)
    assert str(Path(SCRIPT).parent.parent.parent) not in path
