"""Control groups: the kernel counts and bounds what a whole worker holds, where that is delegated.

Version 2 (cgroups(7), admin-guide/cgroup-v2) or the memory and pids hierarchies of version 1. A
folder is delegated to us if we may make folders in it and these have the memory and pids controls;
on version 2 the folder may then hold no process of its own, so a controller that is alone in its
folder moves into one below it. RLM_SANDBOX_CGROUP names such a folder. A worker's group is used
again by the next one: making and removing costs more than joining.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from rlm_sandbox.confine.kernel_files import told

PREFIX = "rlm-sandbox-"
VARIABLE = "RLM_SANDBOX_CGROUP"
_JOIN = "cgroup.procs"
_JOIN_THREAD = "tasks"
_CONTROLS = "cgroup.subtree_control"
_KIND = "cgroup.type"
"""A file that all groups of version 2 have but the root, in which processes may be, too."""

_HOME = "controller"
"""The leaf that a controller moves into, below the folder for its workers."""

_LEAVE_SECONDS = 1.0


@dataclass(frozen=True)
class Files:
    """How the kernel names a group's controls."""

    memory: str
    processes: str
    kills: str
    """A file with a line "oom_kill N"."""


_V1 = Files("memory.limit_in_bytes", "pids.max", "memory.oom_control")
_V2 = Files("memory.max", "pids.max", "memory.events")


class Delegation:
    """Folders that are ours, one a hierarchy: of memory and of pids, which version 2 has in one."""

    def __init__(self, memory: Path, pids: Path) -> None:
        """Makes a folder for this process's workers. Raises OSError if it is not delegated."""
        self._files = _V2 if memory == pids else _V1
        name = f"{PREFIX}{os.getpid()}"
        self.bases = tuple(dict.fromkeys((memory / name, pids / name)))
        self._free: list[Group] = []
        self._made = 0
        for parent in dict.fromkeys((memory, pids)):
            _remove_stale(parent)
        try:
            self._prepare()
            self.give_back(self.take(1 << 30, 64))  # which proves that it can be done
        except OSError:
            self.close()
            raise

    def _prepare(self) -> None:
        """The folders below which workers have theirs, with the controls. Raises OSError."""
        if self._files is _V2:
            _may_control(self.bases[0].parent)
        for base in self.bases:
            base.mkdir(exist_ok=True)
        if self._files is _V2:
            base = self.bases[0]
            if _holds_processes(base.parent):
                (base / _HOME).mkdir(exist_ok=True)
                (base / _HOME / _JOIN).write_text(str(os.getpid()))
            for folder in (base.parent, base):
                (folder / _CONTROLS).write_text("+memory +pids")

    def take(self, memory: int, processes: int) -> Group:
        """A group with no process in it, limited to so many bytes and processes. Raises OSError."""
        while self._free:
            group = self._free.pop()
            try:
                group.limit(memory, processes)
            except OSError:  # what is left of its last worker is more than that
                group.remove()
            else:
                return group
        self._made += 1
        group = Group(tuple(base / str(self._made) for base in self.bases), self._files)
        group.make()
        group.limit(memory, processes)
        return group

    def give_back(self, group: Group) -> None:
        """Use it for another worker; whatever still is in it is killed first."""
        try:
            group.empty()
        except OSError:  # somebody has taken it away
            group.remove()
        else:
            self._free.append(group)

    def close(self) -> None:
        """Remove every folder that is not in use."""
        while self._free:
            self._free.pop().remove()
        if (self.bases[0] / _HOME).exists():
            with contextlib.suppress(OSError):  # another's workers are below the same folder
                self._move_back(self.bases[0])
        for base in self.bases:
            with contextlib.suppress(OSError):
                base.rmdir()

    def _move_back(self, base: Path) -> None:
        """Out of the leaf below `base`, which then is as it was found. Raises OSError."""
        for folder in (base, base.parent):
            (folder / _CONTROLS).write_text("-memory -pids")
        (base.parent / _JOIN).write_text(str(os.getpid()))
        (base / _HOME).rmdir()


class Group:
    """One worker's group: a folder in the memory and in the pids hierarchy."""

    def __init__(self, folders: tuple[Path, ...], files: Files) -> None:
        self.folders = folders
        self.files = files
        self._memory = self._processes = -1  # as it is limited now

    @property
    def name(self) -> str:
        return self.folders[0].name

    def make(self) -> None:
        for folder in self.folders:
            folder.mkdir(exist_ok=True)

    def limit(self, memory: int, processes: int) -> None:
        self.limit_memory(memory)
        if processes != self._processes:
            (self.folders[-1] / self.files.processes).write_text(str(processes))
            self._processes = processes

    def limit_memory(self, memory: int) -> None:
        if memory == self._memory:
            return
        self._memory = -1
        (self.folders[0] / self.files.memory).write_text(str(memory))
        if self.files is _V2:
            with contextlib.suppress(FileNotFoundError):  # a kernel without swap accounting
                (self.folders[0] / "memory.swap.max").write_text("0")
        self._memory = memory

    def oom_kills(self) -> int:
        """How often the kernel has killed a process because the group held too much."""
        text = told(self.folders[0] / self.files.kills)
        found = re.search(rb"^oom_kill (\d+)", text, re.MULTILINE)
        return int(found[1]) if found else 0

    def empty(self) -> None:
        """Wait until no process is left; on version 2, kill what there is."""
        if self.files is _V2:
            with contextlib.suppress(FileNotFoundError):  # before Linux 5.14
                (self.folders[0] / "cgroup.kill").write_text("1")
        deadline = time.monotonic() + _LEAVE_SECONDS
        while told(self.folders[0] / _JOIN) and time.monotonic() < deadline:
            time.sleep(0.001)

    def remove(self) -> None:
        for folder in self.folders:
            with contextlib.suppress(OSError):  # a process in it is still on its way out
                folder.rmdir()


