"""Packages are found where they lie, with what they require, and without being imported."""

from __future__ import annotations

import importlib
import sys
import zipfile
from collections.abc import Iterable
from importlib.machinery import ModuleSpec
from pathlib import Path

import msgspec
import pytest

from rlm_sandbox.errors import PackageUnavailable
from rlm_sandbox.host.packages import Packages, find
from tests.rlm_sandbox import program

RAISES = "raise AssertionError('it was imported')"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for packages, on `sys.path`."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


def installed(site: Path, name: str, *modules: str, requires: Iterable[str] = ()) -> None:
    """Lay a distribution out as an installer does."""
    files = [f"{module}/__init__.py" for module in modules]
    for file in files:
        (site / file).parent.mkdir()
        (site / file).write_text(RAISES)
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (site / f"{name}.pth").write_text("import os")
    required = "".join(f"Requires-Dist: {each}\n" for each in requires)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{required}")
    rows = [*files, f"{info.name}/METADATA", f"{name}.pth", f"../bin/{name}", "__pycache__/x.pyc"]
    (info / "RECORD").write_text("".join(f"{row},,\n" for row in rows))
    importlib.invalidate_caches()


def names_of(packages: Packages) -> set[str]:
    return {Path(path).name for path in packages.paths}


def test_nothing_wanted_is_nothing_found() -> None:
    assert find([]) == Packages()


def test_a_module_is_its_file(site: Path) -> None:
    (site / "single.py").write_text(RAISES)
    (site / "other.py").write_text("")
    assert find(["single", "single"]) == Packages(
        ("single",), (str(site),), (str(site / "single.py"),)
    )
    assert "single" not in sys.modules


def test_a_package_is_its_folder_and_what_came_with_it(site: Path) -> None:
    installed(site, "First", "first", "_first_parts")
    found = find(["first"])
    assert names_of(found) == {"first", "_first_parts", "First-1.0.dist-info"}
    assert found.search_paths == (str(site),)
    assert "first" not in sys.modules


def test_what_it_requires_comes_too_and_extras_and_strangers_do_not(site: Path) -> None:
    installed(site, "first", "first", requires=["se.cond>=1", "third; extra == 'more'", "gone"])
    installed(site, "se-cond", "second", requires=["first", "fourth ; python_version > '3'"])
    installed(site, "third", "third")
    installed(site, "fourth", "fourth")
    assert {"first", "second", "fourth"} <= names_of(find(["first"]))
    assert "third" not in names_of(find(["first"]))


def test_what_is_really_installed_is_found() -> None:
    assert msgspec.__file__ is not None
    home = Path(msgspec.__file__).parent
    found = find(["msgspec"])
    assert str(home) in found.paths
    assert str(home.parent) in found.search_paths


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("not-a-name", "no import name"),
        ("json", "in the standard library"),
        ("nowhere_to_be_found", "not installed .* pip install"),
    ],
)
def test_what_cannot_be_had_is_refused_with_the_way_out(name: str, hint: str) -> None:
    with pytest.raises(PackageUnavailable, match=hint):
        find([name])


def test_a_package_in_an_archive_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("packed.py", "")
    out = program.run(f"""
        import sys
        from rlm_sandbox.errors import PackageUnavailable
        from rlm_sandbox.host.packages import find
        sys.path.insert(0, {str(tmp_path / "all.zip")!r})
        try:
            find(["packed"])
        except PackageUnavailable as error:
            print(error)
    """)
    assert "all.zip/packed.py" in out
    assert "install it as files" in out


class Mapping:
    """A finder as editable installs put one on `sys.meta_path`."""

    def __init__(self, name: str, spec: ModuleSpec) -> None:
        self._name = name
        self._spec = spec

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return self._spec if name == self._name else None


def test_an_editable_install_of_another_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ModuleSpec("mapped", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(sys, "meta_path", [Mapping("mapped", spec), *sys.meta_path])
    with pytest.raises(PackageUnavailable, match="install it without -e"):
        find(["mapped"])


def test_a_module_without_a_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    finder = Mapping("made_up", ModuleSpec("made_up", None))
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    with pytest.raises(PackageUnavailable, match="has no file"):
        find(["made_up"])
