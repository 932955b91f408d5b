"""The wall as a whole: which layers there are, and the order in which a worker puts them on.

Three processes take part. The zygote moves into the minimal root (`prepare_zygote`). Its workers'
inits move into namespaces of their own and give up their rights (`enclose_init`), ahead of the
session that they are for. The session process, which will run the code, closes the last doors
behind itself (`lock_session`). Why in this order: a mount needs capabilities and is refused under
Landlock, Landlock and seccomp need no_new_privs, and seccomp forbids all the calls before it, so it
comes last.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rlm_sandbox.confine import (
    bpf,
    cgroups,
    landlock,
    mounts,
    namespaces,
    privileges,
    rlimits,
    seccomp,
    selftest,
)
from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.confine.networks import Networks
from rlm_sandbox.confine.wall import Wall
from rlm_sandbox.protocol import WorkerLimits

_FLAGS = {
    Layer.MOUNT: namespaces.NEWNS,
    Layer.NET: namespaces.NEWNET,
    Layer.IPC: namespaces.NEWIPC,
    Layer.UTS: namespaces.NEWUTS,
    Layer.CGROUP_VIEW: namespaces.NEWCGROUP,
}

TIME_ZONES = "/usr/share/zoneinfo"


def prepare_zygote(
    layers: frozenset[Layer],
    packages: Sequence[str] = (),
    groups: Sequence[str] = (),
    search_paths: Sequence[str] = (),
) -> Wall:
    """Move this process into the minimal root, if the MOUNT layer is on. Raises OSError.

    `packages` are the files and folders of packages, `search_paths` what `sys.path` has for them.
    """
    privileges.hold_by_descriptor()
    library = [path for path in sys.path if path not in search_paths]
    readable = [*library, *library_folders(packages), TIME_ZONES, *packages]
    wall = Wall(layers, os.open("/proc", os.O_PATH | os.O_CLOEXEC))
    wall.readable, wall.listable = tuple(dict.fromkeys(readable)), tuple(search_paths)
    if wall.has(Layer.CGROUP):
        wall.groups = tuple(os.open(group, os.O_PATH | os.O_CLOEXEC) for group in groups)
    if wall.has(Layer.UID):
        wall.uids = privileges.spare_uids()
    own_mounts = namespaces.NEWNS if wall.has(Layer.MOUNT) else 0
    if privileges.holds(privileges.CAP_SYS_ADMIN):
        namespaces.enter(own_mounts)
    elif own_mounts or wall.has(Layer.PID):  # to fork into a pid namespace takes the right, too
        _be_ordinary(wall)
        namespaces.enter_user(own_mounts, wall.proc)
    if own_mounts:
        mounts.enter_minimal_root(wall.readable)
        wall.kept = mounts.kept_in_scratch(wall.readable)
    if wall.has(Layer.CAPABILITIES):
        privileges.bound_capabilities()  # here once: what is forked has inherited it
    if wall.has(Layer.NET) and wall.has(Layer.PID):  # else nobody would know when all have ended
        wall.networks = Networks(wall.proc)
    if wall.has(Layer.GATE):
        wall.gate = bpf.pack(seccomp.gate(os.uname().machine))
        wall.filter = _filter_of(wall)
    return wall


def _filter_of(wall: Wall, pid: int = 0) -> bytes:
    """The session's filter. Where there is no gate it names the session process."""
    machine, gated = os.uname().machine, wall.has(Layer.GATE)
    program = seccomp.wall(machine, gated=gated, private_root=wall.has(Layer.MOUNT), pid=pid)
    return bpf.pack(program)


def _be_ordinary(wall: Wall) -> None:
    """The root of a container may not mount; an ordinary user may, in a user namespace.

    So it becomes one, for all its workers: each has a user namespace, which counts for itself.
    """
    if wall.uids:
        privileges.become(wall.uids[os.getpid() % len(wall.uids)])
        privileges.dumpable()
        wall.uids = range(0)
        while wall.groups:  # they are delegated to root, who this is no more
            os.close(wall.groups[-1])
            wall.groups = wall.groups[:-1]
        wall.layers -= {Layer.CGROUP}


