"""Where the packages lie that a sandbox is to have: found in this environment, nothing imported.

The worker imports them in its zygote, without the .pth files of site-packages, and sees only their
own folders and those of what they require: not the whole environment.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import TYPE_CHECKING

from rlm_sandbox.errors import PackageUnavailable

if TYPE_CHECKING:
    from importlib.metadata import Distribution

_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Packages:
    """Import names, and what must be on `sys.path` and in the file system for them."""

    names: tuple[str, ...] = ()
    search_paths: tuple[str, ...] = ()
    """Folders for `sys.path`."""
    paths: tuple[str, ...] = ()
    """Files and folders that the worker may read."""


def find(names: Iterable[str]) -> Packages:
    """Locate packages by import name. Raises PackageUnavailable with the reason."""
    wanted = tuple(dict.fromkeys(names))
    if not wanted:
        return Packages()
    from importlib.metadata import packages_distributions  # most sandboxes have no packages

    distributions = packages_distributions()
    search: dict[str, None] = {}
    paths: dict[str, None] = {}
    for name in wanted:
        for location in _locations(name):
            search[str(location.parent)] = None
            paths[str(location)] = None
        for distribution in _with_requirements(distributions.get(name, ())):
            for path in _top_level(distribution):
                search[str(path.parent)] = None
                paths[str(path)] = None
    return Packages(wanted, tuple(search), tuple(paths))


def _locations(name: str) -> list[Path]:
    """The package's folders, or the module's file."""
    if not name.isidentifier():
        raise PackageUnavailable(f"{name!r} is no import name: give the name that `import` takes")
    if name in sys.stdlib_module_names:
        raise PackageUnavailable(
            f"{name!r} is in the standard library: it is there already; allow it with imports=[...]"
        )
    spec = _spec(name)
    if spec.submodule_search_locations is not None:
        locations = [Path(folder) for folder in spec.submodule_search_locations]
    elif spec.origin is not None:
        locations = [Path(spec.origin)]
    else:
        raise PackageUnavailable(f"{name!r} has no file: it cannot be mounted")
    for location in locations:
        if not location.exists():
            raise PackageUnavailable(
                f"{name!r} is in {location}, which is no file or folder (a zip archive or an "
                "import hook): install it as files"
            )
        if location.name.partition(".")[0] != name:
            raise PackageUnavailable(
                f"{name!r} is an editable install that maps the name to {location}: install it "
                "without -e, or lay the folder out under its import name"
            )
    return locations


def _spec(name: str) -> ModuleSpec:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError) as error:
        raise PackageUnavailable(f"{name!r} cannot be located: {error}") from None
    if spec is None:
        raise PackageUnavailable(
            f"{name!r} is not installed in the controller's environment: "
            f"`{sys.executable} -m pip install ...`"
        )
    return spec


def _with_requirements(names: Iterable[str]) -> list[Distribution]:
    """These distributions and, as far as installed, everything that they require."""
    from importlib.metadata import PackageNotFoundError, distribution

    found: dict[str, Distribution] = {}
    todo = list(names)
    while todo:
        name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
        if name in found:
            continue
        try:
            one = distribution(name)
        except PackageNotFoundError:  # for another platform or Python, say
            continue
        found[name] = one
        for requirement in one.requires or ():
            match = _REQUIREMENT.match(requirement)
            if match is not None and "extra ==" not in requirement:
                todo.append(match[0])
    return list(found.values())


def _top_level(distribution: Distribution) -> set[Path]:
    """The files and folders of a distribution right below site-packages."""
    tops = set()
    for file in distribution.files or ():
        top = file.parts[0]
        if top not in {"..", "__pycache__"}:
            path = Path(str(distribution.locate_file(top)))
            if path.exists() and path.suffix != ".pth":
                tops.add(path)
    return tops
