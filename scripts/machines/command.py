"""The command line of the machines."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from scripts.machines import archive, catalogue, disk, emulator, kernel, report
from scripts.machines.archive import Archive, ArchiveFailed, Origin
from scripts.machines.catalogue import Machine
from scripts.machines.disk import NoDisk
from scripts.machines.emulator import Hardware
from scripts.machines.kernel import Kernel, NoKernel
from scripts.machines.report import Report

PROJECT = Path(__file__).resolve().parents[2]

SUMMARY = """\
The wall on other kernels, processors and Pythons: small virtual machines of Debian's packages, in
which `rlm doctor`, `rlm audit` and the tests of the wall are run. A line for each machine tells
what it was and what was found; whatever went wrong follows."""

EXAMPLES = """\
examples:
  scripts/kernels --list
  scripts/kernels --only newest --only old     some machines
  scripts/kernels --only old --tests tests/rlm_sandbox/confine/test_landlock.py
  scripts/kernels --refresh                    ask Debian for newer packages first

needs qemu, apt and mkfs.ext4, a Debian mirror and a package index; /dev/kvm makes it quick:
  apt install qemu-system-x86 qemu-system-arm e2fsprogs debian-archive-keyring
Packages are checked by apt and only unpacked: nothing of them runs outside of a machine. Machines
have no network. What was downloaded stays below $XDG_CACHE_HOME/rlm-sandbox-kernels (about 2 GB for
all), and there, in runs/NAME, what each machine has said.
exit codes: 0 all is well, 1 something escaped, failed or did not end, 2 it cannot be run here
"""

TOOLS = {
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
    "mkfs.ext4": "e2fsprogs",
    "git": "git",
}


class Missing(Exception):
    """A tool that is needed is not there."""


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says."""
    given = _parser().parse_args(arguments)
    if given.list:
        print(listed(catalogue.MACHINES))
        return 0
    try:
        machines = catalogue.chosen(given.only)
        need_tools(machines)
        reports = run(machines, given)
    except (ValueError, Missing, ArchiveFailed, NoDisk, NoKernel) as error:
        print(f"scripts/kernels: {error}", file=sys.stderr)
        return 2
    print(report.table(reports))
    return int(any(found.problems for found in reports))


def listed(machines: Iterable[Machine]) -> str:
    """Their names and what they are."""
    return "\n".join(
        f"{machine.name:20} {machine.kernel!s:16} {machine.about}" for machine in machines
    )


def need_tools(machines: Iterable[Machine]) -> None:
    """Raises Missing, naming what to install."""
    wanted = dict(TOOLS)
    for machine in machines:
        kind = "x86" if machine.kernel.architecture == "amd64" else "arm"
        wanted[emulator.program(machine.kernel.architecture)] = f"qemu-system-{kind}"
    missing = sorted(package for tool, package in wanted.items() if shutil.which(tool) is None)
    if not archive.KEYS.exists():
        missing.append("debian-archive-keyring")
    if missing:
        raise Missing(f"something is missing here. As root: apt install {' '.join(missing)}")


def run(machines: Sequence[Machine], given: argparse.Namespace) -> list[Report]:
    """Build and start one after the other. Raises ArchiveFailed, NoDisk, NoKernel."""
    cache = given.cache.resolve()
    cache.mkdir(parents=True, exist_ok=True)
    reports = []
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        workshop = Workshop(cache, Path(folder), refresh=given.refresh)
        for machine in machines:
            tell(f"{machine.name}: {machine.about} ...")
            found = start(workshop, machine, given)
            reports.append(found)
            tell(report.table([found]))
            for problem in found.problems:
                tell(f"  {machine.name}: {problem}")
    return reports


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Workshop:
    """What machines are built of, each part once."""

    def __init__(self, cache: Path, folder: Path, *, refresh: bool) -> None:
        """`folder` is for what one run needs, `cache` for what later ones may use again."""
        self.cache = cache
        self.folder = folder
        self._refresh = refresh
        self._archives: dict[Origin, Archive] = {}
        self._kernels: dict[Origin, Kernel] = {}
        self._userlands: dict[Origin, tuple[Path, Path]] = {}
        self.installed = disk.site(PROJECT, folder / "site")

    def _archive(self, origin: Origin) -> Archive:
        if origin not in self._archives:
            self._archives[origin] = Archive(origin, self.cache)
            if self._refresh:
                self._archives[origin].update()
        return self._archives[origin]

    def userland(self, origin: Origin) -> tuple[Path, Path]:
        """The disk to start from, and a busybox."""
        if origin not in self._userlands:
            self._userlands[origin] = disk.userland(self._archive(origin), PROJECT, self.cache)
        return self._userlands[origin]

    def kernel(self, origin: Origin) -> Kernel:
        """The newest kernel of an origin."""
        if origin not in self._kernels:
            files = self._archive(origin).download([f"linux-image-{origin.architecture}"])
            with tempfile.TemporaryDirectory(dir=self.folder) as unpacked:
                archive.unpack(archive.of_the_kernel(files), Path(unpacked))
                _, busybox = self.userland(origin)
                start_script = disk.GUEST / "start.sh"
                self._kernels[origin] = kernel.build(
                    Path(unpacked), busybox, start_script, self.folder / f"kernel-{origin}"
                )
        return self._kernels[origin]


def start(workshop: Workshop, machine: Machine, given: argparse.Namespace) -> Report:
    """Build a machine, let it run and read what it has left."""
    place = workshop.cache / "runs" / machine.name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    root, _ = workshop.userland(machine.userland)
    tests = tuple(given.tests) if given.tests and machine.tests else machine.tests
    project = disk.project_disk(
        machine, tests, PROJECT, workshop.installed, workshop.folder / "project"
    )
    results = disk.empty(workshop.folder / "results", disk.RESULT_MEGABYTES)
    disks = [root, project, results]
    if machine.swap:
        disks.append(disk.empty(workshop.folder / "swap", machine.swap))
    hardware = Hardware(machine.kernel.architecture, machine.memory, given.processors, tuple(disks))
    line = emulator.command(
        hardware, workshop.kernel(machine.kernel), machine.kernel_options, place / "console"
    )
    started = time.monotonic()
    trouble = emulator.run(line, machine.hours * 3600)
    files = report.unpack(results)
    for name, data in files.items():
        (place / name).write_bytes(data)
    return report.read(machine.name, files, (time.monotonic() - started) / 60, trouble)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/kernels",
        description=SUMMARY,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    add = parser.add_argument
    add("--list", action="store_true", help="show the machines and start none")
    add(
        "--only", action="append", default=[], metavar="NAME", help="this one, as often as you like"
    )
    add("--tests", nargs="+", default=[], metavar="PATH", help="these, instead of each one's own")
    add("--processors", type=int, default=1, choices=(1, 2), help="of each machine (%(default)s)")
    add("--refresh", action="store_true", help="look for newer packages")
    add("--cache", type=Path, metavar="DIR", default=caches / "rlm-sandbox-kernels")
    return parser
