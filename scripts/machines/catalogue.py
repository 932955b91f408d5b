"""The machines: what they are made of, and what is said to the kernel and within."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from scripts.machines.archive import Origin


class Groups(StrEnum):
    """What a machine has of control groups."""

    NONE = "none"  # nothing is mounted
    V1 = "v1"  # the memory and pids hierarchies of version 1
    WHOLE = "v2-whole"  # version 2, and the program is in the root group
    SCOPE = "v2-scope"  # version 2: a folder that is the user's, and the program alone in it
    NAMED = "v2-named"  # version 2: an empty folder beside the program's, named by a variable
    FOREIGN = "v2-foreign"  # version 2, nothing delegated


class User(StrEnum):
    """Who the program is."""

    ROOT = "root"
    ORDINARY = "user"


WALL = ("tests/rlm_sandbox", "tests/escape", "tests/fault")
"""Everything that has to do with the wall."""

LAYERS = ("tests/rlm_sandbox/confine", "tests/rlm_sandbox/doctor", "tests/rlm_sandbox/worker")
"""What differs where only a setting of the kernel differs."""

ACCOUNTED = ("process", "resources")
"""The classes of programs that control groups and memory settings have to do with."""

EVERYTHING = ("tests",)


@dataclass(frozen=True)
class Machine:
    """One virtual machine. `memory` and `swap` are megabytes."""

    name: str
    about: str
    userland: Origin
    kernel: Origin
    user: User = User.ORDINARY
    groups: Groups = Groups.SCOPE
    tests: tuple[str, ...] = LAYERS
    """None at all for a machine that cannot isolate: there is nothing to test."""
    classes: tuple[str, ...] = ()
    """Of the audit's programs only these, where others cannot fare otherwise; none: all of them."""
    memory: int = 1400
    swap: int = 0
    kernel_options: str = ""
    sysctls: tuple[str, ...] = ()
    remedy: str = ""
    """A setting (as for sysctl(8)) that the doctor should name, and that should raise the tier."""
    hours: float = 0.5
    """How long it may run."""


OLD = Origin("bookworm", "amd64")
NOW = Origin("trixie", "amd64")
NEW = Origin("sid", "amd64")
ARM = Origin("trixie", "arm64")
NEW_ARM = Origin("sid", "arm64")

MACHINES = (
    Machine(
        *("old-root", "root, control groups version 2 as they are on a bare host", OLD, OLD),
        user=User.ROOT,
        groups=Groups.WHOLE,
        tests=WALL,
    ),
    Machine(*("old", "an ordinary user in a delegated scope of its own", OLD, OLD), tests=WALL),
    Machine(
        *("old-named", "an ordinary user, an empty folder named by a variable", OLD, OLD),
        classes=ACCOUNTED,
        groups=Groups.NAMED,
    ),
    Machine(
        *("old-undelegated", "an ordinary user with nothing delegated", OLD, OLD),
        classes=ACCOUNTED,
        groups=Groups.FOREIGN,
    ),
    Machine(
        *("newest-root", "the newest kernel and Python that Debian has, as root", NEW, NEW),
        user=User.ROOT,
        groups=Groups.WHOLE,
        tests=WALL,
    ),
    Machine(*("newest", "the same, an ordinary user", NEW, NEW), tests=WALL),
    Machine(*("current", "Debian's stable, an ordinary user", NOW, NOW), tests=WALL),
    Machine(
        *("old-userland", "Debian's oldest userland on its newest kernel", OLD, NEW),
        user=User.ROOT,
        groups=Groups.WHOLE,
    ),
    Machine(
        *("python", "the whole suite on the newest Python", NEW, NEW), tests=EVERYTHING, hours=2.0
    ),
    Machine(
        *("no-namespaces", "user namespaces turned off by number", OLD, OLD),
        sysctls=("user.max_user_namespaces=0",),
        remedy="user.max_user_namespaces=10000",
    ),
    Machine(
        *("no-userns-clone", "user namespaces for root alone, as older Debians had it", OLD, OLD),
        sysctls=("kernel.unprivileged_userns_clone=0",),
        remedy="kernel.unprivileged_userns_clone=1",
    ),
    Machine(
        *("no-namespaces-root", "the same, as root, on the newest kernel", NEW, NEW),
        user=User.ROOT,
        groups=Groups.WHOLE,
        sysctls=("user.max_user_namespaces=0",),
        remedy="user.max_user_namespaces=10000",
    ),
    Machine(
        *("no-landlock", "a kernel started without Landlock", OLD, OLD),
        kernel_options="lsm=capability",
    ),
    Machine(
        *("no-landlock-root", "the same, as root", NEW, NEW),
        user=User.ROOT,
        groups=Groups.WHOLE,
        kernel_options="lsm=capability",
    ),
    Machine(
        *("nothing", "neither Landlock nor user namespaces: no tier", OLD, OLD),
        kernel_options="lsm=capability",
        sysctls=("user.max_user_namespaces=0",),
        remedy="user.max_user_namespaces=10000",
        tests=(),
    ),
    Machine(
        *("groups-v1", "control groups version 1, as root", OLD, OLD),
        classes=ACCOUNTED,
        user=User.ROOT,
        groups=Groups.V1,
    ),
    Machine(
        *("groups-none", "no control groups mounted, as root", OLD, OLD),
        classes=ACCOUNTED,
        user=User.ROOT,
        groups=Groups.NONE,
    ),
    Machine(
        *("strict-memory", "no memory is promised that is not there", OLD, OLD),
        classes=ACCOUNTED,
        sysctls=("vm.overcommit_memory=2", "vm.overcommit_ratio=100"),
    ),
    Machine(*("small", "512 MB of memory", OLD, OLD), classes=ACCOUNTED, memory=512),
    Machine(
        *("swap", "half a gigabyte of swap", OLD, OLD), classes=ACCOUNTED, memory=1000, swap=512
    ),
    Machine(
        *("no-huge-pages", "transparent huge pages turned off", OLD, OLD),
        classes=ACCOUNTED,
        kernel_options="transparent_hugepage=never",
    ),
    Machine(*("arm", "64-bit ARM, an ordinary user", ARM, ARM), tests=WALL, hours=3.0),
    Machine(
        *("arm-root", "64-bit ARM, as root", ARM, ARM),
        user=User.ROOT,
        groups=Groups.WHOLE,
        hours=2.0,
    ),
    Machine(
        *("arm-newest", "64-bit ARM with the newest kernel and Python", NEW_ARM, NEW_ARM),
        hours=2.0,
    ),
)


def chosen(names: Sequence[str]) -> tuple[Machine, ...]:
    """The machines of these names, all of them if there are none. Raises ValueError."""
    by_name = {machine.name: machine for machine in MACHINES}
    unknown = sorted(set(names) - set(by_name))
    if unknown:
        raise ValueError(
            f"no machine is called {', '.join(unknown)}: there are {', '.join(by_name)}"
        )
    return tuple(by_name[name] for name in names) or MACHINES