def delegated() -> Delegation:
    """What has been delegated to this process. Raises OSError with the reason if nothing is."""
    own = _own_groups()
    if VARIABLE in os.environ:
        folder = Path(os.environ[VARIABLE])
        if "" in own:
            _may_move(own[""], folder)
        return Delegation(folder, folder)
    if "memory" in own and "pids" in own:
        return Delegation(own["memory"], own["pids"])
    if "" in own:
        folder = _without_home(own[""])
        if os.geteuid() == 0:
            _is_handed_over(folder)
        return Delegation(folder, folder)
    raise FileNotFoundError("no memory and pids controls are mounted")


def _without_home(folder: Path) -> Path:
    """The folder that was delegated, seen from the leaf that a controller has moved into."""
    if folder.name == _HOME and folder.parent.name.startswith(PREFIX):
        return folder.parent.parent
    return folder


def _is_handed_over(folder: Path) -> None:
    """Root may write everywhere: what systemd has not delegated is systemd's own.

    All that a container sees is its own. Raises PermissionError.
    """
    marked = False
    for name in ("user.delegate", "trusted.delegate"):
        with contextlib.suppress(OSError):
            marked = marked or os.getxattr(folder, name) == b"1"
    if (folder / _KIND).exists() and not marked and not folder.is_mount():
        raise PermissionError(errno.EPERM, f"{folder} is not delegated: it is not marked as such")


def _may_move(own: Path, folder: Path) -> None:
    """Version 2 lets only those move a process that may write to what both folders are below.

    Raises PermissionError.
    """
    common = Path(os.path.commonpath((own, folder))) / _JOIN
    if os.geteuid() != 0 and not os.access(common, os.W_OK):
        raise PermissionError(
            errno.EACCES,
            f"no process may move from {own} to {folder}: {common} cannot be written, so start "
            "this program below a folder that is yours as well",
        )


def _may_control(folder: Path) -> None:
    """Raises OSError if processes are in it that cannot leave, or it is no group at all."""
    inside = (folder / _JOIN).read_text().split()
    if _holds_processes(folder) and inside != [str(os.getpid())]:
        raise OSError(
            errno.EBUSY,
            f"{folder} holds other processes: this program has to be started alone in its folder",
        )


def _holds_processes(folder: Path) -> bool:
    """True if that keeps its children from having controls."""
    return (folder / _KIND).exists() and bool((folder / _JOIN).read_text())


def _own_groups() -> dict[str, Path]:
    """This process's folder in each mounted hierarchy, by controller; "" for version 2."""
    mounts: dict[str, Path] = {}
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, target, kind, options, *_ = line.split()
        if kind == "cgroup2":
            mounts[""] = Path(target)
        elif kind == "cgroup":
            mounts |= {option: Path(target) for option in options.split(",")}
    groups: dict[str, Path] = {}
    for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            if controller in mounts:
                groups[controller] = mounts[controller] / path.lstrip("/")
    return groups


def _remove_stale(parent: Path) -> None:
    """Folders of controllers that were killed."""
    for folder in parent.glob(f"{PREFIX}*"):
        pid = folder.name.removeprefix(PREFIX)
        if pid.isdigit() and not Path("/proc", pid).exists():
            for group in [*folder.glob("*/"), folder]:
                with contextlib.suppress(OSError):
                    group.rmdir()


def join(bases: tuple[int, ...], name: str) -> None:
    """Move this process, which has one thread, into a worker's group. Raises OSError.

    `bases` are the open folders that it is below. On version 1 the thread is moved, not the
    process: so the kernel need not wait until nobody on any processor forks or ends, which takes
    milliseconds on a busy machine.
    """
    for base in bases:
        try:
            descriptor = os.open(f"{name}/{_JOIN_THREAD}", os.O_WRONLY | os.O_CLOEXEC, dir_fd=base)
        except FileNotFoundError:
            descriptor = os.open(f"{name}/{_JOIN}", os.O_WRONLY | os.O_CLOEXEC, dir_fd=base)
        try:
            os.write(descriptor, b"0")
        finally:
            os.close(descriptor)
