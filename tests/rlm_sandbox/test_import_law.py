"""Who may import whom: what keeps start-up fast, the core free of I/O and the wall small."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import rlm_sandbox
from tests.rlm_sandbox.program import PACKAGE_ROOT, environment

PACKAGE = Path(rlm_sandbox.__file__).parent
MODULES = sorted(
    module.name for module in pkgutil.walk_packages(rlm_sandbox.__path__, "rlm_sandbox.")
)
THIRD_PARTY = ("msgspec", "psutil", "httpx", "rlm_core")


def loaded_by(statement: str) -> set[str]:
    """Top-level names in sys.modules of a fresh interpreter after this statement."""
    shown = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys\nprint(*sys.modules)"],
        env=environment(),
        cwd=PACKAGE_ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return {name.partition(".")[0] for name in shown.stdout.split()}


def foreign(statement: str) -> set[str]:
    return loaded_by(statement) & set(THIRD_PARTY)


def imported_by(module: str) -> set[str]:
    """Top-level names that a module's own source imports, at any depth."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source_of(module).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


def source_of(module: str) -> Path:
    path = PACKAGE.parent.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def test_importing_the_package_imports_nothing_else() -> None:
    assert foreign("import rlm_sandbox") == set()


def test_the_whole_package_never_imports_the_runtime_or_an_http_client() -> None:
    everything = "; ".join(f"import {name}" for name in MODULES if "pytest" not in name)
    assert foreign(everything) <= {"msgspec", "psutil"}


@pytest.mark.parametrize("module", ["protocol", "framing", "limits", "errors", "result", "session"])
def test_the_core_needs_the_standard_library_and_msgspec_only(module: str) -> None:
    assert foreign(f"import rlm_sandbox.{module}") <= {"msgspec"}


@pytest.mark.parametrize("module", [name for name in MODULES if ".worker" in name])
def test_the_worker_needs_the_standard_library_and_msgspec_only(module: str) -> None:
    assert imported_by(module).isdisjoint(set(THIRD_PARTY) - {"msgspec"})


def test_a_worker_starts_with_the_standard_library_and_msgspec_only() -> None:
    assert foreign("import rlm_sandbox.worker.init, rlm_sandbox.worker.zygote") == {"msgspec"}


@pytest.mark.parametrize("module", [name for name in MODULES if ".confine" in name])
def test_the_wall_needs_the_standard_library_only(module: str) -> None:
    assert imported_by(module).isdisjoint(THIRD_PARTY)


@pytest.mark.parametrize("module", [name for name in MODULES if ".host" not in name])
def test_psutil_is_for_the_hosts_side_only(module: str) -> None:
    assert "psutil" not in imported_by(module)


@pytest.mark.parametrize("module", ["framing", "session"])
def test_what_can_be_replayed_touches_no_world(module: str) -> None:
    world = {"socket", "os", "time", "threading", "random"}
    assert imported_by(f"rlm_sandbox.{module}").isdisjoint(world)


def mirror_of(module: str) -> Path:
    *packages, name = module.split(".")[1:]
    return Path(__file__).parent.joinpath(*packages, f"test_{name}.py")


@pytest.mark.parametrize(
    "module", [name for name in MODULES if source_of(name).name != "__init__.py"]
)
def test_every_module_has_a_test_module_of_its_name(module: str) -> None:
    mirror = mirror_of(module)
    assert mirror.exists()
    assert "def test_" in mirror.read_text()


def test_what_is_listed_as_public_is_there_and_all_that_is_there() -> None:
    for name in rlm_sandbox.__all__:
        assert getattr(rlm_sandbox, name).__name__ == name
    assert sorted(rlm_sandbox.__all__) == rlm_sandbox.__all__
    tree = ast.parse(source_of("rlm_sandbox").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    shown = {
        alias.name
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert shown == set(rlm_sandbox.__all__)


def test_what_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'rlm_sandbox' has no attribute 'nothing'"):
        importlib.import_module("rlm_sandbox").nothing  # noqa: B018