def possible(layers: frozenset[Layer], groups: Sequence[str] = ()) -> frozenset[Layer]:
    """Those of these optional layers that this host offers; `groups` are what it delegates."""
    offered = {
        Layer.UID: lambda: os.geteuid() == 0 and privileges.has_spare_uids(),
        Layer.LANDLOCK: lambda: landlock.abi() > 0,
        Layer.GATE: seccomp.offers_listener,
        Layer.CGROUP: lambda: len(groups) > 0,
    }
    return frozenset(layer for layer in layers if offered[layer]())


def library_folders(apart: Iterable[str] = ()) -> list[str]:
    """The folders of the shared libraries that this process has loaded.

    Those that lie in `apart` are left out: there the library alone is wanted, not its neighbours.
    """
    folders = set()
    known = [os.path.realpath(path) for path in apart]
    for line in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines():
        path = line.partition("/")[2]
        library = Path("/" + path)
        if ".so" in path and not any(library.is_relative_to(place) for place in known):
            folders.add(str(library.parent))
    return sorted(folders)


def enclose_init(wall: Wall, tmp_bytes: int, group: str | None = None) -> None:
    """Control group, namespaces, `/tmp`, user id and rights of a worker's init and all below it.

    Raises OSError.
    """
    if group is not None:
        cgroups.join(wall.groups, group)
    for descriptor in wall.groups:
        os.close(descriptor)
    surroundings = sum(flag for layer, flag in _FLAGS.items() if wall.has(layer))
    if wall.networks is not None:  # it was forked into one
        surroundings &= ~namespaces.NEWNET
    if not wall.uids:
        if wall.has(Layer.USER):
            namespaces.enter_user(surroundings, wall.proc)
        else:
            namespaces.enter(surroundings)
        if wall.has(Layer.MOUNT):
            mounts.mount_scratch(tmp_bytes, os.geteuid(), wall.kept)
    else:
        _leave_root(wall, tmp_bytes, surroundings)
    _give_up_rights(wall)
    _open_own_streams()
    if wall.has(Layer.PID):
        _close_files(wall)
    selftest.examine_place(wall, tmp_bytes)


def _leave_root(wall: Wall, tmp_bytes: int, surroundings: int) -> None:
    """These namespaces belong to the host's root, which the worker is not from here on."""
    namespaces.enter(surroundings)
    if wall.has(Layer.MOUNT):
        mounts.mount_scratch(tmp_bytes, wall.uid, wall.kept)
    privileges.become(wall.uid)
    privileges.dumpable()
    if wall.has(Layer.USER):
        namespaces.enter_user(0, wall.proc)


def _give_up_rights(wall: Wall) -> None:
    if wall.has(Layer.NO_NEW_PRIVS):
        privileges.no_new_privileges()
    if wall.has(Layer.CAPABILITIES):
        privileges.drop_capabilities()
    if wall.has(Layer.NOT_DUMPABLE):
        privileges.not_dumpable()


def lock_session(wall: Wall, limits: WorkerLimits, hand_over: Callable[[int], None]) -> None:
    """What the process that runs the code gives up, last of all. Raises OSError.

    `hand_over` takes the gate's listener to the init and closes it here.
    """
    privileges.die_with_parent()
    if not wall.has(Layer.PID):  # its init needs /proc, to find at the end what it has to end
        _close_files(wall)
    if wall.has(Layer.RLIMITS):
        rlimits.apply(limits, own_user=bool(wall.uids) or wall.has(Layer.USER))
    selftest.examine_session(wall, limits)
    if wall.has(Layer.GATE):
        hand_over(seccomp.install_with_listener(wall.gate))
    if wall.has(Layer.SECCOMP):
        seccomp.install(wall.filter or _filter_of(wall, os.getpid()))


def _close_files(wall: Wall) -> None:
    """From here on this process and all below it reach only what the code may."""
    os.close(wall.proc)
    if wall.has(Layer.LANDLOCK):
        grants = [(path, landlock.READ) for path in wall.readable]
        grants += [(path, landlock.READ_DIR) for path in wall.listable]
        grants += [(device, landlock.READ) for device in mounts.DEVICES]
        if wall.has(Layer.MOUNT):
            grants += [(path, landlock.WRITE) for path in (mounts.SCRATCH, os.devnull)]
        landlock.restrict(grants)


def _open_own_streams() -> None:
    """Standard streams that no other worker has: flags and locks of shared ones would be seen."""
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    os.close(nothing)
