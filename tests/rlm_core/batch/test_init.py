from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import rlm_core
from rlm_core import batch

HEAVY = ("ray", "rich", "httpx", "asyncio", "psutil")


def loaded_by(statement: str) -> set[str]:
    """Which of the heavy modules are there after a statement in a fresh interpreter."""
    shown = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys\nprint(*sys.modules)"],
        cwd=Path(rlm_core.__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(HEAVY) & set(shown.stdout.split())


def test_what_is_listed_as_public_is_there_and_all_that_is_there() -> None:
    for name in batch.__all__:
        assert getattr(batch, name).__name__ == name
    assert sorted(batch.__all__) == batch.__all__ == dir(batch)
    tree = ast.parse(Path(batch.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    shown = {
        alias.name
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert shown == set(batch.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        batch.nothing  # noqa: B018


def test_importing_it_is_quick() -> None:
    assert loaded_by("import rlm_core.batch") == set()


def test_ray_is_imported_for_a_cluster_only() -> None:
    assert loaded_by("import rlm_core.batch.run, rlm_core.batch.ray_engine") & {"ray"} == set()
