"""The disks of a machine: Debian's userland with what the tests need, and the project's own."""

from __future__ import annotations

import hashlib
import io
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

from scripts.machines.archive import Archive, unpack
from scripts.machines.catalogue import Machine

GUEST = Path(__file__).parent / "guest"

PACKAGES = ("busybox-static", "python3", "libc-bin", "netbase", "tzdata")
SPARE_MEGABYTES = 1500
RESULT_MEGABYTES = 64

WHEELS = {"amd64": "x86_64", "arm64": "aarch64"}

_GLIBCS = ("2_28", "2_27", "2_26", "2_24", "2_17")

_ACCOUNTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n",
    "etc/group": "root:x:0:\nuser:x:1000:\n",
    "etc/hosts": "127.0.0.1 localhost machine\n::1 localhost\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}

_FOLDERS = ("dev", "proc", "sys", "run", "tmp", "srv", "root", "etc", "home/user", "usr/local/bin")


class NoDisk(Exception):
    """A disk cannot be made."""


def requirements(project: Path) -> list[str]:
    """What the tests need besides the project, as pip understands it."""
    settings = tomllib.loads((project / "pyproject.toml").read_text())
    groups = settings["dependency-groups"]
    named = [entry for entry in groups["test"] if isinstance(entry, str)]
    for entry in groups["test"]:
        if isinstance(entry, dict):
            named += groups[entry["include-group"]]
    return [*settings["project"]["dependencies"], *named]


def pip_arguments(architecture: str, python: str, target: Path) -> list[str]:
    """Of `pip install`: for another machine's Python ("3.14"), nothing built here."""
    machine = WHEELS[architecture]
    platforms = [f"manylinux_{glibc}_{machine}" for glibc in _GLIBCS]
    platforms += [f"manylinux2014_{machine}"]
    named = [part for platform in platforms for part in ("--platform", platform)]
    return [
        *("install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"),
        *("--python-version", python, "--implementation", "cp", "--target", str(target), *named),
    ]


def userland(archive: Archive, project: Path, cache: Path) -> tuple[Path, Path]:
    """The disk that machines of this origin start from, and its busybox. Raises NoDisk.

    Made once: again when the packages or the requirements have changed.
    """
    files = archive.download(PACKAGES)
    needed = requirements(project)
    key = hashlib.sha256("\n".join([*(path.name for path in files), *needed]).encode())
    disk = cache / "disks" / f"{archive.origin}-{key.hexdigest()[:16]}.img"
    busybox = disk.with_suffix(".busybox")
    if not disk.exists():
        disk.parent.mkdir(parents=True, exist_ok=True)
        for former in disk.parent.glob(f"{archive.origin}-*"):
            former.unlink()
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            root = Path(folder)
            _furnish(root, files, archive.origin.architecture, needed)
            shutil.copyfile(root / "usr/bin/busybox", busybox)
            _make_disk(root, disk)
    return disk, busybox


def _furnish(root: Path, files: Sequence[Path], architecture: str, needed: list[str]) -> None:
    for name in ("bin", "lib", "sbin", "lib64"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    unpack(files, root)
    for name in _FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    for name, text in _ACCOUNTS.items():
        (root / name).write_text(text)
    version = python_of(root)
    packages = root / f"usr/local/lib/python{version}/dist-packages"
    _pip(*pip_arguments(architecture, version, packages), *needed)


def python_of(root: Path) -> str:
    """The version of the userland's Python: "3.14"."""
    return str((root / "usr/bin/python3").readlink()).removeprefix("python")


def _pip(*arguments: str) -> None:
    pip = [sys.executable, "-m", "pip", *arguments]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NoDisk(f"pip {arguments[0]}: {done.stderr.strip()[-1000:]}")


def _make_disk(root: Path, disk: Path) -> None:
    """A file system with what is below `root` and some room."""
    used = sum(path.lstat().st_size for path in root.rglob("*")) // 2**20
    unfinished = disk.with_suffix(".new")
    with unfinished.open("wb") as file:
        file.truncate((used + used // 4 + SPARE_MEGABYTES) * 2**20)
    options = ["-q", "-F", "-E", "root_owner=0:0", "-d", str(root), str(unfinished)]
    done = subprocess.run(["mkfs.ext4", *options], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NoDisk(f"mkfs.ext4: {done.stderr.strip()[-500:]}")
    unfinished.rename(disk)


def site(project: Path, into: Path) -> Path:
    """The project as pip installs it, in the folder `into`. Raises NoDisk."""
    options = ("--quiet", "--disable-pip-version-check", "--no-deps")
    _pip("install", *options, "--target", str(into), str(project))
    return into


def job(machine: Machine, tests: Sequence[str]) -> str:
    """What the program inside is told, for a shell to read."""
    values = {
        "user": machine.user,
        "control_groups": machine.groups,
        "sysctls": " ".join(machine.sysctls),
        "remedy": machine.remedy,
        "seconds": str(round(machine.hours * 3600)),
        "tests": " ".join(tests),
        "classes": " ".join(f"--class={name}" for name in machine.classes),
    }
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())


def project_disk(
    machine: Machine, tests: Sequence[str], project: Path, installed: Path, disk: Path
) -> Path:
    """A disk that is an archive: the job, the project as installed, its tests and the rest."""
    kinds = ["--cached", "--others", "--exclude-standard"]  # as pip takes it: what is new as well
    listed = subprocess.run(
        ["git", "-C", project, "ls-files", "-z", *kinds], capture_output=True, text=True, check=True
    )
    with tarfile.open(disk, "w") as archive:
        for guest in ("run.sh", "enter.py"):
            archive.add(GUEST / guest, guest)
        archive.add(installed, "site")
        for name in filter(None, listed.stdout.split("\0")):
            if (project / name).exists():
                archive.add(project / name, f"project/{name}")
        text = job(machine, tests).encode()
        entry = tarfile.TarInfo("job")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    return disk


def empty(disk: Path, megabytes: int) -> Path:
    """A disk of so many megabytes with nothing on it."""
    with disk.open("wb") as file:
        file.truncate(megabytes * 2**20)
    return disk
