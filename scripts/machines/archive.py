"""Debian's packages of any suite and architecture, found, checked and downloaded by apt.

With a state of its own for each: nothing of this machine's apt is touched, nothing is installed and
no script of a package is run.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MIRROR = "http://deb.debian.org/debian"
KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

_CONFIGURATION = """\
Dir::State "{home}";
Dir::State::lists "{home}/lists";
Dir::State::status "{home}/status";
Dir::Cache "{home}";
Dir::Cache::archives "{home}/archives";
Dir::Etc::sourcelist "{home}/sources.list";
Dir::Etc::sourceparts "{home}/nothing";
Dir::Etc::preferencesparts "{home}/nothing";
Dir::Etc::parts "{home}/nothing";
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
"""

_URI = re.compile(r"^'(\S+)' (\S+\.deb) \d+", re.MULTILINE)


@dataclass(frozen=True)
class Origin:
    """Where packages come from: a suite, and Debian's name of an architecture."""

    suite: str
    architecture: str

    def __str__(self) -> str:
        return f"{self.suite}-{self.architecture}"


class ArchiveFailed(Exception):
    """apt could not do what it was asked for."""


class Archive:
    """The packages of one origin, kept below `cache`.

    A mirror may be some weeks behind: its signature is checked, its age is not.
    """

    def __init__(self, origin: Origin, cache: Path, mirror: str = MIRROR) -> None:
        """Makes apt's state, if it is not there yet. Raises ArchiveFailed."""
        self.origin = origin
        self._home = cache / "apt" / str(origin)
        for folder in ("lists/partial", "archives/partial", "nothing/partial"):
            (self._home / folder).mkdir(parents=True, exist_ok=True)
        (self._home / "status").touch()
        source = f"deb [signed-by={KEYS}] {mirror} {origin.suite} main\n"
        (self._home / "sources.list").write_text(source)
        (self._home / "apt.conf").write_text(
            _CONFIGURATION.format(home=self._home, architecture=origin.architecture)
        )

    def update(self) -> None:
        """Learn what there is now. Raises ArchiveFailed."""
        self._apt("update", "-q")

    def download(self, names: Sequence[str]) -> list[Path]:
        """These packages and all that they depend on, as files. Raises ArchiveFailed."""
        if not any((self._home / "lists").glob("*Packages*")):
            self.update()
        # what has been downloaded before is not listed: so it is to look where nothing is
        nowhere = f"Dir::Cache::archives={self._home / 'nothing'}"
        wanted = files_of(self._apt("install", "--print-uris", "-y", "-o", nowhere, *names))
        have = {path.name for path in (self._home / "archives").glob("*.deb")}
        if not set(wanted) <= have:
            self._apt("install", "--download-only", "-y", "-q", *names)
        return [self._home / "archives" / name for name in wanted]

    def _apt(self, *arguments: str) -> str:
        done = subprocess.run(
            ["apt-get", *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "APT_CONFIG": str(self._home / "apt.conf"), "LC_ALL": "C"},
        )
        if done.returncode != 0:
            problem = done.stderr.strip()[-500:]
            raise ArchiveFailed(f"apt-get {arguments[0]} for {self.origin}: {problem}")
        return done.stdout


def files_of(printed: str) -> list[str]:
    """The names of the package files in what `apt-get --print-uris` has said."""
    return [name for _, name in _URI.findall(printed)]


def of_the_kernel(files: Sequence[Path]) -> list[Path]:
    """Those of the packages that hold a kernel and its modules; the rest is there to start it."""
    return [path for path in files if re.match(r"linux-(image|binary|modules|base)-\d", path.name)]


def unpack(files: Sequence[Path], root: Path) -> None:
    """Put the files of these packages below `root`. Raises ArchiveFailed."""
    for path in files:
        taken = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", path], stdout=subprocess.PIPE)
        with taken:
            put = subprocess.run(
                ["tar", "-x", "--keep-directory-symlink", "-C", root],
                stdin=taken.stdout,
                capture_output=True,
                text=True,
                check=False,
            )
        if taken.returncode or put.returncode:
            raise ArchiveFailed(f"{path.name} cannot be unpacked: {put.stderr.strip()[-500:]}")
